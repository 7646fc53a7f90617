"""A recording as the nodes of an equation: what it was made of, in plain operations where there is one.

Forms of the same function become one operation: 1 / (1 + exp(-z)) is the sigmoid, ``a.T`` and ``np.transpose(a)`` are
the transpose. Edits of such an operation, or of its derivative, are then those that somebody has in mind.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from torch_mirror.balls.bools import Bools
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Kind as Adjoint
from torch_mirror.balls.recording import Node as Recorded
from torch_mirror.tape.edits.equation import Draft, Equation, Kind

PLAIN = frozenset({
    "add", "subtract", "multiply", "divide", "negative", "exp", "log", "tanh", "sqrt", "square", "maximum",
    "greater", "greater_equal", "less", "less_equal", "where",
})  # fmt: skip

Numbers = dict[Any, int]
"""The node of the draft for each number that the recording knows: by the number's place there, or by its identity."""


def value_equation(results: Mapping[str, Number]) -> Equation:
    """How some recorded values were made, as their equation; every step of it may be edited.

    For a forward pass, or a loss, that somebody has written in another way.
    """
    draft = Draft()
    numbers = noted(draft, results.values(), "adjoint")
    outputs = {name: numbers[key_of(x)] for name, x in results.items()}
    for name, i in outputs.items():
        draft.nodes[i] = draft.nodes[i]._replace(label=draft.nodes[i].label or name)
    return draft.equation(outputs)


def noted(draft: Draft, values: Iterable[Any], kind: Kind) -> Numbers:
    """All that the values are made of, as nodes of the draft. values: numbers and masks."""
    numbers: Numbers = {}
    for x in everything_behind(values):
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


def _cell_of(x: Any) -> Any:
    """The duck array of a number or a mask."""
    return Bools(x, Ball) if isinstance(x, Mask) else Ball(x)


class _Step(NamedTuple):
    """A recorded operation that becomes a node. operands: nodes of the draft; rest: what each form of it has."""

    draft: Draft
    node: Recorded
    operands: tuple[int, ...]
    rest: Mapping[str, Any]

    def as_(self, operation: str, *operands: int, **options: Any) -> int:
        """The node, with its recorded value."""
        return self.draft.node(operation, *operands, **self.rest, **options)

    def inner(self, operation: str, *operands: int) -> int:
        """A part of it that was not recorded in this form."""
        return self.draft.node(operation, *operands, kind=self.rest["kind"], place=self.rest["place"])


Form = Callable[[_Step], int | None]
"""The node in a plain form, or None if it has not that one."""


def _node(draft: Draft, x: Any, numbers: Numbers, kind: Kind) -> int:
    node = x.node
    if node is None:
        plain = isinstance(x, Number) and x.value.ndim == 0 and x.exact
        return draft.given(_cell_of(x), "constant", f"{float(x.value):g}" if plain else "")
    if node.adjoint is Adjoint.LEAF:
        return draft.given(_cell_of(x), "leaf", node.operation, node.place, node.number)
    rest = {"kind": kind, "value": _cell_of(x), "place": node.place, "source": node.number}
    step = _Step(draft, node, tuple(numbers[key_of(a)] for a in node.operands), rest)
    found = (form(step) for form in (_sigmoid, _simpler_product, _simpler_sum, _named, _of_one_name))
    made = next((i for i in found if i is not None), None)
    return step.as_("made", *step.operands, node=node) if made is None else made


# --- forms of the same function ------------------------------------------------------------------------------------


def _of_one_name(step: _Step) -> int | None:
    """What is called here as it was there."""
    return step.as_(step.node.operation, *step.operands) if step.node.operation in PLAIN else None


def _named(step: _Step) -> int | None:
    form = _BY_NAME.get(step.node.operation)
    return None if form is None else form(step)


def _sigmoid(step: _Step) -> int | None:
    """1 / (1 + exp(-z))."""
    draft, operands = step.draft, step.operands
    if step.node.operation != "divide" or not _is_one(draft, operands[0]):
        return None
    below = draft.nodes[operands[1]]
    if below.operation != "add" or not any(_is_one(draft, i) for i in below.operands):
        return None
    power = next((draft.nodes[i] for i in below.operands if draft.nodes[i].operation == "exp"), None)
    inner = None if power is None else draft.nodes[power.operands[0]]
    return step.as_("sigmoid", inner.operands[0]) if inner is not None and inner.operation == "negative" else None


