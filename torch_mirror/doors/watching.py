"""--watch: judge again whenever the user's file, or a module that it imports from its folder, changes.

Each judgement is a process of its own (``watched_run``): a module that was imported once stays as it was, and a stale
one would be a wrong verdict. It writes down which files it read. These few are asked for their times a few times a
second: that works on every file system, and needs no further library.
"""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TypeAlias

import click

from torch_mirror.doors.console import say
from torch_mirror.doors.sources import is_module
from torch_mirror.interrupt import INTERRUPTED

EVERY = 0.2
"""Seconds from one look at the files to the next."""

State: TypeAlias = tuple[int, int, int] | None
"""When a file was last changed (in nanoseconds), its size and its number; None where there is none."""


def watched(context: click.Context, texts: Iterable[str], others: Iterable[Path] = ()) -> NoReturn:
    """Run the command that the context is of, without --watch, now and whenever a file changes; until Ctrl-C.

    texts: FILE:OBJECT or package.module:OBJECT, or names, which no file belongs to; others: further files that count.
    Raises InputError where there is no file to be watched, or one is not there yet. Ctrl-C ends the process with status
    130.
    """
    from reference.errors import InputError

    named = [_file(text) for text in texts if ":" in text]
    if not named:
        raise InputError("--watch", "a FILE:OBJECT, whose file may change", "none")
    for path in [*named, *others]:
        if not path.is_file():
            raise InputError("--watch", f"a file {path.name} that is there", "a folder" if path.is_dir() else "none")
    arguments = [text for text in context.find_root().obj if text != "--watch"]
    files = {path: state_of(path) for path in [*named, *others]}
    try:
        while True:
            files = _judged(arguments, files)
            say(f"--- watching {_counted(files)}; Ctrl-C ends")
            say(_between(_wait(files)))
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)


def _file(text: str) -> Path:
    """The file of FILE:OBJECT or package.module:OBJECT, be it there or not."""
    where = text.rpartition(":")[0]
    if not is_module(where):
        return Path(where).resolve()
    path = Path.cwd().joinpath(*where.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _judged(arguments: Sequence[str], files: Mapping[Path, State]) -> dict[Path, State]:
    """Run the command to its end, or to the next change; returns the files that it depends on, as they were before.

    Of files that are not known yet, what changed after the beginning counts as a change.
    """
    began, before = time.time_ns(), {path: state_of(path) for path in files}
    with tempfile.TemporaryDirectory() as room:
        noted = Path(room, "files")
        command = [sys.executable, "-m", "torch_mirror.doors.watched_run", str(noted), *map(str, arguments)]
        with _ended(subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)) as process:  # noqa: S603 - our own command
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(EVERY)
                if any(state_of(path) != state for path, state in before.items()):
                    break
        read = noted.read_text(encoding="utf-8").split("\0") if noted.exists() else []
    for path in map(Path, filter(None, read)):
        if path not in before:
            state = state_of(path)
            before[path] = None if state is not None and state[0] > began else state
    return before


@contextmanager
def _ended(process: "subprocess.Popen[bytes]") -> Iterator["subprocess.Popen[bytes]"]:
    """The process, which is ended on the way out if it has not ended by itself: at once, as it only reads."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _wait(files: Mapping[Path, State]) -> list[Path]:
    """Which files have changed, as soon as some have and are left alone again: editors write a file in parts."""
    while True:
        now = {path: state_of(path) for path in files}
        changed = [path for path, state in files.items() if now[path] != state]
        if changed:
            while (again := {path: state_of(path) for path in files}) != now:
                now = again
                time.sleep(EVERY / 4)
            return changed
        time.sleep(EVERY)


def state_of(path: Path) -> State:
    """What changes with the contents of a file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _counted(files: Mapping[Path, State]) -> str:
    there = [path.name for path, state in files.items() if state is not None]
    return ", ".join(there[:3]) + (f" and {len(there) - 3} more" if len(there) > 3 else "")


def _between(changed: Sequence[Path]) -> str:
    """The line between two judgements."""
    names = ", ".join(sorted({path.name for path in changed}))
    return f"\n--- {time.strftime('%H:%M:%S')}  {names} changed {'-' * 40}"
