"""np.einsum and its kin on balls, at their edges."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.attack.adversary import (
    F64,
)
from tests.attack.draws import given
from tests.attack.einsums import EINSUMS
from tests.attack.strike import ball_of, struck
from torch_mirror.balls.cell import Ball


@pytest.mark.parametrize("name", EINSUMS)
def test_on_the_grid_every_sum_is_exact(name: str) -> None:
    """Small integers: radius 0, and every evaluation is equal to the exact one."""
    operation = EINSUMS[name]
    for seed in range(5):
        rng = np.random.default_rng(seed)
        draw = given(*(rng.integers(-9, 9, shape) for shape in operation.shapes), fmt=F64)
        tally = struck(operation, draw)
        assert tally.first is None
        assert tally.exact == tally.elements > 0
        assert not ball_of(operation, draw).radius.any()


def test_exactness_is_decided_for_each_element() -> None:
    x: Any = Ball(np.array([[1.0, 2.0], [0.1, 0.2]]))
    y: Any = Ball(np.array([[0.5, 1.0], [1.0, 0.1]]))
    assert (np.einsum("ij,jk->ik", x, y).radius > 0).tolist() == [[False, True], [True, True]]


@pytest.mark.parametrize("rounded", [0, 1])
@pytest.mark.parametrize("text", ["ij,jk->ik", "ij,jk->", "ij,kl->il"])
def test_a_rounded_operand_makes_no_exact_sum(text: str, rounded: int) -> None:
    """Few bits at the centre of either are no proof: another evaluation has others. Two numbers e apart show it."""
    e = 2.0**-40
    arrays = [np.array([[1.0, 2.0], [0.5, 1.0]]), np.array([[1.0, 0.5], [2.0, 1.0]])]
    operands: list[Any] = [Ball(a, np.full(a.shape, e) if i == rounded else 0.0) for i, a in enumerate(arrays)]
    moved = [a + e if i == rounded else a for i, a in enumerate(arrays)]
    ball = np.einsum(text, *operands)
    assert (np.abs(np.einsum(text, *moved) - ball.value) <= ball.radius).all()


@pytest.mark.parametrize(("text", "shapes"), [
    ("ij,jk->ik", ((3, 0), (0, 2))), ("i,i", ((0,), (0,))), ("ij->j", ((0, 2),)), ("ij,jk->ik", ((0, 3), (3, 2))),
])  # fmt: skip
def test_a_sum_of_nothing_is_0(text: str, shapes: Any) -> None:
    operands: list[Any] = [Ball(np.ones(s)) for s in shapes]
    ball = np.einsum(text, *operands)
    assert ball.shape == np.einsum(text, *(np.ones(s) for s in shapes)).shape
    assert not ball.value.any()
    assert not ball.radius.any()


def test_what_may_overflow_has_an_infinite_radius() -> None:
    big: Any = Ball(np.full((2, 3), 1e308))
    small: Any = Ball(np.full(3, 1e-300))
    with np.errstate(all="ignore"):
        assert np.isinf(np.einsum("ij,j->i", big, big[0]).radius).all()
        assert np.isfinite(np.einsum("ij,j->i", big, small).radius).all()
        assert np.isinf(np.einsum("ij,k->", big, small).radius).all()  # the sum of big, if it is taken first


def test_a_view_of_labels_is_written_through() -> None:
    x: Any = Ball(np.zeros((3, 3)))
    np.einsum("ii->i", x)[...] = 1
    assert x.value.tolist() == np.eye(3).tolist()


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda x: np.einsum(x, [0, 1], [1]), TypeError, "subscripts as a string, got a ball"),
    (lambda x: np.einsum("ij,j", x), ValueError, "expected 2 operands for 'ij,j', got 1"),
    (lambda x: np.einsum("i", x), ValueError, r"'i' does not fit operands of \(2,\) dimensions"),
    (lambda x: np.einsum("ijk", x), ValueError, "does not fit"),
    (lambda x: np.einsum("...i->i", x), ValueError, "no ellipsis"),
    (lambda x: np.einsum("ij->i", x, dtype=np.float64), TypeError, r"numpy\.einsum with dtype"),
])  # fmt: skip
def test_what_has_no_rule_is_named(call: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(Ball(np.ones((2, 2))))


@pytest.mark.parametrize("shapes", [((), (3,)), ((3,), ()), ((), ())])
def test_inner_with_a_number_is_a_product(shapes: Any) -> None:
    a, b = (np.full(shape, 0.3) for shape in shapes)
    x, y = (Ball(v) for v in (a, b))
    inner: Any = np.inner(x, y)  # type: ignore[arg-type]  # a ball is no array to mypy
    assert inner.shape == np.inner(a, b).shape
    assert (np.abs(inner.value - np.inner(a, b)) <= inner.radius).all()
