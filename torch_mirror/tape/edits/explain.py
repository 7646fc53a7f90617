"""Which single edit of the right equation gives what somebody's code has computed.

    eq = gradient_equation(loss, leaves)
    print(explain(eq, seen={"W1": g1, "b1": g2}, constants={"N, the batch": 6.0}))

    line 43: mask (z2 > 0) left out of d(z2); explains W1, b1; 603 edits tried, this alone fits

The edit that explains most wrong outputs is named, of these the cheapest, of these the last in the pass, as it touches
least. What agrees with it at another point is the same cause in other words (probe.py). What does not, and costs as
little, is a tie, and told as one. Then the edit is made, and what is still wrong is explained in the same way.
Nothing is named that does not bring every element within its radius.
"""

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import paused
from torch_mirror.tape.edits import menu
from torch_mirror.tape.edits.case import Case, after, case_of
from torch_mirror.tape.edits.constants import Constant
from torch_mirror.tape.edits.edit import Edit, repeated
from torch_mirror.tape.edits.equation import Equation
from torch_mirror.tape.edits.menu_forward import of_forward
from torch_mirror.tape.edits.menu_operations import of_operation
from torch_mirror.tape.edits.menu_products import of_products
from torch_mirror.tape.edits.menu_slices import of_slices
from torch_mirror.tape.edits.menu_updates import of_update
from torch_mirror.tape.edits.probe import classes, holds, probe_of, with_constants
from torch_mirror.tape.edits.search import Fit, Found, search, with_a_constant
from torch_mirror.tape.edits.shown import first_shown
from torch_mirror.tape.edits.sites import Site, sites, value_at
from torch_mirror.tape.edits.told import Cause, Explanation, Finding
from torch_mirror.tape.edits.turns import in_words
from torch_mirror.tape.edits.user import Value

MOST = 4
"""Mistakes that are told, one after the other."""

LISTED = 6
"""Less simple causes that are listed beside the simplest."""

Nothing: Mapping[str, Number] = {}
NONE: Mapping[str, Constant] = {}


class Point(NamedTuple):
    """Another point: as the arguments of explain."""

    eq: Equation
    seen: Mapping[str, Number | None]
    constants: Mapping[str, float]
    others: Mapping[str, Number] = Nothing
    previous: Mapping[str, Number] = Nothing


def explain(
    eq: Equation,
    seen: Mapping[str, Number | None],
    constants: Mapping[str, float],
    others: Mapping[str, Number] = Nothing,
    previous: Mapping[str, Number] = Nothing,
    budget: float = 2.0,
    elsewhere: Point | None = None,
    lasts: Callable[[Case, Fit], bool] | None = None,
    endures: Callable[[Case, Fit, float], bool] | None = None,
) -> Explanation:
    """The causes of what is wrong among the seen outputs.

    eq:        the right equation (gradients.py, updates.py)
    seen:      of its outputs, by name, what the user's code has; right and wrong ones
    constants: numbers that a factor may be, by what they are called
    others:    further values that may stand in for one of their shape, by what they are called
    previous:  what an output, or a leaf of an update, was a step before, by its name
    budget:    seconds of the processor
    elsewhere: the same code at another point, best of sizes that all differ, which tells apart what is tied here
    lasts:     what else has to be true of an edit, in a case with those that have been found before
    endures:   the same, of one edit of each formula that is left, as it takes long: with a time at which to stop
    """
    started = time.process_time()
    until = started + budget
    given, facts = usable(eq, seen)
    findings: list[Finding] = []
    tried, complete = 0, True
    with paused():
        case = case_of(eq, given, constants, others, previous)
        point = None if elsewhere is None else _case_at(elsewhere, eq)
        while case.wrong and len(findings) < MOST:
            found = fits_of(case, until, lasts)
            tried, complete = tried + found.tried, complete and found.complete
            if not found.fits:
                break
            groups = ranked(case, found.fits, constants, point)
            if endures is not None:
                groups, whole = _enduring(case, groups, endures)
                found = found._replace(complete=found.complete and whole)
                complete = complete and whole
            if not groups:
                break
            findings.append(_finding(case, groups, tried, complete=found.complete))
            edit = _made_first(case, groups, until)
            case = after(case, edit)
            point = None if point is None else after(point, with_constants(edit, point.constants))
    seconds = time.process_time() - started
    left, known = tuple(sorted(case.wrong)), case.constants if findings else NONE
    return Explanation(tuple(findings), left, facts, tried, seconds, complete, known)


