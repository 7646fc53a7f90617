"""The attack on adjoints: the derivative that a sweep gives, with its radius, against exact difference quotients.

An operation f of the attack on radii (tests/attack) gets a loss L = sum of c f(x), c random. Its derivative by an
operand is held against

    Q = (L(x + h) - L(x - h)) / 2 h       h = 2^-150, one element of each case at a time, in Arb's numbers of 600 bits

Q is enclosed by Arb but for what it is off L'. Where L is analytic and at most M in a disc of radius rho around x,
Cauchy's estimate of the third derivative gives |Q - L'| <= h^2 M / rho^3 (one term of a geometric series of ratio (h
/ rho)^2, the others are less than it together for h < rho / 2). The operands are between 2^-10 and 2^4, so that M /
rho^3 is far below 2^120, poles and kinks within 2^-30 of an operand excepted, of which none is drawn; TRUNCATION =
2^-180 is h^2 times that. Source: Ahlfors, Complex Analysis (3rd ed.), section 4.2.3 (Cauchy's estimate).
"""

from fractions import Fraction
from typing import Any, NamedTuple

import flint
import numpy as np

from reference.arrays import Array
from tests.attack import domains
from tests.attack.domains import exact_constant, fraction_constant
from tests.attack.operation import Operation
from tests.attack.oracle import as_fractions, compare, enclosed, exactly, truth, workprec
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import Format
from torch_mirror.balls.recording import recording
from torch_mirror.judge.compare import DEEPEST
from torch_mirror.tape.sweep import Derivatives, derivative, leaf

BITS, STEP = 600, 150
TRUNCATION = 2.0**-180

MEETING = (domains.often_equal, domains.often_zero)
"""Domains that draw equal numbers: at a kink there is no derivative. Conventions have tests of their own."""


class Struck(NamedTuple):
    """What came of an attack."""

    derivatives: int = 0  # compared
    infinite: int = 0     # of them all, those of which nothing is claimed
    worst: float = 0.0    # the largest error / radius; infinite if one is outside
    first: str = ""       # which that was

    def __add__(self, other: "Struck") -> "Struck":  # type: ignore[override]  # counts are not joined like a tuple
        return Struck(
            self.derivatives + other.derivatives, self.infinite + other.infinite, max(self.worst, other.worst),
            self.first or other.first,
        )  # fmt: skip


def drawn(operation: Operation, fmt: Format, rng: np.random.Generator, cases: int, *, few: bool) -> tuple[Array, ...]:
    """Operands of some cases, all of them different; few: some numbers have few bits, and so may be equal or whole."""
    def one(shape: tuple[int, ...]) -> Array:
        size = np.exp2(rng.uniform(-10, 4, (cases, *shape)) * rng.choice([1, 0.2], (cases, *shape)))
        values = size * rng.choice([-1, 1], size.shape)
        return some_bits(values, fmt, rng) if few else values.astype(fmt.dtype)

    operands = tuple(one(shape) for shape in operation.shapes)
    if operation.domain in MEETING:
        return operands
    placed = (np.asarray(a, fmt.dtype) for a in operation.domain(fmt, rng, operands))
    return tuple(
        np.where((np.abs(a) < 2.0**-14) | ~(np.abs(a) < 2.0**6), moderate, a)  # some domains have room for larger ones
        for a, moderate in zip(placed, operands, strict=True)
    )


def some_bits(values: Array, fmt: Format, rng: np.random.Generator) -> Array:
    """The values with all bits of the format in use, with those of float32, or with few, whose products are exact."""
    full = values.astype(fmt.dtype)
    full += full * fmt.dtype.type(fmt.u) * rng.integers(-100, 100, values.shape).astype(fmt.dtype)
    few = np.asarray(np.ldexp(np.round(np.ldexp(np.frexp(values)[0], 6)), np.frexp(values)[1] - 6))
    kind = rng.integers(0, 4, values.shape)
    return np.where(kind == 0, few, np.where(kind == 1, values.astype(np.float32), full)).astype(fmt.dtype)


