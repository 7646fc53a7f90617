"""The methods and keywords of ufuncs: accumulate, outer, and where= and dtype= of a call.

    f.accumulate  add and multiply are cumsum and cumprod; maximum and minimum go one after the other
    f.outer       f of every pair
    f(x, where=m) what is not computed has an infinite radius; with out=, it is what stood there (cell.py)
    f(x, dtype=)  f of the operands, cast (widening.py)

reduce is reductions.py's, at is scatter.py's.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.rules import choices, composed, creation, refused, sums, widening


def along_the_first(cumulated: Callable[[Number, Any, int], Number]) -> Callable[..., Number]:
    """The rule of accumulate, along the first axis if none is named, by that of cumsum or cumprod."""

    def rule(like: Number, array: Any, *, axis: int = 0) -> Number:
        return cumulated(like, array, axis)

    return rule


ADDED, MULTIPLIED = along_the_first(sums.cumsum), along_the_first(composed.cumprod)
LARGEST, LEAST = composed.accumulate(choices.maximum), composed.accumulate(choices.minimum)


def outer(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of ufunc.outer: the ufunc's own, of every element of one operand and every element of the other."""

    def of_pairs(like: Number, a: Any, b: Any) -> Any:
        x, y = like.operand(a), like.operand(b)
        return rule(like, x.view(lambda v: v.reshape(v.shape + (1,) * y.ndim)), y)

    return of_pairs


def with_keywords(rule: Callable[..., Any], ufunc: np.ufunc) -> Callable[..., Any]:
    """The rule of a ufunc that is called with where=, dtype= or what makes no difference to numbers."""

    def of_some(
        like: Number, *operands: Any, where: Any = True, dtype: Any = None, casting: Any = None, order: Any = None,
        subok: Any = None,
    ) -> Any:  # fmt: skip
        del casting, order, subok
        if dtype is not None:
            operands = tuple(widening.cast(like.operand(x), dtype) for x in operands)
            if not isinstance(operands[0], Number):
                raise TypeError(refused.no_rule(ufunc, f" with a dtype of {np.dtype(dtype)}"))
            like = operands[0]
        if where is True:
            return rule(like, *operands)
        with np.errstate(all="ignore"):  # NumPy does not compute the others, and so does not warn of them
            result = rule(like, *operands)
        if isinstance(result, (tuple, Mask)):
            raise TypeError(refused.no_rule(ufunc, " with where"))
        return choices.where(result, where, result, creation.empty(result, result.shape))

    return of_some