def _simpler_product(step: _Step) -> int | None:
    """1 x is x, (w x) x is w x^2; (lr / c) m is lr (m / c), and sqrt(v) / sqrt(c) is sqrt(v / c), c one number.

    So they stand in books. Optimizers are written in the other way for speed.
    """
    nodes, values = step.draft.nodes, step.draft.values
    if step.node.operation not in ("multiply", "divide"):
        return None
    x, y = step.operands
    (first, inside, *_), (second, within, *_) = nodes[x], nodes[y]
    product, one_number = step.node.operation == "multiply", values[y].ndim == 0
    if product and _is_one(step.draft, x):
        return y
    if product and first == "multiply" and inside[1] == y:
        return step.as_("multiply", inside[0], step.inner("square", y))
    if product and first == "divide" and values[x].ndim == 0 and not one_number:
        return step.as_("multiply", inside[0], step.inner("divide", y, inside[1]))
    if not product and first == second == "sqrt" and one_number:
        return step.as_("sqrt", step.inner("divide", inside[0], within[0]))
    return None


def _simpler_sum(step: _Step) -> int | None:
    """a + w (b - a) is beta a + w b, where w = 1 - beta."""
    nodes = step.draft.nodes
    if step.node.operation != "add" or nodes[step.operands[1]].operation != "multiply":
        return None
    a, (w, d) = step.operands[0], nodes[step.operands[1]].operands
    between = nodes[d].operation == nodes[w].operation == "subtract" and nodes[d].operands[1] == a
    if not between or not _is_one(step.draft, nodes[w].operands[0]):
        return None
    old, new = step.inner("multiply", nodes[w].operands[1], a), step.inner("multiply", w, nodes[d].operands[0])
    return step.as_("add", old, new)


def _power(step: _Step) -> int | None:
    x, exponent = step.operands
    if step.draft.nodes[exponent].kind != "constant" or step.node.operands[1].ndim:
        return None
    n = float(step.node.operands[1].value)
    if n == 1:
        return x
    return step.as_({0.5: "sqrt", 2.0: "square"}[n], x) if n in (0.5, 2.0) else step.as_("power", x, n=n)


def _indicator(step: _Step) -> int:
    """A comparison as zeros and ones; one that is greater as the mask that it is."""
    node = step.draft.nodes[step.operands[0]]
    side = {"greater": "last", "greater_equal": "first"}.get(node.operation)
    return step.as_("number", step.operands[0]) if side is None else step.as_("mask", *node.operands, side=side)


def _sum(step: _Step) -> int:
    node = step.node
    axis = node.arguments[0] if node.arguments else node.named.get("axis")
    return step.as_("sum", step.operands[0], axis=axis, keepdims=bool(node.named.get("keepdims", False)))


def _matmul(step: _Step) -> int | None:
    """Of stacks the derivative is another one than of two matrices; of a value that is recorded none is asked for."""
    plain = step.rest["kind"] == "adjoint" or all(a.ndim == 2 for a in step.node.operands)
    return step.as_("matmul", *step.operands) if plain else None


def _view(step: _Step) -> int | None:
    x, look = step.node.operands[0], step.node.arguments[0]
    if isinstance(x, Mask):
        return None
    places = np.arange(x.size).reshape(x.shape)
    seen = np.asarray(look(places))
    if x.ndim == 2 and seen.shape == x.shape[::-1] and (seen == places.T).all():
        return step.as_("transpose", step.operands[0])
    if seen.size == places.size and (seen.reshape(-1) == places.reshape(-1)).all():
        return step.as_("reshape", step.operands[0], shape=seen.shape)
    return step.as_("look", step.operands[0], look=look)


_BY_NAME: Mapping[str, Form] = {
    "expit": lambda step: step.as_("sigmoid", step.operands[0]),
    "mask": _indicator, "matmul": _matmul, "sum": _sum, "power": _power, "view": _view,
}  # fmt: skip


def _is_one(draft: Draft, i: int) -> bool:
    value = draft.values[i].value
    return draft.nodes[i].kind == "constant" and value.ndim == 0 and bool(value == 1)
