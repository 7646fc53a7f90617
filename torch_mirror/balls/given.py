"""What a ball is made of by hand: floats, and a radius for each."""

from typing import Any

import numpy as np

from reference.errors import InputError


def checked_radius(value: Any, radius: Any) -> Any:
    """The radius. Raises InputError unless it is numbers from 0 on that broadcast to the value, which is floats."""
    kind = value.dtype.kind if hasattr(value, "dtype") else np.asarray(value).dtype.kind
    if kind != "f":
        raise InputError("value of a ball", "floats", type(value).__name__ if kind == "O" else np.asarray(value).dtype)
    if type(radius) is int and radius == 0:  # nearly all, and nothing to look at
        return radius
    given = np.asarray(radius)
    if given.dtype.kind not in "fiu" or (given < 0).any():  # NaN is infinite: it decides nothing
        raise InputError("radius of a ball", "numbers, 0 or more", repr(radius)[:60])
    shape = np.shape(value)
    if given.ndim > len(shape) or any(n not in (1, m) for n, m in zip(given.shape[::-1], shape[::-1], strict=False)):
        raise InputError("radius of a ball", f"shape {shape}, or one that broadcasts to it", f"shape {given.shape}")
    return radius
