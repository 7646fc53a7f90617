"""Whether an edit explains the steps of an optimizer that come after the one that it was found at, too.

At the first step all state is 0, and many formulas give the same: "g left out" and "the gradient of the step before".
So an edit is made in the step, and in those after it, each from what the user's code had before; of state that it
hides, from what the edited step before has left. What does not meet their parameters there is not it.
"""

import math
import re
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any, NamedTuple

import numpy as np

from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.tape.edits.case import Case, case_of, distance
from torch_mirror.tape.edits.edit import Edit, evaluated, repeated
from torch_mirror.tape.edits.equation import Node
from torch_mirror.tape.edits.explain import candidates, in_turns
from torch_mirror.tape.edits.menu import one_element
from torch_mirror.tape.edits.probe import with_constants
from torch_mirror.tape.edits.search import EXPECTED, Fit
from torch_mirror.tape.edits.sites import sites
from torch_mirror.tape.edits.updates import settings_of, update_equation

ALIKE = 16
"""Edits of the same words, or of a name that several values have, that are tried."""


class Step(NamedTuple):
    """One step as vectors: its number, its gradient and the one before, and what of the outputs the user's code has."""

    t: int
    g: Any
    previous: Number
    seen: Mapping[str, Number]


Menu = Mapping[str, Sequence[Edit]]
"""Edits by their words, in which each power of beta is the same."""


class Known(NamedTuple):
    """What is the same for all edits that are asked about, of one optimizer and its later steps. Both are added to.

    cases: a step's, where the user's code shows all state, so that nothing in it comes from the edit
    menus: by all that one is drawn up from: a menu has functions of an equation's nodes, whatever these are worth, but
           for the settings, which a schedule changes
    """

    cases: dict[int, Case]
    menus: dict[Hashable, Menu]


def lasts(
    optimizer: Any, case: Case, fit: Fit, later: Sequence[Step], known: Known, until: float = math.inf
) -> bool:
    """Whether an edit of a step, made again in each of the next ones, gives what the user's code has there.

    until: by time.process_time; an edit that there is no time for until then does not
    """
    edits = (*case.found, fit.edit)
    with np.errstate(all="ignore"):
        made = _made(case, edits)
        for step in later:
            if made is None or time.process_time() > until:
                return False
            case = _next(optimizer, case, made, step, known.cases)
            tried = (_made(case, same) for same in _again(case, edits, known.menus))
            made = next((m for m in tried if m is not None and _meets(case, m, fit.explains)), None)
        return made is not None


def _next(optimizer: Any, case: Case, made: Mapping[str, Any], step: Step, cases: dict[int, Case]) -> Case:
    """The case of the step after a case's, from what the user's code has there, and else from what the edits made."""
    hidden = {name: x for name, x in made.items() if name not in case.seen}
    if not hidden and step.t in cases:
        return cases[step.t]
    start = {**made, **{name: Ball(x) for name, x in case.seen.items()}}
    state = {name: x for name, x in start.items() if name != "p"}
    eq = update_equation(optimizer, start["p"], step.g, state, step.t)
    after = case_of(eq, step.seen, settings_of(optimizer, step.t), {}, {"g": step.previous})
    if not hidden:
        cases[step.t] = after
    return after


def _made(case: Case, edits: Sequence[Edit]) -> Mapping[str, Any] | None:
    """All outputs with the edits; None where they do not fit in."""
    try:
        return evaluated(case.eq, case.shape, case.eq.values, edits, case.eq.outputs, {})
    except EXPECTED:
        return None


def _meets(case: Case, made: Mapping[str, Any], explains: frozenset[str]) -> bool:
    return all(distance(case.seen[name], made[name]) <= 1 for name in explains)


def _again(case: Case, edits: Sequence[Edit], menus: dict[Hashable, Menu]) -> Iterator[Sequence[Edit]]:
    """The edits of the same words in another step, whose powers of beta are others."""
    menu = _menu(case, menus)
    every = [[_bound(case, edit, other) for other in menu.get(_words(edit.template or edit), ())] for edit in edits]
    yield from islice(product(*every), ALIKE)


def _menu(case: Case, menus: dict[Hashable, Menu]) -> Menu:
    everywhere = sites(case._replace(wrong=frozenset(case.seen)))
    single = (edit.words for site in everywhere for edit in one_element(case, site))  # which depends on values
    live = [(i, case.eq.nodes[i]) for i in sorted(case.shape.live)]  # without an exponent, which has become an option
    nodes = ((i, n.operation, n.operands, _options(n), n.kind, n.label) for i, n in live)
    leaves = (i for i, n in enumerate(case.eq.nodes) if n.kind == "leaf")
    settings = (float(case.arrays[i]) for i in leaves if not case.arrays[i].ndim)
    key = (tuple(nodes), tuple(everywhere), tuple(single), tuple(settings))
    if key not in menus:
        pool: dict[str, list[Edit]] = {}
        for edit in repeated(candidates(case, everywhere), in_turns(case)).together:
            pool.setdefault(_words(edit), []).append(edit)
        menus[key] = pool
    return menus[key]


def _options(node: Node) -> tuple[Any, ...]:
    """But for the exponent of a power of beta, which is another one at each step, and which no edit asks for."""
    return tuple(item for item in node.options.items() if node.operation != "power")


def _words(edit: Edit) -> str:
    return re.sub(r"\^\d+|, not [\d.e-]+$", "", edit.words)  # of a schedule


def _bound(case: Case, edit: Edit, other: Edit) -> Edit:
    """The other edit with the constant that the one has."""
    if edit.template is None:
        return other
    return with_constants(edit._replace(template=other), case.constants)
