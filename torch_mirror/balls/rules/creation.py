"""Arrays made up or copied: zeros_like(x), zeros(shape, like=x) and kin.

    zeros, ones     0
    full            the radius of what fills
    empty           infinite: an element to which nothing is assigned is vacuous
    array, copy     that of the same elements
    copyto          that of what is assigned

Only a float dtype makes a ball: the one under test. np.zeros_like(x, dtype=bool) is an ordinary array.
"""

from typing import Any

import numpy as np

from torch_mirror.balls.number import Number
from torch_mirror.balls.rules import choices, shapes


def zeros(like: Number, shape: Any, dtype: Any = None, order: Any = "C") -> Any:
    return full(like, shape, 0.0, dtype, order)


def ones(like: Number, shape: Any, dtype: Any = None, order: Any = "C", *, device: Any = None) -> Any:
    return full(like, shape, 1.0, dtype, order, device=device)


def full(
    like: Number, shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", *, device: Any = None
) -> Any:
    if not makes_a_ball(like, dtype):
        return np.full(shape, fill_value, dtype, order, device=device)
    return shapes.moved([like.operand(fill_value)], lambda parts: np.full(shape, parts[0], order=order))


def empty(like: Number, shape: Any, dtype: Any = None, order: Any = "C", *, device: Any = None) -> Any:
    if not makes_a_ball(like, dtype):
        return np.empty(shape, dtype, order, device=device)
    value = np.full(shape, np.nan, like.value.dtype, order)
    return like.constant(value, lambda take: take(np.full(value.shape, np.inf)))


def zeros_like(like: Number, a: Any, dtype: Any = None, *, shape: Any = None) -> Any:
    return zeros(like, _shape(like, a, shape), dtype)


def ones_like(like: Number, a: Any, dtype: Any = None, *, shape: Any = None) -> Any:
    return ones(like, _shape(like, a, shape), dtype)


def full_like(like: Number, a: Any, fill_value: Any, dtype: Any = None, *, shape: Any = None) -> Any:
    return full(like, _shape(like, a, shape), fill_value, dtype)


def empty_like(like: Number, prototype: Any, dtype: Any = None, *, shape: Any = None) -> Any:
    return empty(like, _shape(like, prototype, shape), dtype)


def asarray(like: Number, a: Any, dtype: Any = None) -> Any:
    """A number as it is; a list of them as one number."""
    if not makes_a_ball(like, dtype):
        return np.asarray(a, dtype)
    return a.view(lambda v: v) if isinstance(a, Number) else _stacked(like, a)


def array(like: Number, a: Any, dtype: Any = None, *, copy: Any = True) -> Any:
    if copy and isinstance(a, Number) and makes_a_ball(like, dtype):
        return a.view(np.copy)
    return asarray(like, a, dtype)


def copy(like: Number, a: Any) -> Any:
    return like.beside(a).view(np.copy)


def copyto(like: Number, dst: Any, src: Any, where: Any = None) -> Number:
    """What is assigned to ``dst``: src, or np.where(where, src, dst)."""
    return like.operand(src) if where is None else choices.where(like, where, src, dst)


def _stacked(like: Number, a: Any) -> Number:
    if isinstance(a, (list, tuple)):
        return shapes.stack(like, [_stacked(like, x) for x in a]) if len(a) else like.operand(np.zeros(0))
    return like.operand(a)


def _shape(like: Number, a: Any, shape: Any) -> Any:
    return like.beside(a).shape if shape is None else shape


def makes_a_ball(like: Number, dtype: Any) -> bool:
    """False for a dtype of bool or of whole numbers. Raises TypeError for a float other than the one under test."""
    if dtype is None or np.dtype(dtype) in (like.format.dtype, like.value.dtype):
        return True
    if np.dtype(dtype).kind in "biu":
        return False
    raise TypeError(f"a ball of {like.format.dtype} does not change its dtype: expected that, got {np.dtype(dtype)}")
