"""What is left from one call to the next: a gradient that is added to and never set to 0, or that of the call before.

Code that gives other gradients at a second call is called four times on balls, at p, p', p and p' again, with nothing
put back in between. G are the gradients that are returned, D the derivatives of the losses of the same calls:

    added to    G4 - G3 meets G2 - G1: each call adds to what is there what it added before at the same parameters
    stale       G2 meets D1, G3 meets D2 and G4 meets D3: each is the derivative of the call before

These are equations that other code does not fulfil, provided that radii tell anything: G2 must not meet D2, and what is
added to must not meet, at the third call, what it was at the first. Where neither holds, or the losses differ, the
code draws anew, or does something else; that is no gradient to be judged, and an error.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from reference.claim.tree import named
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Recording, recording
from torch_mirror.doors.check.claimed import Claim, copies, data_as, gradient_name, gradients_of
from torch_mirror.doors.check.runs import MOVED, as_number
from torch_mirror.doors.check.standin import stand_in
from torch_mirror.doors.check.untouched import replace_floats, untouched
from torch_mirror.doors.check.world import World
from torch_mirror.tape import compared
from torch_mirror.tape.graph import needed
from torch_mirror.tape.sweep import derivative, leaf
from torch_mirror.tape.told import Fault, Line, Row


class Call(NamedTuple):
    """One of the four. end: how much had been recorded after it."""

    loss: Number
    gradients: dict[str, Number]
    derivatives: dict[str, Number]
    end: int


class Left(NamedTuple):
    """rows: of each gradient, in the order of the parameters; of what is left over that of the second call."""

    rows: tuple[Row, ...]
    faults: tuple[Fault, ...]


def left_over(claim: Claim, world: World, dtype: Any) -> Left | None:
    """What is told of gradients that depend on the call before; None if it is not known how they do."""
    try:
        tape, calls = _four_calls(claim, world, dtype)
    except Exception:  # noqa: BLE001 - whatever it is, it is told that the calls differ
        return None
    if not all(_same(calls[i].loss, calls[i + 2].loss) for i in (0, 1)):
        return None
    one = calls[0].gradients
    changed = [name for name in one if any(not _same(one[name], call.gradients[name]) for call in calls[2::2])]
    added = tuple(name for name in changed if _is_added_to(calls, name))
    stale = tuple(name for name in changed if name not in added and _is_stale(calls, name))
    if not changed or len(added) + len(stale) < len(changed):
        return None
    rows = tuple(_row(calls[1 if name in changed else 0], name, claim.root, late=name in changed) for name in one)
    if any(row.word != "WRONG" for name, row in zip(one, rows, strict=True) if name in changed):
        return None
    faults = [_added(tape, calls, added, claim.root)] if added else []
    faults += [_stale(tape, calls, stale, claim.root)] if stale else []
    return Left(rows, tuple(faults))


def _four_calls(claim: Claim, world: World, dtype: Any) -> tuple[Recording, list[Call]]:
    def ball(a: Any) -> Ball:
        return Ball(np.array(a, dtype))

    def variable(a: Any, moved: float) -> Ball:
        return leaf(ball(a + a.dtype.type(moved)))

    given = copies(claim.parameters), [data_as(d, np.copy) for d in claim.data]  # before the user's own are replaced
    with untouched(world), np.errstate(all="ignore"), recording() as tape:
        replace_floats(world, ball)
        stand_in(world.namespaces, ball, dtype)
        calls = []
        for moved in (0.0, MOVED, 0.0, MOVED):
            p = copies(given[0], functools.partial(variable, moved=moved))
            leaves = {name: x.settled() for name, x in named(p).items()}
            loss, gradients = claim.run(p, *(data_as(d, ball) for d in given[1]))
            found = gradients_of(gradients, claim.names)
            own = {name: as_number(g, dtype) for name, g in found.items() if g is not None}
            calls.append((as_number(loss, dtype), own, leaves, len(tape.values)))
    return tape, [_derived(*call) for call in calls]


def _derived(loss: Number, gradients: dict[str, Number], leaves: dict[str, Number], end: int) -> Call:
    d = derivative(Ball(loss))
    return Call(loss, gradients, {name: d.by(Ball(leaves[name])).settled() for name in gradients}, end)


def _same(one: Number, other: Number) -> bool:
    return one.shape == other.shape and bool((one.value == other.value).all())


def _is_added_to(calls: list[Call], name: str) -> bool:
    first, second, third, fourth = (Ball(call.gradients[name]) for call in calls)
    if len({x.shape for x in (first, second, third, fourth)}) > 1:
        return False
    apart = not compared.meets(third.settled(), first.settled())
    return apart and compared.meets((fourth - third).settled(), (second - first).settled())


def _is_stale(calls: list[Call], name: str) -> bool:
    pairs = zip(calls[1:], calls, strict=False)
    return all(compared.meets(now.gradients[name], before.derivatives[name]) for now, before in pairs)


def _row(call: Call, name: str, root: str, *, late: bool) -> Row:
    row = compared.row(gradient_name(name, root), call.gradients[name], call.derivatives[name])
    return row._replace(pattern=f"from the second call on: {row.pattern}") if late and row.pattern else row


def _added(tape: Recording, calls: list[Call], names: tuple[str, ...], root: str) -> Fault:
    count = sum(calls[0].gradients[name].size for name in names)
    lines = [line for name in names for line in _reading(tape, calls, name)]
    proof = f"called four times, each call adds to all {count:,} elements, within their radius, what it added before"
    cause = f"a gradient that is added to at every call, and never set to 0 (proof: {proof})"
    return Fault(_spelled(names, root), wrong=tuple(dict.fromkeys(lines)), causes=(cause,))


def _stale(tape: Recording, calls: list[Call], names: tuple[str, ...], root: str) -> Fault:
    count = sum(calls[0].gradients[name].size for name in names)
    nodes = [calls[1].gradients[name].node for name in names]
    lines = [line for node in nodes if node is not None for line in _line(tape.values[node.number])]
    proof = f"called four times, all {count:,} elements are within their radius the derivative of the call before"
    cause = f"the gradient of the call before is returned (proof: {proof})"
    return Fault(_spelled(names, root), wrong=tuple(dict.fromkeys(lines)), causes=(cause,))


def _spelled(names: tuple[str, ...], root: str) -> tuple[str, ...]:
    return tuple(gradient_name(name, root) for name in names)


def _reading(tape: Recording, calls: list[Call], name: str) -> list[Line]:
    """The lines of the second call that made its gradient of what the first one had left."""
    before, now = calls[0].end, calls[1].end
    old = {x.node.number for x in needed([calls[0].gradients[name]]) if x.node.number < before}
    readers = [x for x in needed([calls[1].gradients[name]]) if before <= x.node.number < now]
    read = [x for x in readers if any(a.node is not None and a.node.number in old for a in x.node.operands)]
    return [line for x in read for line in _line(tape.values[x.node.number])]


def _line(x: Any) -> list[Line]:
    place = x.node.place
    return [] if place is None else [Line(place.file, place.line, place.source)]
