"""Compositions: diff, kron, cross, convolve, gradient, cumprod, accumulate, append, block.

Each is NumPy's own definition in terms of differences, products, sums and views, and has the radius of that.

    diff x          x[1:] - x[:-1]
    kron a, b       every product of an element of a and one of b
    cross a, b      a_i b_j - a_j b_i
    convolve a, v   sum of a[n - m] v[m] over m, in any order: zeros stand where a ends, which add nothing
    gradient x      (x[i + 1] - x[i - 1]) / (2 h) inside, one-sided differences at the ends
    cumprod x       prod of the first 1, 2, ... elements, each in any order (elementwise.prod)
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.arrays import Array
from torch_mirror.balls import adjoints
from torch_mirror.balls.number import Look, Number
from torch_mirror.balls.recording import elementary
from torch_mirror.balls.rules import elementwise, shapes, sums
from torch_mirror.balls.take import Take, everything


def _part(x: Number, axis: int, part: slice) -> Number:
    index = tuple(part if i == axis % x.ndim else slice(None) for i in range(x.ndim))
    return x.view(lambda v: v[index])


def _reshaped(x: Number, shape: tuple[int, ...]) -> Number:
    return x.view(lambda v: v.reshape(shape))


def diff(like: Number, a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Number:
    """The n-th differences. Raises TypeError for prepend= and append=, which np.concatenate does."""
    if prepend is not None or append is not None:
        raise TypeError("no radius is known for numpy.diff with prepend or append; np.concatenate does that before")
    x = like.operand(a)
    for _ in range(n):
        later, earlier = _part(x, axis, slice(1, None)), _part(x, axis, slice(None, -1))
        x = elementwise.subtract(later, earlier)
    return x


def kron(like: Number, a: Any, b: Any) -> Number:
    x, y = like.operand(a), like.operand(b)
    ndim = max(x.ndim, y.ndim)
    sx, sy = (1,) * (ndim - x.ndim) + x.shape, (1,) * (ndim - y.ndim) + y.shape
    apart = _reshaped(x, tuple(m for n in sx for m in (n, 1))), _reshaped(y, tuple(m for n in sy for m in (1, n)))
    return _reshaped(elementwise.multiply(*apart), tuple(m * n for m, n in zip(sx, sy, strict=True)))


def cross(
    like: Number, a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Number:
    """The product of vectors of three elements. Raises TypeError for two."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = (like.operand(v).view(_moved(i, -1)) for v, i in ((a, axisa), (b, axisb)))
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        got = f"{x.shape[-1]} and {y.shape[-1]}"
        raise TypeError(f"numpy.cross of balls: expected 3 elements along the axis, got {got}")
    a1, a2, a3 = (x.view(_element(i)) for i in range(3))
    b1, b2, b3 = (y.view(_element(i)) for i in range(3))
    times, less = elementwise.multiply, elementwise.subtract
    parts = [less(times(a2, b3), times(a3, b2)), less(times(a3, b1), times(a1, b3)), less(times(a1, b2), times(a2, b1))]
    return shapes.stack(like, parts, -1).view(_moved(-1, axisc))


def _element(i: int) -> Look:
    return lambda v: v[..., i]


def _moved(source: int, destination: int) -> Look:
    return lambda v: np.moveaxis(v, source, destination)


