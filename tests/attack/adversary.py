"""Inputs that hurt, and one attack with fractions: a rule, its operands, and the worst of all evaluations."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import mpmath  # type: ignore[import-untyped]  # it ships no stubs
import numpy as np

from reference.arrays import Array
from tests.attack.evaluations import Evaluation
from torch_mirror.balls.ball import Ball
from torch_mirror.balls.format import Format, format_of
from torch_mirror.judge.compare import DEEPEST, Where, compare

F32, F64 = (format_of(np.dtype(d)) for d in (np.float32, np.float64))
FORMATS = (F32, F64)
HERE = Where("v", "torch", "local", stacked=False)


class Rule(NamedTuple):
    """An equation, and the ways to evaluate it that the ball must cover besides NumPy's own."""

    shapes: tuple[tuple[int, ...], ...]
    equation: Callable[..., Any]
    others: tuple[Evaluation, ...]
    constants: tuple[float, ...] = ()  # numbers of the equation that are not operands: exact in exact arithmetic
    exact: Callable[..., Array] | None = None  # where the equation does not run on fractions


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


# --- the attack ------------------------------------------------------------------------------------


class Operand(NamedTuple):
    """A ball, the exact number that it is about, and what another evaluation has in its place."""

    ball: Ball
    exact: Array
    other: Array


def operand(value: Array, radius: Array | None, fmt: Format, centre: Any, rng: np.random.Generator) -> Operand:
    """The centre and the other evaluation are moved to either side of the exact number, to the rim if they can."""
    if radius is None:
        return Operand(Ball(value.astype(centre), 0, fmt), rational(value), value)
    ball = Ball(value.astype(centre), radius.astype(centre), fmt)
    share = Fraction(ball.slack) - 1  # of the radius, how far a centre of this precision may be off
    v, e, side = rational(value), rational(radius), rational(rng.choice([-1.0, 0.0, 1.0], value.shape))
    exact = v + side * e * share
    with np.errstate(all="ignore"):
        moved = (value + (rng.choice([-1, 1], value.shape) * radius) * ball.slack).astype(value.dtype)
    inside = np.isfinite(moved) & (abs(rational(np.where(np.isfinite(moved), moved, value)) - exact) <= e)
    return Operand(ball, exact, np.where(inside, moved, np.where(abs(v - exact) <= e, value, moved)))


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


def attack(rule: Rule, operands: Sequence[Operand]) -> float:
    """The worst error / radius; at most 1, and no evaluation refuted, if the theorem holds."""
    fmt, centre = operands[0].ball.format, operands[0].ball.value.dtype
    with np.errstate(all="ignore"):
        ball = rule.equation(*(o.ball for o in operands), *rule.constants)
        exact = (rule.exact or rule.equation)(*(o.exact for o in operands), *(Fraction(c) for c in rule.constants))
        moved = [o.other for o in operands]
        evaluations = [np.asarray(f(*moved, *rule.constants), fmt.dtype) for f in (rule.equation, *rule.others)]
        ratio = worst(ball, exact, evaluations)
        refuted = any(compare(a.astype(centre), ball, HERE).refutations for a in evaluations)
    return float("inf") if refuted else ratio
