"""Arrays made up or copied: zeros_like(x), zeros(shape, like=x) and kin.

    zeros, ones     0
    full            the radius of what fills
    empty           infinite: an element to which nothing is assigned is vacuous
    array, copy     that of the same elements

Only a float dtype makes a ball: the one under test. np.zeros_like(x, dtype=bool) is an ordinary array.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from torch_mirror.balls.masks import is_ball
from torch_mirror.balls.rules import shapes

if TYPE_CHECKING:
    from torch_mirror.balls.ball import Ball


def zeros(like: "Ball", shape: Any, dtype: Any = None, order: Any = "C") -> Any:
    return full(like, shape, 0.0, dtype, order)


def ones(like: "Ball", shape: Any, dtype: Any = None, order: Any = "C", *, device: Any = None) -> Any:
    return full(like, shape, 1.0, dtype, order, device=device)


def full(
    like: "Ball", shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", *, device: Any = None
) -> Any:
    if not makes_a_ball(like, dtype):
        return np.full(shape, fill_value, dtype, order, device=device)
    return shapes.moved([like.operand(fill_value)], lambda parts: np.full(shape, parts[0], order=order))


def empty(like: "Ball", shape: Any, dtype: Any = None, order: Any = "C", *, device: Any = None) -> Any:
    if not makes_a_ball(like, dtype):
        return np.empty(shape, dtype, order, device=device)
    value = np.full(shape, np.nan, like.value.dtype, order)
    return like.derived(value, lambda take: take(np.full(value.shape, np.inf)))


def zeros_like(like: "Ball", a: Any, dtype: Any = None, *, shape: Any = None) -> Any:
    return zeros(like, _shape(like, a, shape), dtype)


def ones_like(like: "Ball", a: Any, dtype: Any = None, *, shape: Any = None) -> Any:
    return ones(like, _shape(like, a, shape), dtype)


def full_like(like: "Ball", a: Any, fill_value: Any, dtype: Any = None, *, shape: Any = None) -> Any:
    return full(like, _shape(like, a, shape), fill_value, dtype)


def empty_like(like: "Ball", prototype: Any, dtype: Any = None, *, shape: Any = None) -> Any:
    return empty(like, _shape(like, prototype, shape), dtype)


def asarray(like: "Ball", a: Any, dtype: Any = None) -> Any:
    """A ball as it is; a list of balls and numbers as one ball."""
    if not makes_a_ball(like, dtype):
        return np.asarray(a, dtype)
    return a if is_ball(a) else _stacked(like, a)


def array(like: "Ball", a: Any, dtype: Any = None, *, copy: Any = True) -> Any:
    result = asarray(like, a, dtype)
    return result.copy() if copy and result is a else result


def copy(like: "Ball", a: Any) -> Any:
    return like.beside(a).view(np.copy)


def _stacked(like: "Ball", a: Any) -> "Ball":
    if isinstance(a, (list, tuple)):
        return shapes.stack(like, [_stacked(like, x) for x in a]) if len(a) else like.operand(np.zeros(0))
    return like.operand(a)


def _shape(like: "Ball", a: Any, shape: Any) -> Any:
    return like.beside(a).shape if shape is None else shape


def makes_a_ball(like: "Ball", dtype: Any) -> bool:
    """False for a dtype of bool or of whole numbers. Raises TypeError for a float other than the one under test."""
    if dtype is None or np.dtype(dtype) in (like.format.dtype, like.value.dtype):
        return True
    if np.dtype(dtype).kind in "biu":
        return False
    raise TypeError(f"a ball of {like.format.dtype} does not change its dtype: expected that, got {np.dtype(dtype)}")
