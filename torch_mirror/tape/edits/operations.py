"""The operations of an equation's graph, each a function of arrays or of balls: a ball's radius follows by itself.

    equation.py   the graph         gradients.py  the derivative, as a graph
    recorded.py   from a recording  updates.py    an optimizer's step, as a graph

Arrays are for trying many edits quickly, balls for proving the one that is left.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from torch_mirror.balls.adjoints import fitted, spread
from torch_mirror.balls.bools import Bools
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.choosing import Side, larger
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Choice, Node, paused
from torch_mirror.tape.moves import places, scattered

Operation = Callable[..., Any]


def mask(x: Any, y: Any, side: Side) -> Any:
    """1 where x > y and 0 where x < y. Where they are equal: 1 for "first", 0 for "last", 1/2 for "even".

    Balls are equal where their radii leave it open, as the sweep has it (choosing.py): which side is taken there is the
    convention, and not known within a radius.
    """
    if hasattr(x, "settled"):
        x, y = x.settled(), y.settled() if hasattr(y, "settled") else Number(np.asarray(y, x.value.dtype))
        share = larger(Ball(x), Ball(y), side)
        return Ball(Number(share.astype(x.value.dtype), 0, x.format))
    if side == "even":
        return ((x > y) * 1.0 + (x >= y) * 1.0) * 0.5
    return (x >= y if side == "first" else x > y) * 1.0


def of_tanh(a: Any) -> Any:
    """The derivative of tanh, 1 - a^2, where a is its value."""
    return 1.0 - a * a


def of_sigmoid(a: Any) -> Any:
    """The derivative of the sigmoid, a (1 - a), where a is its value."""
    return a * (1.0 - a)


def sigmoid(z: Any) -> Any:
    """1 / (1 + e^-z)."""
    return 1.0 / (1.0 + np.exp(-z))


def made(*operands: Any, node: Node) -> Any:
    """Whatever else a recording has noted: by its own rule."""
    with paused():
        result = node.rule(*(_as_number(x) for x in operands), *node.arguments, **node.named)
    return _as_given(result, operands)


def part(g: Any, y: Any, *operands: Any, node: Node, which: int, side: Side) -> Any:
    """The derivative by one operand of whatever else a recording has noted: by its own adjoint."""
    by, named = node.adjoint, dict(node.named)
    if isinstance(by, Choice):
        by, named = by.by, {**named, "side": side}
    cells = (_as_number(x) for x in operands)
    with paused():
        d = by[which](  # type: ignore[index]  # gradients.py asks for no other kind
            _as_cell(_as_number(g)), _as_cell(_as_number(y)), *(x if isinstance(x, Mask) else Ball(x) for x in cells),
            *node.arguments, **named,
        )  # fmt: skip
        return _as_given(fitted(d, np.shape(operands[which])).settled(), (g, *operands))


def moved_back(g: Any, join: Any, shapes: list[tuple[int, ...]], which: int) -> Any:
    """Each element added to where it came from (moves.py)."""
    return _as_given(scattered(join, shapes, which, _as_number(g)), (g,))


def last_put_back(g: Any, join: Any, shapes: list[tuple[int, ...]], which: int) -> Any:
    """Each element put where it came from: of several that came from one place the last, as ``d[k] += g`` has it."""
    number = _as_number(g)
    mine, at = places(join, shapes, which)
    v, r = (np.zeros(shapes[which]) for _ in range(2))
    v.reshape(-1)[at] = number.value.reshape(-1)[mine]
    r.reshape(-1)[at] = np.broadcast_to(number.radius, number.shape).reshape(-1)[mine]
    return _as_given(Number(v, r, number.format), (g,))


def repeats(join: Any, shapes: list[tuple[int, ...]], which: int) -> bool:
    """Whether several elements come from one place, as those of equal indices do."""
    _, at = places(join, shapes, which)
    return at.size > np.unique(at).size


def _as_number(x: Any) -> Any:
    if isinstance(x, (Number, Mask)):
        return x
    if isinstance(x, Bools):
        return x.mask
    if hasattr(x, "settled"):
        return x.settled()
    a = np.asarray(x)
    return Mask(Number(np.zeros(())), a) if a.dtype == bool else Number(a)


def _as_cell(x: Any) -> Any:
    return x if isinstance(x, Mask) else Ball(x)


def _as_given(result: Any, operands: tuple[Any, ...]) -> Any:
    """A ball where one of the operands was one, or else its centre."""
    if any(hasattr(x, "settled") for x in operands):
        return Bools(result, Ball) if isinstance(result, Mask) else Ball(result)
    return result.value


def looked(a: Any, look: Callable[[Any], Any]) -> Any:
    """The elements that a look at an array gives."""
    return a.view(look) if hasattr(a, "settled") else np.asarray(look(np.asarray(a)))


def reshaped(a: Any, shape: tuple[int, ...]) -> Any:
    return a.reshape(shape) if hasattr(a, "settled") else np.reshape(a, shape)


def total(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return np.sum(a, axis=axis, keepdims=keepdims)


def power(a: Any, n: float) -> Any:
    return a ** (int(n) if n == int(n) else n)


def spread_over(g: Any, shape: tuple[int, ...], axis: Any, *, keepdims: bool) -> Any:
    return spread(np.asarray(g) if not hasattr(g, "settled") else g, shape, axis, keepdims=keepdims)


OPERATIONS: Mapping[str, Operation] = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.true_divide, "negative": np.negative,
    "exp": np.exp, "log": np.log, "tanh": np.tanh, "sqrt": np.sqrt, "square": np.square,
    "maximum": np.maximum, "power": power, "matmul": np.matmul, "sum": total,
    "greater": np.greater, "greater_equal": np.greater_equal, "less": np.less, "less_equal": np.less_equal,
    "where": np.where, "number": lambda m: m * 1.0,
    "transpose": np.transpose, "reshape": reshaped, "look": looked, "spread": spread_over,
    "fitted": fitted, "moved back": moved_back,
    "mask": mask, "tanh'": of_tanh, "sigmoid'": of_sigmoid, "sigmoid": sigmoid,
    "made": made, "part": part,
}  # fmt: skip
