"""Faults in the user's own backward pass, judged by ``check``, and beside the mirror by ``verify``."""

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from reference import claim
from reference.claim.experiment import Experiment
from reference.claim.objective import Function
from reference.claim.tree import zip_with
from reference.errors import InputError
from torch_mirror.balls.format import format_of
from torch_mirror.doors.check.claimed import gradient_name
from torch_mirror.doors.check.derivative import check
from torch_mirror.doors.check.result import Checked
from torch_mirror.doors.mirror_causes import function_of
from torch_mirror.doors.selftest.graded import graded, in_short
from torch_mirror.doors.selftest.planting import Made, Target, differ, function_with, planted, planting, tells
from torch_mirror.doors.selftest.told import Named, Trial
from torch_mirror.doors.selftest.wrongs import Wrong
from torch_mirror.doors.verify import verify
from torch_mirror.judge.verdict import NOT_ITS_OWN
from torch_mirror.tape.edits.explain import NOT_FINITE
from torch_mirror.tape.told import Line
from torch_mirror.training.session import Session

Using = Callable[[Experiment], Session]


class Point(NamedTuple):
    """Where a network is looked at: parameters, and data as a step sees them."""

    parameters: Any
    data: tuple[Any, ...]


def point_of(e: Experiment) -> Point:
    """The first step of a run."""
    return Point(e.parameters, tuple(e.seen(e.objective.prepare(e.data), 0)))


def off_zero(e: Experiment) -> Experiment:
    """The experiment from a start in which nothing is 0 throughout: a bias of 0 hides whether it was there at all."""
    draw = np.random.default_rng(2)

    def filled(_: str, a: Any) -> Any:
        return a if a.any() else np.asarray(0.25 * draw.standard_normal(a.shape), a.dtype)

    return replace(e, parameters=zip_with(filled, e.parameters))


def moved(point: Point) -> Point:
    """Other numbers of the same sizes, at which a cause has to hold as well: parameters moved by half their size."""
    draw = np.random.default_rng(1)

    def other(_: str, a: Any) -> Any:
        size = float(np.sqrt(np.mean(np.square(a)))) or 0.25
        return np.asarray(a + 0.5 * size * draw.standard_normal(a.shape), a.dtype)

    return point._replace(parameters=zip_with(other, point.parameters))


def elsewhere_of(e: Experiment) -> Experiment:
    """The same run from there."""
    return replace(e, parameters=moved(Point(e.parameters, ())).parameters)


def checked(e: Experiment, wrong: Wrong, target: Target, point: Point) -> tuple[Checked, list[Made]]:
    """What ``check`` says of the network with the mistake at a point, and what the mistake made."""
    plant = planting(wrong, target)
    function = function_of(planted(e, plant))
    functools.update_wrapper(function, function_of(e))  # so that check finds the user's own modules behind it
    return check(function, point.parameters, *point.data), plant.made


def trials(of: dict[str, Experiment], wrong: Wrong, target: Target, using: Using | None) -> Iterator[Trial]:
    """The mistake in each dtype. of: the experiment by dtype; using: makes the mirror, None where there is none."""

    def judged(dtype: str, *, elsewhere: bool) -> tuple[Checked, list[Made]]:
        at = point_of(of[dtype])
        return checked(of[dtype], wrong, target, moved(at) if elsewhere else at)

    for dtype, row in _by_check(list(of), wrong, target, judged):
        yield row if using is None or not row.changes else _beside(row, of[dtype], wrong, target, using)


def trials_of_function(
    function: Callable[..., Any], points: dict[str, Point], wrong: Wrong, target: Target
) -> Iterator[Trial]:
    """The same of a function (p, *data) -> (loss, gradients)."""

    def judged(dtype: str, *, elsewhere: bool) -> tuple[Checked, list[Made]]:
        plant = planting(wrong, target)
        at = moved(points[dtype]) if elsewhere else points[dtype]
        return check(function_with(Function(function), plant), at.parameters, *at.data), plant.made

    for _, row in _by_check(list(points), wrong, target, judged):
        yield row


class Judged(Protocol):
    """What ``check`` says in a dtype, and what the mistake made; elsewhere: at other numbers."""

    def __call__(self, dtype: str, *, elsewhere: bool) -> tuple[Checked, list[Made]]: ...


