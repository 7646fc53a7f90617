"""Which elements of two numbers are one and the same: a copy of an element is equal to it, whatever its radius.

``x == x.max(axis=1, keepdims=True)`` marks the largest elements, as the backward pass of a pooling does by hand. By
their radii alone an element and the maximum that it is could differ, and so every mark would be open. But where all
others are below it in every evaluation, the maximum is that element in every evaluation, and the mark is decided.

Every element has an id (Number.ids). What an operation computes anew has ids of its own, that nothing else has; what it
only copies has those of what it copies, and the negative of an element the negative of its id:

    views, joins, assignment    the ids go where the elements go; 0 where something else is put (a padding's 0)
    max, maximum, where, sort   that of the element that it is in every evaluation; its own where that is open
    -x, |x|                     the negative; of |x| where the sign is decided
    x + 0, x - 0, 1 x, x / 1    that of x, where x is a normal number in every evaluation

By induction elements with one id, not 0, are one number in every evaluation, and those whose ids are each other's
negatives are each other's negatives: so is what is computed of them by a copy, and of two evaluations nothing is
assumed. x + 0 may be flushed to 0 where x is subnormal, and x perhaps not, as it may have been given; hence "normal".
A sum that is still open (Number.open) and a 0 may be one sum in another order, and have ids of their own.

That the number is finite must be known besides: NaN is not equal to itself, and inf - inf is one.
"""

from typing import Any

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.number import Number, own_ids


def same(x: Number, y: Number) -> Array:
    """True where x and y, broadcast, are copies of one element, whose evaluations are all finite."""
    of_x, of_y = x.ids(), y.ids()
    return np.asarray((of_x == of_y) & (of_x != 0) & np.isfinite(x.radius) & np.isfinite(x.value))


def of_largest(x: Number, axis: Any, *, keepdims: bool) -> Array:
    """The ids of the largest elements along the axes.

    What may be the largest in some evaluation is what reaches the highest of the lower ends: where that is one element,
    and its copies perhaps, the largest is that. A NaN, where an infinity may be anything, is below nothing.
    """
    reach, ids = x.slack * x.radius, x.ids()
    low, high = x.value - reach, x.value + reach
    below = high < low.max(axis, keepdims=True)
    greatest, least = np.iinfo(ids.dtype).max, np.iinfo(ids.dtype).min
    last = np.where(below, least, ids).max(axis, keepdims=keepdims)
    first = np.where(below, greatest, ids).min(axis, keepdims=keepdims)
    return _or_own(np.asarray(last), np.asarray(first == last))


def of_larger(x: Number, y: Number) -> Array:
    """The ids of the larger elements of both, broadcast: of the one that is above the other in every evaluation."""
    a, b = x.slack * x.radius, y.slack * y.radius
    x_wins, y_wins = y.value + b < x.value - a, x.value + a < y.value - b
    of_x, of_y = x.ids(), y.ids()
    return _or_own(np.where(y_wins, of_y, of_x), x_wins | y_wins | (of_x == of_y))


def of_chosen(mask: Array, open_: Array, x: Number, y: Number) -> Array:
    """The ids of x where a mask is true and of y elsewhere; where it is open, of what both are."""
    of_x, of_y = x.ids(), y.ids()
    return _or_own(np.where(mask, of_x, of_y), ~open_ | (of_x == of_y))


def of_ordered(x: Number, axis: int) -> Array:
    """The ids of the sorted elements: of one with all before it below and all behind it above in every evaluation."""
    order = x.value.argsort(axis=axis, kind="stable")
    v, e, ids = (np.moveaxis(np.take_along_axis(a, order, axis), axis, -1) for a in (x.value, x.radius, x.ids()))
    low, high = v - x.slack * e, v + x.slack * e
    alone = np.ones(v.shape, bool)
    alone[..., 1:] &= np.maximum.accumulate(high, axis=-1)[..., :-1] < low[..., 1:]
    alone[..., :-1] &= high[..., :-1] < np.minimum.accumulate(low[..., ::-1], axis=-1)[..., -2::-1]
    return np.moveaxis(_or_own(ids, alone), -1, axis)


def of_magnitude(x: Number) -> Array:
    """The ids of |x|: of x or -x where its sign is decided."""
    reach = x.slack * x.radius
    above, below = x.value > reach, x.value < -reach
    return _or_own(np.where(below, -x.ids(), x.ids()), above | below)


def of_normal(x: Number) -> Array:
    """The ids of x where every evaluation is a normal number, and so no operation flushes it to 0; others elsewhere."""
    return _or_own(x.ids(), np.abs(x.value) - x.slack * x.radius >= x.format.tiny)


def of_sum(x: Number, y: Number, sign: int, shape: tuple[int, ...]) -> Array:
    """The ids of x + sign y: of one where the other is 0."""
    of_y = _beside(y, x, 0, shape)
    return _either(_beside(x, y, 0, shape), of_y if sign > 0 else -of_y)


def of_product(x: Number, y: Number, shape: tuple[int, ...]) -> Array:
    """The ids of x y, or of x / y if y alone is exact: of one where the other is 1, negative where that is -1."""
    plus, minus = ((_beside(x, y, one, shape), _beside(y, x, one, shape)) for one in (1, -1))
    return _either(_either(*plus), -_either(*minus))


def _beside(x: Number, y: Number, neutral: float, shape: tuple[int, ...]) -> Array:
    """The ids of x where it is a normal number and y is exactly that number; 0 elsewhere."""
    there = y.value == neutral
    if x.exact or not there.any():
        return np.broadcast_to(0, shape)
    return np.broadcast_to(np.where(there & (y.radius == 0), of_normal(x), 0), shape)


def _either(a: Array, b: Array) -> Array:
    return np.where(a == 0, b, a)


def _or_own(ids: Array, known: Array) -> Array:
    """The ids where they are known, and elsewhere some that nothing else has."""
    return ids if known.all() else np.where(known, ids, own_ids(ids.shape))
