"""The attack in bulk: one operation on many drawn cases, every evaluation of it held against the exact numbers.

A ball promises that the exact result lies within its radius of every admissible evaluation, the centre among them.
"""

import math
import zlib
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from tests.attack.adversary import HERE, KINDS, centre_of, hostile
from tests.attack.domains import exact_constant
from tests.attack.evaluations import ENVIRONMENTS, Evaluation, with_torch
from tests.attack.operation import Operation
from tests.attack.operations import OPERATIONS
from tests.attack.oracle import LADDER, Truth, compare, enclosed, exactly, truth, workprec
from torch_mirror.balls.ball import Ball
from torch_mirror.balls.format import Format, format_of
from torch_mirror.judge.compare import DEEPEST
from torch_mirror.judge.compare import compare as judge

NUMBERS = 500
"""Elements of the result, about, in one draw; fewer if the operands are much larger than that."""

BLOCKS = 8
"""Kinds of numbers that one draw mixes, for each operand."""


class Draw(NamedTuple):
    """Operands of many cases: balls, the exact numbers they are about, and what another evaluation has for them."""

    balls: tuple[Ball, ...]
    exact: tuple[Array, ...]
    others: tuple[Array, ...]
    constants: tuple[Any, ...]
    moved: bool
    environment: str


class Violation(NamedTuple):
    """An evaluation outside: what it takes to see it again."""

    operation: str
    dtype: str
    seed: int
    number: int
    evaluation: str
    at: tuple[int, ...]
    text: str


class Tally(NamedTuple):
    """What came of some draws."""

    elements: int = 0     # comparisons of one number of one evaluation with the exact one
    vacuous: int = 0      # the same, but for an infinite radius
    exact: int = 0        # of the elements, those whose radius is 0
    open: int = 0         # the same, but that the exact number does not exist or no precision of the ladder decides
    ratio: float = 0      # the largest error / radius, operands exact
    moved: float = 0      # the same, operands moved inside their balls
    violations: int = 0
    first: Violation | None = None

    def __add__(self, other: "Tally") -> "Tally":  # type: ignore[override]  # a tally is not joined like a tuple
        return Tally(
            self.elements + other.elements, self.vacuous + other.vacuous, self.exact + other.exact,
            self.open + other.open, max(self.ratio, other.ratio), max(self.moved, other.moved),
            self.violations + other.violations, self.first or other.first,
        )  # fmt: skip


def strike(name: str, fmt: Format, seed: int, number: int) -> Tally:
    """One draw: of each operation, format and seed the draws are numbered, and each can be made alone."""
    operation = OPERATIONS[name]
    rng = np.random.default_rng([seed, number, fmt.precision, zlib.crc32(name.encode())])
    draw = draw_operands(operation, fmt, number, rng)
    with np.errstate(all="ignore"):
        ball = operation.equation(*draw.balls, *draw.constants)
        evaluations = {"centre": ball.value} | {
            how: np.asarray(f(*draw.others, *draw.constants)) for how, f in ways(operation, draw.environment).items()
        }
    for how, a in evaluations.items():
        if a.shape != ball.shape or (a.dtype != fmt.dtype and how != "centre"):
            raise AssertionError(f"{name}, {how}: {a.dtype} {a.shape} for {fmt.dtype} {ball.shape}")
    return tallied(name, fmt, seed, number, draw, ball, evaluations)


def ways(operation: Operation, environment: str) -> dict[str, Evaluation]:
    """The evaluations of an operation, by name: NumPy's, torch's, others, and the first two in another environment."""
    own: dict[str, Evaluation] = {"numpy": operation.equation}
    if operation.torch:
        own["torch"] = with_torch(operation.torch)
    there = {f"{how}, {environment}": ENVIRONMENTS[environment](f) for how, f in own.items() if environment}
    if environment != "flushed":
        there.pop(f"numpy, {environment}", None)  # nothing but torch notices
    return own | dict(operation.others) | there


# --- operands ---------------------------------------------------------------------------------------------


