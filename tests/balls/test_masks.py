"""Masks of balls in NumPy code: outcomes that the radii may leave open, and decisions that are no guess."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest

from torch_mirror.balls.bools import Bools
from torch_mirror.balls.cell import Ball

SIGNS: Any = Ball(np.array([1.0, -1.0, 0.1]), np.array([0.0, 0.0, 0.5]))
TRUE, FALSE, OPEN = range(3)


def outcomes(which: Sequence[int]) -> Any:
    """A mask with these outcomes."""
    return Ball(SIGNS.value[list(which)], SIGNS.radius[list(which)]) > 0


def read(mask: Any) -> Any:
    """The outcomes of a mask."""
    return np.where(mask.open, OPEN, np.where(mask.value, TRUE, FALSE)).tolist()


@pytest.mark.parametrize("ufunc", [
    np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.logical_and, np.logical_or, np.logical_xor, np.equal,
    np.not_equal, np.add, np.multiply, np.maximum, np.minimum,
])  # fmt: skip
def test_an_outcome_is_open_if_and_only_if_its_operands_leave_it_open(ufunc: np.ufunc) -> None:
    """Against the definition: every way to decide what is open."""
    ways = {TRUE: [True], FALSE: [False], OPEN: [True, False]}
    pairs = list(product(range(3), repeat=2))
    both = [outcomes(i) for i in zip(*pairs, strict=True)]
    got = read(ufunc(*both))
    for (a, b), outcome in zip(pairs, got, strict=True):
        possible = {bool(ufunc(p, q)) for p in ways[a] for q in ways[b]}
        assert (outcome == OPEN) == (len(possible) == 2)
        assert outcome == OPEN or possible == {outcome == TRUE}
    mirrored = ufunc(both[0].value, both[1])  # an ordinary array beside a mask
    assert read(mirrored) == read(ufunc(SIGNS.operand(both[0].value) > 0.5, both[1]))


@pytest.mark.parametrize("which", [list(p) for n in (1, 2, 3) for p in product(range(3), repeat=n)])
def test_any_and_all_are_decided_by_what_is(which: list[int]) -> None:
    mask = outcomes(which)
    for got, decisive in ((mask.any(), TRUE), (mask.all(), FALSE), (np.logical_or.reduce(mask), TRUE),
                          (np.any(mask), TRUE), (np.all(mask), FALSE)):  # fmt: skip
        expected = decisive if decisive in which else OPEN if OPEN in which else 1 - decisive
        assert read(got) == expected


def test_a_truth_value_that_is_open_is_an_error_and_no_guess() -> None:
    mask = SIGNS > 0
    assert bool(mask[0])
    assert not mask[1]
    assert mask.any()
    assert not mask.all()
    assert SIGNS[0]
    for ask in (lambda: bool(mask[2]), lambda: bool(mask[2:].any()), lambda: bool(SIGNS[2]), lambda: np.asarray(mask)):
        with pytest.raises(TypeError, match=r"needs every outcome, and the radii leave 1 of \d open"):
            ask()
    with pytest.raises(ValueError, match="ambiguous"):
        bool(mask[:2])
    with pytest.raises(ValueError, match="ambiguous"):
        bool(SIGNS[:2])


def test_a_mask_of_exact_operands_is_decided_and_serves_as_an_index() -> None:
    x: Any = Ball(np.array([1.0, 0.0, 3.0]))
    every: list[Any] = [x > 0, np.logical_and(x, x), ~np.logical_not(x)]
    for mask in every:
        assert mask.tolist() == [True, False, True]
        assert x[mask].value.tolist() == [1, 3]
        assert np.arange(3)[mask].tolist() == [0, 2]
        assert np.count_nonzero(mask) == 2
        assert np.flatnonzero(mask).tolist() == [0, 2]
    assert (x.any(), x.all()) == (True, False)


def test_the_mean_of_a_decided_mask_is_rounded() -> None:
    """Two thirds: an ordinary array's mean would pass for exact."""
    assert (Ball(np.array([1.0, 0.0, 3.0])) > 0).mean().radius > 0


def test_a_mask_has_the_attributes_of_an_array() -> None:
    mask = SIGNS > 0
    assert (mask.shape, mask.ndim, mask.size, mask.dtype, len(mask)) == ((3,), 1, 3, np.dtype(bool), 3)
    assert mask.astype(bool) is mask
    assert read(mask[None].mT.copy().T[0]) == read(mask)
    assert read(mask[::-1]) == [OPEN, FALSE, TRUE]
    assert read(np.expand_dims(mask, 0)) == [read(mask)]
    assert "open" in repr(mask)
    assert np.asarray(mask[:2]).tolist() == [True, False]
    ordinary = np.zeros(2, bool)
    ordinary[...] = mask[:2]  # what is decided goes into an ordinary array
    assert ordinary.tolist() == [True, False]


def test_a_mask_is_not_changed_in_place() -> None:
    mask = SIGNS > 0
    with pytest.raises(TypeError, match="write m = m & n"):
        mask &= mask
    with pytest.raises(TypeError, match="item assignment"):
        mask[0] = False


def test_a_number_of_a_mask_is_decided_where_the_mask_is() -> None:
    mask = SIGNS > 0
    assert mask.sum().value == 2
    assert mask.sum().radius >= 1
    assert mask[:2].sum().radius == 0
    assert (2.0 * mask).radius.tolist() == [0, 0, 2]


def test_equality_is_decided_where_operands_are_exact_or_apart() -> None:
    x, y = Ball(np.array([1.0, 1.0, 1.0]), np.array([0, 0.1, 0.1])), Ball(np.array([1.0, 1.0, 2.0]))
    for mask, outcome in ((x == y, [True, True, False]), (x != y, [False, False, True])):
        assert isinstance(mask, Bools)
        assert mask.undecided is not None
        assert mask.value.tolist() == outcome
        assert mask.undecided().tolist() == [False, True, False]
    assert (y == y[::-1]).tolist() == [False, True, False]
