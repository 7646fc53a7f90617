"""Arrays of Arb's numbers, on which NumPy code runs: python-flint's arb, and arb_mat for products of matrices.

Source: F. Johansson, Arb: efficient arbitrary-precision midpoint-radius interval arithmetic, IEEE Trans. Computers 66
(2017).
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.rules.einsum import Labels


def flint() -> Any:
    """python-flint, which the extra ``exact`` installs. Raises ImportError without it."""
    return importlib.import_module("flint")


class Enclosed(np.ndarray[Any, Any]):
    """An object array of flint.arb: NumPy's functions on it are Arb's, and a product of matrices is arb_mat's."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **named: Any) -> Any:
        plain = tuple(x.view(np.ndarray) if isinstance(x, Enclosed) else x for x in inputs)
        if ufunc is np.matmul and method == "__call__":
            return of_arb(product(*plain))
        own = FUNCTIONS.get(ufunc.__name__)
        if own is not None and method == "__call__":
            return of_arb(np.frompyfunc(own, ufunc.nin, 1)(*plain))
        if own is not None and method == "reduce":
            return of_arb(reduced(own, *plain, **named))
        result = getattr(ufunc, method)(*plain, **named)
        return of_arb(result) if method != "at" and np.asarray(result).dtype == object else result


    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function is np.einsum:
            text, *factors = args
            left, _, output = text.partition("->")
            return of_arb(contracted(*factors, Labels(tuple(left.split(",")), output)))
        return super().__array_function__(function, types, args, kwargs)


def of_arb(values: Any) -> Enclosed:
    """Numbers of Arb, and Python's among them, as an array of Arb's."""
    arb = flint().arb
    a = np.asarray(values, object)
    return np.asarray(np.frompyfunc(lambda x: x if type(x) is arb else arb(float(x)), 1, 1)(a), object).view(Enclosed)


def centres(x: Any) -> Array:
    """The midpoints, rounded to float64."""
    return np.asarray(np.frompyfunc(lambda a: float(a.mid()), 1, 1)(np.asarray(x)), float)


def radii(x: Any) -> Array:
    """How far the numbers are from their centres, as rounded to float64, at most; infinite if that is not known."""

    def one(a: Any) -> float:
        r = abs(a - float(a.mid())).upper()
        return float(r) * (1 + 2.0**-50) if r.is_finite() and not r.is_zero() else 0.0 if r.is_zero() else float("inf")

    return np.asarray(np.frompyfunc(one, 1, 1)(np.asarray(x)), float)


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


def reduced(own: Callable[..., Any], x: Any, axis: Any = 0, *, keepdims: bool = False, **_: Any) -> Any:
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    result = x
    for i in axes:
        result = np.frompyfunc(own, 2, 1).reduce(result, axis=i % x.ndim, keepdims=True)
    return result if keepdims else np.asarray(result).squeeze(tuple(i % x.ndim for i in axes))


def product(x: Any, w: Any) -> Any:
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


def contracted(*factors_and_labels: Any) -> Any:
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

    p = product(ordered(x, own, (lead, left, inner)), ordered(y, theirs, (lead, inner, right)))
    p = p.reshape([size.get(c, 1) for c in (*lead, *left, *right)])
    return of_arb(np.einsum(f"{''.join((*lead, *left, *right))}->{output}", p))


def _volume(names: list[str], size: Mapping[str, int]) -> int:
    return int(np.prod([size.get(c, 1) for c in names], dtype=int))


def _without(x: Any, own: str, used: set[str]) -> tuple[Any, str]:
    """x summed over the labels that nobody else has."""
    gone = tuple(i for i, c in enumerate(own) if c not in used)
    kept = "".join(c for c in own if c in used)
    return (np.asarray(np.add.reduce(np.asarray(x), axis=gone), object) if gone else np.asarray(x)), kept
