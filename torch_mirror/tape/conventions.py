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

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.choosing import SIDES, Side, absolute, copysign
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Choice, Node
from torch_mirror.tape.graph import itself, needed
from torch_mirror.tape.open import Open, meeting
from torch_mirror.tape.replay import Plan, Replay, replay
from torch_mirror.tape.sweep import Derivatives, Sides, derivative, seeded

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
    for sides in islice(_all(_options(choices, [o.node.number for o in met])), most - 1):
        yield under(root, met, sides)


Misfit = tuple[float, ...]
"""How far some gradients are from the derivatives under a convention: how many of them are, then what else tells."""


class Fitted(NamedTuple):
    """The derivatives under the convention that fits best."""

    derivatives: Derivatives
    misfit: Misfit
    complete: bool  # whether it fits, or all conventions were tried


def fitting(loss: Any, misfit: Callable[[Derivatives], Misfit], most: int = MOST) -> Fitted:
    """The convention of the least misfit: of all, where there are no more than ``most``.

    Where there are more, one side everywhere and one side for each kind of operation come first, as most code has
    it. From the best of these one operation after the other is turned, from the loss backwards, and stays turned if
    that fits better. What each operation adds to a gradient is added up, so this mostly finds the one that fits; it
    need not, and then the search is not complete. No more than 4 ``most`` sweeps.
    """
    root = loss.settled()
    met = meeting(root)
    first = under(root, met, "first")
    best = Fitted(first, misfit(first), complete=True)
    choices = [o.node for o in first.open if isinstance(o.node.adjoint, Choice)]
    options = _options([n.number for n in choices], [o.node.number for o in met])
    complete = prod(map(len, options.values())) <= most
    starts = _all(options) if complete else _by_kind(options, {n.number: n.operation for n in choices})
    for sides in islice(starts, most):
        if not best.misfit[0]:
            return best
        best = _better(best, root, met, sides, misfit)
    return best if complete or not best.misfit[0] else _turned(best, root, met, options, misfit, 3 * most)


def _better(
    best: Fitted, root: Number, met: tuple[Open, ...], sides: Sides, misfit: Callable[[Derivatives], Misfit]
) -> Fitted:
    d = under(root, met, sides)
    found = misfit(d)
    return Fitted(d, found, complete=True) if found < best.misfit else best


def _turned(
    best: Fitted, root: Number, met: tuple[Open, ...], options: Mapping[int, tuple[Side, ...]],
    misfit: Callable[[Derivatives], Misfit], most: int,
) -> Fitted:  # fmt: skip
    """One operation after the other on another side, as long as that fits better."""
    left, before = most, None
    while before is not best:
        before = best
        for number in sorted(options, reverse=True):
            for side in options[number]:
                now = _each(best.derivatives.side, options)
                if left and best.misfit[0] and now[number] != side:
                    left -= 1
                    best = _better(best, root, met, {**now, number: side}, misfit)
    return best._replace(complete=not best.misfit[0])


def _each(sides: Sides, options: Mapping[int, tuple[Side, ...]]) -> dict[int, Side]:
    """The side of each operation by its number."""
    if isinstance(sides, str):
        return {n: sides if sides in o else "first" for n, o in options.items()}
    return {n: sides.get(n, "first") for n in options}


def undecidable(loss: Any) -> Derivatives | None:
    """The derivatives with an infinite radius wherever a convention has a say; None where that is not known.

    What is outside of these is outside under every convention, tried or not. At the open elements of a choice the
    derivative by its result is given an infinite radius, and each operand has a share of that: its even share, and of
    abs, whose even share is 0, the whole. A comparison that is turned round has no derivative to be marked.
    """
    root = loss.settled()
    if meeting(root):
        return None
    marks = {o.node.number: o for o in seeded(root, "even").open}
    sides: dict[int, Side] = {n: "first" if o.node.adjoint in _SIGNED else "even" for n, o in marks.items()}

    def marked(node: Node, d: Number) -> Number:
        if node.number not in marks:
            return d
        where = marks[node.number].where
        if np.shape(where) != d.shape:  # of a reduction: it is open as a whole
            return Number(d.value, np.full(d.shape, np.inf, d.value.dtype), d.format)
        return Number(d.value, np.where(where != 0, np.inf, np.asarray(d.radius)).astype(d.value.dtype), d.format)

    return seeded(root, sides, marked)


_SIGNED = (absolute, copysign)
"""Choices whose share is 0 where both sides count alike, and 1 for "first"."""


