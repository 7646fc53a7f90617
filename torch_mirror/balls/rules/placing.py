"""What moves elements about or puts them in their places: windows, splits, pads, put_along_axis, fill_diagonal.

Nothing is computed, so that radii go along (shapes.py). sliding_window_view, the splits and unstack give views.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from torch_mirror.balls import masks
from torch_mirror.balls.indexing import settled_index
from torch_mirror.balls.number import Number, Settled
from torch_mirror.balls.rules import creation, shapes


def sliding_window_view(
    like: Number, x: Any, window_shape: int | tuple[int, ...], axis: Any = None
) -> Settled:
    """numpy.lib.stride_tricks.sliding_window_view: a view, read-only as NumPy's is by default."""
    return like.beside(x).view(lambda v: np.lib.stride_tricks.sliding_window_view(v, window_shape, axis=axis))


def split_along(function: Callable[..., Any]) -> Callable[..., list[Settled]]:
    """The rule of hsplit, vsplit and dsplit: a list of views."""

    def rule(like: Number, ary: Any, indices_or_sections: Any) -> list[Settled]:
        where = indices_or_sections if isinstance(indices_or_sections, int) else tuple(indices_or_sections)
        x = like.beside(ary)
        return [x.view(lambda v, i=i: function(v, where)[i]) for i in range(len(function(x.value, where)))]  # type: ignore[misc]  # mypy cannot infer i

    return rule


def unstack(like: Number, x: Any, *, axis: int = 0) -> tuple[Settled, ...]:
    a = like.beside(x)
    return tuple(a.view(lambda v, i=i: np.moveaxis(v, axis, 0)[i]) for i in range(a.shape[axis]))  # type: ignore[misc]  # mypy cannot infer i


def pad(like: Number, array: Any, pad_width: Any, mode: Any = "constant", *, constant_values: Any = 0) -> Settled:
    """numpy.pad with the modes that compute nothing, and any constant."""
    if mode != "constant" or not (isinstance(constant_values, Number) or np.any(np.asarray(constant_values))):
        return shapes.pad(like, array, pad_width, mode)
    width = np.array(pad_width)
    return shapes.moved(
        [like.operand(array), like.operand(constant_values)],
        lambda parts: np.pad(parts[0], width, "constant", constant_values=parts[1]),
    )


def put_along_axis(like: Number, arr: Any, indices: Any, values: Any, axis: int | None = -1) -> Number:
    """What arr becomes."""
    x, where = like.operand(arr), settled_index(np.asarray(indices))
    if axis is None:
        return _placed(x, np.unravel_index(where, x.shape), like.operand(values))
    along = axis % x.ndim
    index: list[Any] = [np.arange(n).reshape((1,) * i + (-1,) + (1,) * (x.ndim - i - 1)) for i, n in enumerate(x.shape)]
    index[along] = where
    return _placed(x, tuple(index), like.operand(values))


def fill_diagonal(like: Number, a: Any, val: Any, wrap: bool = False) -> Number:  # noqa: FBT001, FBT002 - NumPy's signature
    """What a becomes. Raises TypeError for wrap=True."""
    x = like.operand(a)
    if wrap or x.ndim < 2:
        raise TypeError("numpy.fill_diagonal of balls: expected 2 dimensions at least and wrap=False")
    return _placed(x, (np.arange(min(x.shape)),) * x.ndim, like.operand(val))


def _placed(x: Number, index: tuple[Any, ...], new: Number) -> Number:
    layout = x.value
    return shapes.moved([x, new], lambda parts: shapes.placed(layout, parts[0], index, parts[1]))


def made_by(function: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of eye, identity and arange with like=: their numbers, as a ball."""

    def rule(like: Number, *args: Any, dtype: Any = None, **kwargs: Any) -> Any:
        if not creation.makes_a_ball(like, dtype):
            return function(*args, dtype=dtype, **kwargs)
        return like.operand(function(*args, **kwargs))

    return rule


# --- where numbers are not 0, which the radii must not leave open --------------------------------------------


def flatnonzero(like: Number, a: Any) -> Any:
    return np.flatnonzero(masks.as_mask(like, a).decided("numpy.flatnonzero"))


def nonzero(like: Number, a: Any) -> Any:
    return np.nonzero(masks.as_mask(like, a).decided("numpy.nonzero"))


def count_nonzero(like: Number, a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return np.count_nonzero(masks.as_mask(like, a).decided("numpy.count_nonzero"), axis, keepdims=keepdims)


def argwhere(like: Number, a: Any) -> Any:
    return np.argwhere(masks.as_mask(like, a).decided("numpy.argwhere"))
