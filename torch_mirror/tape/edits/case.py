"""What is to be explained: the right equation, and beside it what somebody's code has computed.

Two numbers with radii may be the same if their balls meet, |a - b| <= r_a + r_b: what each encloses is an exact result.
The sum of the radii is widened by what its own evaluation may have rounded away (DEEPEST roundings, as in the judge).
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.tape.edits.constants import Constant, table
from torch_mirror.tape.edits.edit import Edit, centres, evaluated
from torch_mirror.tape.edits.equation import Equation, Node, Shape, shape_of
from torch_mirror.tape.edits.literals import Literal, literals
from torch_mirror.tape.edits.turns import names_by_role, roles, turns
from torch_mirror.tape.edits.user import Value, behind
from torch_mirror.tape.edits.words import has_name

DEEPEST = 1024


class Case(NamedTuple):
    """A right equation and wrong values.

    names:    what each node is called; nameless: the nodes that nobody has given a name, but for their formula
    role:     the same for the nodes of one line of a loop; turn: in which turn of a loop each node was made
    balls, arrays: the value of each node, with the edits that have been found already
    seen:     what the user's code has for the outputs; wrong: the names of those that are outside
    room:     by output, up to which error an edit is worth a proof
    user:     the values that the wrong outputs are made of, in the user's code
    others:   further values that may stand in for one of their shape, as nodes that nothing is made of
    previous: by the name of an output or a leaf, the node of what it was a step before
    literals: numbers that stand in the user's forward pass
    forward:  by shape, the nodes of the forward pass
    """

    eq: Equation
    shape: Shape
    names: tuple[str, ...]
    nameless: frozenset[int]
    role: tuple[Hashable, ...]
    turn: tuple[int, ...]
    balls: Sequence[Any]
    arrays: Sequence[Any]
    seen: Mapping[str, Number]
    wrong: frozenset[str]
    room: Mapping[str, float]
    constants: Mapping[str, Constant]
    user: tuple[Value, ...]
    others: Mapping[str, int]
    previous: Mapping[str, int]
    literals: Mapping[str, Literal]
    forward: Mapping[tuple[int, ...], tuple[int, ...]]
    found: tuple[Edit, ...] = ()


def case_of(
    eq: Equation,
    seen: Mapping[str, Number],
    constants: Mapping[str, float],
    others: Mapping[str, Number],
    previous: Mapping[str, Number],
) -> Case:
    """The case before anything is found. seen: of outputs, of their shapes, without a NaN."""
    eq, spare = _beside(eq, {**others, **{f"{name} of the step before": x for name, x in previous.items()}})
    shape = shape_of(eq)
    balls, every = list(eq.values), range(len(eq.nodes))
    wrong = _wrong(eq, balls, seen)
    user = behind([seen[name] for name in eq.outputs if name in wrong], _sources(eq))
    of, written = roles(eq), literals(eq)
    known = table(constants, {name: literal.value for name, literal in written.items()})
    return Case(
        eq, shape, names_by_role(eq, of), frozenset(i for i in every if not has_name(eq, i)),
        of, turns(eq, of), balls, centres(balls), seen, wrong, _room(eq, balls, seen), known, user,
        {name: spare[name] for name in others}, {name: spare[f"{name} of the step before"] for name in previous},
        written, _forward(eq),
    )  # fmt: skip


def _forward(eq: Equation) -> dict[tuple[int, ...], tuple[int, ...]]:
    found: dict[tuple[int, ...], list[int]] = {}
    for i, node in enumerate(eq.nodes):
        if node.kind == "forward" and eq.values[i].dtype != bool:
            found.setdefault(eq.values[i].shape, []).append(i)
    return {shape: tuple(several) for shape, several in found.items()}


def _beside(eq: Equation, values: Mapping[str, Number]) -> tuple[Equation, dict[str, int]]:
    """The equation with further values as constants behind its own nodes, and their numbers."""
    nodes = (*eq.nodes, *(Node("constant", (), {}, "constant", name) for name in values))
    numbers = {name: len(eq.nodes) + i for i, name in enumerate(values)}
    return Equation(nodes, (*eq.values, *(Ball(x) for x in values.values())), eq.outputs), numbers


def after(case: Case, edit: Edit) -> Case:
    """The case in which the edit is made: what is still wrong is wrong for another reason."""
    balls = list(case.balls)
    new: dict[int, Any] = {}
    with np.errstate(all="ignore"):
        evaluated(case.eq, case.shape, case.balls, (edit,), case.eq.outputs, new, case.found)
    for i, x in new.items():
        balls[i] = x
    wrong = _wrong(case.eq, balls, case.seen)
    user = behind([case.seen[name] for name in case.eq.outputs if name in wrong], _sources(case.eq))
    return case._replace(
        balls=balls, arrays=centres(balls), wrong=wrong, room=_room(case.eq, balls, case.seen), user=user,
        found=(*case.found, edit),
    )  # fmt: skip


def distance(a: Number, b: Any) -> float:
    """The largest |a - b| / (r_a + r_b), infinite for other shapes or where there is no number: up to 1 they meet."""
    if a.shape != b.shape:
        return np.inf
    allowed = (a.radius + np.asarray(b.radius)) * (1 + DEEPEST * a.format.u)
    with np.errstate(all="ignore"):
        error = np.abs(a.value - b.value)
        ratio = np.where(error == 0, 0.0, error / allowed)
    if not np.isfinite(b.value).all() or not np.isfinite(allowed).all():
        return np.inf
    return float(np.max(ratio, initial=0.0))


def meets(a: Number, b: Any) -> bool:
    """Whether every element of the one may be that of the other."""
    return distance(a, b) <= 1


def _wrong(eq: Equation, balls: Sequence[Any], seen: Mapping[str, Number]) -> frozenset[str]:
    return frozenset(name for name, i in eq.outputs.items() if name in seen and _refuted(seen[name], balls[i]))


def _refuted(a: Number, b: Any) -> bool:
    """Whether some element of the one cannot be that of the other. A radius without end refutes nothing."""
    with np.errstate(all="ignore"):
        error, allowed = np.abs(a.value - b.value), a.radius + np.asarray(b.radius)
        return bool((error > allowed * (1 + DEEPEST * a.format.u)).any())


def _room(eq: Equation, balls: Sequence[Any], seen: Mapping[str, Number]) -> dict[str, float]:
    """1e-8 of the largest element, where it is not the radii or float32 that leave more.

    Only balls decide; this saves time.
    """
    return {
        name: max(1e-8, 64 * seen[name].format.u) * _largest(seen[name].value)
        + 1e-12 * _largest(balls[i].value) + 8 * _largest(balls[i].radius)
        + 8 * _largest(seen[name].radius)
        for name, i in eq.outputs.items() if name in seen
    }  # fmt: skip


def _largest(a: Array) -> float:
    finite = np.abs(a)[np.isfinite(a)]
    return float(finite.max(initial=0.0))


def _sources(eq: Equation) -> frozenset[int]:
    """The places in the recording of what the equation starts from: leaves, and the forward pass."""
    return frozenset(n.source for n in eq.nodes if n.source is not None and n.kind in ("forward", "leaf"))
