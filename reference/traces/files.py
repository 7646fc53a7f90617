"""Arrays by name in an .npz file, as numpy.savez writes it: numbers only, and read within a stated amount of memory.

A file from elsewhere may be damaged, or made to do harm: a few kilobytes that unpack to gigabytes, a header that
promises more numbers than there are, a pickle that runs code. So nothing is believed that a header says. The sizes of
all entries are added up before the first one is read, each entry must be exactly as long as its array, no pickle is
read, and no more than a few megabytes at a time.

Source of the format: numpy.lib.format (documentation, "Format Version 1.0"), PKWARE's APPNOTE.TXT for the archive.
"""

import io
import math
import os
import stat
import zipfile
import zlib
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from reference.arrays import Array
from reference.errors import InputError
from reference.files import path_of, write_whole

LIMIT = 4 << 30
"""Bytes of all arrays together that are read unless more are asked for: 4 GiB."""

PIECE = 4 << 20
"""Bytes that are read at once, at most. The archive's own list of entries must fit: that is some 50,000 arrays."""

HEADER = 10_000
"""Bytes of an array's header that are looked at; one of 64 axes has some hundred."""

KINDS = "biuf"
"""numpy.dtype.kind of what a file may hold: bools, whole numbers, floats."""

_DAMAGED = (ValueError, KeyError, OverflowError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError)
"""What zipfile and NumPy raise at a file that is empty, cut, damaged or of another kind."""


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Write the arrays (numpy.savez). Raises InputError for one that holds no numbers, and where it cannot be written.

    See ``reference.files`` for what becomes of a file that is there already.
    """
    what = f"trace file {_shown(path)}"
    for name, a in arrays.items():
        if not isinstance(a, np.ndarray) or isinstance(a, np.ma.MaskedArray) or a.dtype.kind not in KINDS:
            came = f"dtype {a.dtype}" if type(a) is np.ndarray else type(a).__name__
            raise InputError(f"{name} in {what}", "an array of numbers", came)
    write_whole(what, path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]  # the stub takes the names for allow_pickle


def read_arrays(path: str | os.PathLike[str], limit: int = LIMIT) -> dict[str, Array]:
    """The arrays of an .npz file by name. limit: how many bytes they may have together.

    Memory stays within ``limit`` and some ten times PIECE. Raises InputError for a file that is too large, or is not
    what ``write_arrays`` writes.
    """
    what = f"trace file {_shown(path)}"
    if not isinstance(limit, (int, np.integer)) or isinstance(limit, bool) or limit < 0:
        raise InputError("limit", "a number of bytes, 0 or more", repr(limit))
    try:
        with _opened(what, path) as raw, zipfile.ZipFile(_Piecewise(what, raw)) as archive:
            entries = _entries(what, archive, int(limit))
            return {name: _array(f"{name} in {what}", archive, entry) for name, entry in entries.items()}
    except InputError:
        raise
    except OSError as error:
        raise InputError(what, "a readable file", error.strerror or error) from error
    except MemoryError as error:
        raise InputError(what, "no more than memory holds", str(error) or "too much for it") from error
    except _DAMAGED as error:
        came = " ".join(str(error).split()) or "an empty or cut file"
        raise InputError(what, "a trace that Trace.save wrote", came) from error


def _shown(path: object) -> str:
    return os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else repr(path)


def _opened(what: str, path: str | os.PathLike[str]) -> IO[bytes]:
    """The open file. Raises InputError for a pipe, a device or a folder, without waiting for one of them."""
    descriptor = os.open(path_of(what, path), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise InputError(what, "a readable file", "Is a directory" if stat.S_ISDIR(mode) else "no regular file")
    return os.fdopen(descriptor, "rb")


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
    size = sum(entry.file_size for entry in found.values())
    if size > limit:
        raise InputError(what, f"{limit} bytes of arrays at most (Trace.load(path, limit=...) takes more)", f"{size}")
    return found


def _array(what: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Array:
    """One array. Raises InputError unless the entry holds what its header says, and numbers."""
    with archive.open(entry) as file:
        head = io.BytesIO(file.read(min(entry.file_size, HEADER)))
        shape, fortran, dtype = _header(what, head)
        if dtype.hasobject or dtype.kind not in KINDS:
            raise InputError(what, "an array of numbers", f"dtype {dtype}")
        promised, there = math.prod(shape) * dtype.itemsize, entry.file_size - head.tell()
        if promised != there or min(shape, default=0) < 0:
            raise InputError(what, f"{promised} bytes, as shape {shape} of {dtype} has", there)
        flat = np.empty(promised // dtype.itemsize, dtype)
        room, done, piece = flat.view(np.uint8), 0, head.read()
        while done < promised:
            piece = piece or file.read(min(PIECE, promised - done))
            if not piece:
                raise InputError(what, f"{promised} bytes", f"{done} and no more")
            room[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
            done, piece = done + len(piece), b""
        if file.read(1):  # the end is read, too: only there is the checksum compared
            raise InputError(what, f"{promised} bytes", "more of them")
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _header(what: str, head: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """shape, whether in Fortran's order, and dtype."""
    try:
        version = np.lib.format.read_magic(head)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(head)
    except Exception as error:
        # the header is a Python literal: tokenize's, ast's and NumPy's own errors, and those of every dtype
        raise InputError(what, "an array as numpy.save writes it", " ".join(str(error).split())[:80]) from error
    return shape, fortran, dtype
