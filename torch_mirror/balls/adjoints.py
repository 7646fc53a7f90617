"""Adjoints of the elementary rules: from g, the derivative of the loss by a result y, that by each operand.

    y = x w           g w, g x                   y = exp x     g y
    y = x / w         g / w, -g y / w            y = tanh x    g (1 - y^2)
    y = x @ w         g @ w^T, x^T @ g           y = log x     g / x

They are NumPy code and run on whatever has NumPy's functions: on balls, whose radii then follow by the rules
themselves, on arrays, on exact numbers. A constant such as log 2 is computed there too (``constant``), so that it has
a radius. What broadcasting has repeated is summed up by whoever asks (``fitted``), once for all of them.

An adjoint is a tuple of functions, one for each operand: only those that are asked for are evaluated. Sources:
Griewank & Walther, Evaluating Derivatives (2nd ed.), section 3.2 (the sweep) and table 4.8; NIST Digital Library of
Mathematical Functions, chapters 4 and 7 (derivatives of functions); Giles, An extended collection of matrix
derivative results (2008), section 2.2 (products).
"""

# ruff: noqa: ARG005 - an adjoint takes g, the result and all operands, whatever it needs of them

import math
from string import ascii_letters
from typing import Any

import numpy as np

from torch_mirror.balls.recording import Function


def constant(like: Any, c: float) -> Any:
    """A Python number, exactly, as an array of no axes of the kind of ``like``."""
    if hasattr(like, "operand"):
        return like.operand(c)
    if like.dtype == object:  # numbers of Arb (tape/enclosures.py)
        one = np.empty_like(like, shape=())
        one[()] = type(like.reshape(-1)[0])(c)
        return one
    return np.asarray(c, like.dtype)


def plain(x: Any) -> Any:
    """The centre of an exact operand, as an ordinary array."""
    x = getattr(x, "value", x)
    return x if x.dtype != object else np.asarray(np.frompyfunc(float, 1, 1)(x), float)


def fitted(d: Any, shape: tuple[int, ...]) -> Any:
    """d summed over what broadcasting has repeated, or repeated to the shape."""
    if d.shape == shape:
        return d
    lead = d.ndim - len(shape)
    if lead < 0:
        return np.broadcast_to(d, shape)
    axes = (*range(lead), *(i + lead for i, n in enumerate(shape) if n == 1 and d.shape[i + lead] != 1))
    total = np.sum(d, axis=axes, keepdims=True) if axes else d
    total = total.reshape(total.shape[lead:])
    return total if total.shape == shape else np.broadcast_to(total, shape)


def spread(g: Any, shape: tuple[int, ...], axis: Any, *, keepdims: bool) -> Any:
    """g of a reduction over some axes, repeated along them."""
    if not keepdims:
        g = g.reshape((1,) * len(shape)) if axis is None else np.expand_dims(g, axis)
    return np.broadcast_to(g, shape)


def of_one(function: Function) -> tuple[Function, ...]:
    """The adjoint of a function of one operand."""
    return (function,)


# --- arithmetic ------------------------------------------------------------------------------------------------

add = (lambda g, y, a, b: g), (lambda g, y, a, b: g)
subtract = (lambda g, y, a, b: g), (lambda g, y, a, b: -g)
multiply = (lambda g, y, a, b: g * b), (lambda g, y, a, b: g * a)
divide = (lambda g, y, a, b: g / b), (lambda g, y, a, b: -(g * y) / b)
square = of_one(lambda g, y, x: g * (2 * x))
negative = of_one(lambda g, y, x: -g)


def _of_power(g: Any, _y: Any, x: Any, n: Any) -> Any:
    """n x^(n - 1), which is 0 for n = 0 though x^-1 may be infinite; n exact and whole."""
    n = plain(n)
    below = np.where(n == 0, 0, n - 1)
    return g * (n * x ** (float(below) if np.ndim(below) == 0 else below))


def _constant_exponent(_g: Any, _y: Any, _x: Any, _n: Any) -> Any:
    raise TypeError("the exponent of a whole power is a constant")


whole_power = _of_power, _constant_exponent
any_power = (lambda g, y, x, p: g * (p * x ** (p - 1))), (lambda g, y, x, p: g * (y * np.log(x)))


# --- functions of one number -----------------------------------------------------------------------------------


def _of_expit(g: Any, _y: Any, x: Any) -> Any:
    """t / (1 + t)^2, t = exp -|x|, as y (1 - y) loses all digits for large x."""
    t = np.exp(-np.abs(x))
    return g * (t / np.square(1 + t))