NOT_FINITE = "has a NaN or an infinity"
"""What is said of a tensor with which nothing can be compared."""


def usable(eq: Equation, seen: Mapping[str, Number | None]) -> tuple[dict[str, Number], tuple[str, ...]]:
    """What can be compared; and of the rest why it cannot."""
    found: dict[str, Number] = {}
    facts = []
    for name, i in eq.outputs.items():
        x, shape = seen.get(name), eq.values[i].shape
        if x is None:
            continue
        if x.shape != shape:
            facts.append(f"{name}: of shape {x.shape}, where {shape} is right")
        elif not np.isfinite(x.value).all():
            where = Value(x, x.node.place, 0).place if x.node is not None else None
            facts.append(f"{name}: {NOT_FINITE}{'' if where is None else f' (line {where.line})'}")
        else:
            found[name] = x
    return found, tuple(facts)


def _case_at(point: Point, eq: Equation) -> Case | None:
    """None where the code takes another way there, so that the equations have other nodes."""
    same = [n.operation for n in point.eq.nodes] == [n.operation for n in eq.nodes]
    given = usable(point.eq, point.seen)[0]
    return case_of(point.eq, given, point.constants, point.others, point.previous) if same else None


def fits_of(case: Case, until: float, lasts: Callable[[Case, Fit], bool] | None = None) -> Found:
    """Single edits that explain all; or else some; or else edits with a constant at the same place.

    What may be done in each turn of a loop comes before what may be done in one of them.
    """
    everywhere = sites(case)
    reaching = [site for site in everywhere if all((site.node, name) in case.shape.way for name in case.wrong)]
    tried = 0
    phases = ((reaching, True), (everywhere, False))
    for where, whole in phases[: 1 if len(case.wrong) == 1 else 2]:  # of one output some is all
        turns = repeated(candidates(case, where), in_turns(case))
        for edits in turns:
            found = _lasting(case, search(case, edits, until, whole=whole), until, lasts)
            tried += found.tried
            if found.fits or not found.complete:
                return found._replace(tried=tried)
    more = search(case, list(with_a_constant([*turns.together, *turns.each])), until, whole=False)
    return _lasting(case, more._replace(tried=tried + more.tried), until, lasts)


def _lasting(case: Case, found: Found, until: float, lasts: Callable[[Case, Fit], bool] | None) -> Found:
    """Without the fits that do not last; those that there is no time for are left out as well."""
    if lasts is None:
        return found
    kept: list[Fit] = []
    for fit in found.fits:
        if time.process_time() > until:
            return found._replace(fits=tuple(kept), complete=False)
        kept += [fit] if lasts(case, fit) else []
    return found._replace(fits=tuple(kept))


ENDURING = 3.0
"""Seconds of the processor for what takes long of an edit."""


def _enduring(
    case: Case, groups: Sequence[list[Fit]], endures: Callable[[Case, Fit, float], bool]
) -> tuple[list[list[Fit]], bool]:
    """The classes whose first edit endures; and whether there was time to ask, as what was not asked of is out."""
    until, kept = time.process_time() + ENDURING, list[list[Fit]]()
    for group in groups:
        if endures(case, group[0], until):
            kept.append(group)
        elif time.process_time() > until:
            return kept, False
    return kept, True


def in_turns(case: Case) -> Callable[[Sequence[int]], str]:
    """Says in which turns of a loop some nodes are."""
    return in_words(case.role, case.turn, case.names, case.shape.live)


def candidates(case: Case, where: Sequence[Site]) -> Iterator[Edit]:
    """All edits of the menu, at these sites."""
    same = menu.by_shape(case)
    for site in where:
        role, names = case.role[site.node], (case.names[value_at(case, site)], case.names[site.node])
        for edit in _at_site(case, site, same):
            words = functools.reduce(lambda said, name: said.replace(name, ""), names, edit.words)
            yield edit if edit.kind else edit._replace(kind=(role, site.operand, words))
    yield from of_update(case)
    yield from of_products(case)
    yield from of_slices(case)
    for edit in of_forward(case):
        yield edit._replace(kind=(case.role[edit.node], edit.words.replace(case.names[edit.node], "")))


