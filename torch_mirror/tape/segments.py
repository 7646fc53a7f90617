"""Segments: a backward pass of any depth, judged piece by piece; the user's intermediate gradients are the cuts.

From end to end radii grow with depth, exponentially. But where the user's backward holds the derivative by a value of
the forward pass (matching.py says where), the passage may start anew: that value, as it is stored, is taken as given.
So

    forward     given are the results of products, and the values whose derivative is held. What they feed takes them as
                they are stored; an adjoint that needs one of them takes it with the radius of its own segment
    derivative  from the stored value of a match, divided by the factor, to the next matches and to the parameters
    backward    the user's own values from their own stored gradients, so that theirs have the radius of a segment, too.
                A forward value is read with the radius of its own segment, as an adjoint reads it: where h is rounded
                to 1, their 1 - h is 0 and the exact one is 1e-28, which only the radius of h explains

A match is a cut only if the derivative of its segment and the user's value agree within the two radii, and these tell
anything (WIDE). Of elements of which they do not (compared.py), the derivative goes on with its radius: a value that
may be anything there is not taken for right. So each cut is itself a verdict: given the values behind it, the user's
value is the derivative, up to the rounding of a segment. What is then compared at the parameters is no more than the
last segment of each. A segment that does not agree is listed, with the place, and no cut is made there.

What this proves: each piece of the backward pass is the derivative of its piece of the forward pass at the numbers
that it started from. That the pieces together are near the derivative at the parameters follows for the formula (each
piece is right for all numbers or for none, but for a coincidence at these), and not for the accumulated rounding,
which is another question.

Where a convention turns comparisons of the forward pass round (conventions.py), the pieces have them turned, and the
user's own values read them as they were. A value of the user's that they have come into all the same is no cut.

A piece that disagrees may do so because of what it starts from. Stored values were rounded, and some formulas hold of
exact ones alone: the gradient of a softmax sums to 0, of the stored numbers to 1e-17, which is much beside an element
of 1e-100. ``loosened`` has each piece once more, from values with the radii of the pieces before: what is outside then,
too, is wrong for every value within these.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Kind, Node, Recording
from torch_mirror.tape import compared
from torch_mirror.tape.conventions import outcome_of, read_behind, turns_of
from torch_mirror.tape.graph import itself, made_of, needed
from torch_mirror.tape.matching import Match, matches
from torch_mirror.tape.replay import Plan, Replay, replay
from torch_mirror.tape.sweep import Derivatives, Sides, seeded

PRODUCTS = ("matmul", "einsum")

WIDE = 2.0**-7
"""The largest share of a value's largest element that the radii of a cut may be."""


class Cut(NamedTuple):
    """A value of the forward pass whose derivative the user's backward holds."""

    forward: Node
    backward: Node
    factor: float   # the user's value divided by the derivative
    ratio: float    # |user's - derivative| by the two radii, the largest of all elements: above 1, they do not agree
    width: float    # the two radii by the largest element of the value
    room: Array     # the two radii

    @property
    def right(self) -> bool:
        return self.ratio <= 1 and self.width <= WIDE


class Segments(NamedTuple):
    """derivatives: by the old numbers, each from the cuts behind it; cuts: where, in the order of the backward pass."""

    derivatives: Derivatives
    cuts: tuple[Cut, ...]
    again: Replay
    plan: Plan
    proposed: Mapping[int, Match]
    sides: Sides  # by the numbers of the replay
    turned: bool  # whether comparisons of the forward pass are turned round
    read: bool    # and the user's backward reads them as they were

    def keeps(self, x: Any) -> bool:
        """Whether a value of the user's backward is the recorded one: no comparison that is turned has changed it."""
        number = x.settled()
        return number.node is None or not self.turned or _kept(self.again, number)

    def own(self, x: Any) -> Ball:
        """A value of the user's backward with the radius of its segment; a ball that is constant as it is."""
        number = x.settled()
        return Ball(number if number.node is None else _itself(self.again.made[number.node.number]))


def segments(
    tape: Recording, loss: Any, side: Sides = "first", pairs: Iterable[tuple[Any, Any]] = ()
) -> Segments:
    """Of a recording that holds the loss, a ball of one element, and the user's backward pass behind or before it.

    pairs: values of the forward pass, each with what is said to be the derivative by it, as ``sow`` names them. These
    are proposed whatever their numbers are, so that a wrong one is listed among the cuts.
    """
    root = loss.settled()
    turns = turns_of(root, side)
    forward = made_of(root)
    numbers = {x.node.number for x in forward if x.node is not None}
    made = needed([root])
    local = replay(tape.values, Plan(given=frozenset(range(len(tape.values))), outcome=outcome_of(turns)))
    rough = seeded(local.at(root), _of_choices(local, side))
    own = [x for x in tape.values if isinstance(x, Number) and _computes(x.node)]
    own = [x for x in own if x.node is not None and x.node.number not in numbers]
    inner = [x.node.number for x in forward if x.node is not None and x.node.adjoint is not Kind.LEAF]
    proposed = matches(
        {n: d for n in inner if (d := rough.numbers.get(local.made[n].node.number)) is not None}, own
    )
    for value, derivative in pairs:
        if (number := value.settled().node.number) in numbers and derivative.settled().node is not None:
            proposed[number] = Match(derivative.settled().node.number, 1.0)
    products = _products(forward, own)
    given = frozenset(proposed) | {m.value for m in proposed.values()} | products
    plan = Plan(given=given, forward=frozenset(x.node.number for x in made), outcome=outcome_of(turns))
    read = read_behind(tape.values, root, turns)
    return _cut(tape, plan, root, proposed, side)._replace(read=read)


