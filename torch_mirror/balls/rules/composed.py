"""Compositions: diff, kron, cross, convolve, gradient, cumprod, accumulate, outer, append, block, apply_along_axis.

Each is NumPy's own definition in terms of differences, products, sums and views, and has the radius of that.

    diff x          x[1:] - x[:-1]
    kron a, b       every product of an element of a and one of b
    cross a, b      a_i b_j - a_j b_i
    convolve a, v   sum of a[n - m] v[m] over m, in any order: zeros stand where a ends, which add nothing
    gradient x      (x[i + 1] - x[i - 1]) / (2 h) inside, one-sided differences at the ends
    cumprod x       prod of the first 1, 2, ... elements, each in any order (elementwise.prod)
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.masks import Mask, is_ball
from torch_mirror.balls.rules import elementwise, shapes, sums
from torch_mirror.balls.take import Take, everything

if TYPE_CHECKING:
    from torch_mirror.balls.ball import Ball


def _along(axis: int, ndim: int, part: slice) -> tuple[slice, ...]:
    return tuple(part if i == axis % ndim else slice(None) for i in range(ndim))


def diff(like: "Ball", a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> "Ball":
    """The n-th differences. Raises TypeError for prepend= and append=, which np.concatenate does."""
    if prepend is not None or append is not None:
        raise TypeError("no radius is known for numpy.diff with prepend or append; np.concatenate does that before")
    x = like.operand(a)
    for _ in range(n):
        later, earlier = x[_along(axis, x.ndim, slice(1, None))], x[_along(axis, x.ndim, slice(None, -1))]
        x = (later - earlier).settled()
    return x


def kron(like: "Ball", a: Any, b: Any) -> "Ball":
    x, y = like.operand(a), like.operand(b)
    ndim = max(x.ndim, y.ndim)
    sx, sy = (1,) * (ndim - x.ndim) + x.shape, (1,) * (ndim - y.ndim) + y.shape
    apart = x.reshape(tuple(m for n in sx for m in (n, 1))) * y.reshape(tuple(m for n in sy for m in (1, n)))
    result: Ball = apart.reshape(tuple(m * n for m, n in zip(sx, sy, strict=True)))
    return result


def cross(
    like: "Ball", a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> "Ball":
    """The product of vectors of three elements. Raises TypeError for two."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = (shapes.view(like.operand(v), _moved(i, -1)) for v, i in ((a, axisa), (b, axisb)))
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        got = f"{x.shape[-1]} and {y.shape[-1]}"
        raise TypeError(f"numpy.cross of balls: expected 3 elements along the axis, got {got}")
    parts: list[Any] = [x[..., i] * y[..., j] - x[..., j] * y[..., i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return shapes.view(shapes.stack(like, parts, -1), _moved(-1, axisc))


def _moved(source: int, destination: int) -> shapes.Look:
    return lambda v: np.moveaxis(v, source, destination)


def convolve(like: "Ball", a: Any, v: Any, mode: str = "full") -> "Ball":
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

    return sums.matmul(shapes.view(x, windows), y[::-1].settled())


def correlate(like: "Ball", a: Any, v: Any, mode: str = "valid") -> "Ball":
    """numpy.correlate of vectors, the second of which is not longer; of real numbers, convolve with that reversed."""
    x, y = like.operand(a), like.operand(v)
    if y.size > x.size:
        raise TypeError("numpy.correlate of balls: expected a second vector that is not longer; swap and reverse")
    return convolve(like, x, y[::-1], mode)


def gradient(like: "Ball", f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Central differences with a spacing that is a number. Raises TypeError for other spacings and edge orders."""
    x: Any = like.operand(f)
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    spacings = varargs * len(axes) if len(varargs) == 1 else varargs or (1.0,) * len(axes)
    if edge_order != 1 or len(spacings) != len(axes) or not all(isinstance(h, (int, float)) for h in spacings):
        raise TypeError("numpy.gradient of balls: expected a number as the spacing of each axis and edge_order=1")
    results = []
    for i, h in zip(axes, spacings, strict=True):
        def at(part: slice, i: int = i) -> Any:
            return x[_along(i, x.ndim, part)]

        inner = (at(slice(2, None)) - at(slice(None, -2))) / (2.0 * h)
        first, last = (at(slice(1, 2)) - at(slice(0, 1))) / h, (at(slice(-1, None)) - at(slice(-2, -1))) / h
        results.append(shapes.concatenate(like, [first, inner, last], i))
    return results[0] if len(results) == 1 else tuple(results)


def cumprod(like: "Ball", a: Any, axis: int | None = None) -> "Ball":
    """The products of the first 1, 2, ... elements along an axis, each in any order."""
    x = like.operand(a)
    if axis is None:
        x, axis = shapes.view(x, np.ravel), 0
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


def accumulate(choose: "Callable[[Ball, Ball], Ball]") -> "Callable[..., Ball]":
    """The rule of maximum.accumulate and kin, along an axis: one after the other."""

    def rule(x: "Ball", axis: int = 0) -> "Ball":
        look = _moved(axis, 0)
        front = shapes.view(x, look).settled()
        steps = [front[i].settled() for i in range(len(front))]
        for i in range(1, len(steps)):
            steps[i] = choose(steps[i - 1], steps[i]).settled()
        return shapes.moved(steps, lambda parts: np.moveaxis(np.stack(parts), 0, axis)) if steps else x

    return rule


def outer(rule: "Callable[[Ball, Ball], Any]", x: "Ball", y: "Ball") -> Any:
    """ufunc.outer: the function of every element of x and every element of y."""
    return rule(x.reshape(x.shape + (1,) * y.ndim).settled(), y)


def append(like: "Ball", arr: Any, values: Any, axis: int | None = None) -> "Ball":
    x, y = like.operand(arr), like.operand(values)
    return shapes.concatenate(like, [x.ravel(), y.ravel()] if axis is None else [x, y], axis or 0)


def block(like: "Ball", arrays: Any) -> "Ball":
    """Nested lists of arrays put together: the innermost along the last axis, and so on outwards."""
    depth, inner = 0, arrays
    while isinstance(inner, list):
        depth, inner = depth + 1, inner[0]

    def joined(part: Any, level: int) -> "Ball":
        if level == depth:
            x = like.operand(part)
            return x.reshape((1,) * max(depth - x.ndim, 0) + x.shape)
        return shapes.concatenate(like, [joined(p, level + 1) for p in part], level - depth)

    return joined(arrays, 0)


def apply_along_axis(
    like: "Ball", func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any
) -> Any:
    """A function of every vector along an axis, called for each of them."""
    x = like.operand(arr)
    rows = x.view(lambda v: np.moveaxis(v, axis, -1))
    outside = rows.shape[:-1]
    each = [func1d(rows[index].copy(), *args, **kwargs) for index in np.ndindex(outside)]
    if not any(is_ball(r) or isinstance(r, Mask) for r in each):  # whole numbers, as argmax gives
        return np.apply_along_axis(lambda at: each[at[0]], -1, np.arange(len(each)).reshape(*outside, 1))
    results = [like.operand(r) for r in each]
    new = results[0].shape
    stacked = shapes.stack(like, results).reshape(outside + new)
    places = tuple(range(len(outside), len(outside) + len(new)))
    back = tuple(axis % x.ndim + i for i in range(len(new)))
    return stacked.view(lambda v: np.moveaxis(v, places, back))
