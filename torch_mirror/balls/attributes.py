"""What an array tells of itself, and hands out: item, tolist, flat, strides.

None of it is a way around the radius: item() and tolist() hand out balls of no axes, and no Python numbers, which would
be taken for exact wherever they go. x is a ball.
"""

from typing import Any

import numpy as np


def item(x: Any, *index: Any) -> Any:
    """One element, as a ball of no axes that follows nothing.

    Raises ValueError where there are more and no index says which.
    """
    if index:
        where = index[0] if len(index) == 1 else index
        return x[where] if isinstance(where, tuple) else x.reshape(-1)[where]
    if x.size != 1:
        raise ValueError("can only convert an array of size 1 to a Python scalar")
    return x.reshape(-1)[0]


def tolist(x: Any) -> Any:
    """Nested lists of balls of no axes."""
    return [tolist(row) for row in x] if x.ndim else x.item()


def flat(x: Any) -> Any:
    """The elements in one row: a view where memory allows, and else a copy that refuses to be written to."""
    row = x.reshape(-1)
    copied = row.root is None and x.ndim and not np.may_share_memory(row.value, x.value)
    return np.broadcast_to(row, row.shape) if copied else row  # which is read-only


def fill_flat(x: Any, value: Any) -> None:
    """x.flat = value."""
    flat(x)[...] = value


def imag(x: Any) -> Any:
    """0, and exact."""
    return type(x)(x.settled().constant(np.zeros_like(x.value)))


def strides(x: Any) -> tuple[int, ...]:
    """In bytes of the dtype under test, as the centre may be in a wider one."""
    return tuple(s // x.value.itemsize * x.dtype.itemsize for s in x.value.strides)


def sort(x: Any, axis: int = -1, kind: Any = None) -> None:
    """In place, as an array's method does."""
    x[...] = np.sort(x, axis, kind)
