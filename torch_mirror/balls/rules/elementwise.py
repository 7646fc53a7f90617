"""Elementwise operations: one rounding each, on top of what the operands bring.

    x + y     e_x + e_y + u (|x + y| + R (e_x + e_y)) + tiny
    x y       e_x A_y + A_x e_y + u A_x A_y + tiny
    x / n     e_x / n + gamma_4 A_x / n + 4 tiny max(1, N / n)  n a number, N the elements of x
    x / y     (e_x + q e_y) / (|y| - R e_y) + u q + tiny       q = A_x / (|y| - R e_y)
    x^n       n A^(n - 1) e and max(n - 1, 4) roundings of A^n
    prod x    prod A (sum of e / A + gamma_K) + K tiny prod max(A, 1)
    exp x     e^(x + R e) (e + 8 u) + tiny
    tanh x    e times the largest slope within reach, + 8 u |tanh x| + tiny
    1 / x     as x / y
    sqrt x    e / (sqrt(l + e) + sqrt l) + 2 u sqrt(|x| + R e)            l = x - R e; infinite if l < 0
    log x     log(1 + e / l) + 8 u (|log x| + R log(1 + e / l)) + tiny    infinite if l <= 0

A number such as N / (2 scale) may be rounded when it is formed and when it is held, and torch multiplies
by fl(2 / N) and by the scale instead, each held in its own rounding: four roundings at most, either way.
exp, tanh, sqrt and log rest on FUNCTION_ROUNDINGS, which is assumed and not proven. sqrt is not correctly
rounded everywhere, though IEEE 754 demands it: torch's in float32 is off by 1.5 u at times, so that no root
but that of 0 is taken to be exact. It cannot underflow. sqrt and log are concave and increasing: two numbers at most e
apart, neither below l, have the images that are furthest apart at l and l + e. An operation whose operands
are exact and which loses no bit (exactness.py) has the radius 0.
Source: Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), section 2.2.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from reference.arrays import Array
from torch_mirror.balls import adjoints, choosing
from torch_mirror.balls.exactness import exact_product, exact_sum
from torch_mirror.balls.format import Format
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import elementary
from torch_mirror.balls.rules import sums
from torch_mirror.balls.sameness import of_magnitude, of_product, of_sum
from torch_mirror.balls.take import Take, everything

FUNCTION_ROUNDINGS = {
    "exp": 8, "tanh": 8, "log": 8, "sqrt": 2,
    **dict.fromkeys((  # functions.py, powers.py
        "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "arcsinh", "arccosh", "arctanh",
        "exp2", "log2", "log10", "log1p", "expm1", "cbrt", "erf", "pow",
    ), 8), "expit": 11,
}  # fmt: skip
"""Error of an elementary function in units of u: the vendors' documented figures, with room (NumPy's
SIMD exp and log in float32 document 2.52 and 3.83 ulp = 5.04 u and 7.66 u; SLEEF's u10 functions, which
torch uses, 2 u; MKL's vector functions, which torch uses too, less than 1 ulp = 2 u)."""

MANY = 4096
"""Elements from which a test of exactness looks at a few first."""


@elementary(adjoints.add)
def add(x: Number, y: Number) -> Number:
    return _sum_or_difference(x, y, 1)


@elementary(adjoints.subtract)
def subtract(x: Number, y: Number) -> Number:
    return _sum_or_difference(x, y, -1)


def _sum_or_difference(x: Number, y: Number, sign: int) -> Number:
    value = x.value + y.value if sign > 0 else x.value - y.value
    fmt = x.format
    if x.open or y.open:
        return sums.add(x, y, value)

    def rule(take: Take) -> Any:
        propagated = x.e(take) + y.e(take)
        s = take(value)
        rounding = fmt.u * (np.abs(s) + x.slack * propagated) + fmt.tiny
        exact = _where_exact(propagated, lambda: exact_sum(take(x.value), sign * take(y.value), s, fmt))
        return _overflow(propagated + _zero_where(exact, rounding), s, fmt)

    made = x.derived(value, rule)
    made.same_as(lambda: of_sum(x, y, sign, value.shape), max(x.far, y.far), keep=False)
    return made


@elementary(adjoints.negative)
def negative(x: Number) -> Number:
    made = x.derived(-x.value, None if x.exact else x.e)
    made.same_as(lambda: -x.ids(), x.far)
    return made


@elementary(choosing.absolute)
def absolute(x: Number) -> Number:
    made = x.derived(np.abs(x.value), None if x.exact else x.e)
    made.same_as(lambda: of_magnitude(x), x.far, keep=False)
    return made


def multiply(x: Number, y: Number) -> Number:
    return square(x) if x is y else _product(x, y)


