"""x.astype and dtype=: to the format itself, to a wider one, to bool, and to whole numbers that are decided.

    the same format   a copy
    a wider one       the same elements with the same radii, exactly; later roundings are those of the wider format
    a narrower one    refused
    bool              x != 0, a mask
    whole numbers     an ordinary array, if every evaluation gives the same: trunc(x - R e) = trunc(x + R e)

Every number of a format is one of each wider format. A centre that was in a wider format already is within
e u_c / u of the exact number, which is less than the e u_c / u_wide = e that its slack allows it there.
A narrower format is refused, as a centre that is rounded to it may be a whole radius away from the exact number, while
the centres that it meets there are taken to be nearer (slack).
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from reference.arrays import Array
from torch_mirror.balls import masks, recording
from torch_mirror.balls.format import format_of
from torch_mirror.balls.number import Number


def cast(x: Number, dtype: Any) -> Any:
    """x in another dtype. Raises TypeError for a narrower one, and for whole numbers that the radii leave open."""
    kind, own = np.dtype(dtype), x.format.dtype
    if kind in (own, x.value.dtype) and kind.itemsize <= own.itemsize:
        return x
    if kind.kind == "b":
        return masks.as_mask(x, x)
    if kind.kind in "iu":
        return whole(x, kind)
    if kind.kind != "f":
        raise TypeError(f"a ball of {own} does not change its dtype: expected float, bool or int, got {kind}")
    if format_of(kind).precision <= x.format.precision:
        raise TypeError(
            f"a ball of {own} does not change its dtype to a narrower one: expected {own} or wider, got {kind}; "
            "start from inputs and parameters of the dtype that is to be computed in"
        )
    return x.widened(format_of(kind))


def whole(x: Number, dtype: Any) -> Array:
    """Truncated to whole numbers. Raises TypeError where the radii leave one open."""
    reach = np.where(x.radius == 0, 0, x.slack * x.radius * (1 + 4 * x.format.u) + np.abs(x.value) * (4 * x.format.u))
    with np.errstate(all="ignore"):
        low, high = np.trunc(x.value - reach), np.trunc(x.value + reach)
    left = int(np.count_nonzero(~(low == high)))
    if left and not recording.followed(f"astype({np.dtype(dtype)})", left):
        raise TypeError(
            f"a ball does not become whole numbers where the radii leave them open, {left} of {x.size}; "
            "np.floor, np.round and np.trunc of a ball are balls"
        )
    return x.value.astype(dtype)


def widest(like: Number, arguments: Iterable[Any]) -> Number:
    """like, or a number of a wider format among the arguments, or in a list of them: NumPy computes in that."""
    for x in arguments:
        if type(x) is Number:
            if x.format is not like.format and x.format.precision > like.format.precision:
                like = x
        elif type(x) in (list, tuple):
            like = widest(like, x)
    return like