def draw_operands(operation: Operation, fmt: Format, number: int, rng: np.random.Generator) -> Draw:
    """Numbers that hurt, as the centre of balls: exact and moved by turns, and in one of two precisions by turns."""
    constants = operation.constants(rng)
    sizes = [math.prod(shape) for shape in operation.shapes]
    with np.errstate(all="ignore"):
        results = operation.equation(*(np.ones((1, *shape)) for shape in operation.shapes), *constants).size
    each = max(1, NUMBERS // (BLOCKS * max(results, sum(sizes) // 4)))
    values = tuple(
        np.concatenate([hostile(rng.choice(KINDS).item(), (each, *shape), fmt, rng) for _ in range(BLOCKS)])
        for shape in operation.shapes
    )
    with np.errstate(all="ignore"):
        values = tuple(np.asarray(v, fmt.dtype) for v in operation.domain(fmt, rng, values))
    moved, wider = number % 2 == 1, number // 2 % 2 == 1
    centre = centre_of(fmt, "wider" if wider else "tested")
    environment = rng.choice(["", *ENVIRONMENTS]).item()
    if environment == "flushed":  # which reads subnormal operands as zero, and those are outside of the model
        values = tuple(np.where(np.abs(v) < fmt.tiny, 0, v) for v in values)
    operands = [_moved(v, fmt, centre, rng) if moved else _exact(v, fmt, centre) for v in values]
    balls, exact, others = (tuple(o) for o in zip(*operands, strict=True))
    if environment == "flushed" and any(((v != 0) & (np.abs(v) < fmt.tiny)).any() for v in others):
        environment = ""
    return Draw(balls, exact, others, constants, moved, environment)


def _exact(value: Array, fmt: Format, centre: Any) -> tuple[Ball, Array, Array]:
    return Ball(value.astype(centre), 0, fmt), exactly(value), value


def _moved(value: Array, fmt: Format, centre: Any, rng: np.random.Generator) -> tuple[Ball, Array, Array]:
    """The centre and the other evaluation on either side of the exact number, at the rim if they can.

    Radii are from a rounding to more than the number, and 0 for some: a part of a ball may be exact. Where a radius is
    the number, the exact number may be 0.
    """
    size = rng.choice(np.array([0, fmt.u, 2.0**-10, 0.3, 1, 1.5], fmt.dtype), value.shape)
    radius = np.minimum(np.abs(value), fmt.dtype.type(fmt.huge / 2)) * size
    ball = Ball(value.astype(centre), radius.astype(centre), fmt)
    share = format_of(np.dtype(centre)).u / fmt.u  # of the radius, how far a centre of this precision may be off
    side = rng.choice([-1.0, 0.0, 1.0], value.shape)
    with workprec(LADDER[-1]), np.errstate(all="ignore"):
        v, e = exactly(value), exactly(radius)
        exact = np.asarray(v + exactly(side * share) * e, object)
        far = (value + (rng.choice([-1, 1], value.shape) * radius) * (1 + share)).astype(value.dtype)
        far = np.where(np.isfinite(far), far, value)
        inside = (abs(exactly(far) - exact) <= e).astype(bool)
    return ball, exact, np.where(inside, far, value)  # the centre's own number is as near as the share says


# --- the verdict -------------------------------------------------------------------------------------------


def tallied(
    name: str, fmt: Format, seed: int, number: int, draw: Draw, ball: Ball, evaluations: dict[str, Array]
) -> Tally:
    """Hold evaluations against the exact numbers, at more bits where that leaves one undecided."""
    operation = OPERATIONS[name]
    equation = operation.exact or operation.equation
    constants = tuple(exact_constant(c) for c in draw.constants)
    with np.errstate(all="ignore"):
        radius = ball.radius
        allowed = np.where(np.isfinite(radius), radius, 0).astype(np.longdouble) * (1 + DEEPEST * np.longdouble(fmt.u))
        asked = np.isfinite(radius)
    for bits in LADDER:
        with workprec(bits), np.errstate(all="ignore"):
            exact = truth(np.broadcast_to(enclosed(equation(*draw.exact, *constants)), ball.shape))
            verdicts = {how: compare(a, exact, allowed, asked) for how, a in evaluations.items()}
        if not any(v.undecided.any() for v in verdicts.values()):
            break
    ratio = max(float(v.ratio.max(initial=0, where=asked & (radius > 0))) for v in verdicts.values())
    still_open = sum(int(v.undecided.sum()) for v in verdicts.values())
    count = len(evaluations) * int(asked.sum()) - still_open
    outside = {how: v.outside for how, v in verdicts.items() if v.outside.any()}
    # and the judge, which knows the centre only, must not refute an evaluation
    refuted = {
        how: found[0] for how, a in evaluations.items()
        if (found := judge(np.asarray(a, ball.value.dtype), ball, HERE).refutations)
    }  # fmt: skip
    seen = None
    for how in [*outside, *refuted]:
        index = tuple(int(i[0]) for i in np.nonzero(outside[how])) if how in outside else refuted[how].index
        text = described(draw, ball, exact, evaluations[how], index)
        seen = seen or Violation(name, fmt.dtype.name, seed, number, how, index, text)
    return Tally(
        count, len(evaluations) * int((~asked).sum()), len(evaluations) * int((asked & (radius == 0)).sum()),
        still_open,
        0.0 if draw.moved else ratio, ratio if draw.moved else 0.0,
        sum(int(o.sum()) for o in outside.values()) + sum(r.outside for h, r in refuted.items() if h not in outside),
        seen,
    )  # fmt: skip


def described(draw: Draw, ball: Ball, exact: Truth, a: Array, index: tuple[int, ...]) -> str:
    """The numbers of one violation, those of its operands in hexadecimal."""
    rows = [f"constants {draw.constants}"] if draw.constants else []
    for i, (operand, other) in enumerate(zip(draw.balls, draw.others, strict=True)):
        here = other[index[0]]
        rows.append(f"operand {i}: {np.vectorize(float.hex, otypes=[object])(here.astype(float)).tolist()}")
        if draw.moved:
            rows.append(f"  centre {operand.value[index[0]].tolist()}, radius {operand.radius[index[0]].tolist()}")
    rows += [
        f"seen {a[index]!r}, exact {exact.numbers[index].str(25)}",
        f"centre {ball.value[index]!r} ({ball.value.dtype}), radius {ball.radius[index]!r}",
    ]
    return "\n".join(rows)
