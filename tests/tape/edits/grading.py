"""Grades: is the named cause the planted one? It is, if it holds at fresh numbers and other sizes, too."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.tape.edits.optimizers import HERE, THERE
from tests.tape.edits.planted import Fault, Point, Sizes, run, update
from torch_mirror.tape.edits import explain
from torch_mirror.tape.edits.case import Case, case_of
from torch_mirror.tape.edits.explain import fits_of, ranked, tied, usable
from torch_mirror.tape.edits.probe import holds
from torch_mirror.tape.edits.search import NAMELESS
from torch_mirror.tape.edits.shown import first_shown

GRADES = ("unique", "simplest", "tie", "listed", "unnamed", "wrong")


class Graded(NamedTuple):
    """words: what was named; line: where that sets in; planted: where it was planted; seconds: of the search alone."""

    fault: str
    grade: str
    words: tuple[str, ...]
    tried: int
    seconds: float
    line: int | None = None
    planted: int = 0


def case_at(point: Point) -> Case:
    return case_of(point.eq, usable(point.eq, point.seen)[0], point.constants, point.others, point.previous)


def graded(fault: str, case: Case, point: Point, fresh: Sequence[Case], budget: float = 60.0) -> Graded:
    """fresh: the same fault at other points; a cause is right if it holds at one of other sizes, or of the same."""
    started = time.process_time()
    found = fits_of(case, started + budget)
    groups = ranked(case, found.fits, point.constants) if found.fits else []
    seconds = time.process_time() - started
    first = tied(groups) if groups else []
    words = tuple(first_shown(case, group)[0].edit.words for group in first)
    right = [any(_is_it(fit, fresh) for fit in group) for group in first]
    if not first or first[0][0].edit.cost >= NAMELESS:
        grade = "unnamed"
    elif not any(right):
        listed = sorted(groups[len(first) :], key=lambda group: group[0].edit.cost)[: explain.LISTED]
        grade = "listed" if any(_is_it(fit, fresh) for group in listed for fit in group) else "wrong"
    elif len(first) > 1:
        grade = "tie"
    else:
        grade = "unique" if len(groups) == 1 else "simplest"
    value = first_shown(case, first[0])[1] if first else None
    line = None if value is None or value.place is None else value.place.line
    return Graded(fault, grade, words, found.tried, seconds, line, point.line)


def _is_it(fit: Any, fresh: Sequence[Case]) -> bool:
    """The first point at which the edit has a meaning decides: a unit of these sizes may not be there at others."""
    return next((held for case in fresh if (held := holds(fit.edit, fit.explains, case)) is not None), False)


def of_network(source: str, fault: Fault, sizes: Sizes, seed: int, *, dyadic: bool) -> Graded | None:
    """None where the fault changes nothing at these numbers."""
    point = run(source, fault, sizes, seed, dyadic=dyadic)
    case = case_at(point)
    if not case.wrong:
        return None
    other = Sizes(sizes.N + 3, sizes.inputs + 2, sizes.hidden + 4, sizes.outputs + 1)
    fresh = [case_at(run(source, fault, other, seed + 50)), case_at(run(source, fault, sizes, seed + 60))]
    return graded(fault.name, case, point, fresh)


def of_update(name: str, fault: Fault, size: int, seed: int) -> Graded | None:
    """None where the fault changes nothing."""
    point = update(HERE[name], fault, size, seed)
    case = case_at(point)
    if not case.wrong:
        return None
    return graded(f"{name}: {fault.name}", case, point, [case_at(update(THERE[name], fault, size + 6, seed + 50))])


def table(rows: Sequence[Graded]) -> str:
    """Fault by fault, and the sums."""
    lines = [f"{r.grade:9} {r.fault:32} {r.tried:5} {r.seconds:6.3f} s  {' | '.join(r.words)[:150]}" for r in rows]
    counts = {grade: sum(r.grade == grade for r in rows) for grade in GRADES}
    return "\n".join([*lines, f"{len(rows)} runs: " + ", ".join(f"{n} {grade}" for grade, n in counts.items())])


def graded_at(source: str, fault: Fault, sizes: Sizes, seed: int, *, elsewhere: Sizes | None) -> str:
    """What explain says, given another point or not: "one" cause, a "tie", or "none"."""
    here = run(source, fault, sizes, seed)
    point = None
    if elsewhere is not None:
        there = run(source, fault, elsewhere, seed + 70)
        point = explain.Point(there.eq, there.seen, there.constants, there.others, there.previous)
    e = explain.explain(here.eq, here.seen, here.constants, here.others, here.previous, elsewhere=point)
    return "none" if not e.findings else "one" if len(e.findings[0].causes) == 1 else "tie"
