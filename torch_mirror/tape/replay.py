"""The tape is a program: what was recorded, evaluated again without the user's code.

A replay makes every value of a recording again by its rule, from operands that are made again, on a recording of its
own. What may differ is said by a Plan:

    widest    the format of leaves and constants; what Python has rounded (1 / n) carries that rounding
    given     values that others take as given: exact, with their own radius for themselves alone (segments.py)
    rooms     radii that others take a given value with, where that is not to be exact
    forward   the forward pass: what is not of it takes a given value of it with that value's own radius, and a mask of
              it as it was recorded
    outcome   of each mask that is open or at a tie: which way it goes (conventions.py)
    endless   what stands in the place of an infinite constant, with its sign (endless.py)

A Python number that is not one of float32, too, may have been computed: two operations of Python's, as in 2 * lr / n,
and what else, four roundings in all, as for the numbers of elementwise.divide. So it has a radius of gamma_4 in
float64 where the replay is wider than that.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.assignment import held
from torch_mirror.balls.format import Format, format_of
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import PENDING, Kind, Node, Recording, current, recording
from torch_mirror.balls.take import everything
from torch_mirror.tape.graph import DEEP, itself, needed

DOUBLE = format_of(np.dtype(np.float64))


NO_ROOMS: Mapping[int, Array] = {}


class Plan(NamedTuple):
    """What is to differ from the recording."""

    widest: Format | None = None
    given: frozenset[int] = frozenset()  # numbers of nodes
    forward: frozenset[int] | None = None  # likewise; None: everything is
    outcome: Callable[[Node, Mask], Mask] | None = None
    rooms: Mapping[int, Array] = NO_ROOMS
    endless: float | None = None


class Replay(NamedTuple):
    """tape: the new recording; made: by the number of the old node what is in its place."""

    tape: Recording
    made: Mapping[int, Any]

    def at(self, x: Any) -> Number:
        """What is in the place of a ball or number of the old recording."""
        number: Number = self.made[x.settled().node.number]
        return number


def replay(values: Iterable[Any], plan: Plan) -> Replay:
    """Make these values of a recording again, in their order; of all that they are made of."""
    made: dict[int, Any] = {}
    constants: dict[int, Any] = {}
    program = needed(values)
    with recording() as tape, np.errstate(all="ignore"):
        for x in program:
            new = made[x.node.number] = _made_again(x, plan, made, constants)
            if len(program) > DEEP and isinstance(new, Number):
                new.e(everything)  # in order, as in sweep.py
    return Replay(tape, made)


def _made_again(x: Any, plan: Plan, made: dict[int, Any], constants: dict[int, Any]) -> Any:
    node, tape = x.node, _tape()
    new: Any
    if node.adjoint is Kind.LEAF:
        new = _in_format(x, plan)
        tape.leaf(new, node.operation)
    else:
        operands = tuple(_as_read(node, a, _operand(a, plan, made, constants), plan) for a in node.operands)
        new = node.rule(*operands, *node.arguments, **node.named)
        if new.node is None or new.node is PENDING:  # a rule of the user's
            tape.note(new, node.operation, node.adjoint, node.rule, operands, node.arguments, node.named)
        if isinstance(new, Mask) and plan.outcome:
            new = plan.outcome(node, new)
    new.node.place = node.place
    if node.number in plan.given and isinstance(new, Number):
        own = new
        new = _given(own)
        if node.number in plan.rooms:
            new = Number(new.value, 0, new.format, held(plan.rooms[node.number]))  # with ids: it is exact no more
        tape.note(new, "given", Kind.MOVES, _given, (own,))
        new.node.place = node.place
    return new


def _as_read(reader: Node, old: Any, new: Any, plan: Plan) -> Any:
    """An operand as a node reads it: exact if it is given; but to a backward pass a forward value has been rounded."""
    if plan.forward is None or reader.number in plan.forward or old.node is None or old.node is PENDING:
        return new
    if old.node.number not in plan.forward:
        return new
    return _as_recorded(old, new) if isinstance(new, Mask) else itself(new)


def _as_recorded(old: Mask, new: Mask) -> Mask:
    """The mask with the outcomes that the user's code had."""
    if np.array_equal(old.value, new.value):
        return new
    taken = Mask(new.like, old.value)
    taken.node = new.node
    return taken


def _given(x: Number) -> Number:
    """The same values, exactly."""
    exact = x.constant(x.value)
    exact.number, exact.scalar = x.number, x.scalar
    return exact


def _operand(x: Any, plan: Plan, made: dict[int, Any], constants: dict[int, Any]) -> Any:
    if x.node is not None and x.node is not PENDING:
        return made[x.node.number]
    if isinstance(x, Mask):
        return x
    if id(x) not in constants:
        constants[id(x)] = x, _in_format(_ended(x, plan), plan)  # with x, so that its id is not used again
    return constants[id(x)][1]


def _ended(x: Number, plan: Plan) -> Number:
    if plan.endless is None or not np.isinf(x.value).any():
        return x
    return Number(np.where(np.isinf(x.value), np.copysign(plan.endless, x.value), x.value), x.radius, x.format)


def _in_format(x: Number, plan: Plan) -> Number:
    """A constant or a variable, in the format of the replay."""
    fmt = plan.widest
    if fmt is None or fmt.precision <= x.format.precision:
        return x.again() if x.exact else x.bounded(held(x.radius))
    wide = Number(np.asarray(x.value, np.promote_types(x.value.dtype, fmt.dtype)), 0, fmt)
    wide.scalar = x.scalar
    if not x.exact:
        return wide.bounded(held(x.radius))
    computed = x.ndim == 0 and fmt.precision > DOUBLE.precision and np.float32(x.value) != x.value
    if computed and x.node is None:
        return wide.bounded(held(DOUBLE.gamma(4) * np.abs(wide.value)))
    wide.number = x.number
    return wide


def _tape() -> Recording:
    tape = current()
    if tape is None:
        raise AssertionError("a replay records")
    return tape