def _times(x: Number, y: Number) -> Number:
    value = x.value * y.value
    fmt = x.format
    if x.number is not None:
        x, y = y, x
    if y.number is not None and _is_power_of_two(y.number) and _in_range(y.number, fmt):
        number = abs(y.number)
        by_power = x.derived(value, lambda take: _by_power_of_two(x, number, take(value), take))
        if number == 1:
            by_power.same_as(lambda: of_product(x, y, value.shape), x.far, keep=False)
        return by_power

    def rule(take: Take) -> Any:
        ex, ey, p = x.e(take), y.e(take), take(value)
        ax, ay = x.A(take), y.A(take)
        largest = ax * ay
        propagated = ax * ey if x.exact else ex * ay if y.exact else ex * ay + ax * ey
        exact = _where_exact(ex + ey, lambda: _exact_products(take(x.value), take(y.value), p, fmt))
        rounding = fmt.u * largest
        rounding += fmt.tiny
        return _overflow(propagated + _zero_where(exact, rounding), largest, fmt)

    made = x.derived(value, rule)
    if x.exact or y.exact:
        made.same_as(lambda: of_product(x, y, value.shape), max(x.far, y.far), keep=False)
    return made


_product = elementary(adjoints.multiply, "multiply")(_times)


def outer(like: Number, a: Any, b: Any) -> Number:
    return multiply(
        like.operand(a).view(lambda v: v.reshape(-1, 1)), like.operand(b).view(lambda v: v.reshape(1, -1))
    )


