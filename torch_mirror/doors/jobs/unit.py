"""One run as a process of its own judges it: words go there, and a certificate or an error comes back.

The user's functions cannot be sent, since a lambda cannot be pickled. So the other process reads the user's file
itself. It holds the same code, and whatever the file draws without a seed is drawn anew there.
"""

import io
import os
import pickle
import traceback
from collections.abc import Mapping
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from threading import Lock
from typing import NamedTuple

from reference.errors import InputError, TorchMirrorError
from torch_mirror.doors.jobs.basis import key_if_any
from torch_mirror.doors.jobs.bits import Bits
from torch_mirror.doors.jobs.software import software
from torch_mirror.doors.jobs.watch import watched
from torch_mirror.doors.runs import Bar, Source, again, judged, silent
from torch_mirror.judge.verdict import Certificate

_TURN = Lock()
"""A worker of a cluster may have several threads, but one current folder and one torch: they take turns."""


class Unit(NamedTuple):
    """A run, the folder that its file is named from, and how it is to be judged: see ``runs.judged``.

    software: which is asked of another machine, as by other versions the verdict may be another. watched: whether it is
    noted what the verdict rests on.
    """

    source: Source
    folder: str
    steps: int | None = None
    strict: bool = False
    curves: bool = False
    threads: int = 1
    software: Mapping[str, str] | None = None
    watched: bool = False


class Answer(NamedTuple):
    """A certificate, or the error in its place; and what the user's code printed while it was judged.

    Of a unit that is watched: key and files are what the verdict rests on (basis.py), flaw says why it may not be kept.
    """

    certificate: Certificate | None = None
    error: BaseException | None = None
    output: str = ""
    errors: str = ""
    key: str = ""
    files: tuple[tuple[str, str], ...] = ()
    flaw: str = ""


def work(unit: Unit, bar: Bar | None = None) -> Answer:
    """Judge a run, whose file is read anew. No exception gets out: some could not be sent back.

    bar: where the user sees this process: shows the steps, and what the user's code prints is not held back.
    """
    out, err = io.StringIO(), io.StringIO()
    with _TURN:
        try:
            found = _judged(unit, bar, out, err)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it is raised where the answer is read
            found = Answer(error=sendable(error))
    return found._replace(output=out.getvalue(), errors=err.getvalue())


def _judged(unit: Unit, bar: Bar | None, out: io.StringIO, err: io.StringIO) -> Answer:
    with ExitStack() as inside:
        if os.getcwd() != unit.folder:  # noqa: PTH109 - both are texts
            inside.enter_context(chdir(unit.folder))
        _check_software(unit)
        watch = inside.enter_context(watched()) if unit.watched else None
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            run = again(unit.source)  # whatever it prints was printed where the run was first looked up
        if bar is None:
            inside.enter_context(redirect_stdout(out))
            inside.enter_context(redirect_stderr(err))
        bits = Bits() if unit.watched else None
        found = Answer(
            judged(
                run, unit.steps, strict=unit.strict, curves=unit.curves, threads=unit.threads, bar=bar or silent,
                observe=bits,
            )
        )
        if watch is None:
            return found
        told = None if bits is None else bits.digest()
        key = key_if_any(run, unit.folder, unit.steps, told, strict=unit.strict)  # after it, which it must not disturb
    return found._replace(key=key, files=tuple(watch.files.items()), flaw=watch.flaw())


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
