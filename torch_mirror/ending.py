"""How a command ends: with an exit status that says one thing, and a line on standard error that says why.

0    every run is certified
1    a run is refuted or vacuous, and nothing else
2    bad usage or input; also where standard output cannot be written, or memory does not suffice
3    a fault of this program, or of a library that ended it
130  interrupted, as a shell has it for Ctrl-C
141  nobody reads any more what it prints, as a shell has it for SIGPIPE: ``| head -1`` had its line. Nothing is said

With TORCH_MIRROR_TRACEBACK set, 2 and 3 show Python's traceback as well.
"""

import atexit
import contextlib
import errno
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from torch_mirror.extras import missing
from torch_mirror.interrupt import INTERRUPTED, ignore
from torch_mirror.neighbour import HiddenReferenceError

BAD_INPUT, FAULT, UNREAD = 2, 3, 141
TRACEBACK = "TORCH_MIRROR_TRACEBACK"
UNWRITABLE = (errno.ENOSPC, errno.EBADF, errno.EIO, errno.EDQUOT)
"""What writing to a full disk ends in."""

OURS = ("reference", "torch_mirror")


def finish(command: Callable[[], int]) -> NoReturn:
    """Run a command that returns its exit status, and end the process: with that, or with that of what it raised."""
    _mark_foreign_exits()
    status = status_of(command)
    ignore()  # all is said
    atexit._run_exitfuncs()  # noqa: SLF001 - what the interpreter does before it ends, as os._exit does not
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(status)  # the interpreter's own way out has a status of its own where a stream cannot be flushed


def status_of(command: Callable[[], int]) -> int:
    """The exit status that a command returns, or that of what it raised, which is told on standard error."""
    _open_what_is_closed()
    try:
        status = command()
        sys.stdout.flush()
    except SystemExit as end:  # click's, where a shell asks it for completions
        return end.code if isinstance(end.code, int) else 0
    except BaseException as error:  # noqa: BLE001 - whatever it is, nobody else tells the user
        status, words = outcome(error)
        if TRACEBACK in os.environ:
            import traceback

            words = "".join(traceback.format_exception(error)) + words
        if words:
            _say(words)
    return status


def outcome(error: BaseException) -> tuple[int, str]:
    """The exit status of what a command raised, and one line about it; "" where there is nothing to say."""
    came = " ".join(str(error).split())
    if isinstance(error, KeyboardInterrupt | BrokenPipeError):
        return (INTERRUPTED, "Interrupted.") if isinstance(error, KeyboardInterrupt) else (UNREAD, "")
    if _out_of_memory(error):
        came = came or "none left"
        return BAD_INPUT, f"Error: memory: expected enough for the run (fewer steps need less), got {came}"
    if isinstance(error, OSError) and error.filename is None and error.errno in UNWRITABLE:
        return BAD_INPUT, f"Error: standard output: expected to be writable, got {error.strerror}"
    if isinstance(error, HiddenReferenceError | _told()):
        return BAD_INPUT, f"Error: {came}"
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] not in OURS:
        broken = f"installation: expected every package that torch-mirror needs, got {came}"
        return BAD_INPUT, f"Error: {missing(error) or broken}"
    way_out = f"please report it to the authors of torch-mirror, with what it prints where {TRACEBACK}=1 is set"
    came = f"{type(error).__name__}: {came[:300]}"
    return FAULT, f"Error: a fault of torch-mirror, nothing was decided: {came}; {way_out}"


def _out_of_memory(error: BaseException | None) -> bool:
    """Whether memory was short, be it behind an error that says what it was needed for; torch has no error for it."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "allocate memory" in str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _told() -> type[BaseException]:
    """The error whose message is meant for the user; one that nobody raises if not even that was loaded."""
    errors = sys.modules.get("reference.errors")
    return HiddenReferenceError if errors is None else errors.TorchMirrorError


def _open_what_is_closed() -> None:
    """Give each standard stream that is closed the null device: else the next file that is opened takes its place."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the smallest number that is free, this one
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - for as long as we run


def _mark_foreign_exits() -> None:
    """Let a library's own exit(1) end with the status of a fault: OpenBLAS ends the process where memory is short.

    C's exit() first calls what was registered for it, here C's own _exit with our status. So we end by os._exit.
    """
    if sys.platform == "win32":
        return
    import ctypes

    libc = ctypes.CDLL(None)
    with contextlib.suppress(AttributeError):  # another C library
        libc.__cxa_atexit(libc._exit, ctypes.c_void_p(FAULT), None)  # noqa: SLF001 - C's names


def _say(words: str) -> None:
    with contextlib.suppress(OSError):
        print(words, file=sys.stderr, flush=True)  # noqa: T201 - the one line that a user gets
