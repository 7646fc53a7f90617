"""Edits of one operation's adjoint, and of a whole derivative: what somebody may have written for the right one.

Words have {} where the operation is named.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from torch_mirror.balls.cell import Ball
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Choice, Kind
from torch_mirror.tape.scene import Scene, name_of, number_of


def of_operation(
    s: Scene, derivatives: Mapping[int, Number], n: int, number: int
) -> Iterator[tuple[str, Number]]:
    """What else an operation might contribute to the derivative by one of its operands."""
    g, node = derivatives[n], s.tape.values[n].node
    for i, x in enumerate(node.operands):
        if number_of(x) != number or isinstance(node.adjoint, Kind):
            continue
        if node.operation == "matmul":
            yield from _of_product(s, n, i, g)
        elif len(node.operands) == 1 and g.shape == x.shape:
            yield from _of_function(s, n, x, g)
        elif isinstance(node.adjoint, Choice) and g.shape == x.shape:
            yield from _of_choice(s, n, i, g)
        elif x.shape != g.shape and node.operation in ("add", "subtract"):
            yield from _of_repeated(x, g)
        elif g.shape == x.shape and node.operation in ("multiply", "divide"):
            yield "the other factor of {} is left out", g


def _adjoint(s: Scene, n: int, i: int, g: Number, result: Any, operands: Sequence[Any]) -> Number | None:
    """The adjoint of the node's rule with another result, or other operands, than it was recorded with."""
    node = s.tape.values[n].node
    named = dict(node.named)
    functions = node.adjoint
    if isinstance(functions, Choice):
        named["side"] = s.side if isinstance(s.side, str) else s.side.get(n, "first")
        functions = functions.by
    balls = [a if isinstance(a, Mask) else Ball(a) for a in operands]
    d = functions[i](Ball(g), Ball(result), *balls, *node.arguments, **named)
    return d.settled() if d.shape == g.shape else None


def _of_function(s: Scene, n: int, x: Number, g: Number) -> Iterator[tuple[str, Number]]:
    """Of a function of one array, element by element."""
    y = s.tape.values[n]
    yield "the derivative of {} is left out", g
    at_argument = _adjoint(s, n, 0, g, x, [x])
    if at_argument is not None:
        yield "the derivative of {} takes its argument for its result", at_argument
    at_result = _adjoint(s, n, 0, g, y, [y])
    if at_result is not None:
        yield "the derivative of {} takes its result for its argument", at_result
    once = _adjoint(s, n, 0, g, y, [x])
    if once is not None:
        twice = _adjoint(s, n, 0, once, y, [x])
        if twice is not None:
            yield "the derivative of {} is taken twice", twice


def _of_choice(s: Scene, n: int, i: int, g: Number) -> Iterator[tuple[str, Number]]:
    """Of a maximum, a clip, a where: the derivative is g where the operand was chosen."""
    y = s.tape.values[n]
    yield "the derivative of {} is left out", g
    right = _adjoint(s, n, i, g, y, y.node.operands)
    if right is not None:
        yield "the mask of {} is inverted", (Ball(g) - Ball(right)).settled()


def _of_product(s: Scene, n: int, i: int, g: Number) -> Iterator[tuple[str, Number]]:
    """Of a matrix product of two axes each: another factor, a transposed one, without a sample."""
    y = s.tape.values[n]
    other = y.node.operands[1 - i]
    if any(o.ndim != 2 for o in (*y.node.operands, g)):
        return

    def product(g: Any, factor: Any) -> Number:
        return (g @ factor.mT if i == 0 else factor.mT @ g).settled()

    name = _factor_name(s, other)
    if other.shape[0] == other.shape[1]:
        yield f"{name} is transposed the wrong way in the derivative of {{}}", product(Ball(g), Ball(other).mT)
    for m in sorted(s.forward):
        x = s.tape.values[m]
        if x.shape == other.shape and m != number_of(other):
            stands = f"{_safe(name_of(s, m)) or 'another array'} stands for {name}"
            yield f"{stands} in the derivative of {{}}", product(Ball(g), Ball(x))
    if i == 1 and g.shape[0] > 1:
        for which, rows in (("last", slice(None, -1)), ("first", slice(1, None))):
            yield f"the {which} row of {name} is left out", product(Ball(g)[rows], Ball(other)[rows])


def _factor_name(s: Scene, x: Number) -> str:
    n = number_of(x)
    return _safe(name_of(s, n) if n is not None else "") or "the other factor"


def _safe(text: str) -> str:
    """A name within words that are formatted."""
    return text.replace("{", "{{").replace("}", "}}")


def _of_repeated(x: Number, g: Number) -> Iterator[tuple[str, Number]]:
    """Of an operand that is repeated along an axis, as a bias is: g is summed over that."""
    b: Any = Ball(g)
    if x.ndim == 0 or g.ndim != 2:
        return
    axis = 1 if x.shape[0] == g.shape[0] and x.ndim == 2 and x.shape[1] == 1 else 0
    everything: Any = np.broadcast_to(np.sum(b), x.shape)
    yield "the sum is over all axes in the derivative of {}", everything.settled()
    for which, at in (("first", 0), ("last", -1)):
        row = b[at] if axis == 0 else b[:, at]
        if row.size == x.size:
            yield f"only the {which} sample is taken in the derivative of {{}}", row.reshape(x.shape).settled()
    rest = b[:-1] if axis == 0 else b[:, :-1]
    without = np.sum(rest, axis=axis).reshape(x.shape)
    yield "the last sample is left out in the derivative of {}", without.settled()


def turned(whole: Number) -> Iterator[tuple[str, Number]]:
    """The right value, but its rows or columns in another order."""
    x: Any = Ball(whole)
    for axis, what in list(enumerate(("rows", "columns")))[: x.ndim]:
        if x.shape[axis] > 1:
            yield f"the {what} are in reverse order", np.flip(x, axis).settled()
            for by, where in ((1, "down" if axis == 0 else "right"), (-1, "up" if axis == 0 else "left")):
                yield f"the {what} are shifted {where} by one", np.roll(x, by, axis).settled()
    if x.ndim == 2 and x.shape[0] == x.shape[1] > 1:
        yield "it is transposed", x.T.settled()
