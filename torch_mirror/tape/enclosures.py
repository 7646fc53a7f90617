"""The recording in Arb: every value, and every derivative, enclosed with as many bits as are asked for.

    e = enclosures(tape.values, bits)      # e[number]: an object array of flint.arb
    d = derivatives(root, e, side)         # d[number]: the derivative by it

The same adjoints run on these arrays as on balls; matrix products go to arb_mat. A decision stays what it was at the
working precision, where that was certain: a certain outcome is that of exact arithmetic. What has no enclosure here
(mod, copysign, a rule of the user's) has the ball that was recorded: sound, and as wide as before.

Source: F. Johansson, Arb: efficient arbitrary-precision midpoint-radius interval arithmetic, IEEE Trans. Computers 66
(2017).
"""

import importlib
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
from torch_mirror.balls.rules.einsum import Labels
from torch_mirror.tape.graph import MissingAdjointError, made_of, needed
from torch_mirror.tape.moves import join_of

DOUBLE = format_of(np.dtype(np.float64))


def flint() -> Any:
    """python-flint, which the extra ``exact`` installs. Raises ImportError without it."""
    return importlib.import_module("flint")


class Enclosed(np.ndarray[Any, Any]):
    """An object array of flint.arb: NumPy's functions on it are Arb's, and a product of matrices is arb_mat's."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **named: Any) -> Any:
        plain = tuple(x.view(np.ndarray) if isinstance(x, Enclosed) else x for x in inputs)
        if ufunc is np.matmul and method == "__call__":
            return of_arb(_product(*plain))
        own = FUNCTIONS.get(ufunc.__name__)
        if own is not None and method == "__call__":
            return of_arb(np.frompyfunc(own, ufunc.nin, 1)(*plain))
        if own is not None and method == "reduce":
            return of_arb(_reduced(own, *plain, **named))
        result = getattr(ufunc, method)(*plain, **named)
        return of_arb(result) if method != "at" and np.asarray(result).dtype == object else result


    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function is np.einsum:
            text, *factors = args
            left, _, output = text.partition("->")
            return of_arb(_contracted(*factors, Labels(tuple(left.split(",")), output)))
        return super().__array_function__(function, types, args, kwargs)


def of_arb(values: Any) -> Enclosed:
    """Numbers of Arb, and Python's among them, as an array of Arb's."""
    arb = flint().arb
    a = np.asarray(values, object)
    return np.asarray(np.frompyfunc(lambda x: x if type(x) is arb else arb(float(x)), 1, 1)(a), object).view(Enclosed)


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


def centres(x: Any) -> Array:
    """The midpoints, rounded to float64."""
    return np.asarray(np.frompyfunc(lambda a: float(a.mid()), 1, 1)(np.asarray(x)), float)


def radii(x: Any) -> Array:
    """How far the numbers are from their centres, as rounded to float64, at most; infinite if that is not known."""

    def one(a: Any) -> float:
        r = abs(a - float(a.mid())).upper()
        return float(r) * (1 + 2.0**-50) if r.is_finite() and not r.is_zero() else 0.0 if r.is_zero() else float("inf")

    return np.asarray(np.frompyfunc(one, 1, 1)(np.asarray(x)), float)


def enclosures(values: Iterable[Any], bits: int) -> dict[int, Any]:
    """Of the values and all that they are made of: numbers as arrays of Arb's, masks as they went."""
    found: dict[int, Any] = {}
    with flint().ctx.workprec(bits), np.errstate(all="ignore"):
        for x in needed(values):
            found[x.node.number] = _value(x, found)
    return found


def operand(x: Any, found: Mapping[int, Any]) -> Any:
    """What stands for an operand of a node."""
    if x.node is not None and x.node.number in found:
        return found[x.node.number]
    return x.value if isinstance(x, Mask) else enclosed(x, as_given=True)


def _value(x: Any, found: Mapping[int, Any]) -> Any:
    node = x.node
    if isinstance(x, Mask):
        return np.asarray(x.value)
    if node.adjoint is Kind.LEAF:
        return enclosed(x, as_given=True)
    if node.operation == "mask":
        return of_arb(np.asarray(operand(node.operands[0], found), float))
    operands = [operand(a, found) for a in node.operands]
    if node.adjoint is Kind.MOVES:
        return of_arb(join_of(node)([a.view(np.ndarray) for a in operands]))
    if node.operation not in OPERATIONS:
        return enclosed(x, as_given=False)
    return of_arb(OPERATIONS[node.operation](*operands, *node.arguments, **node.named))


def derivatives(root: Number, found: Mapping[int, Any], side: Side, bits: int) -> dict[int, Enclosed]:
    """The derivative of a number of one element by everything that it is made of."""
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
                    by = _back(node, i, d[node.number], found, side)
                    before = d.get(x.node.number)
                    d[x.node.number] = by if before is None else before + by
    return d


def _back(node: Node, i: int, g: Enclosed, found: Mapping[int, Any], side: Side) -> Enclosed:
    operands, named = [operand(a, found) for a in node.operands], dict(node.named)
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
    sizes = [int(np.prod(s)) for s in shapes]
    starts = np.cumsum([1, *sizes])
    where = np.asarray(join([np.arange(a, a + n).reshape(s) for a, n, s in zip(starts, sizes, shapes, strict=False)]))
    first, size = int(starts[which]), sizes[which]
    mine = ((where >= first) & (where < first + size)).reshape(-1)
    result = np.zeros(size, object)
    np.add.at(result, where.reshape(-1)[mine] - first, g.view(np.ndarray).reshape(-1)[mine])
    return of_arb(result.reshape(shapes[which]))


# --- what Arb calls otherwise, or has not ------------------------------------------------------------------------


