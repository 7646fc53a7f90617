"""A recording as the nodes of an equation: what it was made of, in plain operations where there is one.

Forms of the same function become one operation: 1 / (1 + exp(-z)) is the sigmoid, ``a.T`` and ``np.transpose(a)`` are the
transpose. Edits of such an operation, or of its derivative, are then those that somebody has in mind.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from torch_mirror.balls.bools import Bools
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Kind as Adjoint
from torch_mirror.tape.edits.equation import Draft, Kind

PLAIN = frozenset({
    "add", "subtract", "multiply", "divide", "negative", "exp", "log", "tanh", "sqrt", "square", "maximum",
    "greater", "greater_equal", "less", "less_equal", "where",
})  # fmt: skip

Numbers = dict[Any, int]
"""The node of the draft for each number that the recording knows: by the number's place there, or by its identity."""


def noted(draft: Draft, values: Iterable[Any], kind: Kind) -> Numbers:
    """All that the values are made of, as nodes of the draft. values: numbers and masks."""
    order = everything_behind(values)
    numbers: Numbers = {}
    for x in order:
        numbers[key_of(x)] = _node(draft, x, numbers, kind)
    return numbers


def key_of(x: Any) -> Any:
    """Of a number or mask: its place in the recording, or for a constant its identity."""
    return ("constant", id(x)) if x.node is None else x.node.number


def everything_behind(values: Iterable[Any]) -> list[Any]:
    """What the values are made of, constants included: these first, then in the order of the recording."""
    found: dict[Any, Any] = {}
    todo = list(values)
    while todo:
        x = todo.pop()
        if key_of(x) not in found:
            found[key_of(x)] = x
            todo += () if x.node is None else x.node.operands
    return sorted(found.values(), key=lambda x: -1 if x.node is None else x.node.number)


def cell_of(x: Any) -> Any:
    """The duck array of a number or a mask."""
    return Bools(x, Ball) if isinstance(x, Mask) else Ball(x)


def _node(draft: Draft, x: Any, numbers: Numbers, kind: Kind) -> int:
    node = x.node
    if node is None:
        value = x.value
        plain = isinstance(x, Number) and value.ndim == 0 and x.exact
        return draft.given(cell_of(x), "constant", f"{float(value):g}" if plain else "")
    if node.adjoint is Adjoint.LEAF:
        return draft.given(cell_of(x), "leaf", node.operation, node.place, node.number)
    operands = tuple(numbers[key_of(a)] for a in node.operands)
    more: dict[str, Any] = {"kind": kind, "value": cell_of(x), "place": node.place, "source": node.number}
    z = _of_sigmoid(draft, node.operation, operands)
    if z is not None:
        return draft.node("sigmoid", z, **more)
    simpler = _simpler(draft, node.operation, operands, more)
    if simpler is not None:
        return simpler
    if node.operation in PLAIN:
        return draft.node(node.operation, *operands, **more)
    if node.operation == "expit":
        return draft.node("sigmoid", operands[0], **more)
    if node.operation == "mask":
        return _indicator(draft, operands[0], more)
    if node.operation == "matmul" and all(a.ndim == 2 for a in node.operands):
        return draft.node("matmul", *operands, **more)
    if node.operation == "sum":
        return draft.node("sum", operands[0], axis=_axis(node), keepdims=bool(node.named.get("keepdims", False)), **more)
    if node.operation == "power" and draft.nodes[operands[1]].kind == "constant" and node.operands[1].ndim == 0:
        return _power(draft, operands[0], float(node.operands[1].value), more)
    if node.operation == "view" and isinstance(x, Number):
        return _view(draft, node, operands[0], more)
    return draft.node("made", *operands, node=node, **more)


def _simpler(draft: Draft, operation: str, operands: tuple[int, ...], more: dict[str, Any]) -> int | None:
    """The forms of books: 1 x is x, and of optimizers, which are written for speed,

    (w x) x            w x^2
    a + w (b - a)      beta a + w b, where w = 1 - beta
    (lr / c) m         lr (m / c), where c is one number
    sqrt(v) / sqrt(c)  sqrt(v / c), likewise
    """
    nodes = draft.nodes
    if len(operands) != 2:
        return None
    beside = {"kind": more["kind"], "place": more["place"]}
    x, y = operands
    first, second = nodes[x], nodes[y]
    if operation == "multiply" and _is_one(draft, x):
        return y
    if operation == "multiply" and first.operation == "multiply" and first.operands[1] == y:
        return draft.node("multiply", first.operands[0], draft.node("square", y, **beside), **more)
    if operation == "multiply" and first.operation == "divide" and draft.values[x].ndim == 0 < draft.values[y].ndim:
        return draft.node("multiply", first.operands[0], draft.node("divide", y, first.operands[1], **beside), **more)
    if operation == "divide" and first.operation == second.operation == "sqrt" and draft.values[y].ndim == 0:
        return draft.node("sqrt", draft.node("divide", first.operands[0], second.operands[0], **beside), **more)
    if operation == "add" and second.operation == "multiply":
        (w, d), weight = second.operands, nodes[second.operands[0]]
        between = nodes[d].operation == weight.operation == "subtract" and nodes[d].operands[1] == x
        if between and _is_one(draft, weight.operands[0]):
            old = draft.node("multiply", weight.operands[1], x, **beside)
            return draft.node("add", old, draft.node("multiply", w, nodes[d].operands[0], **beside), **more)
    return None


def _power(draft: Draft, x: int, n: float, more: dict[str, Any]) -> int:
    if n == 1:
        return x
    if n in (0.5, 2):
        return draft.node("sqrt" if n == 0.5 else "square", x, **more)
    return draft.node("power", x, n=n, **more)


def _indicator(draft: Draft, comparison: int, more: dict[str, Any]) -> int:
    """A comparison as zeros and ones; one with a 0 to its right as the mask that it is."""
    node = draft.nodes[comparison]
    side = {"greater": "last", "greater_equal": "first"}.get(node.operation)
    if side is None:
        return draft.node("number", comparison, **more)
    return draft.node("mask", *node.operands, side=side, **more)


def _axis(node: Any) -> Any:
    return node.arguments[0] if node.arguments else node.named.get("axis")


def _view(draft: Draft, node: Any, operand: int, more: dict[str, Any]) -> int:
    look, shape = node.arguments[0], node.operands[0].shape
    places = np.arange(int(np.prod(shape))).reshape(shape)
    seen = np.asarray(look(places))
    if len(shape) == 2 and seen.shape == shape[::-1] and (seen == places.T).all():
        return draft.node("transpose", operand, **more)
    if seen.size == places.size and (seen.reshape(-1) == places.reshape(-1)).all():
        return draft.node("reshape", operand, shape=seen.shape, **more)
    return draft.node("look", operand, look=look, **more)


def _of_sigmoid(draft: Draft, operation: str, operands: tuple[int, ...]) -> int | None:
    """The z of 1 / (1 + exp(-z))."""
    if operation != "divide" or not _is_one(draft, operands[0]):
        return None
    below = draft.nodes[operands[1]]
    if below.operation != "add" or not any(_is_one(draft, i) for i in below.operands):
        return None
    power = next((draft.nodes[i] for i in below.operands if draft.nodes[i].operation == "exp"), None)
    inner = None if power is None else draft.nodes[power.operands[0]]
    return inner.operands[0] if inner is not None and inner.operation == "negative" else None


def _is_one(draft: Draft, i: int) -> bool:
    value = draft.values[i].value
    return draft.nodes[i].kind == "constant" and value.ndim == 0 and value == 1