def apart(operation: Operation, operands: tuple[Array, ...], constants: tuple[Any, ...]) -> bool:
    """Whether the cases do not touch each other: another first one leaves the results of all others as they are."""
    equation = operation.of_cases(operation.equation)
    given, other = ([a.astype(np.float64) for a in operands] for _ in range(2))
    for a in other:
        a[0] *= 1.25
    with np.errstate(all="ignore"):
        before, after = np.asarray(equation(*given, *constants)), np.asarray(equation(*other, *constants))
    return before.shape[:1] == operands[0].shape[:1] and bool((before[1:] == after[1:]).all())


def strike(operation: Operation, fmt: Format, seed: int, numbers: int = 100) -> Struck:
    """An attack with about so many derivatives, at numbers where they exist: what meets a kink is drawn again."""
    rng = np.random.default_rng([seed, fmt.precision])
    sizes = sum(int(np.prod(shape)) for shape in operation.shapes)
    constants = operation.constants(rng)
    with np.errstate(all="ignore"):
        for few in (True, *(False,) * 9):
            operands = drawn(operation, fmt, rng, max(1, numbers // sizes), few=few)
            if not apart(operation, operands, constants):
                operands = tuple(a[:1] for a in operands)
            taped = swept(operation, operands, constants, rng)
            if taped is None:
                return Struck()
            weights, d, leaves = taped
            if not d.open:
                break
        else:
            raise AssertionError(f"each draw meets a kink: {d.open}")
        total = Struck()
        for i, x in enumerate(leaves):
            exact = quotients(operation, operands, constants, weights, i)
            total += held(d.by(x), exact, fmt, f"by operand {i}")
    return total


def swept(
    operation: Operation, operands: tuple[Array, ...], constants: tuple[Any, ...], rng: np.random.Generator
) -> tuple[Array, Derivatives, list[Ball]] | None:
    """The weights c, the derivatives, and the operands by which; None if the operation gives no numbers."""
    with recording():
        leaves = [leaf(a) for a in operands]
        if operation.alone:
            results = [operation.equation(*case, *constants) for case in zip(*leaves, strict=True)]
            result: Any = np.stack(results) if isinstance(results[0], Ball) else None
        else:
            result = operation.equation(*leaves, *constants)
        if not isinstance(result, Ball):
            return None
        weights = some_bits(rng.normal(size=result.shape), result.format, rng)
        loss = np.sum(result * weights)
    return weights, derivative(loss), leaves


def quotients(
    operation: Operation, operands: tuple[Array, ...], constants: tuple[Any, ...], weights: Array, which: int
) -> Array:
    """Q of every element of one operand."""
    equation = operation.of_cases(operation.exact or operation.equation)
    with workprec(BITS):
        exact = [exactly(a) for a in operands]
        h: Any = flint.arb(2) ** -STEP
        known = [exact_constant(c) for c in constants]
        if operation.fractions:
            exact, h = [as_fractions(a) for a in exact], Fraction(1, 2**STEP)
            known = [fraction_constant(c) for c in constants]
        c = exactly(weights)
        result = np.empty(operands[which].shape, object)
        for at in np.ndindex(operands[which].shape[1:]):
            index = (slice(None), *at)
            both = []
            for sign in (1, -1):
                moved = list(exact)
                moved[which] = exact[which].copy()
                moved[which][index] += sign * h
                both.append(np.broadcast_to(enclosed(equation(*moved, *known)), weights.shape))
            rise = (both[0] - both[1]) * c
            result[index] = rise.reshape(len(result), -1).sum(axis=1) / (2 * (flint.arb(2) ** -STEP))
    return result


def held(d: Ball, exact: Array, fmt: Format, name: str) -> Struck:
    """The derivatives within their radii."""
    radius = d.radius
    asked = np.isfinite(radius)
    allowed = np.where(asked, radius, 0).astype(np.longdouble) * (1 + DEEPEST * np.longdouble(fmt.u)) + TRUNCATION
    with workprec(BITS):
        verdict = compare(d.value, truth(exact), allowed, asked)
    wrong = verdict.outside | verdict.undecided
    first = ""
    if wrong.any():
        at = tuple(int(i[0]) for i in np.nonzero(wrong))
        first = f"{name} at {at}: {d.value[at]!r}, radius {radius[at]!r}, exact {exact[at].str(25)}"
    worst = np.inf if wrong.any() else float(verdict.ratio.max(initial=0, where=asked & (radius > 0)))
    return Struck(int(asked.sum()), int((~asked).sum()), worst, first)
