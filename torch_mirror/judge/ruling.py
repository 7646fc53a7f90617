"""Which side is wrong: a refuted tensor, ruled on by exact arithmetic and by a derivative that nobody wrote.

A refutation says that a trace and an equation contradict each other at one element. Three numbers are
computed there, from the trace's own:

    E   the equation in exact arithmetic, on the operands that the trace holds; of an update, also of one whose
        gradient the trace does not hold, its constants are as Python rounds them, which the radius is about as well
        (1 - 0.999**t cancels)
    D   the derivative of the reference's own forward and loss by the value whose gradient the tensor is:
        difference quotients in exact arithmetic (derivative.py), in which neither the hand-written
        backward nor autograd has a part
    B   the reference's backward in exact arithmetic, from the same point

The point is the trace's parameters; for the gradient of a value that the forward sows, the forward goes on from
the trace's own value of it, so that a kink is where the trace has it.

Straying. |value - E| is compared with the radius of the equation's ball, of a gradient of torch's with that of any
form of it (checks/forms.py), and NumPy's own evaluation of the equation on the same operands is put to the test of its
own form. Of a forward that is all there is to say: nothing tells which of two is the right one; a difference that
float32 explains is said to be one.

The reference's backward. B = D if it belongs to the forward, as the constants of loss and optimizer are exact
here, too. They may differ by the error of D, which is measured, and by what constants of the network's own were
rounded by in Python (a / n here, a * (1 / n) there), which what follows may amplify: B is evaluated once more on balls
whose operands are all rounded once, so that nothing passes for exact, and the radius that it has then has room for
that. More than that, and it does not belong.

The mirror's gradient. If B = D but for the error of D, the equation is right, and what contradicts it is wrong: a
theorem. Otherwise D measures the mirror too, whose rounding needs an allowance, and no equation is left to derive one
from. It is the largest radius of the reference's gradient on these balls; or, if that is more, the largest relative
radius among the tensor, the values and gradients of the step (largest radius over largest value; another parameter's
gradient is none of them, as nothing follows from it) times the largest gradient that the mirror has in that tensor.
That the right gradient is no worse conditioned than the worst tensor of the step is an assumption. Where B is off by no
more than the room for constants and the mirror by no more than its allowance, there is no telling; nor is there where
both are off, as a backward pass that is not meant to be the derivative has both sides off.

An update of the user's own. The reference's own optimizers are those of their sources. One that the user wrote is not:
where torch's update strays from its equation and NumPy's does not, the two are not the same, as of a forward. Where the
trace does not hold the gradient either, it may also be that which is another one: there is no telling.

A ruling is no part of the verdict: whatever is raised while it is sought becomes "no ruling", with the reason.

Exact numbers are slow, and grow: LIMIT operations are granted. Above that, and where the equations do not run on exact
numbers, or python-flint is missing, wider floats rule, and on a gradient a derivative with a radius (referee.py).
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array, keep
from reference.claim.experiment import Experiment
from reference.traces.trace import Trace
from torch_mirror.balls.exact import Exact, IrrationalError, Number, TooManyError, UndecidedError
from torch_mirror.balls.format import format_of
from torch_mirror.judge.allowance import of_other_forms, rounding_of
from torch_mirror.judge.cases import (
    Case,
    NotByItselfError,
    UnfitError,
    backward,
    balls,
    case_of,
    equation,
    exact,
    exact_arrays,
    floats,
    forward_operations,
    loss_by,
    of_other_update,
    rounded,
    update,
    updated,
    users_own,
)
from torch_mirror.judge.compare import DEEPEST
from torch_mirror.judge.findings import Finding, Findings
from torch_mirror.judge.quotients import Derivative, differentiate
from torch_mirror.judge.referee import FLOAT32, referee
from torch_mirror.judge.replay import as_ball
from torch_mirror.judge.verdict import NEITHER, NOT_ITS_OWN, WITHIN, Ruling, Words

LIMIT = 300_000
"""Operations on exact numbers that one ruling may take: two seconds at most."""

PASSES = 11
"""Forward passes that the ruling on a gradient is worth: five for D, and two backward passes of three each."""

PRECISIONS = (None, 320, 1280)
"""Bits: none for fractions; 60 for the step, 120 for the quotient, and as many to spare; more if undecided."""


class Evidence(NamedTuple):
    """The first finding of a run, and the step that it is about, in memory of its own."""

    finding: Finding
    trace: Trace


def evidence(findings: Findings, torch: Trace, numpy: Trace) -> Evidence | None:
    """What a ruling on the first of these findings needs; None if nothing is refuted. The traces hold its step."""
    first = findings.first
    return None if first is None else evidence_of(first, numpy if first.side == "numpy" else torch)


def evidence_of(finding: Finding, trace: Trace) -> Evidence:
    """A finding and what the trace holds of its step."""
    i = finding.step - trace.first
    one = trace.at(slice(i, i + 1))

    def copied(group: Mapping[str, Array]) -> dict[str, Array]:
        return {name: np.array(a) for name, a in group.items()}

    groups = copied(one.constants), copied(one.parameters), copied(one.tensors)
    return Evidence(finding, Trace(one.steps, *groups, one.first, copied(one.states)))


def ruling(experiment: Experiment, seen: Evidence | None) -> Ruling | None:
    """The ruling on a piece of evidence, if there is one."""
    return None if seen is None else rule_on(experiment, seen.trace, seen.finding)


def rule_on(experiment: Experiment, trace: Trace, finding: Finding) -> Ruling:
    """Which side is wrong, in words and numbers. Where there is no telling, the verdict says why.

    trace: of the side that the finding is about (torch's where it is about both); it holds the finding's step.
    """
    f = finding
    try:
        return _ruled(experiment, trace, f)
    except NotByItselfError as error:
        return _without_numbers("no ruling", f, str(error))
    except Exception as error:  # noqa: BLE001 - the verdict stands, whatever comes of looking for its cause
        return _without_numbers("no ruling", f, f"looking for the side that is wrong ended in {_why(error)}")


def _why(error: Exception) -> str:
    """On one line, with the kind of what was not raised to be read."""
    said = " ".join(str(error).split())
    return said if isinstance(error, UnfitError) else f"{type(error).__name__}: {said}"


def _ruled(experiment: Experiment, trace: Trace, f: Finding) -> Ruling:
    if f.check == "start":
        note = f"{'NumPy' if f.side == 'numpy' else 'the mirror'} has another {f.tensor}"
        return _without_numbers("the run did not start from the given values", f, note)
    if f.check == "trajectory":
        return _without_numbers("no ruling", f, "a distance between two runs is no tensor of either")
    case = case_of(experiment, trace, f)
    try:
        return _if_known(case, _exactly(case))
    except ImportError:
        verdict: Words = "needs python-flint"
        note = "exp, log, tanh and sqrt of fractions are no fractions: pip install 'torch-mirror[exact]'"
        because = "python-flint is missing"
    except TooManyError as error:
        verdict, note = "too large for exact arithmetic", str(error) or f"more than {LIMIT:,} operations"
        because = f"too large for exact arithmetic: {note}"
    except UnfitError as error:
        verdict, note = "no ruling", f"its equations do not run in exact arithmetic: {_why(error)}"
        because = note
    return _if_known(case, referee(case, because, (verdict, note)))


def _if_known(case: Case, told: Ruling) -> Ruling:
    """The ruling; none on a mirror by an update of the user's own, where the trace does not hold its gradient."""
    if case.kind != "implied gradient" or not (told.verdict == "the mirror strays" or told.note == NEITHER):
        return told
    if not users_own(case):
        return told
    name = updated(case.experiment, case.finding.tensor)
    note = f"torch has another gradient of {name}, which the trace does not hold, or another update than your own"
    return told._replace(verdict="no ruling", note=f"{note}: either may be meant")


def _exactly(case: Case) -> Ruling:
    """The ruling in fractions, or else in as few bits as decide every comparison.

    Raises TooManyError for more than LIMIT operations, UnfitError, and ImportError where python-flint is missing.
    """
    expected = _operations(case)
    if expected > LIMIT:
        raise TooManyError(f"about {expected:,} operations, {LIMIT:,} at most")
    for bits in PRECISIONS:
        by = Exact(bits, LIMIT)
        with suppress(IrrationalError, UndecidedError), by.precision(), np.errstate(all="ignore"):
            return _rule(case, by)
    raise UnfitError(f"{PRECISIONS[-1]} bits leave a comparison open")


def _without_numbers(verdict: Words, f: Finding, note: str) -> Ruling:
    return Ruling(verdict, f.tensor, f.step, f.index, note=note)


def _operations(case: Case) -> int:
    """About how many operations a ruling takes; that on an update takes none to speak of."""
    if case.kind == "update":
        return 0
    return (PASSES if "gradient" in case.kind else 1) * forward_operations(case)


# --- by the equation ------------------------------------------------------------------------------


class _Local(NamedTuple):
    """A tensor's equation on the trace's operands: exact, and the radius of its ball. Both are of its shape."""

    exact: Array
    radius: Array


def _rule(case: Case, by: Exact) -> Ruling:
    at, fmt = case.at, format_of(case.experiment.dtype)
    ball = as_ball(equation(case, balls(fmt)), fmt)  # whole numbers are not lifted: such as the rows of an identity
    own = np.asarray(equation(case, floats()), fmt.dtype)
    radius = np.maximum(np.broadcast_to(ball.radius, case.seen.shape), of_other_forms(case))
    system = exact_arrays(by) if case.kind in ("update", "implied gradient") else exact(by)
    local = _Local(by.array(equation(case, system)), radius)
    room = _room(case, by, local.radius[at])
    strays = _strays(by, case.seen[at], local.exact[at], room)
    own_strays = case.finding.side != "numpy" and _strays(by, own[at], local.exact[at], room)
    note = ""
    if not (strays or own_strays):
        verdict: Words = "exact arithmetic does not confirm it"
    elif case.finding.side == "numpy":
        verdict = "the reference strays"
    elif own_strays:
        verdict = "both stray" if strays else "the reference strays"
        note = "NumPy's own evaluation of the equation is outside its radius"
    elif case.kind == "forward":
        verdict, note = _forward(case, by, local.exact[at])
    elif case.kind == "update":
        verdict, note = of_other_update(case)
    elif case.kind == "other":
        verdict, note = "no ruling", f"nothing but its equation says what {case.finding.tensor} should be"
    else:
        return _by_derivative(case, by, local)
    return _of_element(verdict, case, at, local.exact[at], note=note)


def _forward(case: Case, by: Exact, target: Number) -> tuple[Words, str]:
    """Of two forwards neither is right or wrong; a difference that a narrower format explains is said to be one."""
    return "forwards differ", _narrow(case, by, target)


def _narrow(case: Case, by: Exact, target: Number) -> str:
    """A note where the roundings of float32 explain how far a float64 value is from the exact number."""
    fmt = format_of(np.dtype(np.float32))
    if case.experiment.dtype != np.float64:
        return ""
    radius = np.broadcast_to(as_ball(equation(case, rounded(fmt)), fmt).radius, case.seen.shape)[case.at]
    room = _room(case, by, radius)
    if room is None or _strays(by, case.seen[case.at], target, room):
        return ""
    return FLOAT32


def _room(case: Case, by: Exact, radius: float) -> Number | None:
    """The radius, with room for the roundings of its own evaluation; None if it is infinite."""
    if not np.isfinite(radius):
        return None
    return by.number(radius) * (1 + DEEPEST * Fraction(format_of(case.experiment.dtype).u))


def _strays(by: Exact, value: Any, target: Number, room: Number | None) -> bool:
    """Whether a float is further from an exact number than it may be."""
    if room is None:
        return False
    return not np.isfinite(value) or (by.number(value) - target).magnitude() > room


def _of_element(
    verdict: Words,
    case: Case,
    at: tuple[int, ...],
    reference: Number,
    derivative: Number | None = None,
    left: Number | None = None,
    right: Number | None = None,
    note: str = "",
) -> Ruling:
    f = case.finding
    mirror = None if f.side == "numpy" else float(case.seen[at])
    index = f.index if at == case.at else at
    slope, value, below, above = (None if x is None else x.nearest() for x in (derivative, reference, left, right))
    return Ruling(verdict, f.tensor, f.step, index, slope, value, mirror, below, above, note)


# --- by the derivative ----------------------------------------------------------------------------


class _Sides(NamedTuple):
    """One element of the gradient of a value: its derivative, and what the reference's backward gives."""

    name: str
    at: tuple[int, ...]
    derivative: Derivative
    reference: Number


def _by_derivative(case: Case, by: Exact, local: _Local) -> Ruling:
    """The ruling on a gradient: at the finding's element, or at another refuted one if there is a kink."""
    tensor = case.finding.tensor
    name = updated(case.experiment, tensor)
    reference = by.array(backward(case, name, exact(by), keep))

    def sides(at: tuple[int, ...]) -> _Sides:
        return _Sides(name, at, differentiate(loss_by(case, name, at, by)), reference[at])

    here = sides(case.at)
    if here.derivative.exists:
        return _by_value(case, by, here)
    with suppress(TooManyError):
        for at in _others_refuted(case, by, local):
            there = sides(at)
            if there.derivative.exists:
                return _by_value(case, by, there)
    left, right = here.derivative.left, here.derivative.right
    return _of_element("no derivative exists there", case, here.at, here.reference, left=left, right=right)


def _others_refuted(case: Case, by: Exact, local: _Local) -> Iterator[tuple[int, ...]]:
    for at in np.ndindex(case.seen.shape):
        if at == case.at:
            continue
        target: Any = local.exact[at]
        if _strays(by, case.seen[at], target, _room(case, by, float(local.radius[at]))):
            yield at


def _by_value(case: Case, by: Exact, sides: _Sides) -> Ruling:
    name, at, d, reference = sides
    truth, error, note = d.value, d.error, ""
    largest = by.number(float(np.max(np.abs(case.seen), initial=0, where=np.isfinite(case.seen))))
    if case.kind == "implied gradient":
        truth, further, reference, unmoved = (
            update(case, at, exact(by), by.array([g]))[0] for g in (d.value, d.value + d.error, reference, 0)
        )
        error, largest = (further - truth).magnitude(), (truth - unmoved).magnitude()
        note = f"{case.finding.tensor} by that derivative: the trace does not hold the gradient of {name}"
    off = (reference - truth).magnitude()
    if not _exceeds(by, off, error):
        note = note or (_narrow(case, by, truth) if at == case.at else "")
        return _of_element("the mirror strays", case, at, reference, truth, note=note)
    room, allowance = _allowances(case, by, name, at, largest)
    mirror_strays = _strays(by, case.seen[at], truth, None if allowance is None else allowance + error)
    verdict: Words = "the mirror strays"
    if room is not None and _exceeds(by, off, room + error):
        verdict, note = ("no ruling", NEITHER) if mirror_strays else (NOT_ITS_OWN, note)
    elif mirror_strays:
        pass
    else:
        verdict, note = "no ruling", WITHIN
    return _of_element(verdict, case, at, reference, truth, note=note)


def _exceeds(by: Exact, difference: Number, room: Number) -> bool:
    """Whether it does, of what may be equal (room for nothing): then no bits decide it, and the last say no."""
    return difference.certainly_exceeds(room) if by.bits == PRECISIONS[-1] else difference > room


def _allowances(
    case: Case, by: Exact, name: str, at: tuple[int, ...], largest: Number
) -> tuple[Number | None, Number | None]:
    """How far the reference's gradient may be from the derivative, by its constants, and the mirror's, by rounding.

    None: any way. largest: of the mirror's tensor.
    """
    rounding = rounding_of(case, name, format_of(case.experiment.dtype))
    room = _room(case, by, rounding.radius[at])
    if room is None:
        return None, None
    return room, max(room, by.number(rounding.share) * largest, by.number(rounding.largest))
