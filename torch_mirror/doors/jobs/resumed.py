"""Runs of which some were judged before: their verdicts are taken over where nothing that they rest on has changed."""

import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from reference.errors import InputError
from torch_mirror.doors.drawn import with_pictures
from torch_mirror.doors.jobs.basis import Basis, Known, key_if_any, known_of, read_by
from torch_mirror.doors.jobs.bits import Bits
from torch_mirror.doors.jobs.kept import find, keep, opened
from torch_mirror.doors.jobs.unit import Answer, Unit, read_again
from torch_mirror.doors.runs import Bar, Run, Source, again, judged
from torch_mirror.judge.verdict import Certificate
from torch_mirror.training.remarks import DREW
from torch_mirror.visible import inert, visible

Judging: TypeAlias = Callable[[Mapping[int, Unit]], Generator[tuple[int, Answer], None, None]]
"""Does units, each at its place."""


class Keyed(NamedTuple):
    """A verdict, and the key of the run that was judged (basis.py)."""

    certificate: Certificate
    key: str


def keyed(source: Source, bar: Bar, *, steps: int | None, strict: bool, curves: bool, threads: int) -> Keyed:
    """The verdict on a run whose file is read again, with its key."""
    with read_again():
        run = again(source)
    bits = Bits()
    certificate = judged(run, steps, strict=strict, curves=curves, threads=threads, bar=bar, observe=bits)
    key = key_if_any(run, steps, bits.digest(), strict=strict)  # after the verdict, which it must not disturb
    return Keyed(certificate, key)


def resumed(
    folder: Path, runs: Mapping[int, Run], steps: int | None, judge: Judging, *,
    strict: bool, curves: bool, threads: int,
) -> Generator[tuple[int, Answer], None, None]:  # fmt: skip
    """The certificates with the places of the runs: first those that are kept in the folder, then what is judged now.

    What is judged is kept as soon as it is there, whichever run is told next. curves: as for ``runs.judged``; those of
    a verdict that is taken over are drawn from the run that is made again.
    """
    opened(folder)
    known = {place: known_of(run, steps, strict=strict, curves=curves) for place, run in runs.items()}
    kept = {place: found for place, one in known.items() if one.key and (found := _found(folder, one)) is not None}
    if kept:
        counted = f"{len(kept)} of {len(runs)} runs were judged before"
        _say(f"{counted}, and nothing that they rest on has changed: their verdicts are from {folder.name}")
    yield from kept.items()

    do = partial(keyed, steps=steps, strict=strict, curves=curves, threads=threads)
    left = {
        place: Unit(run.label, partial(do, run.source), run.source.folder, watched=True)
        for place, run in runs.items()
        if place not in kept and run.source is not None
    }
    with closing(judge(left)) as answers:
        for place, answer in answers:
            if answer.error is None:
                _keep(folder, known[place].key, answer)
                yield place, answer._replace(found=answer.found.certificate)
            else:
                yield place, answer


def _found(folder: Path, one: Known) -> Answer | None:
    try:
        certificate = find(folder, one.key)
    except InputError as error:
        _say(f"Warning: {error}; it is judged anew")
        return None
    if certificate is None or (one.pieces and certificate.first is not None):  # whose source and script are shown, too
        return None
    return Answer(replace(certificate, series=with_pictures(one.pieces, None)))


def _keep(folder: Path, key: str, answer: Answer) -> None:
    """Keep a verdict, unless it may not stand for another run: then say why."""
    c, flaw = answer.found.certificate, answer.flaw
    if not key:
        return
    if not flaw and answer.found.key != key:
        flaw = "is another run each time: does it draw numbers without a seed?"
    if not flaw and DREW in c.notes:
        flaw = "draws random numbers"
    if flaw:
        _say(f"not kept for --resume: {c.experiment} {c.dtype} {flaw}")
        return
    try:
        keep(folder, Basis(key, dict(answer.files), read_by(dict(answer.files))), c)
    except InputError as error:  # which is no reason to lose the rest
        _say(f"Warning: {error}")


def _say(words: str) -> None:
    sys.stderr.write(f"{inert(visible(words))}\n")
