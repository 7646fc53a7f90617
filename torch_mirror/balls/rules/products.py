"""Bounds and grids of matrix products, on plain arrays: |x| @ |w| cheaply, and where x @ w is exact."""

import math
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.exactness import NO_BIT, lowest_bit
from torch_mirror.balls.format import Format, format_of

LARGE = 1 << 16
"""Number of products in a matrix product from which its bound is taken in float32."""


class Scaled(NamedTuple):
    """|x| / scale in float32: at most 1 in every row of a left factor, every column of a right one."""

    array: Array
    scale: Array  # powers of two, (..., m, 1) or (..., 1, n)


def scaled(x: Array, axis: int) -> Scaled | None:
    """|x| in float32, each row (axis -1) or column (axis -2) with a scale of its own, so that nothing overflows.

    None where one of them is so large or small that the scale, put back, could underflow on the way.
    """
    magnitude = np.abs(x)
    largest = magnitude.max(axis=axis, keepdims=True, initial=0)
    if not ((largest < 2.0**400) & ((largest > 2.0**-400) | (largest == 0))).all():
        return None
    scale = np.ldexp(1.0, np.frexp(largest)[1])
    magnitude *= 1 / scale
    return Scaled(magnitude.astype(np.float32), scale)


def large(x: Array, w: Array) -> bool:
    """True if |x| @ |w| is worth taking in float32."""
    return x.dtype == np.float64 and x.shape[-2] * x.shape[-1] * w.shape[-1] >= LARGE


def product(a: Array, b: Array) -> Array:
    """a @ b; where one of them is the same for the whole stack, as one product of matrices, which is faster."""
    if a.dtype == np.longdouble:  # no BLAS has it, and this is faster than what NumPy has in its place
        slow: Array = np.einsum("...ik,...jk->...ij", np.ascontiguousarray(a), np.ascontiguousarray(b.mT))
        return slow
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    if a.ndim == 2 < b.ndim and b.mT.flags.c_contiguous:
        whole: Array = (b.mT.reshape(-1, k) @ a.T).reshape(*b.shape[:-2], n, m).mT
        return whole
    if b.ndim == 2 < a.ndim and a.flags.c_contiguous:
        return (a.reshape(-1, k) @ b).reshape(*a.shape[:-2], m, n)
    return a @ b


def magnitude(a: Array, b: Array) -> Array:
    """a @ b of what is not negative, rounded as a sum in that dtype is; longdouble in float64, which will do."""
    a, b = (v if v.dtype != np.longdouble else v.astype(np.float64) for v in (a, b))
    return product(a, b)


MEMORY = 1 << 22
"""Elements of a product from which it is not held a second time."""

ROWS = 256
"""Rows of such a one that are made in one go."""


def add_magnitude(total: Array, a: Array, b: Array) -> None:
    """Add a @ b of what is not negative to the total, in its own memory."""
    if total.size < MEMORY:
        total += magnitude(a, b)
        return
    for start in range(0, total.shape[-2], ROWS):
        here = (..., slice(start, start + ROWS), slice(None))
        total[here] += magnitude(a[here], b)


def large_magnitude(x: Scaled, w: Scaled, factor: float) -> Array | None:
    """At least factor * |x| @ |w|, in float32's digits and half the time; None if it would be far too much.

    What underflows in the scaled product is at most the K 2^-125 that is added, and the relative error
    of a float32 sum of K products, gamma_{K+2}, is added too (doubled, for the roundings down here).
    """
    terms = x.array.shape[-1]
    total = product(x.array, w.array).astype(np.float64)
    floor = terms * 2.0**-125
    if ((total > 0) & (total < 2.0**20 * floor)).any():
        return None
    total += floor
    total *= factor * (1 + 2 * format_of(np.dtype(np.float32)).gamma(terms + 2))
    total *= x.scale
    total *= w.scale
    return total


def magnitude_at(x: Array, w: Array, at: tuple[Array, ...]) -> Array:
    """|x| @ |w| at some of its elements only; ``at`` is what numpy.unravel_index gives."""
    *lead, i, j = at
    rows, columns = x[picks(x.shape[:-1], (*lead, i))], w.mT[picks(w.mT.shape[:-1], (*lead, j))]
    np.abs(rows, out=rows)  # copies, both of them
    np.abs(columns, out=columns)
    total: Array = np.vecdot(rows, columns)
    return total


FEW = 8
"""Products of a sum that stand for all of them where that will do."""


def magnitude_of_few(x: Array, w: Array, at: tuple[Array, ...]) -> Array:
    """At most |x| @ |w| at some of its elements: the sum of FEW of the products, spread over all, rounded down.

    A sum of k products that are not negative is off by at most gamma_k relative, and what underflows adds k tiny at
    most, which the radius of a sum has room for beside its gamma (sums.py).
    """
    few = slice(None, None, x.shape[-1] // FEW)
    some = magnitude_at(x[..., few], w[..., few, :], at)
    some *= 1 - 2 * format_of(some.dtype).gamma(2 * FEW)
    return some


def picks(shape: tuple[int, ...], at: tuple[Array, ...]) -> tuple[Any, ...]:
    """The index into an array of that shape that elements of what it broadcasts to have."""
    return tuple(np.zeros_like(i) if n == 1 else i for n, i in zip(shape, at[len(at) - len(shape) :], strict=True))


def product_grid(x: Array, w: Array, fmt: Format) -> Array | None:
    """The lowest bit over the products of each element of x @ w: of x's row plus of w's column.

    None if nothing can be exact.
    """
    if not may_fit(x, w, fmt):
        return None
    rows = lowest_bit(x, fmt).min(axis=-1, initial=NO_BIT)  # of no product at all, a sum of 0
    columns = lowest_bit(w, fmt).min(axis=-2, initial=NO_BIT)
    total = rows[..., :, None] + columns[..., None, :]
    return np.where(total >= NO_BIT // 2, NO_BIT, total)


def may_fit(x: Array, w: Array, fmt: Format) -> bool:
    """False if products of the two are taken to be inexact without a closer look.

    A few numbers are looked at first: where they have all their bits in use, the usual case, no product
    of theirs fits, and that is the end of it. Numbers further on that would fit are then missed, which
    costs sharpness and not soundness.
    """
    return _finest(x, fmt) + _finest(w, fmt) + fmt.precision >= 0


def _finest(a: Array, fmt: Format) -> int:
    """The fewest bits from the leading to the lowest one, negated, among some numbers of the first matrix."""
    some = a[(0,) * (a.ndim - 2)].ravel(order="K") if a.size else a.ravel()  # a view, transposed or not
    some = some[:: some.size // 61 + 1]
    used = []
    for number in some[some != 0][:4].tolist():
        mantissa, _ = math.frexp(number)
        if not math.isfinite(mantissa):
            return -fmt.precision
        whole = abs(int(math.ldexp(mantissa, fmt.precision)))
        used.append((whole & -whole).bit_length() - whole.bit_length())
    return max(used, default=0)
