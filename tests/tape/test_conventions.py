"""Conventions: one sweep each where branches are open, and none is taken for the hull of all."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from torch_mirror.balls.cell import Ball
from torch_mirror.balls.choosing import OPEN, TIE
from torch_mirror.balls.recording import recording
from torch_mirror.tape.conventions import as_taken, conventions, fitting, undecidable
from torch_mirror.tape.replay import Plan, replay
from torch_mirror.tape.sweep import Derivatives, derivative, leaf


def every(f: Callable[[Any], Any], x: Any) -> tuple[Ball, list[Derivatives]]:
    with recording():
        p = leaf(np.asarray(x, float))
        loss = f(p)
    return p, list(conventions(loss))


def values(f: Callable[[Any], Any], x: Any) -> list[list[float]]:
    p, found = every(f, x)
    assert all(d.by(p).exact or d.by(p).radius.max() < 1e-14 for d in found)  # and no hull
    return [d.by(p).value.tolist() for d in found]


AT_ZERO = [1.0, 0.0, -2.0]


@pytest.mark.parametrize(("f", "x", "expected"), [
    (lambda x: np.maximum(x, 0).sum(), AT_ZERO, [[1, 1, 0], [1, 0, 0], [1, 0.5, 0]]),
    (lambda x: np.maximum(0, x).sum(), AT_ZERO, [[1, 0, 0], [1, 1, 0], [1, 0.5, 0]]),
    (lambda x: np.minimum(x, 0).sum(), AT_ZERO, [[0, 1, 1], [0, 0, 1], [0, 0.5, 1]]),
    (lambda x: np.abs(x).sum(), AT_ZERO, [[1, 1, -1], [1, -1, -1], [1, 0, -1]]),
    (lambda x: (x * (x > 0)).sum(), AT_ZERO, [[1, 0, 0], [1, 1, 0]]),
    (lambda x: (x * (x >= 0)).sum(), AT_ZERO, [[1, 1, 0], [1, 0, 0]]),
    (lambda x: np.where(x > 0, x, x / 4).sum(), AT_ZERO, [[1, 0.25, 0.25], [1, 1, 0.25]]),
    (lambda x: x.max(), [1.0, 3.0, 3.0], [[0, 1, 0], [0, 0, 1], [0, 0.5, 0.5]]),
    (lambda x: (np.sort(x) * np.array([1.0, 2.0, 4.0])).sum(), [3.0, 1.0, 3.0], [[2, 1, 4], [4, 1, 2], [3, 1, 3]]),
    (lambda x: x.max() + x.min(), [5.0, 5.0, 0.0], [[1, 0, 1], [0, 1, 1], [0.5, 0.5, 1]]),
    (lambda x: x.max(), [1.0, 2.0, 3.0], [[0, 0, 1]]),
    (lambda x: np.maximum(x, 0).sum(), [1.0, 2.0, -3.0], [[1, 1, 0]]),
    (lambda x: (x * (x == x.max())).sum(), [1.0, 3.0, 2.0], [[0, 1, 0]]),
])  # fmt: skip
def test_each_side_of_a_kink(f: Callable[[Any], Any], x: Any, expected: list[list[float]]) -> None:
    assert values(f, x) == expected


def test_two_operations_may_have_conventions_of_their_own() -> None:
    found = values(lambda x: np.maximum(x, 0).sum() + 10 * np.abs(x).sum(), [0.0])
    assert found[:3] == [[11], [-10], [0.5]]
    assert sorted(v for (v,) in found) == [-10, -9.5, -9, 0, 0.5, 1, 10, 10.5, 11]


def test_no_more_than_are_asked_for() -> None:
    def many(x: Any) -> Any:
        return sum(np.maximum(x, 0).sum() for _ in range(8))

    with recording():
        loss = many(leaf(np.zeros(1)))
    assert len(list(conventions(loss, most=10))) == 10


def fitted(f: Callable[[Any], Any], x: Any, wanted: float, most: int) -> tuple[float, bool]:
    with recording():
        p = leaf(np.asarray(x, float))
        loss = f(p)

    def misfit(d: Derivatives) -> tuple[int, float]:
        off = float(np.abs(d.by(p).value - wanted).sum())
        return int(off > 0), off

    found = fitting(loss, misfit, most)
    return float(found.derivatives.by(p).value[0]), found.complete


WEIGHTS = [2.0**i for i in range(6)]


def weighted(x: Any) -> Any:
    """Six operations with 3 conventions each: all sums of 0, 1/2 or 1 times the weights."""
    return sum(w * np.maximum(x, 0).sum() for w in WEIGHTS)


@pytest.mark.parametrize("wanted", [0.0, 63.0, 31.5, 37.0, 26.0, 1.0, 32.5])
def test_of_more_conventions_than_are_tried_the_one_that_fits_is_found(wanted: float) -> None:
    assert fitted(weighted, [0.0], wanted, most=27) == (wanted, True)


def test_where_not_all_were_tried_and_none_fits_that_is_told() -> None:
    assert fitted(weighted, [0.0], 64.0, most=27) == (63.0, False)
    assert fitted(lambda x: np.maximum(x, 0).sum(), [0.0], 2.0, most=27) == (1.0, True)  # all were


@pytest.mark.parametrize("f", [
    lambda x: np.maximum(x, 0).sum(), lambda x: np.maximum(0, x).sum(), lambda x: np.abs(x).sum(),
    lambda x: np.maximum(x, np.array([0.0, 3.0])).sum(), lambda x: np.minimum(np.maximum(x, 0), 6).sum(),
    lambda x: np.maximum(np.abs(x), 0).sum(),
])  # fmt: skip
def test_where_a_convention_has_a_say_the_radius_is_infinite_and_elsewhere_it_is_not(f: Any) -> None:
    with recording():
        p: Any = leaf(np.array([0.0, 1.0]))
        loss = f(p)
    d = undecidable(loss)
    assert d is not None
    assert np.isfinite(d.by(p).radius).tolist() == [False, True]


def test_a_comparison_that_is_turned_round_marks_nothing() -> None:
    with recording():
        p: Any = leaf(np.array([0.0, 1.0]))
        loss = (p * (p > 0)).sum()
    assert undecidable(loss) is None


def test_a_factor_2_at_the_kink_fits_no_convention_though_the_hull_would_hold_it() -> None:
    p, found = every(lambda x: np.maximum(x, 0).sum(), [0.0, 1.0])
    assert not any(np.array_equal(d.by(p).value, [2.0, 1.0]) for d in found)


# --- open, and no tie --------------------------------------------------------------------------------------------


def nearly(x: Any) -> Any:
    """0 at x = 3, but for roundings."""
    return x * 0.1 - 0.3


@pytest.mark.parametrize("relu", [
    lambda z: np.maximum(z, 0), lambda z: z * (z > 0), lambda z: np.where(z > 0, z, 0.0),
])  # fmt: skip
def test_what_the_radii_leave_open_is_told_and_has_both_sides(relu: Callable[[Any], Any]) -> None:
    p, found = every(lambda x: relu(nearly(x)).sum(), [3.0, 4.0, -2.0])
    assert [(o.open, o.ties) for o in found[0].open] == [(1, 0)]
    assert found[0].open[0].where.tolist() == [OPEN, 0, 0]
    ends = {tuple(d.by(p).value.tolist()) for d in found}
    assert {(0.1, 0.1, 0.0), (0.0, 0.1, 0.0)} <= ends
    assert all(d.by(p).radius.max() < 1e-16 for d in found)


def test_a_tie_is_told_apart_from_what_is_open() -> None:
    with recording():
        x: Any = leaf(np.array([0.0, 1.0]))
        loss = np.maximum(x, 0).sum()
    (met,) = derivative(loss).open
    assert (met.open, met.ties, met.where.tolist()) == (0, 1, [TIE, 0])
    assert met.place is not None
    assert met.place.source == "loss = np.maximum(x, 0).sum()"


@pytest.mark.parametrize("f", [np.floor, np.sign, np.rint, np.trunc, np.ceil])
def test_a_jump_is_told(f: Any) -> None:
    at = {np.rint: 0.5, np.trunc: 1.0}.get(f, 0.0)
    with recording():
        x = leaf(np.array([at, 0.3]))
        loss = (f(x) * x).sum()
    assert [(o.node.operation, o.open, o.ties) for o in derivative(loss).open] == [(f.__name__, 0, 1)]


def test_the_user_s_own_backward_is_that_of_its_masks_as_taken() -> None:
    with recording() as tape:
        x = leaf(np.array([3.0, 4.0]))
        z = nearly(x)
        loss = np.maximum(z, 0).sum()
        own = (z > 0) * 0.1
    assert own.radius[0] >= 0.1  # both branches
    again = replay(tape.values, Plan(outcome=as_taken)).at(own)
    assert again.radius.max() < 1e-16
    assert again.value.tolist() in [d.by(x).value.tolist() for d in conventions(loss)]


# --- an element and its copy ------------------------------------------------------------------------------------------

Z = np.array([0.3, -1.2, 2.0, 0.7])
COMPARED: list[Callable[[Any, Any], Any]] = [
    lambda z, k: z * (z >= k),
    lambda z, k: z * ~(z < k),
    lambda z, k: np.where(k <= z, z, 0.0),
    lambda z, k: z * (z - k >= 0),
    lambda z, k: np.where(z - k < 0, 0.0, z),
    lambda z, k: z * (k - z <= 0),
]


@pytest.mark.parametrize("made", [lambda z: z, lambda z: np.tanh(z / 3), lambda z: -z[::-1]])
@pytest.mark.parametrize("f", COMPARED)
def test_a_comparison_of_an_element_with_its_copy_is_no_kink(
    f: Callable[[Any, Any], Any], made: Callable[[Any], Any]
) -> None:
    """The two largest numbers pass; that z >= k and not z > k holds of the second is what the function says."""
    with recording():
        z: Any = made(leaf(Z))
        found = list(conventions(f(z, np.sort(z)[-2]).sum()))
    (only,) = found
    assert not only.open
    assert only.by(z).value.tolist() == [z.value[i] >= sorted(z.value)[-2] for i in range(4)]


@pytest.mark.parametrize("f", COMPARED)
def test_two_elements_that_are_equal_meet_at_a_kink(f: Callable[[Any, Any], Any]) -> None:
    with recording():
        z: Any = leaf(np.array([0.3, 0.7, 2.0, 0.7]))
        found = {tuple(d.by(z).value.tolist()) for d in conventions(f(z, np.sort(z)[-2]).sum())}
    assert found == {(0, 1, 1, 1), (0, 0, 1, 0)}


def test_a_comparison_with_a_variable_that_is_0_is_a_kink_also_of_a_difference_of_copies() -> None:
    with recording():
        z: Any = leaf(Z)
        b = leaf(np.zeros(4))
        found = list(conventions((z * (z - np.sort(z)[-2] >= b)).sum()))
    assert {d.by(z).value.tolist()[3] for d in found} == {0, 1}
