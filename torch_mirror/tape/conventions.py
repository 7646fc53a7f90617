"""Conventions: the derivatives that are admissible where branches are open, one after the other.

    for d in conventions(loss):
        if fits(d.by(W)): ...

At a kink that the given numbers hit (z = 0 of a ReLU, equal numbers of a maximum), or that lies within a radius, no
single derivative is right. The hull of all of them would be: but it is coarse, so that a factor 2 at z = 0 passes. So
each convention has a sweep of its own. A convention is the same for all elements of one operation, as one line of
somebody's code makes it, and may differ from operation to operation. Which sides there are, and why a half is one,
says choosing.py.

A comparison (z > 0, as np.where and masks as factors have) is a choice, too: "first" goes as the forward pass went,
"last" the other way where both sides are equal or the radii leave it open. A question of equality (==) goes as the
forward pass went. What the user's own backward pass compared is never turned round: that is what it computed.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from reference.arrays import Array
from torch_mirror.balls.choosing import SIDES, Side
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Choice, Node
from torch_mirror.tape.graph import needed
from torch_mirror.tape.open import Open, meeting
from torch_mirror.tape.replay import Plan, Replay, replay
from torch_mirror.tape.sweep import Derivatives, Sides, derivative

MOST = 81
"""Sweeps: all conventions of four operations."""


def conventions(loss: Any, most: int = MOST) -> Iterator[Derivatives]:
    """The derivatives of a loss, a ball of one element, under each convention: one alone where no branch is open.

    "first", "last" and "even" everywhere come first, then the other combinations; no more than ``most``.
    """
    root = loss.settled()
    met = meeting(root)
    first = under(root, met, "first")
    yield first
    choices = [o.node.number for o in first.open if isinstance(o.node.adjoint, Choice)]
    for sides in _combinations(choices, [o.node.number for o in met], most - 1):
        yield under(root, met, sides)


def as_taken(_: Node, mask: Mask) -> Mask:
    """A mask whose open outcomes are those of the centre: the outcome in a replay of what the user's code computed."""
    return _decided(mask, mask.value)


def under(root: Number, met: tuple[Open, ...], sides: Sides) -> Derivatives:
    """Under one convention. Where no mask is open or turned round there is no need of a replay."""
    if not met and not any(isinstance(x, Mask) and x.open.any() for x in needed([root])):
        return derivative(root, sides)
    turns = {o.node.number: o.where != 0 for o in met}

    def outcome(node: Node, mask: Mask) -> Mask:
        side = sides if isinstance(sides, str) else sides.get(node.number, "first")
        turned = node.number in turns and side == "last"
        return _decided(mask, mask.value ^ turns[node.number] if turned else mask.value)

    d = renumbered(replay([root], Plan(outcome=outcome)), root, sides)
    return d._replace(open=(*met, *(o for o in d.open if isinstance(o.node.adjoint, Choice))))


def renumbered(again: Replay, root: Number, sides: Sides = "first") -> Derivatives:
    """The derivatives of a replay's loss, by the numbers of the nodes that were replayed."""
    new = {x.node.number: _chooser(again.made[x.node.number]) for x in needed([root])}
    old = {new[x.node.number].number: x.node for x in needed([root])}
    theirs = sides if isinstance(sides, str) else {new[at].number: side for at, side in sides.items() if at in new}
    d = derivative(again.at(root), theirs)
    numbers = {at: d.numbers[node.number] for at, node in new.items() if node.number in d.numbers}
    return Derivatives(root, numbers, tuple(o._replace(node=old[o.node.number]) for o in d.open), sides)


def _chooser(x: Any) -> Node:
    """The node of what was made, itself, where others take it as given."""
    node: Node = x.node
    inner: Node = node.operands[0].node if node.operation == "given" else node
    return inner


def _decided(mask: Mask, value: Array) -> Mask:
    decided = Mask(mask.like, value)
    decided.node = mask.node
    return decided


def _combinations(choices: list[int], masks: list[int], most: int) -> Iterator[Mapping[int, Side]]:
    """The sides of each choice, and the two of each comparison, but for "first" everywhere."""
    both: tuple[Side, ...] = ("first", "last")
    options = [*(SIDES for _ in choices), *(both for _ in masks)]
    numbers = [*choices, *masks]
    same = [{n: side if side in o else "first" for n, o in zip(numbers, options, strict=True)} for side in SIDES[1:]]
    seen: list[Mapping[int, Side]] = []
    others = (dict(zip(numbers, sides, strict=True)) for sides in product(*options))
    for sides in (*same, *others):
        if len(seen) >= most:
            return
        if sides not in seen and any(side != "first" for side in sides.values()):
            seen.append(sides)
            yield sides
