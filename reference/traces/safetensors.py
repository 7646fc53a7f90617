"""Arrays by name in a .safetensors file, which C and JavaScript write in a few lines: see examples/.

    8 bytes                     how long the header is: a whole number, its lowest byte first
    the header                  {"tensors/y": {"dtype": "F64", "shape": [3, 2], "data_offsets": [0, 48]}, ...} in JSON
    the numbers of all arrays   row by row, lowest bytes first; data_offsets counts from the end of the header

The format is so small that it is read and written here, and needs no package. The package of that name (0.8) reads and
writes these files, too (tests/reference/traces), but does not do for a file from elsewhere: of two arrays of one name
it takes one without a word, it waits for a pipe, and of an array that is not in C's order it writes others' numbers.

Source: "Format", in the README of the safetensors repository; the arrays lie without a gap, and none is told twice.
"""

import json
import os
import struct
from collections.abc import Mapping
from typing import IO, Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.errors import InputError
from reference.traces.pieces import check_size, filled

HEADER = 1 << 20
"""Bytes of a header that is read: some 10,000 arrays. JSON takes up to 30 times as many when it is read."""

METADATA = "__metadata__"
"""What a header may say besides: texts by name, which nothing here asks for."""

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
          "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1"}  # fmt: skip
"""NumPy's name of each of the format's dtypes that NumPy has; it has no BF16, and none of a byte or less."""

CODES = {numpy: code for code, numpy in DTYPES.items()}
INFO = {"dtype", "shape", "data_offsets"}
MOST_AXES = 64  # of an array in NumPy 2


class _Entry(NamedTuple):
    """One array of the header."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


def write(file: IO[bytes], arrays: Mapping[str, Array]) -> None:
    """Write the arrays, those of wide numbers first, so that each begins where its numbers may be mapped."""
    header, end = {}, 0
    ordered = sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize)
    for name, a in ordered:
        code = CODES[a.dtype.newbyteorder("<").str]
        header[name] = {"dtype": code, "shape": list(a.shape), "data_offsets": [end, end + a.nbytes]}
        end += a.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > HEADER:
        raise InputError("header of a .safetensors file", f"{HEADER} bytes at most (.npz takes more arrays)", len(text))
    file.write(struct.pack("<Q", len(text)) + text)
    for _, a in ordered:
        file.write(np.ascontiguousarray(a, a.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data)


def check_writable(what: str, a: Array) -> None:
    """Raise InputError for an array of a dtype that the format does not have: numpy.longdouble."""
    if a.dtype.newbyteorder("<").str not in CODES:
        raise InputError(what, "float64 or narrower, as .safetensors has nothing wider (.npz has)", f"dtype {a.dtype}")


def read(what: str, file: IO[bytes], limit: int) -> dict[str, Array]:
    """The arrays by name, of ``limit`` bytes together at most. Raises InputError, or what json raises."""
    told, here = _header(what, file), file.tell()
    there = os.fstat(file.fileno()).st_size - here
    entries = {name: _entry(f"{name} in {what}", info) for name, info in told.items() if name != METADATA}
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if entry.begin != end:
            raise InputError(f"{name} in {what}", f"to begin at byte {end}, where the one before ends", entry.begin)
        end = entry.end
    if end != there:
        raise InputError(what, f"{end} bytes of arrays, as its header says", there)
    check_size(what, end, limit)
    found = {}
    for name, (dtype, shape, begin, stop) in entries.items():
        file.seek(here + begin)
        found[name] = filled(f"{name} in {what}", shape, dtype, stop - begin, file.read)
    return found


def _header(what: str, file: IO[bytes]) -> dict[str, Any]:
    """What the header says, by name."""
    start = file.read(8)
    if len(start) < 8:
        raise InputError(what, "8 bytes that say how long its header is", f"{len(start)} bytes")
    (length,) = struct.unpack("<Q", start)
    if length > HEADER:
        raise InputError(what, f"a header of {HEADER} bytes at most", length)
    text = file.read(length)
    if len(text) < length:
        raise InputError(what, f"a header of {length} bytes", f"{len(text)} and no more")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names: dict[str, Any] = {}
        for name, value in pairs:
            if name in names:
                raise InputError(what, "each name once", f"a second {name!r:.80}")
            names[name] = value
        return names

    told = json.loads(text, object_pairs_hook=once)
    if not isinstance(told, dict):
        raise InputError(what, 'a header such as {"tensors/y": ...}', f"{text[:40]!r}")
    return told


def _entry(what: str, info: object) -> _Entry:
    """What the header says of one array. Raises InputError where that cannot be."""
    if not isinstance(info, dict) or set(info) != INFO:
        raise InputError(what, f"{', '.join(sorted(INFO))}", f"{info!r:.80}")
    code, shape, offsets = info["dtype"], info["shape"], info["data_offsets"]
    if not isinstance(code, str) or code not in DTYPES:
        raise InputError(what, f"a dtype that NumPy has ({', '.join(DTYPES)})", f"{code!r:.80}")
    if not _whole(shape) or len(shape) > MOST_AXES:
        raise InputError(what, f"a shape of {MOST_AXES} whole numbers at most, from 0 on", f"{shape!r:.80}")
    if not _whole(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise InputError(what, "data_offsets [begin, end], counted in bytes from 0 on", f"{offsets!r:.80}")
    return _Entry(np.dtype(DTYPES[code]), tuple(shape), offsets[0], offsets[1])


def _whole(numbers: object) -> bool:
    """Whether it is a list of whole numbers, none below 0."""
    return isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)