def as_taken(_: Node, mask: Mask) -> Mask:
    """A mask whose open outcomes are those of the centre: the outcome in a replay of what the user's code computed."""
    return _decided(mask, mask.value)


def under(root: Number, met: tuple[Open, ...], sides: Sides) -> Derivatives:
    """Under one convention. Where no mask is open or turned round there is no need of a replay."""
    if not met and not any(isinstance(x, Mask) and x.open.any() for x in needed([root])):
        return derivative(root, sides)
    d = renumbered(replay([root], Plan(outcome=outcome_of(_turns(met, sides)))), root, sides)
    return d._replace(open=(*met, *(o for o in d.open if isinstance(o.node.adjoint, Choice))))


def turns_of(root: Number, sides: Sides) -> dict[int, Array]:
    """Which comparisons a convention turns round, by number, and at which elements."""
    return {} if sides == "first" else _turns(meeting(root), sides)


def _turns(met: tuple[Open, ...], sides: Sides) -> dict[int, Array]:
    every = {o.node.number: o.where != 0 for o in met}
    return {n: at for n, at in every.items() if (sides if isinstance(sides, str) else sides.get(n)) == "last"}


def outcome_of(turns: Mapping[int, Array]) -> Callable[[Node, Mask], Mask]:
    """The masks of a replay: turned round there, and as the centre has them elsewhere."""

    def outcome(node: Node, mask: Mask) -> Mask:
        return _decided(mask, mask.value ^ turns[node.number] if node.number in turns else mask.value)

    return outcome


class Turned(NamedTuple):
    """A recording in which comparisons of the forward pass go as a convention has them."""

    again: Replay
    sides: Sides
    read: bool  # what is not of the forward pass is made of one of them as well, and is not what the user computed


def turned(values: Sequence[Any], root: Number, sides: Sides) -> Turned | None:
    """A recording again, with what a convention turns round; None where it turns nothing."""
    turns = turns_of(root, sides)
    if not turns:
        return None
    again, read = replay(values, Plan(outcome=outcome_of(turns))), read_behind(values, root, turns)
    if isinstance(sides, str):
        return Turned(again, sides, read)
    return Turned(again, {again.made[n].node.number: side for n, side in sides.items() if n in again.made}, read)


def read_behind(values: Sequence[Any], root: Number, turns: Mapping[int, Array]) -> bool:
    """Whether what is not of the forward pass is made of a comparison that is turned round."""
    forward = {x.node.number for x in needed([root])}
    others = (x for n, x in enumerate(values) if n not in forward)
    return any(a.node is not None and a.node.number in turns for x in others for a in x.node.operands)


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
    node: Node = itself(x).node
    return node


def _decided(mask: Mask, value: Array) -> Mask:
    decided = Mask(mask.like, value)
    decided.node = mask.node
    return decided


def _options(choices: list[int], masks: list[int]) -> dict[int, tuple[Side, ...]]:
    """The sides of each choice, and the two of each comparison."""
    both: tuple[Side, ...] = ("first", "last")
    return {**dict.fromkeys(choices, SIDES), **dict.fromkeys(masks, both)}


def _uniform(options: Mapping[int, tuple[Side, ...]]) -> list[dict[int, Side]]:
    """"last" and "even" everywhere."""
    return [_each(side, options) for side in SIDES[1:]]


def _all(options: Mapping[int, tuple[Side, ...]]) -> Iterator[dict[int, Side]]:
    """Every combination, but for "first" everywhere."""
    same = _uniform(options)
    yield from _new(same)
    others = (dict(zip(options, sides, strict=True)) for sides in product(*options.values()))
    yield from (sides for sides in _new(others) if sides not in same)


def _by_kind(options: Mapping[int, tuple[Side, ...]], operations: Mapping[int, str]) -> Iterator[dict[int, Side]]:
    """One side everywhere, then one for each kind of operation; comparisons are a kind."""
    yield from _new(_uniform(options))
    kinds = list(dict.fromkeys(operations.get(n, "") for n in options))
    for sides in product(SIDES, repeat=len(kinds)):
        of = dict(zip(kinds, sides, strict=True))
        if len(set(sides)) > 1:
            wanted = {n: of[operations.get(n, "")] for n in options}
            yield {n: side if side in options[n] else "first" for n, side in wanted.items()}


def _new(combinations: Any) -> Iterator[dict[int, Side]]:
    """Those that are not "first" everywhere, each once."""
    seen: list[dict[int, Side]] = []
    for sides in combinations:
        if sides not in seen and any(side != "first" for side in sides.values()):
            seen.append(sides)
            yield sides
