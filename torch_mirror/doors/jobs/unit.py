"""One piece of work as a process of its own does it: words go there, and what was found or an error comes back.

The user's functions cannot be sent, since a lambda cannot be pickled. So the other process reads the user's file
itself. It holds the same code, and whatever the file draws without a seed is drawn anew there.
"""

import io
import os
import pickle
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, chdir, contextmanager, redirect_stderr, redirect_stdout
from threading import Lock
from typing import Any, NamedTuple

from reference.errors import InputError, TorchMirrorError
from torch_mirror.doors.jobs.software import software
from torch_mirror.doors.jobs.watch import watched
from torch_mirror.doors.runs import Bar, silent

_TURN = Lock()
"""A worker of a cluster may have several threads, but one current folder and one torch: they take turns."""


class Unit(NamedTuple):
    """What is to be done, and the folder that files are named from.

    name: what it is about, for people. do: what does it, a function of ours with arguments that can be sent
    (functools.partial). software: which is asked of another machine, as by other versions the verdict may be another.
    watched: whether it is noted what the verdict rests on.
    """

    name: str
    do: Callable[[Bar], Any]
    folder: str
    software: Mapping[str, str] | None = None
    watched: bool = False


class Answer(NamedTuple):
    """What was found, or the error in its place; and what the user's code printed meanwhile.

    Of a unit that is watched: files are what the verdict rests on (basis.py), flaw says why it may not be kept.
    """

    found: Any = None
    error: BaseException | None = None
    output: str = ""
    errors: str = ""
    files: tuple[tuple[str, str], ...] = ()
    flaw: str = ""


class Died(InputError):  # noqa: N818 - what happened, by its name
    """The process of a run ended before there was a verdict. The other verdicts stand."""

    def __init__(self, option: str, name: str) -> None:
        self.option, self.name = option, name
        expected = f"a process that lives until {name} is judged"
        super().__init__(option, expected, "one that ended before, each time: too little memory, or the run ends it")

    def __reduce__(self) -> Any:
        return type(self), (self.option, self.name)


def work(unit: Unit, bar: Bar | None = None) -> Answer:
    """Do a unit's work. No exception gets out: some could not be sent back.

    bar: where the user sees this process: shows the steps, and what the user's code prints is not held back.
    """
    out, err = io.StringIO(), io.StringIO()
    with _TURN:
        try:
            answer = _done(unit, bar, out, err)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it is raised where the answer is read
            answer = Answer(error=sendable(error))
    return answer._replace(output=out.getvalue(), errors=err.getvalue())


def _done(unit: Unit, bar: Bar | None, out: io.StringIO, err: io.StringIO) -> Answer:
    with ExitStack() as inside:
        if os.getcwd() != unit.folder:  # noqa: PTH109 - both are texts
            inside.enter_context(chdir(unit.folder))
        _check_software(unit)
        watch = inside.enter_context(watched()) if unit.watched else None
        if bar is None:
            inside.enter_context(redirect_stdout(out))
            inside.enter_context(redirect_stderr(err))
        found = unit.do(bar or silent)
    return Answer(found) if watch is None else Answer(found, files=tuple(watch.files.items()), flaw=watch.flaw())


@contextmanager
def read_again() -> Iterator[None]:
    """Within it a file of the user's is read that was read before: what it prints was printed then."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield


def _check_software(unit: Unit) -> None:
    """Raise InputError where other versions would judge than were asked for."""
    here = software() if unit.software is not None else {}
    for name, asked in (unit.software or {}).items():
        if here[name] != asked:
            raise InputError(f"{name} of a worker", asked, f"{here[name]}: install the same there as here")


def sendable(error: BaseException) -> BaseException:
    """The error, or one of the same words if it cannot be pickled; a fault of ours says where it was raised."""
    if not isinstance(error, TorchMirrorError):
        error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - the user's own class may raise anything
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