def loosened(tape: Recording, found: Segments) -> Segments:
    """The same pieces, each from values with the radii that were found for these, and not from exact ones."""
    made, cuts = found.again.made, {cut.backward.number: cut.room for cut in found.cuts if cut.right}
    rooms = {n: np.asarray(_itself(x).radius) for n in found.plan.given if isinstance(x := made.get(n), Number)}
    plan = found.plan._replace(rooms=rooms | cuts)
    return _cut(tape, plan, found.derivatives.loss, found.proposed, found.derivatives.side)._replace(read=found.read)


def _computes(node: Any) -> bool:
    """Whether a value is more than moved elements of another."""
    return node.adjoint is not Kind.MOVES and node.adjoint is not Kind.LEAF


def _products(forward: list[Number], own: list[Number]) -> frozenset[int]:
    """The products of the forward pass, and those of the backward pass that are the same again."""
    first = [x for x in forward if x.node is not None and x.node.operation in PRODUCTS]
    known = {(x.shape, x.value.tobytes()) for x in first}
    again = [x for x in own if x.node is not None and x.node.operation in PRODUCTS]
    same = [x for x in again if (x.shape, x.value.tobytes()) in known]
    return frozenset(x.node.number for x in (*first, *same) if x.node is not None)


def _cut(tape: Recording, plan: Plan, root: Number, proposed: Mapping[int, Match], side: Sides) -> Segments:
    again, turned = replay(tape.values, plan), bool(turns_of(root, side))
    old = {again.made[n].node.number: n for n in range(len(tape.values)) if n in again.made}
    cuts: list[Cut] = []

    def restart(node: Node, g: Number) -> Number:
        match = proposed.get(old.get(node.number, -1))
        if match is None or (turned and not _kept(again, tape.values[match.value])):
            return g
        user = _itself(again.made[match.value])
        cut = _compared(tape.values[old[node.number]].node, tape.values[match.value].node, match.factor, user, g)
        cuts.append(cut)
        if not cut.right:
            return g
        stored = _over(user, match.factor, plan.rooms.get(match.value))
        return _where_told(stored, g, compared.hidden(user.value, match.factor * g.value, cut.room))

    new = again.at(root)
    theirs = _of_choices(again, side)
    d = seeded(new, theirs, restart)
    by_old = {old[n]: g for n, g in d.numbers.items() if n in old}
    found = Derivatives(root, by_old, d.open, side)
    return Segments(found, tuple(cuts), again, plan, proposed, theirs, turned, read=False)


def _of_choices(again: Replay, side: Sides) -> Sides:
    """The sides by the numbers of the replay, of what has an adjoint: a comparison is turned round in the replay."""
    if isinstance(side, str):
        return side
    made = ((itself(again.made[n]), s) for n, s in side.items())
    return {x.node.number: s for x, s in made if not isinstance(x, Mask)}


def _kept(again: Replay, x: Number) -> bool:
    """Whether the replay of a recorded value has its numbers."""
    return x.node is not None and np.array_equal(_itself(again.made[x.node.number]).value, x.value, equal_nan=True)


def _compared(forward: Node, backward: Node, factor: float, user: Number, g: Number) -> Cut:
    """The user's value against the factor times the derivative; that product has a rounding, and so has the factor."""
    u = user.format.u
    apart = np.abs(user.value - factor * g.value)
    room = user.radius + abs(factor) * g.radius * (1 + 4 * u) + 4 * u * np.abs(factor * g.value) + user.format.tiny
    ratio = np.where(apart == 0, 0, apart / room)
    largest = float(np.abs(user.value).max(initial=0))
    width = float(np.max(room)) / max(largest, 1e-300)
    return Cut(forward, backward, factor, float(np.max(ratio, initial=0)), width, np.asarray(room))


def _where_told(stored: Number, g: Number, hidden: Array) -> Number:
    """The stored value; but the derivative, with its radius, at elements of which the radii hide too much."""
    if not hidden.any():
        return stored
    value, radius = (np.where(hidden, a, b) for a, b in ((g.value, stored.value), (g.radius, stored.radius)))
    return Number(value, radius, stored.format)


def _over(user: Number, factor: float, room: Array | None) -> Number:
    """The stored value, divided by the factor; room: its radius, if it is not to be exact."""
    if abs(factor) == 1 and room is None:
        return user.constant(user.value * user.value.dtype.type(factor))
    u, value = user.format.u, user.value / user.value.dtype.type(factor)
    rounded = 0 if abs(factor) == 1 else 4 * u * np.abs(value) + user.format.tiny
    return Number(value, rounded + (0 if room is None else room / abs(factor) * (1 + 4 * u)), user.format)


def _itself(x: Any) -> Number:
    """What was made, where others take it as given."""
    inner: Number = itself(x)
    if isinstance(inner, Mask):
        raise TypeError("a mask has no derivative")
    return inner
