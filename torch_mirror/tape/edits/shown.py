"""The line that shows a cause: the user's first value that is what the edit makes of the equation.

People keep gradients N times too large and divide at the end, so that a value is looked for up to one factor, unless a
factor is what the edit is about. All this is for the eye: it says where to look, and proves nothing.
"""

from collections.abc import Sequence

import numpy as np

from reference.arrays import Array
from torch_mirror.tape.edits.case import Case, meets
from torch_mirror.tape.edits.edit import Edit, evaluated
from torch_mirror.tape.edits.search import EXPECTED, Fit
from torch_mirror.tape.edits.user import Value

ALIKE = 1e-9
"""Relative to the largest element."""

_LAST = 2**62
"""Behind every value of the user's."""


def first_shown(case: Case, group: Sequence[Fit]) -> tuple[Fit, Value | None]:
    """Of the cheapest edits of a class the one that the user's own values show first; of equal ones the last."""
    cheapest = [fit for fit in group if fit.edit.cost == group[0].edit.cost]
    shown = [(fit, shown_by(case, fit.edit)) for fit in cheapest]
    return min(shown, key=lambda pair: (_LAST if pair[1] is None else pair[1].order, -pair[0].edit.node))


def shown_by(case: Case, edit: Edit) -> Value | None:
    """The user's value that shows an edit; None if nothing of theirs is recorded that does.

    One that is right for something else does not: where a mask is missing, d(a1) stands in the place of d(z1).
    """
    new: dict[int, object] = {}
    outputs = {case.eq.outputs[name] for name in case.wrong}
    scaled = edit.template is None
    try:
        with np.errstate(all="ignore"):
            evaluated(case.eq, case.shape, case.arrays, (edit,), sorted(case.wrong), new, case.found)
    except EXPECTED:
        return None
    for i in sorted(new):
        x = np.asarray(new[i])
        value = next((v for v in case.user if _alike(v.number.value, x, scaled=scaled)), None)
        if value is not None and (i in outputs or not _is_right(case, value, scaled=scaled)):
            return value
    return None


def _is_right(case: Case, value: Value, *, scaled: bool) -> bool:
    """Whether it is what some other node should be."""
    v, nodes = value.number, case.eq.nodes
    others = (i for i in case.shape.live if nodes[i].kind == "adjoint" and case.arrays[i].shape == v.shape)
    return any(_alike(v.value, case.arrays[i], scaled=True) if scaled else meets(v, case.balls[i]) for i in others)


def factor_between(a: Array, b: Array) -> float | None:
    """The c with a = c b, about, in every element; None if there is none, or fewer than three elements."""
    if a.shape != b.shape or a.size < 3 or a.dtype == bool:
        return None
    at = int(np.abs(b).argmax())
    largest = float(b.flat[at])
    c = float(a.flat[at]) / largest if largest else 0.0
    return c if c and bool((np.abs(a - c * b) <= ALIKE * abs(c * largest)).all()) else None


def _alike(a: Array, b: Array, *, scaled: bool) -> bool:
    """Whether they are about equal; scaled: up to one factor, of three elements or more."""
    if a.shape != b.shape or a.size < 2 or a.dtype == bool:
        return False
    if scaled and a.size > 2:
        return factor_between(a, b) is not None
    return bool((np.abs(a - b) <= ALIKE * np.abs(b).max()).all())
