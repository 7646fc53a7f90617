"""Whether an edit explains the steps of an optimizer that come after the one that it was found at, too.

At the first step all state is 0, and many formulas give the same: "g left out" and "the gradient of the step before".
So an edit is made in the step, and in those after it, each from what the user's code had before; of state that it
hides, from what the edited step before has left. What does not meet their parameters there is not it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any, NamedTuple

import numpy as np

from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.tape.edits.case import Case, case_of, distance
from torch_mirror.tape.edits.edit import Edit, evaluated, repeated
from torch_mirror.tape.edits.explain import candidates, in_turns
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


def lasts(optimizer: Any, case: Case, fit: Fit, later: Sequence[Step]) -> bool:
    """Whether an edit of a step, made again in each of the next ones, gives what the user's code has there."""
    edits = (*case.found, fit.edit)
    with np.errstate(all="ignore"):
        made = _made(case, edits)
        for step in later:
            if made is None:
                return False
            start = {**made, **{name: Ball(x) for name, x in case.seen.items()}}
            state = {name: x for name, x in start.items() if name != "p"}
            eq = update_equation(optimizer, start["p"], step.g, state, step.t)
            case = case_of(eq, step.seen, settings_of(optimizer, step.t), {}, {"g": step.previous})
            tried = (_made(case, same) for same in _again(case, edits))
            made = next((m for m in tried if m is not None and _meets(case, m, fit.explains)), None)
        return made is not None


def _made(case: Case, edits: Sequence[Edit]) -> Mapping[str, Any] | None:
    """All outputs with the edits; None where they do not fit in."""
    try:
        return evaluated(case.eq, case.shape, case.eq.values, edits, case.eq.outputs, {})
    except EXPECTED:
        return None


def _meets(case: Case, made: Mapping[str, Any], explains: frozenset[str]) -> bool:
    return all(distance(case.seen[name], made[name]) <= 1 for name in explains)


def _again(case: Case, edits: Sequence[Edit]) -> Iterator[Sequence[Edit]]:
    """The edits of the same words in another step, whose powers of beta are others."""
    everywhere = sites(case._replace(wrong=frozenset(case.seen)))
    pool: dict[str, list[Edit]] = {}
    for edit in repeated(candidates(case, everywhere), in_turns(case)).together:
        pool.setdefault(_words(edit), []).append(edit)
    every = [[_bound(case, edit, other) for other in pool.get(_words(edit.template or edit), [])] for edit in edits]
    yield from islice(product(*every), ALIKE)


def _words(edit: Edit) -> str:
    return re.sub(r"\^\d+|, not [\d.e-]+$", "", edit.words)  # of a schedule


def _bound(case: Case, edit: Edit, other: Edit) -> Edit:
    """The other edit with the constant that the one has."""
    if edit.template is None:
        return other
    return with_constants(edit._replace(template=other), case.constants)