@elementary(adjoints.prod)
def prod(x: Number, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Number:
    """The product of K elements over some axes, in any order."""
    axes = tuple(range(x.ndim)) if axis is None else axis
    value = x.value.prod(axis=axes, keepdims=keepdims)
    terms = x.size // max(np.size(value), 1)
    if not x.size or (terms == 1 and x.exact):
        return x.derived(value, None)
    fmt = x.format

    def rule(take: Take) -> Any:
        A, e = x.A(everything), np.broadcast_to(x.e(everything), x.shape)
        largest = np.maximum(A, 1).prod(axis=axes, keepdims=keepdims)  # of every partial product
        relative = np.where(A > 0, e / np.where(A > 0, A, 1), 0)
        propagated = A.prod(axis=axes, keepdims=keepdims) * relative.sum(axis=axes, keepdims=keepdims)
        rounding = fmt.gamma(terms) * A.prod(axis=axes, keepdims=keepdims) + terms * fmt.tiny * largest
        return take(np.asarray(_overflow((propagated + rounding) * (1 + 2 * fmt.gamma(terms + 2)), largest, fmt)))

    return x.derived(value, rule)


@elementary(adjoints.square)
def square(x: Number) -> Number:
    return _times(x, x)


@elementary(adjoints.divide)
def divide(x: Number, y: Number) -> Number:
    value = x.value / y.value
    fmt = x.format
    if y.number is not None and _in_range(y.number, fmt):
        number = abs(y.number)
        if _is_power_of_two(number):
            by_power = x.derived(value, lambda take: _by_power_of_two(x, 1 / number, take(value), take))
            if number == 1:
                by_power.same_as(lambda: of_product(x, y, value.shape), x.far, keep=False)
            return by_power

        def by_number(take: Take) -> Any:
            underflow = 4 * fmt.tiny * max(1.0, x.size / number)  # times the scale, if that comes last
            rounding = fmt.gamma(4) * x.A(take) / number + underflow
            return _overflow(x.e(take) / number + rounding, take(value), fmt)

        return x.derived(value, by_number)

    def rule(take: Take) -> Any:
        ex, ey = x.e(take), y.e(take)
        reach = np.abs(take(y.value)) - y.slack * ey
        smallest = np.where(reach > 0, reach, 0)  # of every evaluation of y
        largest = x.A(take) / smallest            # of every evaluation of x / y
        propagated = ex / smallest + largest * (ey / smallest)
        return _overflow(propagated + fmt.u * largest + fmt.tiny, largest, fmt)

    return x.derived(value, rule)


def power(x: Number, y: Number) -> Number:
    """A whole exponent above 0: n - 1 products, or a library's pow with an error of at most 2 ulp = 4 u.

    Others: powers.py.
    """
    return multiply(x, x) if int(y.value) == 2 else _whole_power(x, y)


@elementary(adjoints.whole_power, "power")
def _whole_power(x: Number, y: Number) -> Number:
    n = int(y.value)
    value = x.value**n
    fmt = x.format

    def rule(take: Take) -> Any:
        largest = x.A(take) ** n
        propagated = n * x.A(take) ** (n - 1) * x.e(take)
        return _overflow(propagated + fmt.gamma(max(n - 1, 4)) * largest + n * fmt.tiny, largest, fmt)

    return x.derived(value, rule)


@elementary(adjoints.SMOOTH["exp"])
def exp(x: Number) -> Number:
    value = np.exp(x.value)
    fmt, roundings = x.format, FUNCTION_ROUNDINGS["exp"]

    def rule(take: Take) -> Any:
        e = x.e(take)
        # e^t over the interval, whose slope it is; tiny, for a centre that underflows alone
        largest = (take(value) + fmt.tiny) * np.exp(x.slack * e) * (1 + 2 * roundings * fmt.u)
        return _overflow(largest * (e + roundings * fmt.u) + fmt.tiny, largest, fmt)

    return x.derived(value, rule)


@elementary(adjoints.SMOOTH["tanh"])
def tanh(x: Number) -> Number:
    value = np.tanh(x.value)
    fmt, roundings = x.format, FUNCTION_ROUNDINGS["tanh"]

    def rule(take: Take) -> Any:
        e = x.e(take)
        nearest = np.tanh(np.fmax(np.abs(take(x.value)) - x.slack * e, 0))  # 0 for inf - inf: x may be anything
        slope = np.minimum(1 - nearest * nearest + 2 * roundings * fmt.u, 1)  # the largest over the interval
        return e * slope + roundings * fmt.u * np.abs(take(value)) + fmt.tiny

    return x.derived(value, rule)


def reciprocal(x: Number) -> Number:
    return divide(x.operand(1.0), x)


@elementary(adjoints.SMOOTH["sqrt"])
def sqrt(x: Number) -> Number:
    value = np.sqrt(x.value)
    fmt, roundings = x.format, FUNCTION_ROUNDINGS["sqrt"]

    def rule(take: Take) -> Any:
        e, least = x.e(take), _least(x, take)
        reach = np.maximum(least, 0)
        width = np.sqrt(reach + e) + np.sqrt(reach)
        propagated = np.where(e == 0, 0, e / np.where(width > 0, width, 1))
        rounding = roundings * fmt.u * (1 + 4 * fmt.u) * np.sqrt(x.A(take))
        return np.where(least >= 0, _overflow(propagated + rounding, take(value), fmt), np.inf)

    return x.derived(value, rule)


@elementary(adjoints.SMOOTH["log"])
def log(x: Number) -> Number:
    value = np.log(x.value)
    fmt, roundings = x.format, FUNCTION_ROUNDINGS["log"]

    def rule(take: Take) -> Any:
        least = _least(x, take)
        propagated = np.log1p(x.e(take) / np.where(least > 0, least, 1))
        largest = np.abs(take(value)) * (1 + 2 * roundings * fmt.u) + x.slack * propagated
        return np.where(least > 0, _overflow(propagated + roundings * fmt.u * largest + fmt.tiny, largest, fmt), np.inf)

    return x.derived(value, rule)


def _least(x: Number, take: Take) -> Any:
    """x - R e: no evaluation of x is below; rounded down, as what is left of a difference may be its rounding."""
    v, e, u = take(x.value), x.e(take), x.format.u
    return np.where(e == 0, v, v - np.abs(v) * (4 * u) - x.slack * e * (1 + 4 * u))


def _in_range(number: float, fmt: Format) -> bool:
    """Whether the format holds it as a normal number, rounded once."""
    return fmt.tiny <= abs(number) <= fmt.huge


def _is_power_of_two(number: float) -> bool:
    return abs(math.frexp(number)[0]) == 0.5


def _by_power_of_two(x: Number, number: float, p: Any, take: Take) -> Any:
    """The radius of p = number x: exact, unless it leaves the normal numbers."""
    if x.exact and number >= 1:
        return _overflow(np.broadcast_to(0.0, np.shape(p)), p, x.format)
    ex, tiny = x.e(take), x.format.tiny
    e = ex * number
    normal = (np.abs(p) - x.slack * e >= tiny) & ((ex == 0) | (e >= tiny))  # in every evaluation, and the radius itself
    underflow = np.where(normal | ((take(x.value) == 0) & (ex == 0)), 0, tiny)
    return _overflow(e + underflow, p, x.format)


def _exact_products(a: Any, b: Any, p: Any, fmt: Format) -> Array:
    """exact_product; of many elements a few are asked first, and where none of them is exact, none is claimed."""
    few = slice(None, None, max(p.size // 64, 1))
    many = a.shape == b.shape == p.shape and p.size >= MANY
    if many and not exact_product(a.reshape(-1)[few], b.reshape(-1)[few], p.reshape(-1)[few], fmt).any():
        return np.asarray(False)
    return exact_product(a, b, p, fmt)


def _where_exact(propagated: Any, test: Callable[[], Array]) -> Any:
    """The test's outcome where no error came in; not asked where one came in everywhere."""
    if type(propagated) is float:  # of operands that are exact all over
        return test() if propagated == 0 else False
    clean = np.asarray(propagated) == 0
    return clean & test() if clean.any() else False


def _zero_where(exact: Any, rounding: Any) -> Any:
    return rounding if exact is False else np.where(exact, 0, rounding)


def _overflow(e: Any, magnitude: Any, fmt: Format) -> Any:
    """Infinite where an evaluation may overflow, and where the bound itself did."""
    size, room = np.size(magnitude), fmt.huge / 8
    if size >= MANY and -room < magnitude.min() and magnitude.max() < room and np.max(e) < room:
        return e  # nowhere, which is seen without an array in between
    return np.where((np.abs(magnitude) + 2 * e < fmt.huge / 2), e, np.inf)