def _by_check(dtypes: list[str], wrong: Wrong, target: Target, judged: Judged) -> Iterator[tuple[str, Trial]]:
    there: list[tuple[str, ...]] = []

    def elsewhere() -> tuple[str, ...]:
        """The causes at other numbers, looked for once: the formula is the same in each dtype."""
        if not there:
            there.append(judged(dtypes[0], elsewhere=True)[0].causes)
        return there[0]

    for dtype in dtypes:
        started = time.perf_counter()
        try:
            row = _of(*judged(dtype, elsewhere=False), dtype, wrong, target, elsewhere)
        except InputError as error:  # with a reason: an answer, if not one by the derivative
            row = Trial("tensor", wrong.name, "numpy", dtype, target.tensor, changes=True, said=f"refused: {error}")
        yield dtype, row._replace(seconds=time.perf_counter() - started)


def _of(
    c: Checked, made: list[Made], dtype: str, wrong: Wrong, target: Target, elsewhere: Callable[[], tuple[str, ...]]
) -> Trial:
    arrays = [m for m in made if not hasattr(m.right, "settled")]  # of the run in the dtype itself
    changes = differ(arrays, 0.0) and any(beyond_rounding(m, dtype) for m in made)
    row = Trial("tensor", wrong.name, "numpy", dtype, target.tensor, changes)
    if not changes:
        return row
    told = [line for fault in c.faults for line in fault.wrong]
    lines = [line for line in told if not _hands_over(line.file)]
    place = made[0].place
    refuted = c.verdict == "refuted"
    if place is None or _hands_over(place.file):  # a mistake in what is handed over is in no line of the user's
        own, first = gradient_name(target.of), {fault.gradients[0] for fault in c.faults}
        located = own in first if own in {r.name for r in c.rows} else bool(first)
    else:
        located = any((line.file, line.number) == (place.file, place.line) for line in lines)
    return row._replace(
        refuted=refuted,
        located=located,
        right_side=refuted,  # of a backward pass alone there is no other
        named=_named(c, wrong, elsewhere) if c.causes or tells(wrong, arrays) else "not asked",
        where=_where("" if lines else ", ".join(fault.gradients[0] for fault in c.faults), lines),
        cause=in_short(c.causes),
    )


def _beside(row: Trial, e: Experiment, wrong: Wrong, target: Target, using: Using) -> Trial:
    """The row of a wrong backward pass, with what ``verify`` says of it beside the right mirror.

    A NaN of the reference's makes radii infinite: it is refuted where it is born, if torch has a number there; or else
    verify is undecided, and names neither tensor nor side. What is wrong and goes on into no gradient of a parameter,
    ``verify`` alone sees; no cause is asked of it.
    """
    started = time.perf_counter()
    c = verify(planted(e, planting(wrong, target)), using=lambda _: using(e), explain=False)
    first = "" if c.first is None else c.first.tensor
    said = "" if c.ruling is None else c.ruling.verdict
    return row._replace(
        refuted=c.verdict == "refuted" or (row.refuted and c.verdict == "vacuous"),
        located=first == target.tensor if not row.refuted else row.located and first in ("", target.tensor),
        right_side=said in ("", NOT_ITS_OWN, "the reference strays"),
        named=row.named if row.refuted else "not asked",
        where=f"{first}, {row.where}" if first else row.where,
        said=said,
        seconds=row.seconds + time.perf_counter() - started,
    )


def _named(c: Checked, wrong: Wrong, elsewhere: Callable[[], tuple[str, ...]]) -> Named:
    return "not asked" if not (wrong.causes or c.causes) else named_of(c, elsewhere)


def named_of(c: Checked, elsewhere: Callable[[], tuple[str, ...]]) -> Named:
    """The grade of the causes; a NaN that is told is named."""
    if not c.causes and any(NOT_FINITE in fault.why for fault in c.faults):
        return "named"
    return graded(c.causes, elsewhere)


def _hands_over(file: str) -> bool:
    """Whether a file is of those between a network and whoever calls it, in which nobody computes anything."""
    return Path(file).parent == Path(claim.__file__).parent


def _where(tensor: str, lines: list[Line]) -> str:
    return ", ".join(dict.fromkeys([*([tensor] if tensor else []), *(line.place for line in lines[:2])]))


def beyond_rounding(made: Made, dtype: Any) -> bool:
    """Whether the wrong tensor is another one by more than the dtype may have rounded the right one.

    Of balls of the whole step, whose radii are as many times larger in the dtype as its roundoff; of arrays nothing is
    said, as they have no radius.
    """
    if not hasattr(made.right, "settled"):
        return False
    right, wrong = made.right.settled(), made.wrong.settled()
    share = format_of(np.dtype(dtype)).u / right.format.u
    with np.errstate(all="ignore"):  # a radius that overflows is infinite: then nothing is beyond it
        room = share * (np.asarray(right.radius) + np.asarray(wrong.radius))
        return bool((~(np.abs(wrong.value - right.value) <= room)).any())
