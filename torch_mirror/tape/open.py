"""Where a branch is open at the given numbers: a choice between operands, or a comparison.

It is open where the radii leave it open, and a tie where both sides are the same number. A question of equality (==)
is no branch of a function that has a derivative, and is not asked for. Nor is a comparison of an element with its copy
(sameness.py), as of the k-th largest number in ``z >= np.sort(z)[-k]``, or of their difference with 0: it has one
answer in every evaluation and all around these numbers, and the other side is no limit of anything.
"""

from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.choosing import DECIDED, OPEN, TIE, meet
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Choice, Kind, Node, Place, paused
from torch_mirror.balls.sameness import same
from torch_mirror.tape.graph import needed
from torch_mirror.tape.replay import Plan, replay

ORDERS = ("less", "less_equal", "greater", "greater_equal")


class Open(NamedTuple):
    """A node that is open somewhere. where: of each element OPEN, TIE or DECIDED (choosing.py)."""

    node: Node
    where: Array

    @property
    def open(self) -> int:
        """How many elements the radii leave open."""
        return int((self.where == OPEN).sum())

    @property
    def ties(self) -> int:
        """How many elements have two equal sides."""
        return int((self.where == TIE).sum())

    @property
    def place(self) -> Place | None:
        return self.node.place


def chosen(node: Node) -> Open | None:
    """Where a node's choice is open; None if it is decided."""
    if not isinstance(node.adjoint, Choice):
        return None
    operands = (a if isinstance(a, Mask) else Ball(a) for a in node.operands)
    where = np.asarray(node.adjoint.open(*operands, *node.arguments, **node.named))
    return Open(node, where) if where.any() else None


def jumps(root: Number) -> tuple[Open, ...]:
    """What a number is made of and has no derivative here: floor, sign and kin at a jump, or with one within reach."""
    found = []
    with paused(), np.errstate(all="ignore"):
        for x in _in_the_derivative(root):
            if x.node is not None and x.node.adjoint is Kind.ZERO and not isinstance(x.node.operands[0], Mask):
                where = np.where(x.radius != 0, OPEN, np.where(_at_a_jump(x.node), TIE, DECIDED))
                if where.any():
                    found.append(Open(x.node, where))
    return tuple(found)


def _at_a_jump(node: Node) -> Array:
    """Whether the neighbours of the first operand have different results."""
    first, *others = node.operands
    near = [first.constant(np.nextafter(first.value, first.value.dtype.type(end))) for end in (-np.inf, np.inf)]
    low, high = (node.rule(x, *others, *node.arguments, **node.named).value for x in near)
    return np.asarray(low != high)


def meeting(root: Number) -> tuple[Open, ...]:
    """The comparisons that a number is made of, and where they are open."""
    found = []
    with np.errstate(all="ignore"):
        for x in _in_the_derivative(root):
            if isinstance(x, Mask) and x.node is not None and x.node.operation in ORDERS:
                where = np.broadcast_to(meet(*(Ball(a) for a in x.node.operands)), x.shape)
                if where.any():
                    found.append(Open(x.node, where))
        return tuple(_without_copies(found))


def _compared(x: Number, y: Number) -> tuple[Number, Number]:
    """Both sides of a comparison; of a difference and a constant 0 those of the difference."""
    for side, zero in ((x, y), (y, x)):
        constant = zero.exact and not (_is_variable(zero) or zero.value.any())
        if constant and side.node is not None and side.node.operation == "subtract":
            a, b = side.node.operands
            return a, b
    return x, y


def _is_variable(x: Number) -> bool:
    return x.node is not None and x.node.active


def _without_copies(found: list[Open]) -> list[Open]:
    """But for the elements at which a comparison is one of copies.

    An exact number has no ids (sameness.py), and a variable is one: so what is compared is made again, from variables
    that have a radius, of 0.
    """
    sides = [_compared(*o.node.operands) for o in found]
    exact = [pair for pair in sides if all(map(_is_variable, pair)) and any(x.exact for x in pair)]
    of_variables = [x for pair in exact for x in pair]
    made = dict[int, Any]()
    if of_variables:
        leaves = {x.node.number: np.zeros(x.shape) for x in needed(of_variables) if x.node.adjoint is Kind.LEAF}
        made.update(replay(of_variables, Plan(given=frozenset(leaves), rooms=leaves)).made)
    left = []
    for o, pair in zip(found, sides, strict=True):
        x, y = (x if x.node is None else made.get(x.node.number, x) for x in pair)
        left.append(Open(o.node, np.where(same(x, y), DECIDED, o.where)))
    return [o for o in left if o.where.any()]


def _in_the_derivative(root: Number) -> list[Any]:
    """What a number is made of, but for what only a held value is made of (surrogate.py)."""
    return needed([root], through=lambda node: node.operation != "held")
