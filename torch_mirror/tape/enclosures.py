"""The recording in Arb: every value, and every derivative, enclosed with as many bits as are asked for.

    e = enclosures(tape.values, bits)      # e[number]: an object array of flint.arb
    d = derivatives(root, e, side)         # d[number]: the derivative by it

The same adjoints run on these arrays (arb.py) as on balls. A decision stays what it was at the
working precision, where that was certain: a certain outcome is that of exact arithmetic. What has no enclosure here
(mod, copysign, a rule of the user's) has the ball that was recorded: sound, and as wide as before.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.adjoints import fitted
from torch_mirror.balls.choosing import Side
from torch_mirror.balls.format import format_of
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Choice, Kind, Node
from torch_mirror.tape.arb import FUNCTIONS, Enclosed, contracted, flint, of_arb
from torch_mirror.tape.graph import MissingAdjointError, made_of, needed
from torch_mirror.tape.moves import join_of, places

DOUBLE = format_of(np.dtype(np.float64))


def enclosed(x: Number, *, as_given: bool) -> Enclosed:
    """The numbers of a ball: the centre and, around it, the radius. as_given: a constant or a variable."""
    value, radius = np.asarray(x.value), np.broadcast_to(x.radius, x.shape)
    if as_given and x.exact and x.ndim == 0 and np.float32(value) != value:  # Python may have computed it (replay.py)
        radius = DOUBLE.gamma(4) * np.abs(value)
    arb, high = flint().arb, value.astype(np.float64)
    low = (value - high).astype(np.float64) if value.dtype.itemsize > high.dtype.itemsize else np.zeros_like(high)

    def one(h: float, rest: float, r: float) -> Any:
        centre = arb(h) + arb(rest) if rest else arb(h)
        return centre + arb(0, r * (1 + 2.0**-50)) if r else centre

    with np.errstate(over="ignore"):
        return of_arb(np.frompyfunc(one, 3, 1)(high, low, radius.astype(np.float64)))


def enclosures(values: Iterable[Any], bits: int, *, exact: bool = False) -> dict[int, Any]:
    """Of the values and all that they are made of: numbers as arrays of Arb's, masks as they went.

    exact: a constant is the number that it is, whatever Python may have rounded before
    """
    found: dict[int, Any] = {}
    with flint().ctx.workprec(bits), np.errstate(all="ignore"):
        for x in needed(values):
            found[x.node.number] = _value(x, found, exact=exact)
    return found


def operand(x: Any, found: Mapping[int, Any], *, exact: bool = False) -> Any:
    """What stands for an operand of a node. exact: as in enclosures."""
    if x.node is not None and x.node.number in found:
        return found[x.node.number]
    return x.value if isinstance(x, Mask) else enclosed(x, as_given=not exact)


def _value(x: Any, found: Mapping[int, Any], *, exact: bool) -> Any:
    node = x.node
    if isinstance(x, Mask):
        return np.asarray(x.value)
    if node.adjoint is Kind.LEAF:
        return enclosed(x, as_given=not exact)
    if node.operation == "mask":
        return of_arb(np.asarray(operand(node.operands[0], found, exact=exact), float))
    operands = [operand(a, found, exact=exact) for a in node.operands]
    if node.adjoint is Kind.MOVES:
        return of_arb(join_of(node)([a.view(np.ndarray) for a in operands]))
    if node.operation not in OPERATIONS:
        return enclosed(x, as_given=False)
    return of_arb(OPERATIONS[node.operation](*operands, *node.arguments, **node.named))


def derivatives(
    root: Number, found: Mapping[int, Any], side: Side, bits: int, *, exact: bool = False
) -> dict[int, Enclosed]:
    """The derivative of a number of one element by everything that it is made of. exact: as in enclosures."""
    d: dict[int, Any] = {}
    with flint().ctx.workprec(bits), np.errstate(all="ignore"):
        if root.node is not None:
            d[root.node.number] = of_arb(np.ones(root.shape))
        for y in reversed(made_of(root)):
            node = y.node
            if node is None or node.number not in d or node.adjoint is Kind.LEAF:
                continue
            for i, x in enumerate(node.operands):
                if x.node is not None and x.node.active:
                    by = _back(node, i, d[node.number], found, side, exact=exact)
                    before = d.get(x.node.number)
                    d[x.node.number] = by if before is None else before + by
    return d


def _back(node: Node, i: int, g: Enclosed, found: Mapping[int, Any], side: Side, *, exact: bool) -> Enclosed:
    operands, named = [operand(a, found, exact=exact) for a in node.operands], dict(node.named)
    if node.adjoint is Kind.MOVES:
        return _moved_back(join_of(node), [a.shape for a in operands], i, g)
    if isinstance(node.adjoint, Kind):
        raise MissingAdjointError(f"{node.operation} {node.adjoint.value} (called at {node.place})")
    adjoint = node.adjoint
    if isinstance(adjoint, Choice):
        named["side"], adjoint = side, adjoint.by
    by = adjoint[i](g, found[node.number], *operands, *node.arguments, **named)
    return of_arb(fitted(by, operands[i].shape))


def _moved_back(join: Callable[..., Any], shapes: list[tuple[int, ...]], which: int, g: Enclosed) -> Enclosed:
    mine, at = places(join, shapes, which)
    result = np.zeros(int(np.prod(shapes[which])), object)
    np.add.at(result, at, np.asarray(g).reshape(-1)[mine])
    return of_arb(result.reshape(shapes[which]))


# --- the elementary rules --------------------------------------------------------------------------------------


def _power(x: Any, n: Any) -> Any:
    """Whole exponents as such, which a negative base has, too."""
    def one(a: Any, p: Any) -> Any:
        whole = float(p) if p.is_exact() else 0.5
        return a ** int(whole) if whole == int(whole) else a**p

    return np.frompyfunc(one, 2, 1)(x.view(np.ndarray), n.view(np.ndarray))


def _elementwise(own: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *operands: np.frompyfunc(own, len(operands), 1)(*(a.view(np.ndarray) for a in operands))


def _where(mask: Array, a: Any, b: Any) -> Any:
    return np.where(mask, a.view(np.ndarray), b.view(np.ndarray))


def _added(x: Any, new: Any, where: Array) -> Any:
    result = x.view(np.ndarray).copy()
    np.add.at(result.reshape(-1), where, new.view(np.ndarray).reshape(-1))
    return result


OPERATIONS: dict[str, Callable[..., Any]] = {
    "sum": lambda x, axis=None, *, keepdims=False: np.add.reduce(
        x, axis=tuple(range(x.ndim)) if axis is None else axis, keepdims=keepdims),
    "prod": lambda x, axis=None, *, keepdims=False: np.multiply.reduce(
        x, axis=tuple(range(x.ndim)) if axis is None else axis, keepdims=keepdims),
    "max": lambda x, axis=None, *, keepdims=False: np.maximum.reduce(x, axis=axis, keepdims=keepdims),
    "cumsum": np.add.accumulate, "cumprod": np.multiply.accumulate, "einsum": contracted, "power": _power,
    "where": _where, "add.at": _added, "held": lambda x: x, "surrogate": lambda value, _: value,
    **{name: getattr(np, name) for name in (
        "add", "subtract", "multiply", "divide", "negative", "matmul", "exp", "tanh", "log", "sqrt", "sin", "cos",
        "tan", "sinh", "cosh", "log1p", "expm1",
    )},
    **{name: _elementwise(own) for name, own in FUNCTIONS.items()},
}  # fmt: skip
"""Operations that are enclosed, by the name of the elementary rule; of all others the recorded ball is."""
