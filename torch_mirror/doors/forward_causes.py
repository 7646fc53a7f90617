"""In what two forwards differ: the smallest edit of the reference's own equation that gives what torch has.

The reference's forward is recorded from the values that the trace has sown before the wrong one, so that the equation
is that of one layer; every single edit of it is tried (tape/edits). As for gradients (mirror_causes.py) torch's number
is given the radius of the reference's own. Of two forwards neither is right: a cause says what torch has in the place
of what the reference has.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.tree import named
from reference.traces.trace import Trace
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import recording
from torch_mirror.doors.mirror_causes import Told, told_in_words
from torch_mirror.judge.cases import System, case_of, equation
from torch_mirror.judge.compare import allowed
from torch_mirror.judge.findings import Finding
from torch_mirror.judge.replay import as_ball, only_step
from torch_mirror.tape import causes
from torch_mirror.tape.edits.explain import explain
from torch_mirror.tape.edits.recorded import value_equation
from torch_mirror.tape.sweep import leaf

FOUR = 4.0
"""Whose root is a 2, which needs no name."""


def causes_of_forward(e: Experiment, trace: Trace, finding: Finding) -> Told:
    """What torch has in the place of the reference's value."""
    case = case_of(e, trace, finding)
    fmt = format_of(e.dtype)
    with np.errstate(all="ignore"):
        right = as_ball(equation(case, System(lambda a: Ball(a, 0, fmt), lambda c: c)), fmt)
        radius = np.broadcast_to(allowed(right), case.seen.shape)
        start = only_step(case.part)
        arrays = {name: _array(a) for name, a in (*case.held.items(), *case.constants.items(), *named(start.p).items())}

        def recorded(a: Array) -> Ball:
            return leaf(Ball(a, 0, fmt), name_among(arrays, a))

        with recording():
            value = equation(case, System(recorded, lambda c: c))
            if not isinstance(value, Ball):
                return Told(why="none is sought, as the reference's value cannot be recorded")
            others = {name: Number(_array(a), 0, fmt) for name, a in named(start.p).items()}
            theirs = Number(case.seen, radius, fmt)
            return causes_of_value("torch", finding.tensor, value, theirs, others)


def name_among(arrays: Mapping[str, Array], a: Array) -> str:
    """Of the array that it is, or is a view of the whole of; of equal ones it may be any, and all are told."""
    itself = [name for name, held in arrays.items() if _memory(held) == _memory(a)]
    equal = itself[:1] or [name for name, held in arrays.items() if np.array_equal(held, a)]
    return " or ".join(equal) or "a value"


def _memory(a: Array) -> tuple[Any, ...]:
    """Where it is."""
    return a.__array_interface__["data"][0], a.shape, a.strides, a.dtype


def _array(a: Any) -> Array:
    held: Array = a.value if isinstance(a, Ball) else a
    return held


def causes_of_value(
    whose: str, name: str, right: Ball, theirs: Number, others: Mapping[str, Number]
) -> Told:
    """What another program, whose value theirs is, has in the place of a recorded one.

    others: by name, values that it may have in it as well, such as a bias
    """
    eq = value_equation({name: right.settled()})
    used = {node.label for node in eq.nodes}
    sizes: dict[str, float] = {}
    for node, x in zip(eq.nodes, eq.values, strict=True):
        if node.kind == "leaf" and node.label:
            lengths = {f"{node.label}.shape[{k}]": float(n) for k, n in enumerate(x.shape) if n > 1}
            roots = {f"sqrt({what})": n**0.5 for what, n in lengths.items() if n != FOUR}
            sizes |= lengths | roots
    told = explain(
        eq, {name: theirs}, sizes, {n: x for n, x in others.items() if n not in used}, budget=causes.BUDGET
    )
    found = told_in_words(told, {name: theirs.value.size}, sizes)
    return found._replace(causes=tuple(f"{whose} has {cause}" for cause in found.causes))
