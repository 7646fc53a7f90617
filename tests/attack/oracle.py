"""The oracle: what is exact, and whether an evaluation is within so much of it, decided and never guessed.

Arb's numbers (python-flint) are a midpoint and a radius of their own, which is proven. Sums and products of
floating-point numbers are exact where the precision holds them, and everything else, 1/3 or an exponential,
is enclosed. So each comparison is true, false or, at that precision, undecided; ``LADDER`` says at how many bits an
equation is evaluated, until nothing is undecided. An equation of the reference runs on object arrays of these
numbers as it stands; where it chooses by a comparison, ``choose``, ``largest`` and ``least`` choose in its place,
or it runs on fractions, and its result is enclosed.

Most comparisons are decided in bulk, in longdouble, with a margin for what longdouble cannot hold; the rest
are made by Arb, one by one.

Source: Johansson, Arb: efficient arbitrary-precision midpoint-radius interval arithmetic (2017).
"""

from fractions import Fraction
from typing import Any, NamedTuple

import flint
import numpy as np

from reference.arrays import Array

LADDER = (300, 5000)
"""Bits. The second holds every sum of products of two float64 numbers exactly: 2 (1024 + 1074) bits, and carries."""

WIDE = np.longdouble
U = float(np.finfo(WIDE).eps) / 2
LEAST = float(np.finfo(np.float64).smallest_subnormal)

_arb = np.frompyfunc(flint.arb, 1, 1)


def _one_arb(v: Any) -> Any:
    if type(v) is flint.arb:  # as nearly all are; to ask whether something is a Fraction takes long
        return v
    if isinstance(v, Fraction):
        return flint.arb(flint.fmpq(v.numerator, v.denominator))
    return flint.arb(int(v) if isinstance(v, (np.integer, np.bool)) else v)


_any_arb = np.frompyfunc(_one_arb, 1, 1)
_from_mantissa = np.frompyfunc(lambda m, e: flint.arb((int(m), int(e))), 2, 1)


def workprec(bits: int) -> Any:
    """A context in which Arb rounds to so many bits."""
    return flint.ctx.workprec(bits)


def exactly(a: Any) -> Array:
    """An array's own numbers: float32, float64 or longdouble; returns an object array of the same shape."""
    a = np.asarray(a)
    if a.dtype != WIDE or np.finfo(WIDE).nmant == np.finfo(np.float64).nmant:
        return np.asarray(_arb(a.astype(object)), object)
    finite = np.isfinite(a)
    mantissa, exponent = np.frexp(np.where(finite, a, 0))
    bits = np.finfo(WIDE).nmant + 1
    whole = np.asarray(_from_mantissa(np.ldexp(mantissa, bits), exponent - bits), object)
    return np.where(finite, whole, _arb(a.astype(float).astype(object)))


def enclosed(numbers: Any) -> Array:
    """The result of an equation on exact numbers, of which some may be fractions, Python's, or NumPy's whole ones."""
    return np.asarray(_any_arb(np.asarray(numbers, object)), object)


def _one_fraction(x: Any) -> Fraction:
    mantissa, exponent = x.man_exp()
    return int(mantissa) * Fraction(2) ** int(exponent)


def as_fractions(numbers: Array) -> Array:
    """Numbers of Arb that are exact, as fractions: for an equation that compares, which they always decide."""
    return np.asarray(np.frompyfunc(_one_fraction, 1, 1)(numbers), object)


largest = np.frompyfunc(lambda x, y: flint.arb(x).max(flint.arb(y)), 2, 1)
least = np.frompyfunc(lambda x, y: flint.arb(x).min(flint.arb(y)), 2, 1)


def _choose(difference: Any, below: Any, at: Any, above: Any) -> Any:
    difference, *branches = (flint.arb(v) for v in (difference, below, at, above))
    if difference.is_nan():
        return difference
    signs = not difference >= 0, difference.contains(0), not difference <= 0
    result, *others = (branch for sign, branch in zip(signs, branches, strict=True) if sign)
    for branch in others:
        if not (branch - result).is_zero():
            result = result.union(branch)
    return result


choose = np.frompyfunc(_choose, 4, 1)
"""choose(x, below, at, above): one of the three by the sign of x; if that is open, what holds them; NaN of NaN."""


class Truth(NamedTuple):
    """Exact numbers, and three parts of them for comparisons in bulk: the number is within ``rest`` of high + low."""

    numbers: Array
    high: Array
    low: Array
    rest: Array


_float = np.frompyfunc(float, 1, 1)
_upper = np.frompyfunc(lambda x: 0.0 if x.is_zero() else float(x.abs_upper()) * (1 + 2**-50) + LEAST, 1, 1)


def truth(numbers: Array) -> Truth:
    """Split exact numbers, an object array, for ``inside``."""
    high = np.asarray(_float(numbers), float)
    finite = np.isfinite(high)
    left = numbers - np.where(finite, high, 0.0)
    low = np.asarray(_float(left), float)
    left = left - np.where(np.isfinite(low), low, 0.0)
    rest = np.asarray(_upper(left), float)
    rest = np.where(finite & np.isfinite(rest), rest, np.inf)
    return Truth(numbers, high.astype(WIDE), low.astype(WIDE), rest.astype(WIDE))


class Verdict(NamedTuple):
    """Of each element of an evaluation: |a - exact| / allowed, and whether that is certainly more than 1, or open."""

    ratio: Array
    outside: Array
    undecided: Array


def compare(a: Array, exact: Truth, allowed: Array, asked: Array) -> Verdict:
    """Whether each asked element of an evaluation is within what is allowed.

    a, allowed: floating-point arrays, taken exactly; asked: a mask, which must leave out infinite allowances.
    An element that is not finite is outside.
    """
    a, allowed = np.asarray(a, WIDE), np.asarray(allowed, WIDE)
    with np.errstate(all="ignore"):
        distance = np.abs(a - exact.high)
        error = np.abs((a - exact.high) - exact.low)
        # two roundings, of what is at most the distance and |low|, and what is left of the exact number
        margin = 4 * U * (distance + np.where(distance == 0, 0, np.abs(exact.low))) + exact.rest
        ratio = np.where(error == 0, 0, error / allowed)
        sure = error + margin <= allowed * (1 - 4 * U)
        sure |= (error == 0) & (margin == 0)
        outside = error - margin > allowed * (1 + 4 * U)
    bad = ~np.isfinite(a)
    outside = asked & (outside | bad)
    undecided = asked & ~sure & ~outside
    for index in zip(*np.nonzero(undecided), strict=True):
        one: Any = exact.numbers[index]
        off, room = abs(exactly(a[index]).item() - one), exactly(allowed[index]).item()
        undecided[index] = not (off <= room or off > room)
        outside[index] = bool(off > room)
        ratio[index] = float(off / room) if not room.is_zero() else 0.0 if off.is_zero() else np.inf
    return Verdict(np.where(asked & ~undecided, np.where(bad, np.inf, ratio), 0), outside, undecided)
