"""What calls a function of the user's: apply_along_axis and piecewise, with the duck arrays that it is written for.

    apply_along_axis    the function of every vector along an axis, stacked
    piecewise           x[mask] = f(x[mask]), one mask after the other, which must be decided

Each is a composition of what the function does, and of what moves elements about. Beside the other rules these are
given balls and masks as they are called with (table.py).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from torch_mirror.balls import masks


def apply_along_axis(like: Any, func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """A function of every vector along an axis, called for each of them."""
    x: Any = np.asarray(arr, like=like)
    rows = np.moveaxis(x, axis, -1)
    outside = rows.shape[:-1]
    each = [func1d(rows[index].copy(), *args, **kwargs) for index in np.ndindex(outside)]
    if not any(hasattr(r, "settled") for r in each):  # whole numbers, as argmax gives
        return np.apply_along_axis(lambda at: each[at[0]], -1, np.arange(len(each)).reshape(*outside, 1))
    results: Any = np.stack([np.asarray(r, like=like) for r in each])
    new = results.shape[1:]
    places = tuple(range(len(outside), len(outside) + len(new)))
    back = tuple(axis % x.ndim + i for i in range(len(new)))
    return np.moveaxis(results.reshape(outside + new), places, back)


def piecewise(like: Any, x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """A function of its own where each mask holds. Raises TypeError where the radii leave a mask open."""
    a: Any = np.array(x, like=like)
    one = not isinstance(condlist, (list, tuple)) or not len(condlist)
    where = [
        masks.as_mask(like.settled(), getattr(c, "mask", c)).decided(
            "numpy.piecewise, which calls a function of the chosen elements,"
        )
        for c in ([condlist] if one else condlist)
    ]
    if len(funclist) == len(where) + 1:
        where.append(~np.any(where, axis=0))
    result: Any = np.zeros_like(a)
    for mask, function in zip(where, funclist, strict=True):
        result[mask] = function(a[mask], *args, **kw) if callable(function) else function
    return result
