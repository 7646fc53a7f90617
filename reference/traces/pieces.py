"""Reading numbers that somebody else wrote, some megabytes at a time: what the formats of a trace file have in common.

Nothing is believed that a file says of itself: a few kilobytes may promise gigabytes.
"""

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from reference.arrays import Array
from reference.errors import InputError

PIECE = 4 << 20
"""Bytes that are read at once, at most. An archive's own list of entries must fit: that is some 50,000 arrays."""

KINDS = "biuf"
"""numpy.dtype.kind of what a file may hold: bools, whole numbers, floats."""


def check_numbers(what: str, dtype: np.dtype[Any]) -> None:
    """Raise InputError for a dtype that is none of numbers: text, objects (pickles), records, complex numbers."""
    if dtype.hasobject or dtype.kind not in KINDS:
        raise InputError(what, "an array of numbers", f"dtype {dtype}")


def check_size(what: str, size: int, limit: int) -> None:
    """Raise InputError for more bytes of arrays than are to be read."""
    if size > limit:
        raise InputError(what, f"{limit} bytes of arrays at most (Trace.load(path, limit=...) takes more)", f"{size}")


def filled(what: str, shape: tuple[int, ...], dtype: np.dtype[Any], there: int, read: Callable[[int], bytes]) -> Array:
    """The array of this shape, row by row, whose bytes ``read`` hands out, so many at a time at most.

    there: how many bytes there are said to be. Raises InputError unless they are those of the array, and where fewer
    come.
    """
    promised = math.prod(shape) * dtype.itemsize
    if promised != there or min(shape, default=0) < 0:
        raise InputError(what, f"{promised} bytes, as shape {shape} of {dtype} has", there)
    flat = np.empty(promised // dtype.itemsize, dtype)
    room, done = flat.view(np.uint8), 0
    while done < promised:
        piece = read(min(PIECE, promised - done))
        if not piece:
            raise InputError(what, f"{promised} bytes", f"{done} and no more")
        room[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
    if dtype.kind == "b" and room.size and room.max() > 1:  # NumPy does not say what becomes of such a bool
        raise InputError(what, "bools, each a byte 0 or 1", f"a byte {room.max()}")
    return _native(flat).reshape(shape)


def _native(flat: Array) -> Array:
    """The same numbers in this machine's order of bytes, in the same memory."""
    if flat.dtype.isnative:
        return flat
    return flat.byteswap(inplace=True).view(flat.dtype.newbyteorder(sys.byteorder))
