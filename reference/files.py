"""A file that is written whole, and known beforehand to be writable: what everything here that writes one calls.

The new contents go to a new file in the same folder, with a name that nobody can foresee (threads do not meet in it,
nor do processes of two containers that share the folder). When it is whole and on the disk, it is renamed over the
old one: at any moment a reader sees all of the old contents or all of the new.

A symbolic link is followed: what it leads to is written, and the link stays. What is there and is no regular file (a
device, a pipe, a folder) is refused. An existing file keeps its mode and its owner. Where a new file could not stand
in for it, because it has further hard links, or an owner that we may not give, or attributes of its own (an access
list), the whole contents are copied into it instead. A reader may then see a part of them while they are copied; if
that breaks off, the whole file is left beside it and the error says where.
"""

import contextlib
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeAlias

from reference.errors import InputError

Contents: TypeAlias = bytes | str | Callable[[BinaryIO], object]
"""Bytes, text (UTF-8), or a function that writes to the open file."""


def check_writable(what: str, path: str | os.PathLike[str]) -> None:
    """Raise InputError, naming the option ``what``, if ``write_whole`` could not write this path.

    Asked before long work. What decides is a trial in the file's own folder, not the permission bits, which mean
    nothing to some users and on some file systems.
    """
    target, _ = _target(what, path)
    try:
        partial = _beside(target)
        partial.touch(exist_ok=False)
        partial.unlink()
    except OSError as error:
        raise _unwritable(what, target, error) from error


def write_whole(what: str, path: str | os.PathLike[str], contents: Contents) -> None:
    """Write the file, whole or not at all (see above). Raises InputError, naming ``what``, where that cannot be."""
    target, old = _target(what, path)
    partial = _beside(target)
    needed = False
    try:
        with partial.open("xb") if old is None else open(partial, "xb", opener=_for_us_alone) as file:
            _write(file, contents)
            file.flush()
            stands_in = old is None or _made_like(file.fileno(), target, old)
            os.fsync(file.fileno())
        if stands_in:
            partial.replace(target)
            _sync_folder(target.parent)
        else:
            needed = True  # from here on the old contents are no longer whole
            _copy_into(target, partial)
            needed = False
    except OSError as error:
        raise _unwritable(what, target, error, partial if needed else None) from error
    finally:
        if not needed:
            with contextlib.suppress(OSError):
                partial.unlink()


def path_of(what: str, path: str | bytes | os.PathLike[str]) -> Path:
    """The path of a file. Raises InputError for what is none."""
    try:
        return Path(os.fsdecode(path))
    except TypeError:
        raise InputError(what, "the path of a file", repr(path)) from None


def _target(what: str, path: str | os.PathLike[str]) -> tuple[Path, os.stat_result | None]:
    """The file that is to be written, links followed, and what is there already. Raises InputError."""
    given = path_of(what, path)
    if str(given) == "-":
        raise InputError(what, "the path of a file", repr(str(given)))
    try:
        target = Path(os.path.realpath(given))
        try:
            old = given.stat()
        except FileNotFoundError:
            return target, None
        if any(_is_open_as(old, descriptor) for descriptor in (1, 2)):
            raise InputError(what, "the path of a file", f"{str(given)!r}, which the report itself is printed to")
        if not stat.S_ISREG(old.st_mode):
            kind = "a directory" if stat.S_ISDIR(old.st_mode) else "no regular file"
            raise InputError(what, "the path of a file", f"{str(given)!r}, which is {kind}")
        if not os.access(target, os.W_OK):
            raise InputError(what, "a file that can be written", f"{str(given)!r}, which is read-only")
    except OSError as error:
        raise _unwritable(what, given, error) from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(what, "the path of a file", f"{str(given)!r} ({error})") from error  # a null byte in it
    return target, old


def _is_open_as(old: os.stat_result, descriptor: int) -> bool:
    """True if standard output or error goes to that file: renaming over it would lose what is printed."""
    with contextlib.suppress(OSError):
        return os.path.samestat(old, os.fstat(descriptor))
    return False


def _beside(target: Path) -> Path:
    """A new name in the same folder; short, as the file's own may be as long as the system allows."""
    return target.with_name(f".torch-mirror-{secrets.token_hex(8)}.part")


def _for_us_alone(path: str, flags: int) -> int:
    """Open a file that nobody else may read: until it has the mode of the one that it replaces."""
    return os.open(path, flags, 0o600)


def _write(file: BinaryIO, contents: Contents) -> None:
    if callable(contents):
        contents(file)
    else:
        file.write(contents.encode() if isinstance(contents, str) else contents)


def _made_like(descriptor: int, target: Path, old: os.stat_result) -> bool:
    """Give the new file the mode and owner of the old one; False where it could not stand in for it."""
    if sys.platform == "win32":
        return old.st_nlink == 1
    if old.st_nlink > 1 or _attributes(target):
        return False
    try:
        new = os.fstat(descriptor)
        if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
            os.fchown(descriptor, old.st_uid, old.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(old.st_mode))  # behind the owner, whose change may clear bits of it
    except OSError:
        return False
    return True


def _attributes(target: Path) -> list[str]:
    """The extended attributes that a new file does not get by itself, as it gets the system's security labels."""
    if not hasattr(os, "listxattr"):
        return []
    with contextlib.suppress(OSError):  # a file system without them
        return [name for name in os.listxattr(target) if not name.startswith("security.")]
    return []


def _copy_into(target: Path, whole: Path) -> None:
    with whole.open("rb") as new, target.open("r+b") as file:
        shutil.copyfileobj(new, file)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Put the new name on the disk, too, where the system can be asked to."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _unwritable(what: str, path: Path, error: OSError, whole: Path | None = None) -> InputError:
    kept = "" if whole is None else f"; the whole contents are in {str(whole)!r}"
    return InputError(what, "a path that can be written", f"{str(path)!r} ({error.strerror or error}){kept}")
