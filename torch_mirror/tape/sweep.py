"""The sweep: the derivative of a loss by every recorded value that it is made of, with a radius.

    with recording() as tape:
        W, b = leaf(w, "W"), leaf(v, "b")       # balls; all else that the code computes with is constant
        loss = f(W, b)
    d = derivative(loss)
    d.by(W)                                     # a ball of W's shape: the derivative, and how far off it may be

Backwards through what the loss is made of, each elementary rule's adjoint is evaluated on balls. The derivative at
the given numbers is a composition of adjoints, each of which is evaluated with a radius that holds its exact result;
so the exact derivative lies in the ball. That is a theorem where every branch is decided; where one is open, or two
sides of a kink meet, ``side`` says which one is taken (choosing.py), and ``open`` lists where. A mask as a factor
that is open holds both of its outcomes in its radius; conventions.py has a sweep for each.

Derivatives are added up in place where slices of one array meet (moves.py), and where a loop assigns to one.
Source: Griewank & Walther, Evaluating Derivatives (2nd ed.), section 3.2.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from reference.errors import InputError
from torch_mirror.balls.adjoints import fitted
from torch_mirror.balls.assignment import held
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.choosing import Side
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Choice, Kind, Node, current, paused
from torch_mirror.balls.take import everything
from torch_mirror.tape.graph import DEEP, MissingAdjointError, itself, made_of
from torch_mirror.tape.moves import Sum, join_of, scattered, turned_back, written_through
from torch_mirror.tape.open import Open, chosen, jumps, meeting

Sides = Side | Mapping[int, Side]
"""The side at every open branch, or at those of some nodes, by their number (others: "first")."""


class Derivatives(NamedTuple):
    """Of a loss. numbers: by node number the derivative by it; open: where a convention was asked for."""

    loss: Number
    numbers: Mapping[int, Number]
    open: tuple[Open, ...]
    side: Sides = "first"
    dropped: frozenset[int] = frozenset()  # arrays between two assignments to them

    def by(self, x: Any) -> Ball:
        """The derivative by a ball or number as it was when it was recorded; 0 where the loss does not depend on it.

        Raises KeyError for one that has not been recorded, and for an array between two assignments to it.
        """
        x = x.settled()
        if x.node is None:
            raise KeyError("a constant: expected a value that was recorded, as leaf(x) makes one")
        if x.node.number in self.dropped:
            raise KeyError("an array between two assignments to it: ask for it as it is after the last one")
        found = self.numbers.get(x.node.number)
        return Ball(Number(np.zeros(x.shape, x.value.dtype), 0, x.format) if found is None else found)


def leaf(x: Any, name: str = "leaf") -> Ball:
    """An array of floats, or a ball, as a variable of the recording that is on.

    Raises InputError if none is on, and for an array of anything else.
    """
    tape = current()
    if tape is None:
        raise InputError(f"leaf {name}", "a recording that is on: with recording() as tape: ...", "none")
    if not hasattr(x, "settled") and np.asarray(x).dtype.kind != "f":
        raise InputError(f"leaf {name}", "an array of floats", f"one of {np.asarray(x).dtype}")
    number = x.settled().again() if hasattr(x, "settled") else Number(np.asarray(x))
    tape.leaf(number, name)
    return Ball(number)


def derivative(loss: Any, side: Sides = "first") -> Derivatives:
    """By everything that the loss, a ball of one element, is made of.

    Raises InputError for an array, and MissingAdjointError, which names the rule and the line, where there is none.
    """
    root = loss.settled()
    d = seeded(root, side)
    return d._replace(open=(*meeting(root), *jumps(root), *d.open))


Restart = Callable[[Node, Number], Number]
"""What the passage goes on with at a node, in place of the derivative by it."""


def seeded(root: Number, side: Sides = "first", restart: Restart | None = None) -> Derivatives:
    """By everything that a number of one element is made of. Raises InputError for an array."""
    if root.size != 1:
        raise InputError("derivative", "a loss of one element", f"an array of shape {root.shape}")
    return swept(root, Number(np.ones(root.shape, root.value.dtype), 0, root.format), side, restart)


def swept(root: Number, seed: Number, side: Sides = "first", restart: Restart | None = None) -> Derivatives:
    """The derivatives of the sum of the root's elements, times those of ``seed``, an array of its shape."""
    found: dict[int, Any] = {}
    opened: list[Open] = []
    reached = made_of(root)
    with paused(), np.errstate(all="ignore"):
        for x in reached if len(reached) > DEEP else ():
            x.e(everything)  # in order: what depends on it finds it evaluated
        if root.node is not None:
            found[root.node.number] = seed
        for y in reversed(reached):
            _back(y, found, opened, side, restart)
    kept = {number: d for number, d in found.items() if d is not DROPPED}
    return Derivatives(root, kept, tuple(opened), side, frozenset(found.keys() - kept.keys()))


