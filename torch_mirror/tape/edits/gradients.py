"""The derivative of a loss as an equation: the sweep (tape/sweep.py) once more, as a graph that can be edited.

    g: the derivative by y                             y = a + b    g, g            y = exp a    g y
    by each operand, in the operations of              y = a b      g b, g a        y = tanh a   g tanh'(y)
    operations.py, one node each                       y = a @ b    g @ b^T, a^T @ g    ...

What has no plain form here stays one node, with the adjoint that the recording knows. Softmax has a form of its own,
y (g - sum(g y)), and so has its logarithm, q - y sum(q), q being the derivative by log y: these are what people write. The
maximum that is subtracted for safety drops out of them, as softmax(z - c) = softmax(z).
Sources: as balls/adjoints.py; for softmax Bishop, Pattern Recognition and Machine Learning, section 4.3.4.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from torch_mirror.balls.cell import Ball
from torch_mirror.balls.choosing import Side
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Kind, paused
from torch_mirror.tape.edits.equation import Draft, Equation
from torch_mirror.tape.edits.recorded import key_of, noted
from torch_mirror.tape.moves import join_of

Back = Iterator[tuple[int, int]]
"""The operands of a node, each with the node that is the derivative by it."""


def gradient_equation(loss: Number, leaves: Mapping[str, Number], side: Side = "last") -> Equation:
    """The derivatives by the leaves, as outputs by their names.

    loss:   recorded, of one element
    leaves: recorded variables
    side:   that a maximum(z, 0) takes at z = 0 (choosing.py); "last" is the derivative 0, as of a mask (z > 0)
    """
    draft = Draft()
    with paused(), np.errstate(all="ignore"):
        numbers = noted(draft, [loss, *leaves.values()], "forward")
        for name, x in leaves.items():
            i = numbers[key_of(x)]
            draft.nodes[i] = draft.nodes[i]._replace(label=name)
        found = _swept(draft, numbers[key_of(loss)], _active(draft, loss, leaves), side)
        outputs = {name: _output(draft, found, numbers[key_of(x)]) for name, x in leaves.items()}
    return draft.equation(outputs)


def _active(draft: Draft, loss: Number, leaves: Mapping[str, Number]) -> set[int]:
    """The nodes that may change with a leaf."""
    active: set[int] = set()
    flat = {"greater", "greater_equal", "less", "less_equal", "mask", "number"}
    for i, node in enumerate(draft.nodes):
        rule = node.options.get("node")
        fixed = node.operation in flat or (rule is not None and not rule.active)
        if node.kind == "leaf" or (not fixed and any(k in active for k in node.operands)):
            active.add(i)
    return active


def _swept(draft: Draft, root: int, active: set[int], side: Side) -> dict[int, int]:
    """The node that is the derivative by each node that the root is made of."""
    parts: dict[int, list[int]] = {root: [draft.number(1.0)]}
    found: dict[int, int] = {}
    for i in range(root, -1, -1):
        if i not in parts or i not in active:
            continue
        first, *others = parts[i]
        for other in others:
            first = draft.node("add", first, other)
        found[i] = first
        draft.stands_for(first, i)
        for operand, d in _back(draft, i, first, active, side):
            parts.setdefault(operand, []).append(_fitted(draft, d, np.shape(draft.values[operand].value)))
    return found


def _output(draft: Draft, found: dict[int, int], leaf: int) -> int:
    if leaf in found:
        return found[leaf]
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
        axes = tuple(k for k, (n, m) in enumerate(zip(came, shape, strict=True)) if n != m and m == 1)
        if all(n == m or m == 1 for n, m in zip(came, shape, strict=True)):
            return draft.node("sum", d, axis=axes if len(axes) > 1 else axes[0], keepdims=True)
    return draft.node("fitted", d, shape=shape)


def _times(draft: Draft, g: int, other: int) -> int:
    """g times another node: that node itself where g is the 1 that a sweep starts with."""
    if draft.nodes[g].kind == "constant" and draft.nodes[g].label == "1":
        return other
    return draft.node("multiply", g, other)


def _back(draft: Draft, i: int, g: int, active: set[int], side: Side) -> Back:
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
                d = rules[which](draft, i, g) if rules else _other(draft, i, g, which, side)
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
    total = draft.nodes[s]
    if total.operation != "sum" or total.operands[0] != e or draft.nodes[e].operation != "exp":
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


# --- each operation: (draft, y, g) -> the derivative by an operand, a function for each operand --------------------


def _operand(draft: Draft, i: int, which: int = 0) -> int:
    return draft.nodes[i].operands[which]


def _shape(draft: Draft, i: int) -> tuple[int, ...]:
    """Of the first operand."""
    return np.shape(draft.values[_operand(draft, i)].value)


def _by_divisor(draft: Draft, i: int, g: int) -> int:
    return draft.node("negative", draft.node("divide", _times(draft, g, i), _operand(draft, i, 1)))


def _power(draft: Draft, i: int, g: int) -> int:
    x, n = _operand(draft, i), draft.nodes[i].options["n"]
    below = x if n == 2 else draft.node("power", x, n=n - 1)
    return _times(draft, g, draft.node("multiply", draft.number(n), below))


def _sum(draft: Draft, i: int, g: int) -> int:
    options = draft.nodes[i].options
    return draft.node("spread", g, shape=_shape(draft, i), axis=options["axis"], keepdims=options["keepdims"])


def _taken(draft: Draft, i: int) -> int:
    """1 where a choice takes its first branch."""
    m = _operand(draft, i)
    side = {"greater": "last", "greater_equal": "first"}.get(draft.nodes[m].operation)
    return draft.node("number", m) if side is None else draft.node("mask", *draft.nodes[m].operands, side=side)


def _not_taken(draft: Draft, i: int) -> int:
    return draft.node("subtract", draft.number(1.0), _taken(draft, i))


def _moved(draft: Draft, i: int, g: int) -> int:
    look = draft.nodes[i].options["look"]
    return draft.node("moved back", g, join=lambda parts: look(parts[0]), shapes=[_shape(draft, i)], which=0)


_RULES: Mapping[str, Sequence[Callable[[Draft, int, int], int]]] = {
    "add": (lambda f, y, g: g, lambda f, y, g: g),
    "subtract": (lambda f, y, g: g, lambda f, y, g: f.node("negative", g)),
    "negative": (lambda f, y, g: f.node("negative", g),),
    "multiply": (lambda f, y, g: _times(f, g, _operand(f, y, 1)), lambda f, y, g: _times(f, g, _operand(f, y))),
    "divide": (lambda f, y, g: f.node("divide", g, _operand(f, y, 1)), _by_divisor),
    "square": (lambda f, y, g: _times(f, g, f.node("multiply", f.number(2.0), _operand(f, y))),),
    "power": (_power,),
    "exp": (lambda f, y, g: _times(f, g, y),),
    "log": (lambda f, y, g: f.node("divide", g, _operand(f, y)),),
    "tanh": (lambda f, y, g: _times(f, g, f.node("tanh'", y)),),
    "sigmoid": (lambda f, y, g: _times(f, g, f.node("sigmoid'", y)),),
    "sqrt": (lambda f, y, g: f.node("divide", g, f.node("multiply", f.number(2.0), y)),),
    "matmul": (
        lambda f, y, g: f.node("matmul", g, f.node("transpose", _operand(f, y, 1))),
        lambda f, y, g: f.node("matmul", f.node("transpose", _operand(f, y)), g),
    ),
    "sum": (_sum,),
    "where": (
        lambda f, y, g: g,  # a comparison, which is never active
        lambda f, y, g: _times(f, g, _taken(f, y)),
        lambda f, y, g: _times(f, g, _not_taken(f, y)),
    ),
    "transpose": (lambda f, y, g: f.node("transpose", g),),
    "reshape": (lambda f, y, g: f.node("reshape", g, shape=_shape(f, y)),),
    "look": (_moved,),
}


def _other(draft: Draft, i: int, g: int, which: int, side: Side) -> int | None:
    """maximum(z, 0), as a mask; else by the adjoint that the recording knows. None where no derivative goes through."""
    operands, node = draft.nodes[i].operands, draft.nodes[i].options.get("node")
    if draft.nodes[i].operation == "maximum":
        a, b = operands if which == 0 else operands[::-1]
        return _times(draft, g, draft.node("mask", a, b, side=side if which == 0 else _OPPOSITE[side]))
    if node is None or (isinstance(node.adjoint, Kind) and node.adjoint is not Kind.MOVES):
        return None
    if node.adjoint is Kind.MOVES:
        shapes = [np.shape(draft.values[k].value) for k in operands]
        return draft.node("moved back", g, join=join_of(node), shapes=shapes, which=which)
    return draft.node("part", g, i, *operands, node=node, which=which, side=side)


_OPPOSITE: Mapping[Side, Side] = {"first": "last", "last": "first", "even": "even"}