def convolve(like: Number, a: Any, v: Any, mode: str = "full") -> Number:
    """numpy.convolve of vectors: mode full, same or valid."""
    x, y = like.operand(a), like.operand(v)
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError("object too deep for desired array")
    if y.size > x.size:
        x, y = y, x
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"mode must be one of 'full', 'same' or 'valid', got {mode!r}")
    width = y.size
    first = {"full": 0, "same": (width - 1) // 2, "valid": width - 1}[mode]
    size = {"full": x.size + width - 1, "same": x.size, "valid": x.size - width + 1}[mode]

    def windows(p: Array) -> Array:
        every = np.lib.stride_tricks.sliding_window_view(np.pad(p, width - 1), width)
        return np.asarray(every[first : first + size])

    return sums.matmul(x.view(windows), y.view(_reversed))


def _reversed(v: Array) -> Array:
    return v[::-1]


def correlate(like: Number, a: Any, v: Any, mode: str = "valid") -> Number:
    """numpy.correlate of vectors, the second of which is not longer; of real numbers, convolve with that reversed."""
    x, y = like.operand(a), like.operand(v)
    if y.size > x.size:
        raise TypeError("numpy.correlate of balls: expected a second vector that is not longer; swap and reverse")
    return convolve(like, x, y.view(_reversed), mode)


def gradient(like: Number, f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Central differences with a spacing that is a number. Raises TypeError for other spacings and edge orders."""
    x = like.operand(f)
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    spacings = varargs * len(axes) if len(varargs) == 1 else varargs or (1.0,) * len(axes)
    if edge_order != 1 or len(spacings) != len(axes) or not all(isinstance(h, (int, float)) for h in spacings):
        raise TypeError("numpy.gradient of balls: expected a number as the spacing of each axis and edge_order=1")
    results = []
    for i, h in zip(axes, spacings, strict=True):
        inner = _slope(x, i, slice(2, None), slice(None, -2), 2.0 * h)
        first, last = _slope(x, i, slice(1, 2), slice(0, 1), h), _slope(x, i, slice(-1, None), slice(-2, -1), h)
        results.append(shapes.concatenate(like, [first, inner, last], i))
    return results[0] if len(results) == 1 else tuple(results)


def _slope(x: Number, axis: int, later: slice, earlier: slice, apart: float) -> Number:
    return elementwise.divide(
        elementwise.subtract(_part(x, axis, later), _part(x, axis, earlier)), x.operand(apart)
    )


def cumprod(like: Number, a: Any, axis: int | None = None) -> Number:
    """The products of the first 1, 2, ... elements along an axis, each in any order."""
    x = like.operand(a)
    if axis is None:
        x, axis = x.view(np.ravel), 0
    return _cumprod(x, axis)


@elementary(adjoints.cumprod, "cumprod")
def _cumprod(x: Number, axis: int) -> Number:
    fmt, terms = x.format, x.shape[axis]

    def rule(take: Take) -> Any:
        A, e = x.A(everything), np.broadcast_to(x.e(everything), x.shape)
        largest = np.maximum(A, 1).cumprod(axis=axis)  # of every partial product
        product = A.cumprod(axis=axis)
        relative = np.where(A > 0, e / np.where(A > 0, A, 1), 0).cumsum(axis=axis)
        rounding = fmt.gamma(terms) * product + terms * fmt.tiny * largest
        total = (product * relative + rounding) * (1 + 2 * fmt.gamma(terms + 2))
        return take(np.asarray(elementwise._overflow(total, largest, fmt)))  # noqa: SLF001 - the rules are one package

    return x.derived(x.value.cumprod(axis=axis), rule)


def accumulate(choose: Callable[[Number, Number], Number]) -> Callable[..., Number]:
    """The rule of maximum.accumulate and kin, along an axis: one after the other."""

    def rule(like: Number, array: Any, *, axis: int = 0) -> Number:
        x = like.operand(array)
        steps = [x.view(_row(axis, i)) for i in range(x.shape[axis])]
        for i in range(1, len(steps)):
            steps[i] = choose(steps[i - 1], steps[i])
        return shapes.moved(steps, lambda parts: np.moveaxis(np.stack(parts), 0, axis)) if steps else x

    return rule


def _row(axis: int, i: int) -> Look:
    return lambda v: np.moveaxis(v, axis, 0)[i]


def append(like: Number, arr: Any, values: Any, axis: int | None = None) -> Number:
    x, y = like.operand(arr), like.operand(values)
    return shapes.concatenate(like, [x.view(np.ravel), y.view(np.ravel)] if axis is None else [x, y], axis or 0)


def block(like: Number, arrays: Any) -> Number:
    """Nested lists of arrays put together: the innermost along the last axis, and so on outwards."""
    depth, inner = 0, arrays
    while isinstance(inner, list):
        depth, inner = depth + 1, inner[0]

    def joined(part: Any, level: int) -> Number:
        if level == depth:
            x = like.operand(part)
            return _reshaped(x, (1,) * max(depth - x.ndim, 0) + x.shape)
        return shapes.concatenate(like, [joined(p, level + 1) for p in part], level - depth)

    return joined(arrays, 0)
