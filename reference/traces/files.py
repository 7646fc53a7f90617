"""Arrays by name in a file, .npz or .safetensors: numbers only, and read within a stated amount of memory.

A file from elsewhere may be damaged, or made to do harm: a few kilobytes that unpack to gigabytes, a header that
promises more numbers than there are, a pickle that runs code. So nothing is believed that a header says, and no more
than a few megabytes are read at a time.
"""

import os
import stat
import zipfile
import zlib
from collections.abc import Mapping
from types import ModuleType
from typing import IO

import numpy as np

from reference.arrays import Array
from reference.errors import InputError
from reference.files import path_of, write_whole
from reference.traces import npz, safetensors
from reference.traces.pieces import KINDS

LIMIT = 4 << 30
"""Bytes of all arrays together that are read unless more are asked for: 4 GiB."""

SAFETENSORS = ".safetensors"

_DAMAGED = (ValueError, KeyError, OverflowError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError)
"""What zipfile, json and NumPy raise at a file that is empty, cut, damaged or of another kind."""


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Write the arrays, as .safetensors where the path ends so, and as .npz (numpy.savez) otherwise.

    Raises InputError for one that holds no numbers, or such as the format does not have (numpy.longdouble in
    .safetensors), and where it cannot be written. See ``reference.files`` for what becomes of a file that is there
    already.
    """
    what, as_format = shown(path), _format(path)
    for name, a in arrays.items():
        if not isinstance(a, np.ndarray) or isinstance(a, np.ma.MaskedArray) or a.dtype.kind not in KINDS:
            came = f"dtype {a.dtype}" if type(a) is np.ndarray else type(a).__name__
            raise InputError(f"{name} in {what}", "an array of numbers", came)
        if as_format is safetensors:
            safetensors.check_writable(f"{name} in {what}", a)
    write_whole(what, path, lambda file: as_format.write(file, arrays))


def read_arrays(path: str | os.PathLike[str], limit: int = LIMIT) -> dict[str, Array]:
    """The arrays of a file by name. limit: how many bytes they may have together.

    Memory stays within ``limit`` and some ten times PIECE. Raises InputError for a file that is too large, or is not
    what ``write_arrays`` writes.
    """
    what = shown(path)
    if not isinstance(limit, (int, np.integer)) or isinstance(limit, bool) or limit < 0:
        raise InputError("limit", "a number of bytes, 0 or more", repr(limit))
    try:
        with _opened(what, path) as raw:
            arrays: dict[str, Array] = _format(path).read(what, raw, int(limit))
            return arrays
    except InputError:
        raise
    except OSError as error:
        raise InputError(what, "a readable file", error.strerror or error) from error
    except MemoryError as error:
        raise InputError(what, "no more than memory holds", str(error) or "too much for it") from error
    except _DAMAGED as error:
        came = " ".join(str(error).split()) or "an empty or cut file"
        raise InputError(what, "a trace that Trace.save wrote", came) from error


def shown(path: object) -> str:
    """What an error calls the file."""
    return f"trace file {os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else repr(path)}"


def _format(path: object) -> ModuleType:
    """The module that reads and writes the file's format; what is no path is told when the file is opened."""
    name = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""
    return safetensors if name.lower().endswith(SAFETENSORS) else npz


def _opened(what: str, path: str | os.PathLike[str]) -> IO[bytes]:
    """The open file. Raises InputError for a pipe, a device or a folder, without waiting for one of them."""
    descriptor = os.open(path_of(what, path), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise InputError(what, "a readable file", "Is a directory" if stat.S_ISDIR(mode) else "no regular file")
    return os.fdopen(descriptor, "rb")
