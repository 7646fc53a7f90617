"""The adjoint of whatever moves elements: views, indices, joins, pads, assignment. One for all of them.

A move puts elements of its parts, or 0, where ``join`` puts those of any arrays of their shapes. Its adjoint adds
each element of g to the element that was put there. Where the move is a view of one part that NumPy can write
through, g is added through it, in place: a loop over k slices then costs the array once, and not k times (Sum).
Otherwise ``join`` is asked where it puts the numbers 1, 2, ... of all elements.

Where K elements of g meet in one element, the sum has the radius of a sum (sums.py): the radii, gamma_K times their
magnitudes, and what underflows. Added one by one, each addition has a rounding, u |sum|.
"""

from typing import Any

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.format import Format
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Node


def join_of(node: Node) -> Any:
    """The function of a list of arrays, one of each part, that puts their elements where the move does."""
    if node.operation == "moved":
        return node.arguments[0]
    if node.operation == "view":
        look = node.arguments[0]
        return lambda parts: look(parts[0])
    return lambda parts: parts[0]  # another dtype


class Sum:
    """A derivative that is added up in place: values v and radii r, of which nobody else knows."""

    __slots__ = ("format", "passed", "r", "v")

    def __init__(self, shape: tuple[int, ...], dtype: Any, fmt: Format) -> None:
        self.v, self.r, self.format = np.zeros(shape, dtype), np.zeros(shape, dtype), fmt
        self.passed = False  # on from an assignment to what was there before

    @classmethod
    def of(cls, d: Number) -> "Sum":
        """A sum that starts with a derivative."""
        total = cls(d.shape, d.value.dtype, d.format)
        total.v[...], total.r[...] = d.value, d.radius
        return total

    def number(self) -> Number:
        return Number(self.v, self.r, self.format)

    def add(self, v: Array, r: Array, g: Number) -> None:
        """Add g to views of the values and radii: a rounding where something was there."""
        fmt, slack = self.format, g.slack
        before = (v != 0) | (r != 0)
        v += g.value
        if g.exact and not before.any():
            return
        r += g.radius
        if before.any():
            r += np.where(before, fmt.u * (np.abs(v) + slack * r) + fmt.tiny, 0) * (1 + 4 * fmt.u)
        unsafe = ~(np.abs(v) + 2 * r < fmt.huge / 2)
        if unsafe.any():
            r[unsafe] = np.inf


def turned_back(join: Any, shape: tuple[int, ...], g: Number) -> Number | None:
    """g looked at from the part of that shape, if the move of it is another order of its axes, or another shape."""
    probe = np.empty(shape)
    v = join([probe])
    if not isinstance(v, np.ndarray) or v.size != probe.size or not v.size or not np.may_share_memory(v, probe):
        return None
    if sorted(v.strides) == sorted(probe.strides) and len(set(v.strides)) == v.ndim == probe.ndim:
        back = [v.strides.index(s) for s in probe.strides]
        return g.view(lambda a: a.transpose(back))
    same = v.__array_interface__["data"] == probe.__array_interface__["data"]
    return g.view(lambda a: a.reshape(shape)) if same and v.flags.c_contiguous else None


def written_through(join: Any, shape: tuple[int, ...], into: Sum | None, g: Number) -> Sum | None:
    """The sum with g added through the move, if that is a view of one part that can be written to; else None."""
    total = Sum(shape, g.value.dtype, g.format) if into is None else into
    v = join([total.v])
    if not (isinstance(v, np.ndarray) and v.flags.writeable and v.size <= total.v.size):
        return None
    if 0 in v.strides or not np.may_share_memory(v, total.v) or v.shape != g.shape:
        return None
    r = join([total.r])
    if into is None:
        v[...], r[...] = g.value, g.radius
    else:
        total.add(v, r, g)
    return total


def places(join: Any, shapes: list[tuple[int, ...]], which: int) -> tuple[Array, Array]:
    """Which elements of the result, in a row, are of the part ``which``, and of which element of it each is."""
    sizes = [int(np.prod(s)) for s in shapes]
    starts = np.cumsum([1, *sizes])
    where = np.asarray(join([np.arange(a, a + n).reshape(s) for a, n, s in zip(starts, sizes, shapes, strict=False)]))
    first, where = int(starts[which]), where.reshape(-1)
    mine = (where >= first) & (where < first + sizes[which])
    return mine, where[mine] - first


def scattered(join: Any, shapes: list[tuple[int, ...]], which: int, g: Number) -> Number:
    """By the part ``which`` of those of the shapes, by way of their numbers."""
    mine, at = places(join, shapes, which)
    size = int(np.prod(shapes[which]))
    value, radius = g.value.reshape(-1)[mine], None if g.exact else g.radius.reshape(-1)[mine]
    counts = np.bincount(at, minlength=size)
    most, fmt = int(counts.max(initial=0)), g.format
    v = _added(at, value, size)
    if most <= 1:
        r: Any = 0 if radius is None else _added(at, radius, size).reshape(shapes[which])
        return Number(v.reshape(shapes[which]), r, fmt)
    gamma = fmt.gamma(most)
    e = np.zeros(size) if radius is None else _added(at, radius, size)
    sizes_of = np.abs(value) if radius is None else np.abs(value) + g.slack * radius
    A = _added(at, sizes_of, size)
    with np.errstate(all="ignore"):  # infinite radii stay infinite
        r = np.where(counts > 1, (e + gamma * A) * (1 + 4 * gamma) + (2 * most + 1) * fmt.tiny, e)
        r = np.where(A < fmt.huge / 2, r, np.inf)  # noqa: SIM300 - a bound comes last
    return Number(v.reshape(shapes[which]), r.reshape(shapes[which]), fmt)


def _added(at: Array, values: Array, size: int) -> Array:
    """The values added up where they go; in their dtype."""
    if values.dtype == np.float64 and at.size:  # of nothing, bincount would be whole numbers
        return np.bincount(at, values, size)
    result = np.zeros(size, values.dtype)
    np.add.at(result, at, values)
    return result
