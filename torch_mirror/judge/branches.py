"""Comparisons, and what chooses between operands: maximum, minimum, clip, sign, max, min, where.

Nothing is rounded here. A comparison that the radii leave open has two outcomes, and what depends on
it gets a radius that holds both branches.

    maximum x, y    e of the one that is larger in every evaluation, else the larger e
    max x           the largest e of those that are the largest in some evaluation
    minimum, min    the same of -x
    clip            minimum(maximum(x, low), high), which is what NumPy says it is
    sign x          0 where |x| > R e or e = 0, else 2: from -1 to 1; infinite where e is, as x may be NaN
    == and !=       decided where the operands are exact, or |x - y| > R (e_x + e_y)
    mask as number  0 where it is decided, else 1

max: let x_m be the exact maximum and y_k that of another evaluation. Then y_k >= y_m >= x_m - e_m and
x_m >= x_k >= y_k - e_k, so that they differ by at most the larger of e_m and e_k. Neither lies below
the largest v - R e, as every evaluation of that element lies above it; so elements whose v + R e does
may be left out. Rounding is monotone: of two rounded ends, strictly below is strictly below.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from reference.arrays import Array
from torch_mirror.judge.elementwise import negative
from torch_mirror.judge.selection import Take, everything

if TYPE_CHECKING:
    from torch_mirror.judge.ball import Ball


class Mask(NamedTuple):
    """The outcome of a comparison: the centre's, and, when asked, where the radii leave it open."""

    value: Array
    undecided: Callable[[], Array] | None = None

    def astype(self, _dtype: Any) -> "Mask":
        """As a factor it is 1 or 0 in the precision of what it multiplies."""
        return self


def comparison(ufunc: np.ufunc) -> "Callable[[Ball, Ball], Array | Mask]":
    """The rule of a comparison: an array if the operands are exact, else a Mask."""

    def rule(x: "Ball", y: "Ball") -> Array | Mask:
        value = np.asarray(ufunc(x.value, y.value))
        if x.exact and y.exact:
            return value

        def undecided() -> Array:
            reach = x.slack * (x.e(everything) + y.e(everything))
            apart = np.abs(x.value - y.value)
            # a reach of exactly 0 decides; otherwise the two may meet, and a tie is a branch of its own; NaN is open
            return np.broadcast_to((reach != 0) & ~(apart > reach), value.shape)

        return Mask(value, undecided)

    return rule


def maximum(x: "Ball", y: "Ball") -> "Ball":
    value = np.maximum(x.value, y.value)

    def rule(take: Take) -> Any:
        ex, ey = x.e(take), y.e(take)
        a, b = take(x.value), take(y.value)
        y_wins = a + x.slack * ex < b - y.slack * ey
        x_wins = b + y.slack * ey < a - x.slack * ex
        return np.where(y_wins, ey, np.where(x_wins, ex, np.maximum(ex, ey)))

    return x.derived(value, None if x.exact and y.exact else rule)


def minimum(x: "Ball", y: "Ball") -> "Ball":
    return negative(maximum(negative(x), negative(y)))


def clip(like: "Ball", a: Any, a_min: Any = None, a_max: Any = None) -> "Ball":
    result = like.operand(a)
    if a_min is not None:
        result = maximum(result, like.operand(a_min))
    return result if a_max is None else minimum(result, like.operand(a_max))


def sign(x: "Ball") -> "Ball":
    def rule(take: Take) -> Any:
        e = x.e(take)
        spans = np.where(e < np.inf, 2.0, np.inf)
        return np.where((e == 0) | (np.abs(take(x.value)) > x.slack * e), 0.0, spans)

    return x.derived(np.sign(x.value), None if x.exact else rule)


def max_over(x: "Ball", axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> "Ball":
    """The largest element over some axes."""

    def rule(take: Take) -> Any:
        e = x.radius
        reach = x.slack * e
        left_out = x.value + reach < (x.value - reach).max(axis, keepdims=True)
        return take(np.asarray(np.where(left_out, 0, e).max(axis, keepdims=keepdims)))

    return x.derived(x.value.max(axis, keepdims=keepdims), None if x.exact else rule)


def min_over(x: "Ball", axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> "Ball":
    return negative(max_over(negative(x), axis, keepdims=keepdims))


def number(like: "Ball", mask: Mask) -> "Ball":
    """A mask as zeros and ones."""
    undecided = mask.undecided
    rule = (lambda take: take(undecided().astype(like.value.dtype))) if undecided else None
    return like.derived(mask.value.astype(like.value.dtype), rule)


def where(like: "Ball", condition: Array | Mask, x: Any, y: Any) -> "Ball":
    a, b = like.operand(x), like.operand(y)
    mask = condition if isinstance(condition, Mask) else Mask(np.asarray(condition))

    def rule(take: Take) -> Any:
        ea, eb = a.e(take), b.e(take)
        e = np.where(take(mask.value), ea, eb)
        undecided = mask.undecided() if mask.undecided else None
        if undecided is None or not undecided.any():
            return e
        both = np.abs(take(a.value) - take(b.value)) + like.slack * (ea + eb)
        return np.where(take(undecided), both, e)

    value = np.where(mask.value, a.value, b.value)
    return like.derived(value, None if mask.undecided is None and a.exact and b.exact else rule)
