"""What moves elements about or puts them in their places: windows, splits, pads, put_along_axis, fill_diagonal.

Nothing is computed, so that radii go along (shapes.py). sliding_window_view, the splits and unstack give views.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from torch_mirror.balls.assignment import INTO_AN_ARRAY
from torch_mirror.balls.masks import Mask, is_ball
from torch_mirror.balls.rules import creation, shapes

if TYPE_CHECKING:
    from torch_mirror.balls.ball import Ball


def sliding_window_view(
    like: "Ball", x: Any, window_shape: int | tuple[int, ...], axis: Any = None
) -> "Ball | Mask":
    """numpy.lib.stride_tricks.sliding_window_view: a view, read-only as NumPy's is by default."""
    return like.beside(x).view(lambda v: np.lib.stride_tricks.sliding_window_view(v, window_shape, axis=axis))


def split_along(function: Callable[..., Any]) -> "Callable[..., list[Ball | Mask]]":
    """The rule of hsplit, vsplit and dsplit: a list of views."""

    def rule(like: "Ball", ary: Any, indices_or_sections: Any) -> "list[Ball | Mask]":
        where = indices_or_sections if isinstance(indices_or_sections, int) else tuple(indices_or_sections)
        x = like.beside(ary)
        return [x.view(lambda v, i=i: function(v, where)[i]) for i in range(len(function(x.value, where)))]  # type: ignore[misc]  # mypy cannot infer i

    return rule


def unstack(like: "Ball", x: Any, *, axis: int = 0) -> "tuple[Ball | Mask, ...]":
    a = like.beside(x)
    return tuple(a.view(lambda v, i=i: np.moveaxis(v, axis, 0)[i]) for i in range(a.shape[axis]))  # type: ignore[misc]  # mypy cannot infer i


def pad(like: "Ball", array: Any, pad_width: Any, mode: Any = "constant", *, constant_values: Any = 0) -> "Ball | Mask":
    """numpy.pad with the modes that compute nothing, and any constant."""
    if mode != "constant" or not (is_ball(constant_values) or np.any(np.asarray(constant_values))):
        return shapes.pad(like, array, pad_width, mode)
    width = np.array(pad_width)
    return shapes.moved(
        [like.operand(array), like.operand(constant_values)],
        lambda parts: np.pad(parts[0], width, "constant", constant_values=parts[1]),
    )


def put_along_axis(like: "Ball", arr: Any, indices: Any, values: Any, axis: int | None = -1) -> None:
    """Writes to arr. Raises TypeError if that is an ordinary array."""
    del like
    _must_be_a_ball(arr, "numpy.put_along_axis")
    where = np.array(indices)
    if axis is None:
        arr.flat[where] = values
        return
    axis %= arr.ndim
    index = [np.arange(n).reshape((1,) * i + (-1,) + (1,) * (arr.ndim - i - 1)) for i, n in enumerate(arr.shape)]
    index[axis] = where
    arr[tuple(index)] = values


def fill_diagonal(like: "Ball", a: Any, val: Any, wrap: bool = False) -> None:  # noqa: FBT001, FBT002 - NumPy's signature
    """Writes to a. Raises TypeError if that is an ordinary array, and for wrap=True."""
    del like
    _must_be_a_ball(a, "numpy.fill_diagonal")
    if wrap or a.ndim < 2:
        raise TypeError("numpy.fill_diagonal of balls: expected 2 dimensions at least and wrap=False")
    where = np.arange(min(a.shape))
    a[(where,) * a.ndim] = val


def _must_be_a_ball(a: Any, name: str) -> None:
    if not is_ball(a):
        raise TypeError(f"{name} of a ball into an ordinary array, which has no radii; {INTO_AN_ARRAY}")


def made_by(function: Callable[..., Any]) -> "Callable[..., Any]":
    """The rule of eye, identity and arange with like=: their numbers, as a ball."""

    def rule(like: "Ball", *args: Any, dtype: Any = None, **kwargs: Any) -> Any:
        if not creation.makes_a_ball(like, dtype):
            return function(*args, dtype=dtype, **kwargs)
        return like.operand(function(*args, **kwargs)).afresh()

    return rule


def flatnonzero(like: "Ball", a: Any) -> Any:
    """Where the elements are not 0. Raises TypeError where the radii leave that open."""
    del like
    return np.flatnonzero((a != 0).decided("numpy.flatnonzero"))


def nonzero(like: "Ball", a: Any) -> Any:
    del like
    return np.nonzero((a != 0).decided("numpy.nonzero"))


def count_nonzero(like: "Ball", a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    del like
    return np.count_nonzero((a != 0).decided("numpy.count_nonzero"), axis, keepdims=keepdims)


def argwhere(like: "Ball", a: Any) -> Any:
    del like
    return np.argwhere((a != 0).decided("numpy.argwhere"))
