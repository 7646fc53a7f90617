"""explain: which single edit of the right equation gives what somebody's code has computed?

    eq = gradient_equation(loss, leaves)
    print(explain(eq, seen={"W1": g1, "b1": g2}, constants={"N, the batch": 6.0}))

    line 43: mask (z2 > 0) left out of d(z2); explains W1, b1; 603 edits tried, this alone fits

The edit that explains most wrong outputs is named, of these the cheapest, of these the last in the pass, as it touches
least. What agrees with it at another point is the same cause in other words (probe.py). What does not, and costs as
little, is a tie, and told as one. Then the edit is made, and what is still wrong is explained in the same way.
Nothing is named that does not bring every element within its radius.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Place, paused
from torch_mirror.tape.edits import menu
from torch_mirror.tape.edits.case import Case, after, case_of
from torch_mirror.tape.edits.edit import Edit, evaluated
from torch_mirror.tape.edits.equation import Equation
from torch_mirror.tape.edits.menu_operations import of_operation
from torch_mirror.tape.edits.menu_updates import of_update
from torch_mirror.tape.edits.probe import classes, probe_of
from torch_mirror.tape.edits.search import EXPECTED, Fit, search, with_a_constant
from torch_mirror.tape.edits.sites import Site, sites, value_at
from torch_mirror.tape.edits.told import Cause, Explanation, Finding
from torch_mirror.tape.edits.user import Value

MOST = 4
"""Mistakes that are told, one after the other."""

Nothing: Mapping[str, Number] = {}


def explain(
    eq: Equation,
    seen: Mapping[str, Number | None],
    constants: Mapping[str, float],
    others: Mapping[str, Number] = Nothing,
    previous: Mapping[str, Number] = Nothing,
    budget: float = 2.0,
) -> Explanation:
    """The causes of what is wrong among the seen outputs.

    eq:        the right equation (gradients.py, updates.py)
    seen:      of its outputs, by name, what the user's code has; right and wrong ones
    constants: numbers that a factor may be, by what they are called
    others:    further values that may stand in for one of their shape, by what they are called
    previous:  what an output, or a leaf of an update, was a step before, by its name
    budget:    seconds
    """
    started = time.perf_counter()
    until = started + budget
    usable, facts = _usable(eq, seen)
    findings: list[Finding] = []
    tried, complete = 0, True
    with paused():
        case = case_of(eq, usable, constants, others, previous)
        while case.wrong and len(findings) < MOST:
            found = _fits(case, until)
            tried, complete = tried + found.tried, complete and found.complete
            if not found.fits:
                break
            finding, edit = _finding(case, found.fits, constants, tried, complete=found.complete)
            findings.append(finding)
            case = after(case, edit)
    seconds = time.perf_counter() - started
    return Explanation(tuple(findings), tuple(sorted(case.wrong)), facts, tried, seconds, complete)


def _usable(eq: Equation, seen: Mapping[str, Number | None]) -> tuple[dict[str, Number], tuple[str, ...]]:
    """What can be compared; and of the rest why it cannot."""
    usable: dict[str, Number] = {}
    facts = []
    for name, i in eq.outputs.items():
        x, shape = seen.get(name), eq.values[i].shape
        if x is None:
            continue
        if x.shape != shape:
            facts.append(f"{name}: of shape {x.shape}, where {shape} is right")
        elif not np.isfinite(x.value).all():
            where = Value(x, x.node.place, 0).place if x.node is not None else None
            facts.append(f"{name}: has a NaN or an infinity{'' if where is None else f' (line {where.line})'}")
        else:
            usable[name] = x
    return usable, tuple(facts)


class _Search(NamedTuple):
    fits: tuple[Fit, ...]
    tried: int
    complete: bool


def _fits(case: Case, until: float) -> _Search:
    """Single edits; where there is none, edits with a constant at the same place."""
    edits = list(candidates(case))
    found = search(case, edits, until)
    if found.fits or not found.complete:
        return _Search(*found)
    more = search(case, list(with_a_constant(edits)), until)
    return _Search(more.fits, found.tried + more.tried, more.complete)


def candidates(case: Case) -> Iterator[Edit]:
    """All edits of the menu, at every site."""
    same = menu.by_shape(case)
    for site in sites(case):
        plain = case.eq.nodes[value_at(case, site)]
        if plain.kind == "constant" and case.arrays[value_at(case, site)].ndim == 0:
            yield from menu.narrowed_number(case, site)
            continue
        yield menu.factor(case, site)
        yield from menu.replaced(case, site, same)
        for family in _FAMILIES:
            yield from family(case, site)
        if site.operand is None and case.eq.nodes[site.node].operands:
            yield from of_operation(case, site.node)
    yield from of_update(case)


_FAMILIES: Sequence[Callable[[Case, Site], Iterator[Edit]]] = (
    menu.transposed, menu.moved, menu.dead, menu.one_element, menu.narrowed, menu.added, menu.earlier, menu.summed,
)  # fmt: skip


def _finding(
    case: Case, fits: Sequence[Fit], constants: Mapping[str, float], tried: int, *, complete: bool
) -> tuple[Finding, Edit]:
    """What explains most, the cheapest of it, and what is tied with that."""
    most = max(len(fit.explains) for fit in fits)
    groups = classes(case, probe_of(case, constants), [fit for fit in fits if len(fit.explains) == most])
    cheapest = min(group[0].edit.cost for group in groups)
    tied = [group for group in groups if group[0].edit.cost == cheapest]
    alone = complete and len(groups) == 1
    causes = tuple(_cause(case, group, tried, alone=alone) for group in tied)
    return Finding(causes, _why(case, [group[0] for group in tied]) if len(tied) > 1 else ""), tied[0][0].edit


def _cause(case: Case, group: Sequence[Fit], tried: int, *, alone: bool) -> Cause:
    first = group[0]
    also = tuple(dict.fromkeys(fit.edit.words for fit in group[1:] if fit.edit.words != first.edit.words))
    return Cause(first.edit.words, _place(case, first.edit), tuple(sorted(first.explains)), tried, alone, first.worst, also[:3])


def _why(case: Case, fits: Sequence[Fit]) -> str:
    """What is equal here that makes them equal."""
    names = [fit.edit.name for fit in fits if fit.edit.name]
    if len(names) == len(fits) and len(set(names)) == len(names):
        return f"{' = '.join(names)} here; other sizes or settings tell them apart"
    return "both give the same numbers here; another point, or sizes that all differ, may tell them apart"


def _place(case: Case, edit: Edit) -> Place | None:
    """The line of the user's first value that is another one with the edit, and is not right without it."""
    new: dict[int, object] = {}
    try:
        with np.errstate(all="ignore"):
            evaluated(case.eq, case.shape, case.arrays, (edit,), sorted(case.wrong), new, case.found)
    except EXPECTED:
        return None
    for i in sorted(new):
        x = np.asarray(new[i])
        if x.size < 2:
            continue
        scale = float(np.abs(x).max(initial=0.0))
        for value in case.user:
            v = value.number.value
            if v.shape == x.shape and np.abs(v - x).max() <= 1e-9 * scale:
                return value.place
    return None
