"""What an array tells of itself, and hands out: item, tolist, flat, strides, astype.

None of it is a way around the radius: item() and tolist() hand out balls of no axes, and no Python numbers, which would
be taken for exact wherever they go.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from torch_mirror.balls import callers
from torch_mirror.balls.rules import order, widening

if TYPE_CHECKING:
    from torch_mirror.balls.ball import Ball


def item(x: "Ball", *index: Any) -> "Ball":
    """One element, as a ball of no axes that follows nothing.

    Raises ValueError where there are more and no index says which.
    """
    if index:
        where = index[0] if len(index) == 1 else index
        return x[where] if isinstance(where, tuple) else x.reshape(-1)[where]
    if x.size != 1:
        raise ValueError("can only convert an array of size 1 to a Python scalar")
    return x.reshape(-1)[0]


def tolist(x: "Ball") -> Any:
    """Nested lists of balls of no axes."""
    return [tolist(row) for row in x] if x.ndim else x.item()


def flat(x: "Ball") -> "Ball":
    """The elements in one row: a view where memory allows, and else a copy that refuses to be written to."""
    row = x.reshape(-1)
    if row.root is None and x.ndim and not np.may_share_memory(row.value, x.value):
        row.value = row.value.view()
        row.value.flags.writeable = False
    return row


def fill_flat(x: "Ball", value: Any) -> None:
    """x.flat = value."""
    flat(x)[...] = value


def imag(x: "Ball") -> "Ball":
    """0, and exact."""
    return x.derived(np.zeros_like(x.value), None)


def strides(x: "Ball") -> tuple[int, ...]:
    """In bytes of the dtype under test, as the centre may be in a wider one."""
    return tuple(s // x.value.itemsize * x.dtype.itemsize for s in x.value.strides)


def sort(x: "Ball", axis: int = -1, kind: Any = None) -> None:
    """In place, as an array's method does."""
    x[...] = order.sort(x, x, axis, kind)


def cast(x: "Ball", dtype: Any) -> Any:
    """widening.cast, of what x has now; x itself where that is the same."""
    content = x.settled()
    try:
        result = widening.cast(content, dtype)
    except TypeError as error:
        raise callers.located(error) from None
    return x if result is content else result
