"""The one attack: an operation, what is drawn for it, and every evaluation held against the exact numbers.

A ball promises that the exact result lies within its radius of every admissible evaluation, the centre among them.
"""

from typing import NamedTuple

import numpy as np

from reference.arrays import Array
from tests.attack.domains import exact_constant, fraction_constant
from tests.attack.draws import Draw, Plan, drawn
from tests.attack.evaluations import ENVIRONMENTS, Evaluation, with_torch
from tests.attack.operation import Operation
from tests.attack.oracle import LADDER, Truth, as_fractions, compare, enclosed, truth, workprec
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import Format
from torch_mirror.judge.compare import DEEPEST, Where
from torch_mirror.judge.compare import compare as judge

HERE = Where("v", "torch", "local", stacked=False)


class Violation(NamedTuple):
    """An evaluation outside: which, of which element, and the numbers that it came of."""

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

    @property
    def worst(self) -> float:
        """The largest error / radius, exact or moved; infinite if one is outside."""
        return float("inf") if self.violations else max(self.ratio, self.moved)

    def __add__(self, other: "Tally") -> "Tally":  # type: ignore[override]  # a tally is not joined like a tuple
        return Tally(
            self.elements + other.elements, self.vacuous + other.vacuous, self.exact + other.exact,
            self.open + other.open, max(self.ratio, other.ratio), max(self.moved, other.moved),
            self.violations + other.violations, self.first or other.first,
        )  # fmt: skip


def strike(operation: Operation, fmt: Format, plan: Plan) -> Tally:
    """One attack: what the plan says is drawn, and held against the exact numbers."""
    return struck(operation, drawn(operation, fmt, plan))


def struck(operation: Operation, draw: Draw) -> Tally:
    """The same with operands that are at hand."""
    others = [o.other for o in draw.operands]
    with np.errstate(all="ignore"):
        ball = ball_of(operation, draw)
        evaluations = {"centre": ball.value}
        for how, f in ways(operation, draw.environment).items():
            a = np.asarray(f(*others, *draw.constants))
            evaluations[how] = a.astype(draw.format.dtype) if operation.promotes else a
    for how, a in evaluations.items():
        if a.shape != ball.shape or (a.dtype != draw.format.dtype and how != "centre"):
            raise AssertionError(f"{how}: {a.dtype} {a.shape} for {draw.format.dtype} {ball.shape}")
    return tallied(operation, draw, ball, evaluations)


def ball_of(operation: Operation, draw: Draw) -> Ball:
    """The result whose radius is attacked."""
    balls = [o.ball for o in draw.operands]
    if not operation.alone:
        return operation.equation(*balls, *draw.constants)
    results = []
    for i in range(len(balls[0].value)):
        case = [Ball(b.value[i], b.radius[i] if draw.moved else 0, b.format) for b in balls]
        results.append(operation.equation(*case, *draw.constants))
    return Ball(np.stack([b.value for b in results]), np.stack([b.radius for b in results]), draw.format)


def ways(operation: Operation, environment: str) -> dict[str, Evaluation]:
    """The evaluations of an operation, by name: NumPy's, torch's, others, and the first two in another environment."""
    own: dict[str, Evaluation] = {"numpy": operation.of_cases(operation.equation)}
    if operation.torch:
        own["torch"] = operation.of_cases(with_torch(operation.torch))
    there = {f"{how}, {environment}": ENVIRONMENTS[environment](f) for how, f in own.items() if environment}
    if environment != "flushed":
        there.pop(f"numpy, {environment}", None)  # nothing but torch notices
    return own | {how: operation.of_cases(f) for how, f in operation.others.items()} | there


# --- the verdict -------------------------------------------------------------------------------------------


def exact_numbers(operation: Operation, draw: Draw, bits: int) -> Array:
    """What the result is exactly, enclosed by Arb at so many bits."""
    equation = operation.of_cases(operation.exact or operation.equation)
    operands = [o.exact for o in draw.operands]
    with workprec(bits), np.errstate(all="ignore"):
        if operation.fractions:
            return enclosed(equation(*map(as_fractions, operands), *map(fraction_constant, draw.constants)))
        return enclosed(equation(*operands, *map(exact_constant, draw.constants)))


def tallied(operation: Operation, draw: Draw, ball: Ball, evaluations: dict[str, Array]) -> Tally:
    """Hold evaluations against the exact numbers, at more bits where that leaves one undecided."""
    with np.errstate(all="ignore"):
        radius, u = ball.radius, np.longdouble(draw.format.u)
        allowed = np.where(np.isfinite(radius), radius, 0).astype(np.longdouble) * (1 + DEEPEST * u)
        asked = np.isfinite(radius)
    for bits in LADDER:
        numbers = exact_numbers(operation, draw, bits)
        with workprec(bits), np.errstate(all="ignore"):
            exact = truth(np.broadcast_to(numbers, ball.shape))
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
        seen = seen or Violation(how, index, described(draw, ball, exact, evaluations[how], index))
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
    for i, operand in enumerate(draw.operands):
        here = operand.other[index[0]]
        rows.append(f"operand {i}: {np.vectorize(float.hex, otypes=[object])(here.astype(float)).tolist()}")
        if draw.moved:
            centre = operand.ball
            rows.append(f"  centre {centre.value[index[0]].tolist()}, radius {centre.radius[index[0]].tolist()}")
    rows += [
        f"seen {a[index]!r}, exact {exact.numbers[index].str(25)}",
        f"centre {ball.value[index]!r} ({ball.value.dtype}), radius {ball.radius[index]!r}",
    ]
    return "\n".join(rows)
