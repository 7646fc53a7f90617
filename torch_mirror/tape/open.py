"""Where a branch is open at the given numbers: a choice between operands, or a comparison.

It is open where the radii leave it open, and a tie where both sides are the same number. A question of equality (==)
is no branch of a function that has a derivative, and is not asked for. Nor is a comparison of an element with itself
or its copy (sameness.py), as of the k-th largest number in ``z >= np.sort(z)[-k]``: it has one answer in every
evaluation and all around these numbers, and the other side is no limit of anything.
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
                met = meet(*(Ball(a) for a in x.node.operands))
                where = np.broadcast_to(np.where(same(*x.node.operands), DECIDED, met), x.shape)
                if where.any():
                    found.append(Open(x.node, where))
    return tuple(found)


def _in_the_derivative(root: Number) -> list[Any]:
    """What a number is made of, but for what only a held value is made of (surrogate.py)."""
    return needed([root], through=lambda node: node.operation != "held")
