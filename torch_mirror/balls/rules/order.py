"""What asks for the order of elements: argmax, argmin, argsort, sort, median.

argmax, argmin and argsort give whole numbers, which have no radius: they are what every evaluation gives, or an error.

    argmax x    decided where v_i - R e_i > v_j + R e_j for every other j, or both are exact and v_i >= v_j
    argsort x   decided where that holds of every two neighbours; equal ones only if the sort is stable
    sort x      the largest e of the elements that may be the k-th

sort: let a be the k-th of the exact numbers and b that of another evaluation, a < b (a > b is the same of -x).
At least k exact numbers are at most a, and at least n - k + 1 of the others at least b: some element j has
x_j <= a and y_j >= b, so that b - a <= y_j - x_j <= e_j. The k-th of any evaluation lies between the k-th of
all v - R e and the k-th of all v + R e, and so does a, which is between both numbers of j: what does not reach into
that range may be left out. Nothing is rounded. Rounding is monotone: of two rounded ends, strictly below is
strictly below.
"""

from typing import Any

import numpy as np

from reference.arrays import Array
from torch_mirror.balls import choosing, recording
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import elementary
from torch_mirror.balls.rules import elementwise, means
from torch_mirror.balls.sameness import of_normal, of_ordered
from torch_mirror.balls.take import Take

ALL_PAIRS = 1 << 20
"""Pairs of an element and a place that sort looks at; of more, each place has the largest e of all elements."""


def argmax(like: Number, a: Any, axis: int | None = None, *, keepdims: bool = False) -> Any:
    """Where the largest element is, the first of them: whole numbers. Raises TypeError where that is open."""
    return _first(like.operand(a), axis, keepdims, "argmax", "largest", "max")


def argmin(like: Number, a: Any, axis: int | None = None, *, keepdims: bool = False) -> Any:
    return _first(elementwise.negative(like.operand(a)), axis, keepdims, "argmin", "least", "min")


def _first(x: Number, axis: int | None, keepdims: bool, name: str, what: str, instead: str) -> Any:  # noqa: FBT001 - internal
    v, reach = x.value, x.slack * x.radius
    along = 0 if axis is None else axis
    if axis is None:
        v, reach = v.reshape(-1), reach.reshape(-1)
    where = np.expand_dims(v.argmax(axis=along), along)
    top, room = np.take_along_axis(v, where, along), np.take_along_axis(reach, where, along)
    below = (top - room > v + reach) | ((room == 0) & (reach == 0) & (top >= v))
    np.put_along_axis(below, where, np.isfinite(top), along)
    left = int(np.count_nonzero(~below.all(axis=along)))
    if left and not recording.followed(f"numpy.{name}", left):
        raise TypeError(
            f"numpy.{name} needs to know which element is the {what}, and the radii leave that open {left} times; "
            f"x == np.{instead}(x, axis, keepdims=True) is a mask that may stay open"
        )
    return np.argmax(x.value, axis, keepdims=keepdims)


def argsort(like: Number, a: Any, axis: int | None = -1, kind: str | None = None, *, stable: bool | None = None) -> Any:
    """The order of the elements: whole numbers. Raises TypeError where the radii leave it open."""
    x = like.operand(a)
    v, reach = x.value, x.slack * x.radius
    if axis is None:
        v, reach, axis = v.reshape(-1), reach.reshape(-1), 0
    order = v.argsort(axis=axis, kind="stable")
    v, reach = (np.moveaxis(np.take_along_axis(m, order, axis), axis, -1) for m in (v, reach))
    lower, upper = v[..., :-1] + reach[..., :-1], v[..., 1:] - reach[..., 1:]
    decided = lower < upper
    if stable or kind in ("stable", "mergesort"):
        decided |= (lower == upper) & (reach[..., :-1] == 0) & (reach[..., 1:] == 0)
    left = int(np.count_nonzero(~decided))
    if left and not recording.followed("numpy.argsort", left):
        raise TypeError(
            f"numpy.argsort needs to know the order of all elements, and {left} pairs are "
            'open or equal (kind="stable" decides the order of equal ones); numpy.sort needs no order'
        )
    return order


def sort(
    like: Number, a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: bool | None = None
) -> Number:
    """The elements in ascending order; kind, order and stable make no difference to numbers."""
    del kind, order, stable
    x = like.operand(a)
    if axis is None:
        x, axis = x.view(np.ravel), 0
    return _sorted(x, axis % x.ndim)


@elementary(choosing.sort, "sort")
def _sorted(x: Number, axis: int) -> Number:
    def rule(take: Take) -> Any:
        return take(np.moveaxis(_kth_radius(x, axis), -1, axis))

    made = x.derived(np.sort(x.value, axis=axis), None if x.exact else rule)
    made.same_as(lambda: of_ordered(x, axis), x.far)
    return made


def _kth_radius(x: Number, axis: int) -> Array:
    """The largest e of the elements that may be the k-th; k along the last axis."""
    v, e = np.moveaxis(x.value, axis, -1), np.moveaxis(x.radius, axis, -1)
    if np.isnan(v).any() or np.isnan(e).any():
        return np.full(v.shape, np.inf)
    with np.errstate(invalid="ignore"):  # an infinity that may be anything: inf - inf
        low, high = v - x.slack * e, v + x.slack * e
    low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
    if v.size * v.shape[-1] > ALL_PAIRS:
        return np.broadcast_to(e.max(axis=-1, keepdims=True, initial=0), v.shape)
    kth_low, kth_high = np.sort(low, axis=-1)[..., :, None], np.sort(high, axis=-1)[..., :, None]
    may = (low[..., None, :] <= kth_high) & (high[..., None, :] >= kth_low)
    widest: Array = np.where(may, e[..., None, :], 0).max(axis=-1, initial=0)
    return widest


def median(
    like: Number, a: Any, axis: int | None = None, out: Any = None, overwrite_input: Any = None, *,
    keepdims: bool = False,
) -> Number:  # fmt: skip
    """The middle of the sorted elements, or the mean of the two in the middle. Raises TypeError for several axes."""
    del out, overwrite_input  # whoever calls this writes to out; nothing is overwritten
    x = like.operand(a)
    if axis is not None and not isinstance(axis, int):
        raise TypeError("no radius is known for numpy.median over several axes; reshape them into one")
    ordered = sort(like, x, axis)
    along = 0 if axis is None else axis
    n = ordered.shape[along]
    if not n:
        raise TypeError("no radius is known for numpy.median of no elements")
    middle = ordered.view(lambda v: np.moveaxis(v, along, 0)[(n - 1) // 2 : n // 2 + 1])
    result = means.mean(middle, 0)
    if n % 2:
        result.same_as(lambda: of_normal(middle)[0], middle.far)  # the mean of one
    if not keepdims:
        return result
    kept = (1,) * x.ndim if axis is None else tuple(1 if i == axis % x.ndim else m for i, m in enumerate(x.shape))
    return result.view(lambda v: v.reshape(kept))
