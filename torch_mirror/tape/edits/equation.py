"""An equation as a graph: what each value is made of, by which operation, and its right value with a radius.

A node's operands stand before it. Nodes are of four kinds:

    leaf      a variable: a parameter; in an update also the gradient, the state, the learning rate
    constant  a number or array that the code computes with
    forward   made of those by the forward pass; in an update nothing is called so
    adjoint   the derivative of the loss by each of ``of``, or a part of it; of an update every step

Nothing changes an equation once it is drawn up. At other sizes the same code gives the same nodes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from torch_mirror.balls.cell import Ball
from torch_mirror.balls.recording import Place
from torch_mirror.tape.edits.operations import OPERATIONS

Kind = Literal["leaf", "constant", "forward", "adjoint"]
Value = Any
"""A ball, or the outcomes of a comparison of balls (bools.py)."""


class Node(NamedTuple):
    """operation(*operands, **options).

    label:  what a leaf or constant is called, "" for other nodes
    of:     of an adjoint: the nodes that it is the derivative by; back: the node that the sweep went back through, and
            by: to which of its operands
    source: the number of the node of the recording that it was
    inner:  whether one call made it on its way to what its line gives a name, as np.linalg.norm makes a sum of squares
    """

    operation: str
    operands: tuple[int, ...]
    options: Mapping[str, Any]
    kind: Kind
    label: str = ""
    place: Place | None = None
    of: tuple[int, ...] = ()
    source: int | None = None
    back: int | None = None
    by: int | None = None
    inner: bool = False


class Equation(NamedTuple):
    """nodes and values: in the order of evaluation; outputs: by name, the numbers of their nodes."""

    nodes: tuple[Node, ...]
    values: tuple[Value, ...]
    outputs: Mapping[str, int]


@dataclass(slots=True)
class Draft:
    """An equation that is being drawn up. values: of each node, evaluated where it was not recorded."""

    nodes: list[Node] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    known: dict[Any, int] = field(default_factory=dict)  # the number of a node that would be the same again

    def given(
        self, value: Value, kind: Kind, label: str = "", place: Place | None = None, source: int | None = None
    ) -> int:
        """A leaf or a constant."""
        return self._put(Node(kind, (), {}, kind, label, place, (), source), value)

    def number(self, c: float) -> int:
        """A plain number of ours as a constant; the same one again for the same number."""
        key = "constant", c
        if key not in self.known:
            self.known[key] = self.given(Ball(np.asarray(c, np.float64)), "constant", f"{c:g}")
        return self.known[key]

    def node(
        self, operation: str, *operands: int, kind: Kind = "adjoint", value: Value = None, place: Place | None = None,
        source: int | None = None, **options: Any,
    ) -> int:  # fmt: skip
        """The value of an operation; evaluated if it is not given. What was recorded is a node of its own."""
        key: Any = operation, operands, tuple(options.items())
        if source is not None or not options.keys() <= {"axis", "keepdims", "n", "side"}:
            key = "new", (len(self.nodes),), ()
        if key in self.known:
            return self.known[key]
        if value is None:
            with np.errstate(all="ignore"):
                value = OPERATIONS[operation](*(self.values[i] for i in operands), **options)
        self.known[key] = self._put(Node(operation, operands, options, kind, "", place, (), source), value)
        return self.known[key]

    def anew(self) -> None:
        """From here on make new nodes, but of our constants: what another part of the code does is another node."""
        self.known = {key: i for key, i in self.known.items() if key[0] == "constant"}

    def stands_for(self, number: int, of: int) -> None:
        """Note that a node is the derivative by another one; of a sum z = x + b it is that by x and by z."""
        node = self.nodes[number]
        self.nodes[number] = node._replace(of=(*node.of, of))

    def equation(self, outputs: Mapping[str, int]) -> Equation:
        """The equation of these outputs."""
        return Equation(tuple(self.nodes), tuple(self.values), dict(outputs))

    def _put(self, node: Node, value: Value) -> int:
        self.nodes.append(node)
        self.values.append(value)
        return len(self.nodes) - 1


class Shape(NamedTuple):
    """How an equation hangs together. All by the node's number.

    live:  the nodes that some output is made of
    users: the live nodes that it is an operand of, and which operand
    below: what is made of it, itself not included
    way:   by node and output's name: what is made of the node and leads to the output, both included, in order;
           nothing where the output is not made of it
    """

    live: frozenset[int]
    users: Mapping[int, tuple[tuple[int, int], ...]]
    below: Mapping[int, frozenset[int]]
    way: Mapping[tuple[int, str], tuple[int, ...]]


def shape_of(eq: Equation) -> Shape:
    """Walks the graph once from each output."""
    above = {name: _above(eq, root) for name, root in eq.outputs.items()}
    live = frozenset().union(*above.values())
    users: dict[int, list[tuple[int, int]]] = {}
    below: dict[int, set[int]] = {i: set() for i in live}
    for i in sorted(live, reverse=True):
        for which, operand in enumerate(eq.nodes[i].operands):
            users.setdefault(operand, []).append((i, which))
            below[operand] |= {i} | below[i]
    way = {
        (i, name): tuple(sorted((below[i] & nodes) | {i}))
        for name, nodes in above.items() for i in nodes if eq.nodes[i].kind != "forward"
    }  # fmt: skip
    return Shape(
        live, {i: tuple(found) for i, found in users.items()}, {i: frozenset(found) for i, found in below.items()}, way
    )


def _above(eq: Equation, root: int) -> frozenset[int]:
    seen: set[int] = set()
    todo = [root]
    while todo:
        i = todo.pop()
        if i not in seen:
            seen.add(i)
            todo += eq.nodes[i].operands
    return frozenset(seen)
