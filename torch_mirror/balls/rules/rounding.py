"""To whole numbers: floor, ceil, trunc, rint, round; and what divides by them: floor_divide, mod, divmod.

    floor x     floor(x + R e) - floor(x - R e): 0 where every evaluation gives the same, or else the jump
    x // y      the same of the quotient; 0 where both are exact and |x / y| < 2^(p - 2)
    x % y       A_y more than this where the quotient's floor is open: e_x + |n| e_y + 4 u (A_x + |n| A_y) + tiny;
                infinite where y may be 0

Each of the four is increasing and exact. Of exact operands floor_divide finds the floor of the exact quotient, which
is the same number everywhere: NumPy and torch take fmod, which is exact, and divide what is left. mod is
fmod and at most one addition, or x - n y with n the floor: two roundings; where n differs by 1 it is another
number between 0 and y. round to decimals is rint(10^d x) / 10^d, as NumPy and torch compute it.
Source: NumPy's documentation of numpy.floor_divide, numpy.remainder and numpy.round.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from torch_mirror.balls import adjoints
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Kind, elementary
from torch_mirror.balls.rules import elementwise
from torch_mirror.balls.rules.elementwise import _overflow
from torch_mirror.balls.rules.functions import reach
from torch_mirror.balls.take import Take


def step(function: Callable[[Any], Any]) -> Callable[[Number], Number]:
    """The rule of an increasing function whose results are whole numbers."""

    @elementary(Kind.ZERO, function.__name__)
    def rule_of(x: Number) -> Number:
        def rule(take: Take) -> Any:
            v, r = take(x.value), reach(x, take)
            with np.errstate(all="ignore"):  # inf - inf, where the radius is infinite
                jump = function(v + r) - function(v - r)
            return np.where(r == 0, 0, np.where(jump < np.inf, jump, np.inf))

        return x.derived(function(x.value), None if x.exact or x.format.as_taken else rule)

    return rule_of


floor, ceil, trunc, rint = (step(f) for f in (np.floor, np.ceil, np.trunc, np.rint))


def around(like: Number, a: Any, decimals: int = 0) -> Number:
    """numpy.round: to so many decimals, halves to even."""
    x = like.operand(a)
    if not decimals:
        return rint(x)
    ten = x.operand(10.0 ** abs(decimals))
    up, down = (elementwise.multiply, elementwise.divide)[:: 1 if decimals > 0 else -1]
    return down(rint(up(x, ten)), ten)


def fix(like: Number, x: Any) -> Number:
    return trunc(like.operand(x))


@elementary(Kind.ZERO)
def floor_divide(x: Number, y: Number) -> Number:
    value = np.floor_divide(x.value, y.value)
    quotient = elementwise.divide(x, y)
    certain = 2.0 ** (x.format.precision - 2)

    def rule(take: Take) -> Any:
        q, e = take(quotient.value), quotient.e(take)
        with np.errstate(all="ignore"):  # inf - inf, where the radius is infinite
            r = quotient.slack * e * (1 + 4 * x.format.u) + np.abs(q) * (4 * x.format.u)
            jump = np.floor(q + r) - np.floor(q - r)
        exact = (x.e(take) == 0) & (y.e(take) == 0) & (np.abs(q) < certain)
        return np.where(exact, 0, np.where(jump < np.inf, jump, np.inf))

    return x.derived(value, None if x.format.as_taken or y.format.as_taken else rule)


@elementary(adjoints.mod, "mod")
def mod(x: Number, y: Number) -> Number:
    value = np.mod(x.value, y.value)
    times = floor_divide(x, y)
    fmt = x.format

    def rule(take: Take) -> Any:
        n, open_ = np.abs(take(times.value)), times.e(take) != 0
        ay = y.A(take)
        with np.errstate(all="ignore"):  # inf - inf, where the radius is infinite
            near = x.e(take) + n * y.e(take) + 4 * fmt.u * (x.A(take) + n * ay) + fmt.tiny
            result = near + np.where(open_, ay * (1 + 4 * fmt.u) + y.e(take), 0)
            return np.where(times.e(take) < np.inf, _overflow(result, take(value), fmt), np.inf)

    return x.derived(value, rule)


def divmod_(x: Number, y: Number) -> tuple[Number, Number]:
    return floor_divide(x, y), mod(x, y)
