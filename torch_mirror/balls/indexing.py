"""Indices that nobody can change: an operation keeps what it was given, however the index changes later."""

from typing import Any

import numpy as np

from torch_mirror.balls import callers
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number


def settled_index(index: Any) -> Any:
    """An index that nobody can change: masks as arrays, and copies of arrays. Raises TypeError for an open mask."""
    if isinstance(index, tuple):
        return tuple(settled_index(i) for i in index)
    if isinstance(index, Mask):
        return index.decided("the number of elements that an index selects")
    if isinstance(index, Number):
        raise callers.located(TypeError("a ball is no index; x.astype(int) is one where the radii leave nothing open"))
    return np.array(index) if isinstance(index, (list, np.ndarray)) else index


def is_basic(index: Any) -> bool:
    """Whether it is of slices and whole numbers, which select no element twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(i is None or i is Ellipsis or type(i) in (int, slice) or isinstance(i, np.integer) for i in parts)


def open_mask(index: Any) -> Mask | None:
    """The mask that is the whole index, if the radii leave some of it open."""
    if isinstance(index, tuple) and len(index) == 1:
        index = index[0]
    return index if isinstance(index, Mask) and index.open.any() else None
