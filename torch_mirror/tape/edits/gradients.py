"""The derivative of a loss as an equation: the sweep (tape/sweep.py) once more, as a graph that can be edited.

    y = a + b    g, g               y = exp a    g y              g: the derivative by y
    y = a b      g b, g a           y = tanh a   g tanh'(y)       beside it those by the operands, in the
    y = a @ b    g @ b^T, a^T @ g   y = log a    g / a            operations of operations.py, one node each

What has no plain form here stays one node, with the adjoint that the recording knows. Softmax has a form of its own,
y (g - sum(g y)), and so has its logarithm, q - y sum(q), q being the derivative by log y: these are what people write.
The maximum that is subtracted for safety drops out of them, as softmax(z - c) = softmax(z).
Sources: as balls/adjoints.py; for softmax Bishop, Pattern Recognition and Machine Learning, section 4.3.4.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from torch_mirror.balls.cell import Ball
from torch_mirror.balls.choosing import Side
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Kind, paused
from torch_mirror.tape.edits.equation import Draft, Equation, Node
from torch_mirror.tape.edits.recorded import key_of, noted
from torch_mirror.tape.graph import MissingAdjointError
from torch_mirror.tape.moves import join_of
from torch_mirror.tape.sweep import Sides

NOTHING: Mapping[int, Number] = {}

Back = Iterator[tuple[int, int]]
"""The operands of a node, each with the node that is the derivative by it."""


def gradient_equation(
    loss: Number, leaves: Mapping[str, Number], side: Sides = "last", scale: float = 1.0,
    given: Mapping[int, Number] = NOTHING,
) -> Equation:  # fmt: skip
    """The derivatives by the leaves, as outputs by their names.

    loss:   recorded, of one element
    leaves: recorded variables
    side:   that a maximum(z, 0) takes at z = 0 (choosing.py); "last" is the derivative 0, as of a mask (z > 0);
            or of some nodes by their number, "first" of the others
    given:  by the number of a recorded value what stands in the place of the derivative by it
    scale:  all derivatives on the way are so many times what they are, and are divided by it at the end

    Raises MissingAdjointError where the loss depends on a leaf through a rule that has no adjoint.
    """
    draft = Draft()
    with paused(), np.errstate(all="ignore"):
        numbers = noted(draft, [loss, *leaves.values()], "forward")
        draft.nodes = _with_inner(draft.nodes)
        for name, x in leaves.items():
            i = numbers[key_of(x)]
            draft.nodes[i] = draft.nodes[i]._replace(label=name)
        found = _swept(draft, numbers[key_of(loss)], _active(draft), side, scale, given)
        outputs = {name: _output(draft, found, numbers[key_of(x)], scale) for name, x in leaves.items()}
    return draft.equation(outputs)


def _with_inner(nodes: Sequence[Node]) -> list[Node]:
    """Those that only the same call goes on with, by another operation, are its own affair (scene.py)."""
    outer = {len(nodes) - 1}
    for node in nodes:
        for k in node.operands:
            if nodes[k].place != node.place or nodes[k].operation == node.operation:
                outer.add(k)
    used = {k for node in nodes for k in node.operands}
    own = used - outer
    return [node._replace(inner=i in own and node.place is not None) for i, node in enumerate(nodes)]


def _active(draft: Draft) -> set[int]:
    """The nodes that may change with a leaf."""
    active: set[int] = set()
    flat = {"greater", "greater_equal", "less", "less_equal", "mask", "number"}
    for i, node in enumerate(draft.nodes):
        rule = node.options.get("node")
        fixed = node.operation in flat or (rule is not None and not rule.active)
        if node.kind == "leaf" or (not fixed and any(k in active for k in node.operands)):
            active.add(i)
    return active


def _swept(
    draft: Draft, root: int, active: set[int], side: Sides, scale: float, given: Mapping[int, Number]
) -> dict[int, int]:
    """The node that is the derivative by each node that the root is made of."""
    parts: dict[int, list[int]] = {root: [draft.number(scale)]}
    found: dict[int, int] = {}
    for i in range(root, -1, -1):
        if i not in parts or i not in active:
            continue
        before = len(draft.nodes)
        draft.anew()
        first, *others = parts[i]
        for other in others:
            first = draft.node("add", first, other)
        start = given.get(_number(draft, i))
        if start is not None:
            first = draft.given(Ball(start) * scale, "constant")
        found[i] = first
        draft.stands_for(first, i)
        _went_back(draft, before, i, None)
        for operand, d in _back(draft, i, first, active, side):
            parts.setdefault(operand, []).append(_fitted(draft, d, np.shape(draft.values[operand].value)))
            operands = draft.nodes[i].operands
            _went_back(draft, before, i, operands.index(operand) if operand in operands else 0)  # 0: through a softmax
    return found


def _went_back(draft: Draft, start: int, through: int, to: int | None) -> None:
    """Note of new nodes through which one the sweep went back, and to which of its operands."""
    for k in range(start, len(draft.nodes)):
        if draft.nodes[k].back is None:
            draft.nodes[k] = draft.nodes[k]._replace(back=through, by=to)


def _number(draft: Draft, i: int) -> int:
    """That the recording knows the node by; -1 for a node of ours."""
    source = draft.nodes[i].source
    return -1 if source is None else source


def _output(draft: Draft, found: dict[int, int], leaf: int, scale: float) -> int:
    if leaf in found and scale == 1:
        return found[leaf]
    if leaf in found:
        d = draft.node("divide", found[leaf], draft.number(scale))
        draft.nodes[d] = draft.nodes[d]._replace(of=(leaf,), back=leaf)
        return d
    return draft.given(Ball(np.zeros_like(draft.values[leaf].value)), "constant", "0")


def _fitted(draft: Draft, d: int, shape: tuple[int, ...]) -> int:
    """Summed over what broadcasting has repeated."""
    came = np.shape(draft.values[d].value)
    if came == shape:
        return d
    lead = len(came) - len(shape)
    if lead > 0 and came[lead:] == shape:
        return draft.node("sum", d, axis=tuple(range(lead)) if lead > 1 else 0, keepdims=False)
    if lead == 0:
        axes = tuple(k for k, (n, m) in enumerate(zip(came, shape, strict=True)) if m == 1 != n)
        if all(m in {n, 1} for n, m in zip(came, shape, strict=True)):
            return draft.node("sum", d, axis=axes if len(axes) > 1 else axes[0], keepdims=True)
    return draft.node("fitted", d, shape=shape)


def _times(draft: Draft, g: int, other: int) -> int:
    """g times another node: that node itself where g is the 1 that a sweep starts with."""
    if draft.nodes[g].kind == "constant" and draft.nodes[g].label == "1":
        return other
    return draft.node("multiply", g, other)


def _back(draft: Draft, i: int, g: int, active: set[int], side: Sides) -> Back:
    """For the active operands alone."""
    node = draft.nodes[i]
    softmax = _softmax(draft, i)
    if softmax is not None:
        yield softmax[0], _of_softmax(draft, i, g, softmax[1])
    elif node.operation == "log" and (softmax := _softmax(draft, node.operands[0])) is not None:
        yield softmax[0], _of_log_softmax(draft, node.operands[0], g, softmax[1])
    elif node.operation == "multiply" and node.operands[0] == node.operands[1]:
        yield node.operands[0], _times(draft, g, draft.node("multiply", draft.number(2.0), node.operands[0]))
    else:
        rules = _RULES.get(node.operation)
        for which, operand in enumerate(node.operands):
            if operand in active:
                d = rules[which](_At(draft, i, g)) if rules else _other(draft, i, g, which, side)
                yield from () if d is None else ((operand, d),)


# --- softmax -----------------------------------------------------------------------------------------------------


def _softmax(draft: Draft, i: int) -> tuple[int, Any] | None:
    """The z of exp(z - c) / sum(exp(z - c)), and the axis of the sum; None for any other node."""
    node = draft.nodes[i]
    if node.operation != "divide":
        return None
    e, s = node.operands
    while draft.nodes[s].operation in ("reshape", "look"):
        s = draft.nodes[s].operands[0]
    total, top = draft.nodes[s], draft.nodes[e]
    if total.operation != "sum" or top.operation != "exp":
        return None
    again = draft.nodes[total.operands[0]]  # exp(z) may have been written twice
    if total.operands[0] != e and (again.operation, again.operands) != (top.operation, top.operands):
        return None
    z = draft.nodes[e].operands[0]
    axis, shape = total.options["axis"], np.shape(draft.values[e].value)
    if not isinstance(axis, int) or np.shape(draft.values[i].value) != shape:
        return None
    inner = draft.nodes[z]
    if inner.operation == "subtract" and _is_maximum_of(draft, inner.operands[1], inner.operands[0]):
        z = inner.operands[0]
    return z, axis


def _is_maximum_of(draft: Draft, m: int, z: int) -> bool:
    while draft.nodes[m].operation in ("reshape", "look"):
        m = draft.nodes[m].operands[0]
    rule = draft.nodes[m].options.get("node")
    return rule is not None and rule.operation == "max" and draft.nodes[m].operands[0] == z


def _of_softmax(draft: Draft, y: int, g: int, axis: int) -> int:
    inner = draft.node("sum", draft.node("multiply", g, y), axis=axis, keepdims=True)
    return draft.node("multiply", draft.node("subtract", g, inner), y)


def _of_log_softmax(draft: Draft, y: int, q: int, axis: int) -> int:
    inner = draft.node("sum", q, axis=axis, keepdims=True)
    return draft.node("subtract", q, draft.node("multiply", y, inner))


# --- each operation: the derivative by an operand, a function for each of them --------------------------------------


class _At(NamedTuple):
    """g: the derivative by y, both nodes of the draft."""

    draft: Draft
    y: int
    g: int

    def operand(self, which: int = 0) -> int:
        return self.draft.nodes[self.y].operands[which]

    def option(self, name: str) -> Any:
        return self.draft.nodes[self.y].options[name]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first operand."""
        return np.shape(self.draft.values[self.operand()].value)

    def node(self, operation: str, *operands: int, **options: Any) -> int:
        return self.draft.node(operation, *operands, **options)

    def times(self, other: int) -> int:
        """g times another node."""
        return _times(self.draft, self.g, other)


