"""Arrays by name in an .npz file, as numpy.savez writes it: numbers only, and read within a stated amount of memory.

The sizes of all entries are added up before the first one is read, each entry must be exactly as long as its array, and
no pickle is read.

Source of the format: numpy.lib.format (documentation, "Format Version 1.0"), PKWARE's APPNOTE.TXT for the archive.
"""

import io
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from reference.arrays import Array
from reference.errors import InputError
from reference.traces.pieces import PIECE, check_numbers, check_size, filled

HEADER = 10_000
"""Bytes of an array's header that are looked at; one of 64 axes has some hundred."""


def write(file: IO[bytes], arrays: Mapping[str, Array]) -> None:
    """Write the arrays, one entry each, uncompressed."""
    np.savez(file, **arrays)  # type: ignore[arg-type]  # the stub takes the names for allow_pickle


def read(what: str, raw: IO[bytes], limit: int) -> dict[str, Array]:
    """The arrays by name, of ``limit`` bytes together at most. Raises InputError, or what zipfile and NumPy raise."""
    with zipfile.ZipFile(_Piecewise(what, raw)) as archive:
        entries = _entries(what, archive, limit)
        return {name: _array(f"{name} in {what}", archive, entry) for name, entry in entries.items()}


class _Piecewise:
    """A file that is read a PIECE at a time at most: zipfile takes the whole list of entries at once."""

    def __init__(self, what: str, file: IO[bytes]) -> None:
        self.what, self.file = what, file

    def read(self, size: int = -1, /) -> bytes:
        data = self.file.read(PIECE + 1 if size < 0 else min(size, PIECE + 1))
        if len(data) > PIECE:
            raise InputError(self.what, f"a list of entries of {PIECE} bytes at most", "a longer one")
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def seekable(self) -> bool:
        return True


def _entries(what: str, archive: zipfile.ZipFile, limit: int) -> dict[str, zipfile.ZipInfo]:
    """The entries by the names of their arrays. Raises InputError for any that is no array, and for too many bytes."""
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        name = entry.filename.removesuffix(".npy")
        if name == entry.filename:
            raise InputError(what, "arrays and nothing else (.npy)", f"an entry {entry.filename!r}")
        if name in found:
            raise InputError(what, "each array once", f"a second {name!r}")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others ask for memory themselves
            raise InputError(what, "entries as numpy.savez writes them", f"{name!r}, compressed in another way")
        found[name] = entry
    check_size(what, sum(entry.file_size for entry in found.values()), limit)
    return found


def _array(what: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Array:
    """One array. Raises InputError unless the entry holds what its header says, and numbers."""
    with archive.open(entry) as file:
        head = io.BytesIO(file.read(min(entry.file_size, HEADER)))
        shape, fortran, dtype = _header(what, head)
        check_numbers(what, dtype)
        there = entry.file_size - head.tell()
        shape = shape[::-1] if fortran else shape
        rows = filled(what, shape, dtype, there, lambda size: head.read(size) or file.read(size))
        if file.read(1):  # the end is read, too: only there is the checksum compared
            raise InputError(what, f"{there} bytes", "more of them")
    return rows.T if fortran else rows


def _header(what: str, head: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """shape, whether in Fortran's order, and dtype."""
    try:
        version = np.lib.format.read_magic(head)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(head)
    except Exception as error:
        # the header is a Python literal: tokenize's, ast's and NumPy's own errors, and those of every dtype
        raise InputError(what, "an array as numpy.save writes it", " ".join(str(error).split())[:80]) from error
    if any(isinstance(n, bool) for n in shape):  # which NumPy's reader takes for a whole number
        raise InputError(what, "a shape of whole numbers", str(shape))
    return shape, fortran, dtype
