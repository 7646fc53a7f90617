"""A file that is either written whole or not at all, and known beforehand to be writable."""

import contextlib
import os
import stat
from pathlib import Path

from reference.errors import InputError


def check_writable(what: str, path: Path) -> None:
    """Raise InputError, naming the option ``what``, if ``write_whole`` could not write this path.

    Asked before long work. What decides is a trial in the file's own directory, not the permission
    bits, which mean nothing to some users and on some file systems.
    """
    if str(path) == "-":
        raise InputError(what, "the path of a file", repr(str(path)))
    try:
        given, path = path, path.resolve()  # a link is followed, not replaced
        if given.exists() and any(_is_open_as(given, descriptor) for descriptor in (1, 2)):
            raise InputError(what, "the path of a file", f"{str(given)!r}, which the report itself is printed to")
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            kind = "a directory" if path.is_dir() else "no regular file"
            raise InputError(what, "the path of a file", f"{str(path)!r}, which is {kind}")
        if path.exists() and not os.access(path, os.W_OK):
            raise InputError(what, "a file that can be written", f"{str(path)!r}, which is read-only")
        trial = _beside(path)
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError as error:
        raise _unwritable(what, path, error) from error


def write_whole(what: str, path: Path, contents: str | bytes) -> None:
    """Write to a file beside it and rename that, so that no reader ever sees a part. Raises InputError."""
    path = path.resolve()
    partial = _beside(path)
    try:
        partial.write_bytes(contents.encode() if isinstance(contents, str) else contents)
        partial.replace(path)
    except OSError as error:
        raise _unwritable(what, path, error) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def _is_open_as(path: Path, descriptor: int) -> bool:
    """True if standard output or error goes to that file: renaming over it would lose what is printed."""
    with contextlib.suppress(OSError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False


def _beside(path: Path) -> Path:
    return path.with_name(f".torch-mirror-{os.getpid()}.part")


def _unwritable(what: str, path: Path, error: OSError) -> InputError:
    return InputError(what, "a path that can be written", f"{str(path)!r} ({error.strerror or error})")
