"""What chooses between operands: maximum, minimum, clip, sign, max, min, where.

Nothing is rounded here. Where the radii leave the choice open, the radius holds both branches.

    maximum x, y    e of the one that is larger in every evaluation, else the larger e
    max x           the largest e of those that are the largest in some evaluation
    minimum, min    the same of -x
    clip            minimum(maximum(x, low), high), which is what NumPy says it is
    sign x          0 where |x| > R e or e = 0, else 2: from -1 to 1; infinite where e is, as x may be NaN
    where           e of the branch that is taken, or |x - y| + R (e_x + e_y) where that is open (masks.py)

max: let x_m be the exact maximum and y_k that of another evaluation. Then y_k >= y_m >= x_m - e_m and
x_m >= x_k >= y_k - e_k, so that they differ by at most the larger of e_m and e_k. Neither lies below
the largest v - R e, as every evaluation of that element lies above it; so elements whose v + R e does
may be left out. Rounding is monotone: of two rounded ends, strictly below is strictly below.
"""

from typing import Any

import numpy as np

from torch_mirror.balls import choosing
from torch_mirror.balls.masks import Mask, as_mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Kind, elementary
from torch_mirror.balls.rules.elementwise import negative
from torch_mirror.balls.sameness import of_chosen, of_larger, of_largest
from torch_mirror.balls.take import Take


@elementary(choosing.maximum)
def maximum(x: Number, y: Number) -> Number:
    value = np.maximum(x.value, y.value)

    def rule(take: Take) -> Any:
        ex, ey = x.e(take), y.e(take)
        a, b = take(x.value), take(y.value)
        if y.exact:  # then the larger e is that of x
            return np.where(a + x.slack * ex < b, 0, ex)
        y_wins = a + x.slack * ex < b - y.slack * ey
        x_wins = b + y.slack * ey < a - x.slack * ex
        return np.where(y_wins, ey, np.where(x_wins, ex, np.maximum(ex, ey)))

    made = x.derived(value, None if x.exact and y.exact else rule)
    if not made.exact:
        made.same_as(lambda: of_larger(x, y), max(x.far, y.far))
    return made


def minimum(x: Number, y: Number) -> Number:
    return negative(maximum(negative(x), negative(y)))


def clip(like: Number, a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Number:
    a_min, a_max = min if a_min is None else a_min, max if a_max is None else a_max
    result = like.operand(a)
    if a_min is not None:
        result = maximum(result, like.operand(a_min))
    return result if a_max is None else minimum(result, like.operand(a_max))


@elementary(Kind.ZERO)
def sign(x: Number) -> Number:
    def rule(take: Take) -> Any:
        e = x.e(take)
        spans = np.where(e < np.inf, 2.0, np.inf)
        return np.where((e == 0) | (np.abs(take(x.value)) > x.slack * e), 0.0, spans)

    return x.derived(np.sign(x.value), None if x.exact or x.format.as_taken else rule)


@elementary(choosing.largest, "max")
def max_over(x: Number, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Number:
    """The largest element over some axes."""

    def rule(take: Take) -> Any:
        e = x.radius
        reach = x.slack * e
        left_out = x.value + reach < (x.value - reach).max(axis, keepdims=True)
        return take(np.asarray(np.where(left_out, 0, e).max(axis, keepdims=keepdims)))

    made = x.derived(x.value.max(axis, keepdims=keepdims), None if x.exact else rule)
    if not made.exact:
        made.same_as(lambda: of_largest(x, axis, keepdims=keepdims), x.far)
    return made


def min_over(x: Number, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Number:
    return negative(max_over(negative(x), axis, keepdims=keepdims))


def where(like: Number, condition: Any, x: Any, y: Any) -> Number:
    return _chosen(as_mask(like, condition), like.operand(x), like.operand(y))


@elementary(choosing.where, "where")
def _chosen(mask: Mask, a: Number, b: Number) -> Number:
    def rule(take: Take) -> Any:
        ea, eb = a.e(take), b.e(take)
        e = np.where(take(mask.value), ea, eb)
        undecided = mask.undecided() if mask.undecided else None
        if undecided is None or not undecided.any():
            return e
        both = np.abs(take(a.value) - take(b.value)) + a.slack * (ea + eb)
        return np.where(take(undecided), both, e)

    value = np.where(mask.value, a.value, b.value)
    made = a.derived(value, None if mask.undecided is None and a.exact and b.exact else rule)
    if not made.exact:
        made.same_as(lambda: of_chosen(mask.value, mask.open, a, b), max(a.far, b.far))
    return made