def _back(y: Number, found: dict[int, Any], opened: list[Open], side: Sides, restart: Restart | None) -> None:
    """From the derivative by y to those by its operands, where they are added up."""
    node = y.node
    if node is None or node.number not in found:
        return
    g = found[node.number]
    if not (isinstance(g, Sum) and g.passed and "at" in node.named):
        g = found[node.number] = _settled(node, g, restart)
    if "at" in node.named:
        _assigned_back(node, g, found)
        return
    if node.adjoint is Kind.LEAF:
        return
    if isinstance(node.adjoint, Choice) and (met := chosen(node)):
        opened.append(met)
    for i, x in enumerate(node.operands):
        if x.node is not None and x.node.active and not isinstance(x, Mask):
            if node.adjoint is Kind.MOVES:
                _moved_back(node, i, x, g, found)
            else:
                _add(found, x.node.number, _by(node, i, x, g, y, side))


def _settled(node: Node, g: Number | Sum, restart: Restart | None) -> Number:
    """The derivative by a node, to which nothing is added any more."""
    number = closed(g.number() if isinstance(g, Sum) else g)
    return number if restart is None else restart(node, number)


def _by(node: Node, i: int, x: Number, g: Number, y: Number, side: Sides) -> Number:
    """The derivative by the operand i, x."""
    adjoint, named = node.adjoint, dict(node.named)
    if isinstance(adjoint, Kind):
        raise MissingAdjointError(f"{node.operation} {adjoint.value} (called at {node.place})")
    if isinstance(adjoint, Choice):
        named["side"] = side if isinstance(side, str) else side.get(node.number, "first")
        adjoint = adjoint.by
    operands = (a if isinstance(a, Mask) else Ball(itself(a)) for a in node.operands)
    d = adjoint[i](Ball(g), Ball(y), *operands, *node.arguments, **named)
    return fitted(d, x.shape).settled()


def _moved_back(node: Node, i: int, x: Number, g: Number, found: dict[int, Any]) -> None:
    join, number = join_of(node), x.node.number  # type: ignore[union-attr]  # it has one, or we were not here
    if len(node.operands) == 1:
        before = found.get(number)
        if isinstance(before, Number) and g.size < x.size:  # others may know that number
            before = Sum.of(before)
        back = turned_back(join, x.shape, g)
        if back is not None:
            _add(found, number, back)
            return
        total = written_through(join, x.shape, before if isinstance(before, Sum) else None, g)
        if total is not None and isinstance(before, Number):
            _add(found, number, total.number())
            return
        if total is not None:
            found[number] = total
            return
    _add(found, number, scattered(join, [p.shape for p in node.operands], i, g))


DROPPED = Number(np.zeros(()))
"""Stands for a derivative that has been changed in place."""


def _assigned_back(node: Node, g: Number | Sum, found: dict[int, Any]) -> None:
    """Of x[at] = y: g there goes to y, and the rest to what x was before.

    So that a loop over elements of x costs x once: the rest goes on in place from one assignment to the next.
    """
    at, (old, new) = node.named["at"], node.operands
    if isinstance(g, Sum):
        rest, found[node.number] = g, DROPPED
    else:
        rest = Sum.of(g)
    if new.node is not None and new.node.active:
        part = Number(rest.v[at].copy(), rest.r[at].copy(), rest.format)
        _add(found, new.node.number, fitted(Ball(part), new.shape).settled())
    if old.node is not None and old.node.active:
        rest.v[at], rest.r[at], rest.passed = 0, 0, True
        if old.node.number in found:
            _add(found, old.node.number, rest.number())
        else:
            found[old.node.number] = rest


def _add(found: dict[int, Any], number: int, d: Number) -> None:
    """Add d to the derivative by a node. Radii are evaluated at once, as thousands may meet in one parameter."""
    before = found.get(number)
    if before is None:
        found[number] = d
        return
    total = before.number() if isinstance(before, Sum) else before
    found[number] = closed((Ball(closed(total)) + Ball(closed(d))).settled())


def closed(x: Number) -> Number:
    """The number with its radii evaluated; a sum no more open, as what is added to it is rounded for itself."""
    return x if x.exact else x.bounded(held(x.radius))
