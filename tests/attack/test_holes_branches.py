"""Holes in what is decided: a mask, a comparison or a largest element that the centre decides for everybody."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reference.arrays import Array
from tests.attack.holes import Hole, always, found, found_in_bulk, of_ordinary
from tests.attack.operations import OPERATIONS
from torch_mirror.balls import assignment, masks
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.rules import choices, elementwise, shapes
from torch_mirror.balls.table import TABLE


def by_the_centre(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of a function of masks that are taken to be decided."""

    def decided(x: Any) -> Any:
        return Mask(x.like, x.value) if isinstance(x, Mask) else x

    return lambda *operands, **keywords: rule(*map(decided, operands), **keywords)


@pytest.mark.parametrize(("operation", "where", "name"), [
    *((f"masks, {ufunc.__name__}", masks.BITWISE, ufunc) for ufunc in masks.BITWISE),
    *((f"masks, {ufunc.__name__}", masks.LOGICAL, ufunc) for ufunc in masks.LOGICAL if ufunc is not np.logical_not),
    ("any of masks", Mask, "any"), ("all of masks", Mask, "any"), ("mean of a mask", Mask, "number"),
    ("any.reduce of masks", masks.OVER, np.logical_or), ("all.reduce of masks", masks.OVER, np.logical_and),
    ("four comparisons", masks.BITWISE, np.bitwise_or), ("masks in place", assignment, "_both_branches"),
    ("relu backward in place", assignment, "_both_branches"), ("copyto by a mask", choices, "where"),
])  # fmt: skip
def test_a_mask_decided_by_the_centre(operation: str, where: Any, name: Any) -> None:
    found_in_bulk(operation, Hole(where, name, by_the_centre))


@pytest.mark.parametrize(("operation", "where", "name", "hole"), [
    ("chosen by and", Mask, "open", property(lambda self: np.zeros(self.shape, bool))),
    ("masks as factors", Mask, "number", lambda self: self.like.operand(self.value)),
    ("larger as a factor", Mask, "number", lambda self: self.like.operand(self.value)),
    ("masks moved about", Mask, "view", lambda self, look: Mask(self.like, look(self.value))),
    ("chosen by any", Mask, "any", lambda self, axis=None, *, keepdims=False: Mask(
        self.like, self.value.any(axis, keepdims=keepdims))),
    ("clip from above", choices, "minimum", lambda x, y: Number(np.minimum(x.value, y.value), 0, x.format)),
])  # fmt: skip
def test_a_mask_or_a_choice_without_its_radius(operation: str, where: Any, name: str, hole: Any) -> None:
    found(of_ordinary(OPERATIONS[operation]), Hole(where, name, always(hole)))


def test_logic_that_takes_what_one_operand_leaves_open_for_decided() -> None:
    def both_open(a: Mask, b: Mask) -> Mask:
        return Mask(a.like, a.value & b.value, lambda: a.open & b.open)

    found(of_ordinary(OPERATIONS["chosen by and"]), Hole(masks.BITWISE, np.bitwise_and, always(both_open)))


def test_a_comparison_that_takes_itself_for_decided() -> None:
    def decided(_like: Number, x: Number, y: Number) -> Array:
        return np.asarray(x.value > y.value)

    found(of_ordinary(OPERATIONS["chosen by not"]), Hole(TABLE, np.greater, always(decided)))


def test_one_branch_of_an_open_mask_forgotten() -> None:
    def one_branch(old: Number, mask: Mask, new: Number) -> Any:
        chosen = mask.value.reshape(*mask.shape, *(1,) * (old.ndim - mask.ndim))  # of whole rows
        return shapes.moved([old, new], lambda p: np.where(chosen, p[1], p[0]))

    found(of_ordinary(OPERATIONS["either mask in place"]), Hole(assignment, "_both_branches", always(one_branch)))


@pytest.mark.parametrize("name", ["max_over", "maximum"])
def test_the_radius_of_whatever_is_largest_at_the_centre(name: str) -> None:
    def over(x: Number, axis: Any = None, *, keepdims: bool = False) -> Number:
        at = np.expand_dims(np.argmax(x.value, axis), axis)
        radius = np.take_along_axis(x.radius, at, axis)
        return Number(x.value.max(axis, keepdims=keepdims), radius if keepdims else radius.squeeze(axis), x.format)

    def of_two(x: Number, y: Number) -> Number:
        a, b = np.broadcast_arrays(x.value, y.value)
        return Number(np.maximum(a, b), np.where(a > b, x.radius, y.radius), x.format)

    operation, hole = {"max_over": ("min", over), "maximum": ("minimum", of_two)}[name]
    found_in_bulk(operation, Hole(choices, name, always(hole)))


@pytest.mark.parametrize("operation", ["sqrt", "log"])
def test_the_least_that_an_argument_may_be_is_its_centre(operation: str) -> None:
    found(of_ordinary(OPERATIONS[operation]), Hole(elementwise, "_least", always(lambda x, take: take(x.value))))