def _at_site(case: Case, site: Site, same: Mapping[tuple[int, ...], list[int]]) -> Iterator[Edit]:
    me = value_at(case, site)
    if case.eq.nodes[me].kind == "constant" and case.arrays[me].ndim == 0:
        yield from menu.narrowed_number(case, site)
        return
    yield menu.factor(case, site)
    yield from menu.replaced(case, site, same)
    for family in _FAMILIES:
        yield from family(case, site)
    if site.operand is None and case.eq.nodes[site.node].operands:
        yield from of_operation(case, site.node)


_FAMILIES: Sequence[Callable[[Case, Site], Iterator[Edit]]] = (
    menu.transposed, menu.signs, menu.moved, menu.permuted, menu.dead, menu.one_element, menu.narrowed, menu.added,
    menu.earlier, menu.summed,
)  # fmt: skip


def ranked(
    case: Case, fits: Sequence[Fit], constants: Mapping[str, float], point: Case | None = None
) -> list[list[Fit]]:
    """What explains most wrong outputs, in classes of the same formula, the cheapest first.

    Only what explains the same ones as the cheapest does is an alternative to it; the others are another mistake.

    point: where the code was run once more; what does not hold there is dropped, unless nothing does.
    """
    most = max(len(fit.explains) for fit in fits)
    best = [fit for fit in fits if len(fit.explains) == most]
    if point is not None:
        best = [fit for fit in best if holds(fit.edit, fit.explains, point) is not False] or best
    first = min(best, key=lambda fit: (fit.edit.cost, -fit.edit.node))
    return classes(case, probe_of(case, constants), [fit for fit in best if fit.explains == first.explains])


def tied(groups: Sequence[Sequence[Fit]]) -> list[Sequence[Fit]]:
    """The classes that cost as little as the first."""
    return [group for group in groups if group[0].edit.cost == groups[0][0].edit.cost]


def _made_first(case: Case, groups: Sequence[Sequence[Fit]], until: float) -> Edit:
    """The edit that is made before the rest is explained: of a tie the one that leaves the most explainable."""
    first, *others = (first_shown(case, group)[0].edit for group in tied(groups))
    if not others or not after(case, first).wrong:
        return first
    found = {edit: fits_of(after(case, edit), until).fits for edit in (first, *others[:2])}
    return max(found, key=lambda edit: max((len(fit.explains) for fit in found[edit]), default=0))


def _finding(case: Case, groups: Sequence[Sequence[Fit]], tried: int, *, complete: bool) -> Finding:
    alone = complete and len(groups) == 1
    first = tied(groups)
    rest = sorted(groups[len(first) :], key=lambda group: group[0].edit.cost)
    less = tuple(dict.fromkeys(first_shown(case, group)[0].edit.words for group in rest))
    causes = tuple(_cause(case, group, tried, alone=alone)._replace(less=less[:LISTED]) for group in first)
    return Finding(causes, _why([group[0] for group in first]) if len(first) > 1 else "")


def _cause(case: Case, group: Sequence[Fit], tried: int, *, alone: bool) -> Cause:
    fit, line = first_shown(case, group)
    also = tuple(dict.fromkeys(other.edit.words for other in group if other.edit.words != fit.edit.words))
    place = None if line is None else line.place
    words, twin = fit.edit.words, fit.edit.words.replace("rounded to float16", "rounded to TF32")
    if words != twin and twin in also:  # of 11 bits both
        words, also = twin.replace("rounded to TF32", "rounded to float16 or TF32"), tuple(w for w in also if w != twin)
    nodes = tuple(sorted({one.edit.node for one in group if one.edit.cost == group[0].edit.cost}))
    return Cause(words, place, tuple(sorted(fit.explains)), tried, alone, fit.worst, also[:3], nodes=nodes)


def _why(fits: Sequence[Fit]) -> str:
    """What is equal here that makes them equal."""
    names = [fit.edit.name for fit in fits if fit.edit.name]
    if len(names) == len(fits) and len(set(names)) == len(names):
        return f"{' = '.join(names)} here; other sizes or settings tell them apart"
    which = "both" if len(fits) == 2 else "all"
    return f"{which} give the same numbers here; another point, or sizes that all differ, may tell them apart"
