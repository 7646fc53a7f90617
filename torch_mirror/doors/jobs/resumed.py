"""Runs of which some were judged before: their verdicts are taken over where nothing that they rest on has changed."""

import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from reference.errors import InputError
from torch_mirror.doors.jobs.basis import Basis, key_if_any, read_by
from torch_mirror.doors.jobs.kept import find, keep, opened
from torch_mirror.doors.jobs.unit import Answer, Unit
from torch_mirror.doors.runs import Run
from torch_mirror.training.remarks import DREW

Judging: TypeAlias = Callable[[Mapping[int, Unit]], Generator[tuple[int, Answer], None, None]]
"""Judges units, each at its place."""


def resumed(
    folder: Path, runs: Mapping[int, tuple[Run, Unit]], judge: Judging
) -> Generator[tuple[int, Answer], None, None]:
    """The answers with the places of the runs: first those that are kept in the folder, then what is judged now.

    What is judged is kept as soon as it is there, whichever run is told next.
    """
    opened(folder)
    keys = {place: key_if_any(run, u.folder, u.steps, strict=u.strict) for place, (run, u) in runs.items()}
    kept = {place: found for place, key in keys.items() if key and (found := _found(folder, key)) is not None}
    if kept:
        counted = f"{len(kept)} of {len(runs)} runs were judged before"
        _say(f"{counted}, and nothing that they rest on has changed: their verdicts are from {folder.name}")
    yield from kept.items()
    left = {place: unit._replace(watched=True) for place, (_, unit) in runs.items() if place not in kept}
    with closing(judge(left)) as answers:
        for place, answer in answers:
            _keep(folder, keys[place], answer)
            yield place, answer


def _found(folder: Path, key: str) -> Answer | None:
    try:
        certificate = find(folder, key)
    except InputError as error:
        _say(f"Warning: {error}; it is judged anew")
        return None
    return None if certificate is None else Answer(certificate)


def _keep(folder: Path, key: str, answer: Answer) -> None:
    """Keep a verdict, unless it may not stand for another run: then say why."""
    c = answer.certificate
    if c is None or not key:
        return
    flaw = answer.flaw
    if not flaw and answer.key != key:
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
    sys.stderr.write(f"{words}\n")
