"""Powers of any exponent: x ** -1, x ** 0.5, 2 ** x, x ** y.

    n whole, n >= 1   elementwise.power
    n whole, n < 0    |n| m^(n - 1) e + gamma_k m^n + (|n| + 1) tiny    m = |x| - R e; k = max(|n|, 8) + 1
    n = 0             1, and exact
    x^y               S_x e_x + S_y e_y + 8 u B + tiny                  infinite if x may be below 0

n < 0: |n| - 1 products and a quotient, or a library's pow. What is 1 / x^|n| in the first form is lost if x^|n|
is below tiny, so that the radius is infinite where m^n reaches 1 / (2 tiny).
x^y for x between l = x - R e_x and h = x + R e_x and y between its own two ends: a power is monotone in either
variable, so that x^y is at most the largest B of its values at the four corners, y x^(y - 1) at most S_x, the
largest |y| times the largest x^(y - 1) at the corners, and x^y log x at most S_y, B times the larger |log| of both
ends. Where 0 < y < 1, |a^y - b^y| <= |a - b|^y as well (concave, and 0 at 0), which alone holds at x = 0.
Libraries give x^0.5 as a root, x^-0.5 as its reciprocal (1 + 2 roundings), 2^x by exp2, and the rest by pow, for
which FUNCTION_ROUNDINGS has 8: NumPy's SVML documents 4 ulp.
A Python number that the format cannot hold, as 0.1, has a rounding, which is that of an exponent or base as well.
"""

from typing import Any

import numpy as np

from torch_mirror.balls import adjoints
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import elementary
from torch_mirror.balls.rules import elementwise, functions
from torch_mirror.balls.rules.elementwise import FUNCTION_ROUNDINGS, _least, _overflow
from torch_mirror.balls.take import Take


def power(x: Number, y: Number) -> Number:
    """x ** y; y a number, an array of whole ones, as in x ** np.arange(4), or anything where x is above 0."""
    variable = y.node is not None and y.node.active
    if variable or not y.exact or (y.value != np.round(y.value)).any():
        return _any_power(x, y)
    if y.ndim == 0:
        n = float(y.value)
        if n >= 1:
            return elementwise.power(x, y)
        if n == -1:
            return elementwise.reciprocal(x)
    return _whole_power(x, y)


def float_power(x: Number, y: Number) -> Number:
    """In float64 at least, by definition. Raises TypeError for balls of float32, whose dtype it changes."""
    if x.format.dtype.itemsize < 8:
        raise TypeError("numpy.float_power makes float64 of float32: expected x ** n, or x.astype(np.float64) before")
    return power(x, y)


@elementary(adjoints.whole_power, "power")
def _whole_power(x: Number, y: Number) -> Number:
    value = np.power(x.value, y.value)
    n, fmt = y.value.astype(np.float64), x.format

    def rule(take: Take) -> Any:
        p, A, e = take(np.broadcast_to(n, value.shape)), x.A(take), x.e(take)
        least = np.fmax(np.abs(take(x.value)) - functions.reach(x, take), 0)
        size = np.where(p < 0, least, A)
        with np.errstate(all="ignore"):  # 0 to a negative power is infinite, and so is the radius
            largest = size**p
            # by way of e / size, as size^(p - 1) may underflow where e is large
            propagated = np.where((e == 0) | (p == 0), 0, np.abs(p) * largest * (e / size))
        rounding = fmt.gamma(int(max(np.abs(n).max(initial=0), FUNCTION_ROUNDINGS["pow"])) + 1) * largest
        result = np.where(p == 0, 0, propagated * (1 + 32 * fmt.u) + rounding + (np.abs(p) + 1) * fmt.tiny)
        lost = (p < 0) & ~(largest < 0.5 / fmt.tiny)
        return np.where(lost, np.inf, _overflow(result, np.where(p == 0, 0, largest), fmt))

    return x.derived(value, rule)


@elementary(adjoints.any_power, "power")
def _any_power(x: Number, y: Number) -> Number:
    value = np.power(x.value, y.value)
    fmt = x.format

    def rule(take: Take) -> Any:
        ex, ey = x.e(take), y.e(take)
        low, high = _least(x, take), take(x.value) + functions.reach(x, take)
        reach = functions.reach(y, take)
        first, last = take(y.value) - reach, take(y.value) + reach
        with np.errstate(all="ignore"):  # a corner at 0 or below is infinite or NaN, and so is the radius
            largest = _corners(low, high, first, last)
            steep = np.maximum(np.maximum(_slope(low, first, ex), _slope(high, first, ex)),
                               np.maximum(_slope(low, last, ex), _slope(high, last, ex)))  # fmt: skip
            by_x = np.where(ex == 0, 0, np.maximum(np.abs(first), np.abs(last)) * steep)
            rooted = np.maximum(ex**first, ex**last)
            by_x = np.where((first > 0) & (last < 1), np.fmin(by_x, rooted), by_x)
            logs = np.maximum(np.abs(np.log(low)), np.abs(np.log(high)))
            by_y = np.where(ey == 0, 0, largest * logs * ey)
            k = FUNCTION_ROUNDINGS["pow"] * fmt.u
            result = (by_x + by_y) * (1 + 64 * fmt.u) + k * (1 + 4 * k) * largest + fmt.tiny
            return np.where(low >= 0, _overflow(result, largest, fmt), np.inf)

    return x.derived(value, rule)


def _corners(low: Any, high: Any, first: Any, last: Any) -> Any:
    """The largest of the powers at the corners of a rectangle; NaN where one of them is."""
    return np.maximum(np.maximum(low**first, high**first), np.maximum(low**last, high**last))


def _slope(x: Any, y: Any, e: Any) -> Any:
    """x^(y - 1) e at a corner, by way of e / x, as x^(y - 1) may underflow where e is large."""
    return np.where(x > 0, x**y * (e / x), np.where(y > 1, 0, np.where(y == 1, e, np.inf)))