def _by_divisor(at: _At) -> int:
    return at.node("negative", at.node("divide", at.times(at.y), at.operand(1)))


def _power(at: _At) -> int:
    x, n = at.operand(), at.option("n")
    below = x if n == 2 else at.node("power", x, n=n - 1)
    return at.times(at.node("multiply", at.draft.number(n), below))


def _taken(at: _At) -> int:
    """1 where a choice takes its first branch."""
    m, taken = at.draft.nodes[at.operand()], at.draft.values[at.operand()].value
    for side in _AS_TAKEN.get(m.operation, ()):  # the second where a convention turns the comparison round
        mask = at.node("mask", *m.operands, side=side)
        if np.array_equal(at.draft.values[mask].value, taken):
            return mask
    return at.node("number", at.operand())


_AS_TAKEN: Mapping[str, tuple[Side, Side]] = {"greater": ("last", "first"), "greater_equal": ("first", "last")}


def _not_taken(at: _At) -> int:
    return at.node("subtract", at.draft.number(1.0), _taken(at))


def _moved(at: _At) -> int:
    look = at.option("look")
    return at.node("moved back", at.g, join=lambda parts: look(parts[0]), shapes=[at.shape], which=0)


_RULES: Mapping[str, Sequence[Callable[[_At], int]]] = {
    "add": (lambda at: at.g, lambda at: at.g),
    "subtract": (lambda at: at.g, lambda at: at.node("negative", at.g)),
    "negative": (lambda at: at.node("negative", at.g),),
    "multiply": (lambda at: at.times(at.operand(1)), lambda at: at.times(at.operand())),
    "divide": (lambda at: at.node("divide", at.g, at.operand(1)), _by_divisor),
    "square": (lambda at: at.times(at.node("multiply", at.draft.number(2.0), at.operand())),),
    "power": (_power,),
    "exp": (lambda at: at.times(at.y),),
    "log": (lambda at: at.node("divide", at.g, at.operand()),),
    "tanh": (lambda at: at.times(at.node("tanh'", at.y)),),
    "sigmoid": (lambda at: at.times(at.node("sigmoid'", at.y)),),
    "sqrt": (lambda at: at.node("divide", at.g, at.node("multiply", at.draft.number(2.0), at.y)),),
    "matmul": (
        lambda at: at.node("matmul", at.g, at.node("transpose", at.operand(1))),
        lambda at: at.node("matmul", at.node("transpose", at.operand()), at.g),
    ),
    "sum": (
        lambda at: at.node("spread", at.g, shape=at.shape, axis=at.option("axis"), keepdims=at.option("keepdims")),
    ),
    "where": (lambda at: at.g, lambda at: at.times(_taken(at)), lambda at: at.times(_not_taken(at))),  # the first never
    "transpose": (lambda at: at.node("transpose", at.g),),
    "reshape": (lambda at: at.node("reshape", at.g, shape=at.shape),),
    "look": (_moved,),
}


def _other(draft: Draft, i: int, g: int, which: int, sides: Sides) -> int | None:
    """maximum(z, 0), as a mask; else by the adjoint that the recording knows. None where no derivative goes through."""
    operands, node = draft.nodes[i].operands, draft.nodes[i].options.get("node")
    side = sides if isinstance(sides, str) else sides.get(_number(draft, i), "first")
    if draft.nodes[i].operation == "maximum":
        a, b = operands if which == 0 else operands[::-1]
        return _times(draft, g, draft.node("mask", a, b, side=side if which == 0 else _OPPOSITE[side]))
    if node is None or node.adjoint in (Kind.DECISION, Kind.ZERO):
        return None
    if isinstance(node.adjoint, Kind) and node.adjoint is not Kind.MOVES:
        raise MissingAdjointError(f"{node.operation} {node.adjoint.value} (called at {node.place})")
    if node.adjoint is Kind.MOVES:
        shapes = [np.shape(draft.values[k].value) for k in operands]
        return draft.node("moved back", g, join=join_of(node), shapes=shapes, which=which)
    return draft.node("part", g, i, *operands, node=node, which=which, side=side)


_OPPOSITE: Mapping[Side, Side] = {"first": "last", "last": "first", "even": "even"}