SMOOTH: dict[str, tuple[Function, ...]] = {
    "exp": of_one(lambda g, y, x: g * y),
    "tanh": of_one(lambda g, y, x: g * (1 - y * y)),
    "sqrt": of_one(lambda g, y, x: g / (2 * y)),
    "log": of_one(lambda g, y, x: g / x),
    "sin": of_one(lambda g, y, x: g * np.cos(x)),
    "cos": of_one(lambda g, y, x: -g * np.sin(x)),
    "tan": of_one(lambda g, y, x: g * (1 + y * y)),
    "arcsin": of_one(lambda g, y, x: g / np.sqrt((1 - x) * (1 + x))),
    "arccos": of_one(lambda g, y, x: -g / np.sqrt((1 - x) * (1 + x))),
    "arctan": of_one(lambda g, y, x: g / (1 + x * x)),
    "sinh": of_one(lambda g, y, x: g * np.cosh(x)),
    "cosh": of_one(lambda g, y, x: g * np.sinh(x)),
    "arcsinh": of_one(lambda g, y, x: g / np.sqrt(1 + x * x)),
    "arccosh": of_one(lambda g, y, x: g / np.sqrt((x - 1) * (x + 1))),
    "arctanh": of_one(lambda g, y, x: g / ((1 - x) * (1 + x))),
    "exp2": of_one(lambda g, y, x: g * (y * np.log(constant(x, 2.0)))),
    "log2": of_one(lambda g, y, x: g / (x * np.log(constant(x, 2.0)))),
    "log10": of_one(lambda g, y, x: g / (x * np.log(constant(x, 10.0)))),
    "log1p": of_one(lambda g, y, x: g / (1 + x)),
    "expm1": of_one(lambda g, y, x: g * np.exp(x)),
    "cbrt": of_one(lambda g, y, x: g / (3 * (y * y))),
    "expit": of_one(_of_expit),
    "erf": of_one(lambda g, y, x: g * (np.exp(-(x * x)) / np.sqrt(np.arctan(constant(x, 1.0))))),
}
"""By name. erf: 2 / sqrt(pi) = 1 / sqrt(arctan 1)."""

logaddexp = (lambda g, y, a, b: g * np.exp(a - y)), (lambda g, y, a, b: g * np.exp(b - y))
hypot = (lambda g, y, a, b: g * (a / y)), (lambda g, y, a, b: g * (b / y))


# --- sums and products -----------------------------------------------------------------------------------------


def _by_left(g: Any, _y: Any, _x: Any, w: Any) -> Any:
    return g @ w.mT


def _by_right(g: Any, _y: Any, x: Any, w: Any) -> Any:
    """One product where w is the same for the whole stack."""
    if w.ndim == 2 < x.ndim and x.ndim == g.ndim:
        return x.reshape(-1, x.shape[-1]).mT @ g.reshape(-1, g.shape[-1])
    return x.mT @ g


matmul = _by_left, _by_right


def _of_sum(g: Any, _y: Any, x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return spread(g, x.shape, axis, keepdims=keepdims)


def _of_cumsum(g: Any, _y: Any, _x: Any, axis: int) -> Any:
    """Of the last elements, in place of the first."""
    return np.flip(np.cumsum(np.flip(g, axis), axis), axis)


def _of_added(g: Any, _y: Any, _x: Any, new: Any, where: Any) -> Any:
    """Of what was added: where it went, in a row."""
    return g.reshape(-1)[where].reshape(new.shape)


add_at = (lambda g, y, x, new, where: g), _of_added


def _of_prod(g: Any, _y: Any, x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """g times the product of all other elements: of those before and of those behind, as x may be 0."""
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(i % x.ndim for i in axes)
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    order = (*kept, *axes)
    size = math.prod(x.shape[i] for i in axes)
    rows = np.transpose(x, order).reshape(*(x.shape[i] for i in kept), size)
    ones = np.ones_like(rows[..., :1])
    before = np.concatenate([ones, np.cumprod(rows[..., :-1], -1)], -1)
    behind = np.flip(np.concatenate([ones, np.cumprod(np.flip(rows[..., 1:], -1), -1)], -1), -1)
    others = (before * behind).reshape(*(x.shape[i] for i in order))
    return spread(g, x.shape, axis, keepdims=keepdims) * np.transpose(others, tuple(int(i) for i in np.argsort(order)))


def _of_cumprod(g: Any, _y: Any, x: Any, axis: int) -> Any:
    """The product of those before, times s_k = g_k + x_(k+1) s_(k+1): sum over i >= k of g_i times those between."""
    x, g = np.moveaxis(x, axis, 0), np.moveaxis(g, axis, 0)
    s = [g[-1]]
    for k in range(len(x) - 2, -1, -1):
        s.append(g[k] + x[k + 1] * s[-1])
    before = np.concatenate([np.ones_like(x[:1]), np.cumprod(x[:-1], 0)], 0)
    return np.moveaxis(before * np.stack(s[::-1]), 0, axis)


total, cumsum, prod, cumprod = of_one(_of_sum), of_one(_of_cumsum), of_one(_of_prod), of_one(_of_cumprod)


def _of_factor(i: int) -> Function:
    """By the i-th factor of an einsum: the einsum of g and the others, repeated along what it alone is summed over."""

    def by(g: Any, _y: Any, *factors_and_labels: Any) -> Any:
        *factors, labels = factors_and_labels
        x, own = factors[i], labels.operands[i]
        others = [(a, o) for k, (a, o) in enumerate(zip(factors, labels.operands, strict=True)) if k != i]
        known = set(labels.output).union(*(o for _, o in others))
        here = "".join(c for c in own if c in known)
        text = ",".join([labels.output, *(o for _, o in others)])
        d = np.einsum(f"{text}->{here}", g, *(a for a, _ in others))
        d = d if here == own else d[tuple(slice(None) if c in known else None for c in own)]
        shape = tuple(m if c in known else n for c, m, n in zip(own, d.shape, x.shape, strict=True))
        return np.broadcast_to(d, shape)

    return by


einsum = tuple(_of_factor(i) for i in range(len(ascii_letters)))


# --- what leaves its operand as it is, almost everywhere ---------------------------------------------------------

mod = (lambda g, y, a, b: g), (lambda g, y, a, b: -g * np.floor_divide(a, b))
finite = of_one(lambda g, y, x, *_: np.where(np.isfinite(plain(x)), g, 0.0))
