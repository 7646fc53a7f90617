"""Holes are planted in adjoints and in the sweep; the attack finds each."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from reference.arrays import Array
from tests.attack.adversary import FORMATS
from tests.attack.operations import OPERATIONS
from tests.tape.attack import strike
from tests.tape.test_attack import SMALL
from torch_mirror.balls import choosing
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Node, Recording
from torch_mirror.tape import moves, sweep

FLOAT64 = FORMATS[1]


def found(name: str) -> bool:
    return any(strike(OPERATIONS[name], FLOAT64, seed, 60).first for seed in range(3))


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put something else in the place of a function, and see that the attack found nothing before."""

    def put(name: str, module: Any, attribute: str, hole: Any) -> None:
        assert not found(name)
        monkeypatch.setattr(module, attribute, hole)

    return put


def changed(change: Callable[[Node, Number], Number]) -> Callable[..., Number]:
    """sweep._by, whose results are changed."""
    by = sweep._by

    def hole(node: Node, *arguments: Any) -> Number:
        return change(node, by(node, *arguments))

    return hole


@pytest.mark.parametrize("name", ["tanh", "divide", "matmul", "multiply", "mean", "einsum", "exp2", "var", "softplus"])
def test_an_adjoint_without_its_radius(plant: Callable[..., None], name: str) -> None:
    plant(name, sweep, "_by", changed(lambda _, d: Number(d.value, 0, d.format)))
    assert found(name)


@cache
def where_each_is() -> dict[str, str]:
    """For each elementary rule with an adjoint a small operation of the attack that its derivative goes through."""
    seen: dict[str, str] = {}
    note = Recording.note
    with pytest.MonkeyPatch.context() as patch:
        for name, operation in SMALL.items():

            def watched(self: Recording, made: Any, rule: str, adjoint: Any, *rest: Any, name: str = name) -> None:
                note(self, made, rule, adjoint, *rest)
                if made.node.active and isinstance(adjoint, tuple):
                    seen.setdefault(rule, name)

            patch.setattr(Recording, "note", watched)
            strike(operation, FLOAT64, 1, 1)
    return seen


def test_every_adjoint_that_is_a_formula_is_found_if_it_is_off_by_a_millionth_of_a_millionth() -> None:
    places = where_each_is()
    assert len(places) >= 38
    by, missed = sweep._by, []
    for rule, name in places.items():

        def off(node: Node, d: Number, rule: str = rule) -> Number:
            return d.constant(d.value * (1 + 2.0**-40), d.e) if node.operation == rule else d

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sweep, "_by", changed(off))
            if not found(name):
                missed.append((rule, name))
        assert sweep._by is by
    assert missed == []


@pytest.mark.parametrize("name", ["affine of 5", "bias in place", "einsum and bias"])
def test_a_missing_sum_over_what_broadcasting_has_repeated(plant: Callable[..., None], name: str) -> None:
    def first_of_them(d: Any, shape: tuple[int, ...]) -> Any:
        while d.ndim > len(shape):
            d = d[0]
        for i, n in enumerate(shape):
            if d.shape[i] != n and n == 1:
                d = np.take(d, [0], i)
        return np.broadcast_to(d, shape)

    plant(name, sweep, "fitted", first_of_them)
    assert found(name)


@pytest.mark.parametrize("name", ["maximum", "minimum", "relu", "clip", "abs", "fmax"])
def test_a_mask_at_the_wrong_side(plant: Callable[..., None], name: str) -> None:
    order = choosing.order
    plant(name, choosing, "order", lambda x, y: -order(x, y))
    assert found(name)


def overwritten(at: Array, values: Array, size: int) -> Array:
    """moves._added, where the last of several that go to one place is alone in it."""
    result = np.zeros(size, values.dtype)
    result[at] = values
    return result


@pytest.mark.parametrize("name", ["repeated", "windows", "convolve"])
def test_an_accumulated_index_that_is_dropped(plant: Callable[..., None], name: str) -> None:
    plant(name, moves, "_added", overwritten)
    assert found(name)


@pytest.mark.parametrize("name", ["diff", "gradient", "views in place"])
def test_a_slice_that_replaces_what_was_there(plant: Callable[..., None], name: str) -> None:
    def replaced(self: moves.Sum, v: Array, r: Array, g: Number) -> None:
        del self
        v[...] = g.value
        r[...] = g.radius

    plant(name, moves.Sum, "add", replaced)
    assert found(name)


def test_slices_that_are_added_up_without_a_rounding(plant: Callable[..., None]) -> None:
    def unrounded(self: moves.Sum, v: Array, r: Array, g: Number) -> None:
        del self
        v += g.value
        r += g.radius

    plant("diff", moves.Sum, "add", unrounded)
    assert found("diff")


def test_indices_that_are_added_up_without_a_rounding(plant: Callable[..., None]) -> None:
    scattered = moves.scattered

    def unrounded(join: Any, shapes: Any, which: int, g: Number) -> Number:
        d = scattered(join, shapes, which, g)
        e = scattered(join, shapes, which, Number(g.radius, 0, g.format))
        return Number(d.value, e.value, d.format)

    plant("convolve", sweep, "scattered", unrounded)
    assert found("convolve")


def test_a_second_use_that_is_forgotten(plant: Callable[..., None]) -> None:
    def replaced(into: dict[int, Any], number: int, d: Number) -> None:
        into[number] = d

    plant("sigmoid backward", sweep, "_add", replaced)
    assert found("sigmoid backward")
