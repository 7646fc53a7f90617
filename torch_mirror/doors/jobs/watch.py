"""Which files a verdict rests on: those that Python opens while a run is made and judged, and its modules.

Python tells of what it opens by audit events (PEP 578; Python's documentation has a table of them), whoever calls for
it: NumPy's load and fromfile, too. What a library opens by itself, in C, is not told.
"""

import os
import stat
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import source_from_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from torch_mirror.doors.jobs.software import OURS, digest
from torch_mirror.doors.sources import NOT_THEIRS, Fresh

ELSEWHERE = frozenset({
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "socket.connect",
    "socket.getaddrinfo", "sqlite3.connect", "urllib.Request",
})  # fmt: skip
"""Events of code that asks somebody else, of whose answers nobody knows whether they will be the same."""

_INSTALLED = (
    *OURS, *(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")), Path("/proc"), Path("/sys")
)  # fmt: skip

_watching: list["Watch"] = []
_hearing: list[bool] = []
_looking = threading.local()
_OPENED: dict[str, str] = {}
"""What was opened in any watch of this process. A module that stays may hold what was read when it was loaded."""
_BEFORE: dict[str, str] = {}
"""The files of modules that were there before the first watch, as they were then."""


class Watch:
    """files: what was opened to be read, by its path, with the digest of what was in it then. asked: see ELSEWHERE."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.asked: list[str] = []
        self.changed: list[str] = []

    def note(self, path: str) -> None:
        """Note a file that the verdict rests on, be it there or not, unless it belongs to what is installed."""
        if path.startswith("/dev/") and path != os.devnull:
            self.asked.append(f"open {path}")
        elif is_theirs(path) and (found := digest_of(path)) is not None and self.files.setdefault(path, found) != found:
            self.changed.append(path)

    def flaw(self) -> str:
        """Why the verdict may not be kept, in words; "" if it may. Looks at all files once more."""
        if self.asked:
            return f"asks for what may change ({self.asked[0]})"
        changed = [*self.changed, *(path for path, was in self.files.items() if digest_of(path) != was)]
        return f"read {changed[0]}, which has changed meanwhile" if changed else ""


@contextmanager
def watched() -> Iterator[Watch]:
    """Note what is opened within it. The user's modules are forgotten before, and so are read anew."""
    if not _hearing:
        sys.addaudithook(_heard)  # which cannot be taken away again: it does nothing while nobody watches
        _hearing.append(True)
        _BEFORE.update({path: found for path, _ in _theirs() if (found := digest_of(path)) is not None})
    for name, module in [*sys.modules.items()]:
        if _is_fresh(module):
            del sys.modules[name]
    watch = Watch()
    _watching.append(watch)
    try:
        yield watch
    finally:
        _watching.remove(watch)
        stay = [path for path, module in _theirs() if path in _OPENED and not _is_fresh(module)]
        _OPENED.update({path: found for path, found in watch.files.items() if path not in _OPENED})
        for path, found in {**_BEFORE, **(_OPENED if stay else {})}.items():
            watch.files.setdefault(path, found)


def is_theirs(path: str) -> bool:
    """Whether a file is the user's own, and no part of what is installed, of which ``software`` tells."""
    file = Path(path)
    return not NOT_THEIRS & {*file.parts} and not any(file.is_relative_to(folder) for folder in _INSTALLED)


def digest_of(path: str) -> str | None:
    """The digest of a file, "" where there is none that can be read, None for a folder and other things."""
    _looking.inside = True  # our own looking is not noted
    try:
        return digest(Path(path).read_bytes()) if stat.S_ISREG(Path(path).stat().st_mode) else None
    except OSError:
        return ""
    finally:
        _looking.inside = False


def _theirs() -> list[tuple[str, ModuleType]]:
    """The user's modules that are loaded, with their files."""
    files = [(getattr(module, "__file__", None), module) for module in [*sys.modules.values()]]
    real = [(_real(file), module) for file, module in files if isinstance(file, str)]
    return [(path, module) for path, module in real if path]


@cache
def _real(file: str) -> str:
    """The path of a module's file, "" where it is not the user's; of thousands, each time, so it is remembered."""
    path = os.path.realpath(file)
    return path if is_theirs(path) else ""


def _is_fresh(module: ModuleType) -> bool:
    return isinstance(getattr(getattr(module, "__spec__", None), "loader", None), Fresh)


def _source_of(real: str) -> str:
    """The source of a file of Python's cache, and any other file itself: as one that pytest has rewritten."""
    try:
        return source_from_cache(real) if real.endswith(".pyc") else real
    except ValueError:
        return real


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching or getattr(_looking, "inside", False):
        return
    if event == "open":
        path, mode, flags = arguments
        reads = "r" in mode or "+" in mode if isinstance(mode, str) else flags & os.O_ACCMODE != os.O_WRONLY
        if reads and isinstance(path, (str, bytes, os.PathLike)):
            real = os.path.realpath(os.fsdecode(path))
            for watch in _watching:
                watch.note(_source_of(real))
    elif event in ELSEWHERE:
        for watch in _watching:
            watch.asked.append(event)