def _cube_root(x: Any) -> Any:
    return x.root(3) if x >= 0 else -((-x).root(3))


def _softplus(x: Any, y: Any) -> Any:
    """log(e^x + e^y), by the larger of both."""
    top = x.max(y)
    return top + ((x - top).exp() + (y - top).exp()).log()


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "arcsin": lambda x: x.asin(), "arccos": lambda x: x.acos(), "arctan": lambda x: x.atan(),
    "arcsinh": lambda x: x.asinh(), "arccosh": lambda x: x.acosh(), "arctanh": lambda x: x.atanh(),
    "exp2": lambda x: (x * x.const_log2()).exp(), "log2": lambda x: x.log() / x.const_log2(),
    "log10": lambda x: x.log() / x.const_log10(), "cbrt": _cube_root,
    "expit": lambda x: 1 / (1 + (-x).exp()), "erf": lambda x: x.erf(),
    "logaddexp": _softplus, "hypot": lambda x, y: (x * x + y * y).sqrt(),
    "floor_divide": lambda x, y: (x / y).floor(), "absolute": abs, "square": lambda x: x * x,
    "maximum": lambda x, y: x.max(y), "minimum": lambda x, y: x.min(y),
}  # fmt: skip
"""By the name of the ufunc. All others are methods of Arb's numbers by the names that NumPy calls on objects."""


def _reduced(own: Callable[..., Any], x: Any, axis: Any = 0, *, keepdims: bool = False, **_: Any) -> Any:
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    result = x
    for i in axes:
        result = np.frompyfunc(own, 2, 1).reduce(result, axis=i % x.ndim, keepdims=True)
    return result if keepdims else np.asarray(result).squeeze(tuple(i % x.ndim for i in axes))


def _product(x: Any, w: Any) -> Any:
    """x @ w of the last two axes, the others broadcast."""
    if x.ndim < 2 or w.ndim < 2:
        return np.dot(x, w)
    lead = np.broadcast_shapes(x.shape[:-2], w.shape[:-2])
    x, w = np.broadcast_to(x, lead + x.shape[-2:]), np.broadcast_to(w, lead + w.shape[-2:])
    result = np.empty((*lead, x.shape[-2], w.shape[-1]), object)
    matrix = flint().arb_mat
    for at in np.ndindex(lead):
        (m, k), n = x[at].shape, w.shape[-1]
        p = matrix(m, k, x[at].reshape(-1).tolist()) * matrix(k, n, w[at].reshape(-1).tolist())
        result[at] = np.array(p.entries(), object).reshape(m, n)
    return result


def _contracted(*factors_and_labels: Any) -> Any:
    """An einsum, two factors at a time: the others' labels and the output's are kept."""
    *factors, labels = factors_and_labels
    result, own = factors[0], labels.operands[0]
    for i, (a, theirs) in enumerate(zip(factors[1:], labels.operands[1:], strict=True)):
        later = set("".join(labels.operands[i + 2 :]) + labels.output)
        kept = "".join(c for c in dict.fromkeys(own + theirs) if c in later)
        result = _of_two(result, a, Labels((own, theirs), kept))
        own = kept
    return np.einsum(f"{own}->{labels.output}", np.asarray(result))


def _of_two(x: Any, y: Any, labels: Labels) -> Any:
    """As matrices: the labels of both that are kept in front, then those of x, the summed ones, those of y."""
    (own, theirs), output = labels.operands, labels.output
    x, own = _without(x, own, set(theirs) | set(output))
    y, theirs = _without(y, theirs, set(own) | set(output))
    both = [c for c in own if c in theirs]
    lead, inner = [c for c in both if c in output], [c for c in both if c not in output]
    left, right = [c for c in own if c not in both], [c for c in theirs if c not in both]
    size = {c: n for o, a in ((own, x), (theirs, y)) for c, n in zip(o, a.shape, strict=True) if n != 1}

    def ordered(a: Any, o: str, names: tuple[list[str], ...]) -> Any:
        a = a.transpose([o.index(c) for part in names for c in part])
        a = np.broadcast_to(a, [size.get(c, 1) for part in names for c in part])
        return a.reshape(*(size.get(c, 1) for c in names[0]), *(_volume(part, size) for part in names[1:]))

    p = _product(ordered(x, own, (lead, left, inner)), ordered(y, theirs, (lead, inner, right)))
    p = p.reshape([size.get(c, 1) for c in (*lead, *left, *right)])
    return of_arb(np.einsum(f"{''.join((*lead, *left, *right))}->{output}", p))


def _volume(names: list[str], size: Mapping[str, int]) -> int:
    return int(np.prod([size.get(c, 1) for c in names], dtype=int))


def _without(x: Any, own: str, used: set[str]) -> tuple[Any, str]:
    """x summed over the labels that nobody else has."""
    gone = tuple(i for i, c in enumerate(own) if c not in used)
    kept = "".join(c for c in own if c in used)
    return (np.asarray(np.add.reduce(np.asarray(x), axis=gone), object) if gone else np.asarray(x)), kept


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
    "cumsum": np.add.accumulate, "cumprod": np.multiply.accumulate, "einsum": _contracted, "power": _power,
    "where": _where, "add.at": _added,
    **{name: getattr(np, name) for name in (
        "add", "subtract", "multiply", "divide", "negative", "matmul", "exp", "tanh", "log", "sqrt", "sin", "cos",
        "tan", "sinh", "cosh", "log1p", "expm1",
    )},
    **{name: _elementwise(own) for name, own in FUNCTIONS.items()},
}  # fmt: skip
"""Operations that are enclosed, by the name of the elementary rule; of all others the recorded ball is."""
