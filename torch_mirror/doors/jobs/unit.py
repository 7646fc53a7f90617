"""One run as a process of its own judges it: words go there, and a certificate or an error comes back.

The user's functions cannot be sent, since a lambda cannot be pickled. So the other process reads the user's file
itself. It holds the same code, and whatever the file draws without a seed is drawn anew there.
"""

import io
import os
import pickle
import traceback
from collections.abc import Mapping
from contextlib import chdir, nullcontext, redirect_stderr, redirect_stdout
from threading import Lock
from typing import NamedTuple

from reference.errors import InputError, TorchMirrorError
from torch_mirror.doors.jobs.software import software
from torch_mirror.doors.runs import Source, again, judged
from torch_mirror.judge.verdict import Certificate

_TURN = Lock()
"""A worker of a cluster may have several threads, but one current folder and one torch: they take turns."""


class Unit(NamedTuple):
    """A run, the folder that its file is named from, and how it is to be judged: see ``runs.judged``.

    software: which is asked of another machine, as by other versions the verdict may be another.
    """

    source: Source
    folder: str
    steps: int | None = None
    strict: bool = False
    software: Mapping[str, str] | None = None


class Answer(NamedTuple):
    """A certificate, or the error in its place; and what the user's code printed while it was judged."""

    certificate: Certificate | None = None
    error: BaseException | None = None
    output: str = ""
    errors: str = ""


def work(unit: Unit) -> Answer:
    """Judge a run, whose file is read anew. No exception gets out: some could not be sent back."""
    with _TURN:
        out, err = io.StringIO(), io.StringIO()
        try:
            with chdir(unit.folder) if os.getcwd() != unit.folder else nullcontext():  # noqa: PTH109 - both are texts
                _check_software(unit)
                with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                    run = again(unit.source)  # whatever it prints was printed where the run was first looked up
                with redirect_stdout(out), redirect_stderr(err):
                    found = Answer(judged(run, unit.steps, strict=unit.strict))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it is raised where the answer is read
            found = Answer(error=sendable(error))
        return found._replace(output=out.getvalue(), errors=err.getvalue())


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
