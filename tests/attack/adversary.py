"""Inputs that hurt: numbers, operands that are moved about inside their balls, and the judgement by fractions alone."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import mpmath  # type: ignore[import-untyped]  # it ships no stubs
import numpy as np

from reference.arrays import Array
from tests.attack.oracle import LADDER, as_fractions, exactly, workprec
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import Format, format_of
from torch_mirror.judge.compare import DEEPEST

F32, F64 = (format_of(np.dtype(d)) for d in (np.float32, np.float64))
FORMATS = (F32, F64)


# --- inputs that hurt ----------------------------------------------------------------------------

KINDS = (
    "integers", "decimals", "dyadic", "normal", "huge", "tiny", "subnormal", "mixed", "cancelling", "sparse",
    "near max",
)  # fmt: skip


def hostile(kind: str, shape: tuple[int, ...], fmt: Format, rng: np.random.Generator) -> Array:
    """Finite numbers of one kind, some of them 0 and -0.0."""
    normal = rng.normal(size=shape)
    top = np.log2(fmt.huge)
    reach = top * rng.uniform(0.1, 0.95)  # 1e+-30 in float32, 1e+-300 in float64 and anything below
    power = {
        "huge": reach, "tiny": -reach, "subnormal": fmt.grid - rng.integers(0, fmt.precision, shape),
        "mixed": rng.uniform(-reach, reach, shape), "near max": top - rng.uniform(0, 3, shape),
    }.get(kind, 0.0)  # fmt: skip
    with np.errstate(all="ignore"):
        values = {
            "integers": np.round(3 * normal), "decimals": np.round(normal, 1), "dyadic": np.round(16 * normal) / 8,
            "cancelling": np.where(rng.random(shape) < 0.5, 1, -1) * (1 + fmt.u * rng.integers(0, 9, shape)),
            "sparse": np.where(rng.random(shape) < 0.7, 0, normal),
        }.get(kind, np.clip(normal, -1, 1)) * np.exp2(power)  # fmt: skip
        values = np.where(rng.random(shape) < 0.05, rng.choice([0.0, -0.0], shape), values)
        return np.clip(values, -fmt.huge, fmt.huge).astype(fmt.dtype)


def rational(a: Any) -> Array:
    """An array's own numbers, as fractions."""
    return np.vectorize(lambda v: Fraction(*v.as_integer_ratio()), otypes=[object])(a) if np.size(a) else a


def at_200_bits(function: Callable[[Any], Any]) -> Callable[[Array], Array]:
    """A function of fractions, by mpmath."""

    def one(q: Fraction) -> Fraction:
        with mpmath.workprec(200):
            sign, mantissa, exponent, _ = function(mpmath.mpf(q.numerator) / q.denominator)._mpf_
        return (-1) ** sign * mantissa * Fraction(2) ** exponent

    return np.vectorize(one, otypes=[object])


def nearest(q: Fraction, fmt: Format) -> Any:
    """A fraction, rounded once: what a fused operation gives."""
    if abs(q) > Fraction(fmt.huge):
        return fmt.dtype.type(np.inf if q > 0 else -np.inf)
    guess = fmt.dtype.type(float(q))  # float32 by way of float64 is rounded twice, hence its neighbours
    around = [guess, *(np.nextafter(guess, fmt.dtype.type(to)) for to in (-np.inf, np.inf))]
    return min((a for a in around if np.isfinite(a)), key=lambda a: abs(Fraction(float(a)) - q))


def centre_of(fmt: Format, precision: str) -> Any:
    """The dtype of a centre: the format's own ("tested"), or a "wider" one."""
    wider = np.float64 if fmt is F32 else np.longdouble
    return wider if precision == "wider" else fmt.dtype


# --- operands ---------------------------------------------------------------------------------------


class Operand(NamedTuple):
    """Balls, the exact numbers (Arb's or fractions) that they are about, and what another evaluation has for them."""

    ball: Ball
    exact: Array
    other: Array


def exact_operand(value: Array, fmt: Format, centre: Any = None) -> Operand:
    return Operand(Ball(value.astype(centre or fmt.dtype), 0, fmt), exactly(value), value)


def any_radius(value: Array, fmt: Format, rng: np.random.Generator) -> Array:
    """From a rounding to more than the number, and 0 for some: a part of a ball may be exact.

    Where a radius is the number, the exact number may be 0.
    """
    size = rng.choice(np.array([0, fmt.u, 2.0**-10, 0.3, 1, 1.5], fmt.dtype), value.shape)
    return np.asarray(np.minimum(np.abs(value), fmt.dtype.type(fmt.huge / 2)) * size)


def moved_operand(value: Array, radius: Array, fmt: Format, rng: np.random.Generator, centre: Any = None) -> Operand:
    """The centre and the other evaluation on either side of the exact number, at the rim if they can."""
    ball = Ball(value.astype(centre or fmt.dtype), radius.astype(centre or fmt.dtype), fmt)
    share = format_of(ball.value.dtype).u / fmt.u  # of the radius, how far a centre of this precision may be off
    side = rng.choice([-1.0, 0.0, 1.0], value.shape)
    with workprec(LADDER[-1]), np.errstate(all="ignore"):
        v, e = exactly(value), exactly(radius)
        exact = np.asarray(v + exactly(side * share) * e, object)
        far = (value + (rng.choice([-1, 1], value.shape) * radius) * (1 + share)).astype(value.dtype)
        far = np.where(np.isfinite(far), far, value)
        inside = (abs(exactly(far) - exact) <= e).astype(bool)
    return Operand(ball, exact, np.where(inside, far, value))  # the centre's own number is as near as the share says


def operand(value: Array, radius: Array | None, fmt: Format, centre: Any, rng: np.random.Generator) -> Operand:
    """An operand whose exact numbers are fractions: exact without a radius, else moved."""
    if radius is None:
        return Operand(Ball(value.astype(centre), 0, fmt), rational(value), value)
    moved = moved_operand(value, radius, fmt, rng, centre)
    return moved._replace(exact=as_fractions(moved.exact))


# --- the judgement ----------------------------------------------------------------------------------


def worst(ball: Ball, exact: Array, evaluations: Sequence[Array]) -> float:
    """The largest distance from the exact numbers over the radius; above 1 the theorem is wrong."""
    fmt, largest = ball.format, Fraction(0)
    room = 1 + DEEPEST * Fraction(fmt.u)  # what compare() itself leaves for the radius's own roundings
    exact, radius = np.broadcast_to(exact, ball.shape), ball.radius
    for index in np.ndindex(ball.shape):
        if not np.isfinite(radius[index]):
            continue  # vacuous, and counted as that: test_compare.py
        allowed = rational(radius[index])[()] * room
        for a in (ball.value, *evaluations):
            if not np.isfinite(a[index]):
                return float("inf")
            error = abs(rational(a[index])[()] - exact[index])
            if error > allowed == 0:
                return float("inf")
            largest = max(largest, error / allowed if allowed else Fraction(0))
    return float(min(largest, Fraction(F64.huge)))
