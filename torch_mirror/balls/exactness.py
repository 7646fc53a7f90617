"""Where a floating-point operation is exact, decided from the operands' bits and never from a radius.

Where an operation is exact, every admissible evaluation gives the same number and equality may be
demanded. All functions take plain arrays; a False costs sharpness only, never soundness.
"""

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.format import Format

NO_BIT = 1 << 20
"""The lowest-bit exponent of 0: larger than any other."""


def representable(value: Array, fmt: Format) -> Array:
    """True where the value is 0 or a normal number of the format: no flush to zero can touch it."""
    fits = (value == 0) | (np.abs(value) >= fmt.tiny)
    return fits if value.dtype == fmt.dtype else fits & (value.astype(fmt.dtype) == value)


def rounding_of(value: Array, fmt: Format) -> Array | float:
    """The error of each number, held in the format; the number 0 if none has one."""
    if value.dtype == fmt.dtype or value.dtype.kind not in "iuf":
        return 0.0
    with np.errstate(over="ignore"):
        held = value.astype(fmt.dtype) == value
    if held.all():
        return 0.0
    magnitude = np.abs(value.astype(np.longdouble))
    return np.where(held, 0, np.where(magnitude < fmt.huge, fmt.u * magnitude + fmt.tiny, np.inf)).astype(np.float64)


def complement_of(c: float) -> float:
    """How far a number between 0 and 1 is from 1 - c', with c' = fl(1 - c) the other decimal that may be meant.

    1 - c' is exact: c' is at least 1/2, or c is and c' is exact itself. So is the difference of the two, which lie
    within a factor of 2 of each other for any c above 2^-52 (Sterbenz; Higham, theorem 2.5); below, it is c at most.
    """
    return abs(c - (1 - (1 - c))) if 0 < c < 1 else 0.0


def exact_sum(a: Array, b: Array, s: Array, fmt: Format) -> Array:
    """True where s = fl(a + b) is a + b.

    TwoSum (Knuth, The Art of Computer Programming, vol. 2, 4.2.2, theorem B) gives the error of an
    addition exactly, barring overflow, which turns it into NaN.
    """
    c = s - a
    error = (a - (s - c)) + (b - c)
    exact = error == 0
    if not exact.any():  # often, and it spares a look at the operands
        return exact
    return exact & representable(a, fmt) & representable(b, fmt) & representable(s, fmt)


def exact_product(a: Array, b: Array, p: Array, fmt: Format) -> Array:
    """True where p = fl(a b) is a b.

    TwoProduct (Dekker 1971; Veltkamp's splitting) gives the error of a product exactly as long as
    nothing underflows: that holds where the product is 0 because a factor is, or is far from tiny.
    Factors that overflow the splitting give NaN, which is not exact.
    """
    exact = _product_error(a, b, p) == 0
    if not exact.any():
        return exact
    safe = (a == 0) | (b == 0) | (np.abs(p) >= fmt.tiny * 2.0 ** (2 * fmt.precision))
    return exact & safe & representable(a, fmt) & representable(b, fmt) & representable(p, fmt)


def _product_error(a: Array, b: Array, p: Array) -> Array:
    a1, a2 = _split(a)
    b1, b2 = _split(b)
    error: Array = ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2
    return error


def _split(a: Array) -> tuple[Array, Array]:
    bits = np.finfo(a.dtype).nmant + 1
    c = a * a.dtype.type(2.0 ** ((bits + 1) // 2) + 1)
    high = c - (c - a)
    return high, a - high


def _lowest_of_whole(value: Array) -> Array:
    whole = value.astype(np.int64)
    lowest: Array = np.frexp((whole & -whole).astype(np.float64))[1] - 1
    return lowest


def lowest_bit(value: Array, fmt: Format) -> Array:
    """The exponent of the lowest set bit of each element: value is a multiple of 2^exponent; NO_BIT for 0."""
    mantissa, exponent = np.frexp(value.astype(fmt.dtype))
    whole = np.ldexp(mantissa, fmt.precision)
    if fmt.precision < 63:
        lowest = _lowest_of_whole(whole)
    else:  # all bits of a longdouble are more than an int64 has
        high = np.trunc(np.ldexp(whole, -32))
        low = whole - np.ldexp(high, 32)
        lowest = np.where(low != 0, _lowest_of_whole(low), _lowest_of_whole(high) + 32)
    result: Array = np.where(value == 0, NO_BIT, exponent + lowest - fmt.precision)
    return result


def fits_grid(magnitude: Array, grid: Array, fmt: Format) -> Array:
    """True where a sum of terms that are multiples of 2^grid is exact in any order.

    Every partial sum is a multiple of 2^grid, at most ``magnitude`` (the sum of the absolute values,
    itself perhaps rounded up by a relative 2^-10 at most) and so has at most p bits. 2^grid being
    normal, no partial sum is subnormal.
    """
    largest = magnitude * (1 + 2.0**-10)
    roomy = (largest < np.ldexp(1.0, np.minimum(grid, 900) + fmt.precision)) & (largest <= fmt.huge)
    return roomy & (grid >= fmt.grid) | (grid == NO_BIT) & (magnitude == 0)
