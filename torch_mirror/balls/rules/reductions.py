"""dtype=, initial= and where= of sums, means, products and extremes: compositions.

    where     x where the mask is true, and what changes nothing elsewhere: 0, 1; both where the radii leave it open
    initial   one more operand: a sum stays open for it, as it may start the accumulator
    dtype     the same elements in a wider format, which holds them exactly (widening.py), and the sum there

A mean with ``where`` is divided by the number of elements that the mask selects, which must be decided.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from torch_mirror.balls import masks
from torch_mirror.balls.number import Number
from torch_mirror.balls.rules import choices, elementwise, means, sums, widening

Axes = int | tuple[int, ...] | None


def in_dtype(x: Number, dtype: Any) -> Number:
    """x as it is, or in a wider format. Raises TypeError for any other dtype."""
    return x if dtype is None else widening.cast(x, dtype)


def over(reduce: Callable[..., Any], combine: Callable[..., Any], neutral: float | None) -> Callable[..., Any]:
    """The rule of a reduction. neutral: what changes nothing; None for extremes, which need an initial."""

    def rule(
        like: Number, a: Any, axis: Axes = None, dtype: Any = None, *, keepdims: bool = False, initial: Any = None,
        where: Any = None,
    ) -> Any:  # fmt: skip
        x = in_dtype(like.operand(a), dtype)
        if where is not None and where is not True:
            if neutral is None and initial is None:
                raise ValueError("a reduction that has no identity needs initial= beside where=")
            x = choices.where(x, where, x, initial if neutral is None else neutral)
        result = reduce(x, axis, keepdims=keepdims)
        return result if initial is None else combine(result, x.operand(initial))

    return rule


def extreme(reduce: Callable[..., Any], choose: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of max or min, whose third argument is not the dtype but out: it has no rule without its name."""
    general = over(reduce, choose, None)

    def rule(
        like: Number, a: Any, axis: Axes = None, *, dtype: Any = None, keepdims: bool = False, initial: Any = None,
        where: Any = None,
    ) -> Any:  # fmt: skip
        return general(like, a, axis, dtype, keepdims=keepdims, initial=initial, where=where)

    return rule


def mean(
    like: Number, a: Any, axis: Axes = None, dtype: Any = None, *, keepdims: bool = False, where: Any = None
) -> Number:
    """The mean of all elements, or of those that a mask selects."""
    x = in_dtype(like.operand(a), dtype)
    if where is None or where is True:
        return means.mean(x, axis, keepdims=keepdims)
    mask = masks.as_mask(x, where)
    total = sums.add_over(choices.where(x, mask, x, 0.0), axis, keepdims=keepdims)
    chosen = np.broadcast_to(mask.decided("the number of elements of a mean"), x.shape)
    counts = np.asarray(np.count_nonzero(chosen, axis=axis, keepdims=keepdims))
    divisor = float(counts.flat[0]) if counts.size and (counts == counts.flat[0]).all() else counts
    return elementwise.divide(total, total.operand(divisor))


SUM = over(sums.add_over, elementwise.add, 0.0)
PROD = over(elementwise.prod, elementwise.multiply, 1.0)
MAX = extreme(choices.max_over, choices.maximum)
MIN = extreme(choices.min_over, choices.minimum)
