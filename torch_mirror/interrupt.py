"""Ctrl-C, from the first moment on: what a command loads before anything else, so next to nothing is imported here."""

import _signal as signal  # type: ignore[import-not-found]  # signal adds enumerations: 20 ms of loading, to 2
import os

INTERRUPTED = 130
"""What a shell reports for a command that Ctrl-C ended; 1 would say that something was refuted."""


def leave_at_once() -> None:
    """From now on Ctrl-C ends the process, with a word and no exception.

    While a command loads what it needs there is nothing to clear up, and whatever is being imported might take an
    exception for one of its own.
    """
    on_interrupt(_leave)


def raise_as_usual() -> None:
    """From now on Ctrl-C raises KeyboardInterrupt, so that what was begun is cleared up."""
    on_interrupt(signal.default_int_handler)


def ignore() -> None:
    """From now on Ctrl-C does nothing."""
    on_interrupt(signal.SIG_IGN)


def on_interrupt(handler: object) -> None:
    """Set what Ctrl-C does, but where whoever started the program had it ignored (``nohup``), and in a thread."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        return
    try:
        signal.signal(signal.SIGINT, handler)
    except ValueError:  # of a thread that is not the main one
        return


def _leave(_number: int, _frame: object) -> None:
    try:
        os.write(2, b"Interrupted.\n")
    finally:
        os._exit(INTERRUPTED)
