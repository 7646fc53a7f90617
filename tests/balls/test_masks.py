"""Masks of balls in NumPy code: logic, arithmetic and decisions, where the radii may leave an outcome open."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given

from reference.arrays import Array
from tests.attack.adversary import Rule
from tests.attack.evaluations import with_torch
from tests.attack.strike import finds, forgets_radii, formats, kinds, most, movements, precisions, seeds, strike
from torch_mirror.balls import masks
from torch_mirror.balls.ball import Ball
from torch_mirror.balls.format import Format
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.table import TABLE, Row

V = (3, 4)


def factors(x: Any, y: Any) -> Any:
    m = y > x
    return (1 - m) * x + 2 * m * y - m.astype(x.dtype) * (x < 0)


def counts(x: Any, y: Any) -> Any:
    m = x > y
    return m.sum(axis=0) * x + m.T.mean() + np.sum(~m)


def moved_masks(x: Any, y: Any) -> Any:
    m = (x.T > y.T).T
    first, rest = m[:1], m[1:].reshape(-1).reshape(2, 4)
    return np.where(np.broadcast_to(first, (3, 4)), x, y)[1:] + np.where(rest, x[1:], -y[1:])


def chosen(mask: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda x, y: np.where(mask(x, y), x, -2 * y)


RULES: dict[str, Rule] = {
    "and": Rule((V, V), chosen(lambda x, y: (x > y) & (y > 0)), (
        with_torch(lambda x, y: torch.where((x > y) & (y > 0), x, -2 * y)),
    )),
    "or": Rule((V, V), chosen(lambda x, y: (x > y) | (y < 0)), ()),
    "xor": Rule((V, V), chosen(lambda x, y: (x > y) ^ (y < 0)), ()),
    "not": Rule((V, V), chosen(lambda x, y: ~(x > y)), ()),
    "logical": Rule((V, V), chosen(
        lambda x, y: np.logical_or(np.logical_and(x > y, np.logical_not(y > 0)), np.logical_xor(x > 0, x > -y))
    ), ()),
    "logical of numbers": Rule((V, V), chosen(lambda x, y: np.logical_and(x - y, np.logical_not(x + y))), ()),
    "with an array": Rule((V, V), chosen(lambda x, y: (x > y) & np.array([True, False, True, False]) | (y == x)), ()),
    "equal masks": Rule((V, V), chosen(lambda x, y: (x > y) == (y > 0)), ()),
    "unequal masks": Rule((V, V), chosen(lambda x, y: (x > y) != (y > 0)), ()),
    "sum and product of masks": Rule((V, V), chosen(lambda x, y: (x > y) * (y > 0) + (y < x)), ()),
    "any": Rule((V, V), chosen(lambda x, y: (x > y).any(axis=0)), ()),
    "all": Rule((V, V), chosen(lambda x, y: np.all(x > y, axis=1, keepdims=True)), ()),
    "number": Rule((V, V), lambda x, y: np.where(x > y, 1, 0) * y, ()),
    "factors": Rule((V, V), factors, (), exact=lambda x, y: (
        (1 - (y > x)) * x + 2 * (y > x) * y - (y > x).astype(int) * (x < 0)
    )),
    "counts": Rule((V, V), counts, (), exact=lambda x, y: (
        (x > y).sum(axis=0) * x + Fraction(int((x > y).sum()), 12) + int((~(x > y)).sum())
    )),
    "moved": Rule((V, V), moved_masks, ()),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
@given(formats, kinds, seeds, precisions, movements)
def test_every_evaluation_lies_within_the_radius(
    name: str, fmt: Format, kinds: tuple[str, ...], seed: int, precision: str, moved: bool  # noqa: FBT001 - drawn
) -> None:
    assert strike(RULES[name], fmt, kinds, seed, precision, moved=moved) <= 1


@pytest.mark.parametrize("name", RULES)
def test_no_rule_is_vacuous(name: str) -> None:
    assert 0.1 < most(RULES[name]) <= 1


# --- the three outcomes ---------------------------------------------------------------------------------

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


# --- planted holes, each found --------------------------------------------------------------------------


@pytest.mark.parametrize(("where", "name", "hole", "rule"), [
    (Mask, "open", property(lambda self: np.zeros(self.shape, bool)), "and"),
    (Mask, "number", lambda self: self.like.operand(self.value), "factors"),
    (Mask, "view", lambda self, look: Mask(self.like, look(self.value)), "moved"),
    (Mask, "any", lambda self, axis=None, *, keepdims=False: Mask(self.like, self.value.any(axis, keepdims=keepdims)),
     "any"),
])  # fmt: skip
def test_a_hole_is_found(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, hole: Any, rule: str) -> None:
    finds(monkeypatch, where, name, hole, lambda: most(RULES[rule]))


def test_logic_that_takes_what_one_operand_leaves_open_for_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    def both_open(a: Mask, b: Mask) -> Mask:
        return Mask(a.like, a.value & b.value, lambda: a.open & b.open)

    assert most(RULES["and"]) <= 1
    monkeypatch.setitem(masks.BITWISE, np.bitwise_and, both_open)
    assert most(RULES["and"]) > 1


def test_a_comparison_that_takes_itself_for_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    def decided(_like: Number, x: Number, y: Number) -> Array:
        return np.asarray(x.value > y.value)

    assert most(RULES["not"]) <= 1
    monkeypatch.setitem(TABLE, np.greater, Row(decided))
    assert most(RULES["not"]) > 1


def test_where_that_forgets_the_radius(monkeypatch: pytest.MonkeyPatch) -> None:
    assert most(RULES["or"]) <= 1
    monkeypatch.setitem(TABLE, np.where, forgets_radii(TABLE[np.where]))
    assert most(RULES["or"]) > 1
