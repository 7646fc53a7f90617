"""Which side is wrong where exact arithmetic does not say: by wider floats, of a gradient by its derivative.

Exact arithmetic (ruling.py) ends at some hundred thousand operations, at equations that do not run on exact numbers,
and without python-flint. Here the same numbers are balls in float64, whatever the run's format, at every element:

    E   the equation on the operands that the trace holds; in longdouble, where the run is in float64
    D   the derivative of the reference's own forward and loss, which nobody wrote: the sweep of a recording
    B   the reference's backward, from the same point

The point is the trace's own, as in ruling.py. D starts from the numbers as they are, so that a kink is where the trace
has it; B from balls of numbers that were all rounded once, so that its radius has room for what Python has rounded of
the network's constants. Both hold the exact result at that point.

    D and B disjoint      the reference's backward does not belong to its own forward: no rounding explains it
    D and B meet          they differ by no more than |B - D| + their radii. If the mirror contradicts E by more than
                          twice that, the equation is right and the mirror strays: E and B are the same formula, at
                          points that differ by the mirror's rounding, for which the factor 2 has room

Otherwise the mirror is measured by D itself, with the allowance of ruling.py for its own rounding (allowance.py):
outside it strays, whatever B is. Where that does not tell either, the radii are too wide: D and B are evaluated again
in more bits (tape/ladder.py). If the budget has no room for that, the ruling says so.

Where D and B are disjoint and the mirror strays, too, there is no ruling, as in ruling.py: neither may be meant to be
the derivative. Nor is there where B is off by less than half of what the mirror contradicts E by: then it is no
explanation. In more bits arrays of constants are taken as they are, and may be rounded differently in the backward.

At a kink each convention has a derivative (tape/conventions.py). Where they differ at an element, another refuted one
is looked for. If there is none, no derivative exists there, provided that every open branch is an exact tie; a branch
that the radii leave open need be no kink, and then there is no ruling.

Of what is no gradient there is E alone: a value of the forward, at whatever size, is further from its equation than
both radii or it is not. The equation starts from what the trace has sown before it, one layer, and so E is sharp.

SECONDS are granted, of this thread on the processor: on a busy machine the ruling comes later and is the same. Nothing
larger than MOST is begun; beyond that the seconds are looked at between two evaluations.
"""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array, keep
from reference.claim.slots import gradient_of
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import Format, format_of
from torch_mirror.balls.recording import recording
from torch_mirror.judge.allowance import Rounding, of_other_forms, rounding_of
from torch_mirror.judge.cases import (
    Case,
    System,
    UnfitError,
    backward,
    equation,
    floats,
    forward_operations,
    loss_with,
    of_other_update,
    update,
    updated,
)
from torch_mirror.judge.compare import DEEPEST
from torch_mirror.judge.replay import as_ball
from torch_mirror.judge.verdict import NEITHER, NOT_ITS_OWN, Ruling, Words
from torch_mirror.tape.conventions import conventions
from torch_mirror.tape.ladder import climb
from torch_mirror.tape.sweep import leaf

SECONDS = 10.0

MOST = 2 * 10**9
"""Operations of a forward pass. About 25 products of that size are evaluated, at some 5e9 operations a second."""

LONG = 5 * 10**7
"""Operations of a forward pass above which E, too, is in float64: longdouble's products take 20 ns each, and five are
evaluated, each with its radius."""

CONVENTIONS = 3
"""Sweeps: the first side everywhere, the last, and half of each."""

DOUBLE = format_of(np.dtype(np.float64))

FLOAT32 = "by no more than float32 rounds: a cast, or a constant of that precision"
UNCONFIRMED = "wider floats do not confirm it"
OPEN = "a branch is open within the radius of the derivative"


class LateError(Exception):
    """The seconds are spent, or would be."""


class _Sides(NamedTuple):
    """Everything that is measured, at every element; arrays of the tensor's shape."""

    off: Array               # |seen - E| less the radii of the equation: where it is positive, the trace strays
    derivatives: list[Ball]  # D, of each convention
    ties: bool               # whether every open branch is an exact tie
    backward: Ball           # B
    rounding: Rounding       # of the run's format


def referee(case: Case, because: str, otherwise: tuple[Words, str]) -> Ruling:
    """The ruling on a refuted tensor. because: why exact arithmetic does not say, in words.

    otherwise: the verdict and its note where wider floats do not confirm that a tensor that is no gradient strays.

    Raises LateError where the seconds are spent, and whatever the reference's code raises on balls.
    """
    started = time.thread_time()
    if forward_operations(case) > MOST:
        raise LateError(f"a forward pass has {forward_operations(case):,} operations, {MOST:,} at most ({because})")

    def granted() -> None:
        if time.thread_time() - started > SECONDS:
            raise LateError(f"the derivative with a radius takes more than {SECONDS:g} s ({because})")

    with np.errstate(all="ignore"):
        local, off, own_off = _locally(case)
        if case.finding.side == "numpy" or own_off[case.at] > 0:
            return _by_equation(case, local, strays=off[case.at] > 0, own=own_off[case.at] > 0, because=because)
        if "gradient" not in case.kind:
            return _without_derivative(case, local, strays=off[case.at] > 0, because=because, otherwise=otherwise)
        granted()
        name = updated(case.experiment, case.finding.tensor)
        derivatives, ties = _derivatives(case, name)
        granted()
        own = as_ball(backward(case, name, _rounded(DOUBLE), keep), DOUBLE)
        granted()
        rounding = rounding_of(case, name, format_of(case.experiment.dtype))
        left = SECONDS - (time.thread_time() - started)
        return _ruled(case, _Sides(off, derivatives, ties, own, rounding), because, left)


# --- what is measured -----------------------------------------------------------------------------


def _exactly(fmt: Format) -> System:
    return System(lambda a: Ball(a.astype(fmt.dtype), 0, fmt), lambda c: c)


def _rounded(fmt: Format) -> System:
    return System(lambda a: Ball(a.astype(fmt.dtype), fmt.u * np.abs(a.astype(fmt.dtype)), fmt), lambda c: c)


def _variables() -> System:
    """Balls that are recorded, so that whatever is made of them can be made again in more bits."""
    return System(lambda a: leaf(Ball(a.astype(DOUBLE.dtype), 0, DOUBLE)), lambda c: c)


def _locally(case: Case) -> tuple[Ball, Array, Array]:
    """E; by how much the trace's tensor is outside the equation's radius; and by how much NumPy's own evaluation is."""
    fmt = format_of(case.experiment.dtype)
    short = fmt.precision < DOUBLE.precision or forward_operations(case) > LONG
    wide = DOUBLE if short else format_of(np.dtype(np.longdouble))
    e = as_ball(equation(case, _exactly(wide)), wide)
    narrow = np.broadcast_to(as_ball(equation(case, _exactly(fmt)), fmt).radius, case.seen.shape)
    room = np.maximum(narrow, of_other_forms(case)) * (1 + DEEPEST * fmt.u) + e.radius
    own = np.asarray(equation(case, floats()), fmt.dtype)
    return e, _outside(case.seen, e.value, room), _outside(own, e.value, room)


def _outside(value: Array, centre: Array, room: Array) -> Array:
    """By how much a value is further from the centre than there is room; what is not finite, by any amount."""
    further = np.where(np.isfinite(value), _apart(value, centre) - room, np.inf)
    return np.where(np.isfinite(room), further, -np.inf)


def _apart(a: Array, b: Array) -> Array:
    return np.abs(np.asarray(a, np.longdouble) - np.asarray(b, np.longdouble))


def derivatives_of(case: Case) -> list[Ball]:
    """The derivative whose value a refuted gradient should be: one of each convention, in float64."""
    return _derivatives(case, updated(case.experiment, case.finding.tensor))[0]


def _derivatives(case: Case, name: str) -> tuple[list[Ball], bool]:
    """D of each convention, one alone where no branch is open; and whether all that is open is an exact tie."""
    if case.kind == "gradient" and gradient_of(case.experiment.slots, name) != case.finding.tensor:
        raise UnfitError(f"{case.finding.tensor} is no whole gradient of {name}")
    with recording():
        loss, by = _recorded_loss(case, name, _exactly(DOUBLE))
        found = list(conventions(loss, CONVENTIONS))
    return [d.by(by) for d in found], not any(o.open for o in found[0].open)


def _recorded_loss(case: Case, name: str, system: System) -> tuple[Any, Ball]:
    """The loss, and the variable that the derivative is by. Raises UnfitError where the forward has no such name."""
    by: list[Ball] = []

    def variable(value: Ball) -> Ball:
        by.append(leaf(value, name))
        return by[-1].copy()  # which the forward may write to

    loss = loss_with(case, name, system)(variable)
    if len(by) != 1:
        raise UnfitError(f"{name} is not what the forward starts from")
    return loss, by[0]


# --- what follows ---------------------------------------------------------------------------------


def _by_equation(case: Case, local: Ball, *, strays: bool, own: bool, because: str) -> Ruling:
    """NumPy's own trace, or its own evaluation of the equation, against the equation."""
    if case.finding.side == "numpy":
        verdict: Words = "the reference strays" if strays else "no ruling"
        note = because if strays else f"{UNCONFIRMED} ({because})"
    else:
        verdict = "both stray" if strays and own else "the reference strays"
        note = "NumPy's own evaluation of the equation is outside its radius"
    return _of_element(verdict, case, case.at, float(local.value[case.at]), None, note)


def _without_derivative(case: Case, local: Ball, *, strays: bool, because: str, otherwise: tuple[Words, str]) -> Ruling:
    """A value of the forward, or an update: neither is right of two forwards, or beside an update of one's own."""
    at = case.at
    centre = float(np.broadcast_to(local.value, case.seen.shape)[at])
    if not strays:
        return _of_element(otherwise[0], case, at, centre, None, f"{UNCONFIRMED} ({otherwise[1]})")
    verdicts: dict[str, tuple[Words, str]] = {
        "forward": ("forwards differ", _narrow(case, local)),
        "update": of_other_update(case),
    }
    nothing = f"nothing but its equation says what {case.finding.tensor} should be"
    verdict, note = verdicts.get(case.kind, ("no ruling", nothing))
    return _of_element(verdict, case, at, centre, None, f"{note or 'by wider floats'} ({because})")


def _narrow(case: Case, local: Ball) -> str:
    """A note where the roundings of float32 explain how far a float64 value is from its equation."""
    if case.experiment.dtype != np.float64:
        return ""
    fmt = format_of(np.dtype(np.float32))
    narrow = as_ball(equation(case, _rounded(fmt)), fmt).radius
    room = np.broadcast_to(np.asarray(narrow, np.longdouble) * (1 + DEEPEST * fmt.u) + local.radius, case.seen.shape)
    within = _outside(case.seen, local.value, room)[case.at] <= 0 and np.isfinite(room[case.at])
    return FLOAT32 if within else ""


def _ruled(case: Case, sides: _Sides, because: str, seconds: float) -> Ruling:
    """At the finding's element, or at another refuted one that is at no kink."""
    kinks = _kinks(sides.derivatives)
    at = next((at for at in _refuted(case, sides.off) if not kinks[at]), None)
    if at is not None:
        return _at(case, sides, at, because, seconds)
    here = case.at
    reference = float(sides.backward.value[here])
    if not sides.off[here] > 0:
        return _of_element("no ruling", case, here, reference, None, f"{UNCONFIRMED} ({because})")
    if not sides.ties:
        return _of_element("no ruling", case, here, reference, None, f"{OPEN} ({because})")
    values = [float(d.value[here]) for d in sides.derivatives]
    note = f"from {min(values):.6g} to {max(values):.6g}, by the side of the kink"
    return _of_element("no derivative exists there", case, here, reference, None, note)


def _kinks(derivatives: list[Ball]) -> Array:
    """Where the conventions differ by more than their radii."""
    first, *others = derivatives
    kinks = np.zeros(first.shape, bool)
    for d in others:
        kinks |= _apart(d.value, first.value) > _room(d, first)
    return kinks


def _room(a: Ball, b: Ball) -> Array:
    """The two radii, and the roundings of their sum."""
    return np.asarray(a.radius + b.radius) * (1 + 4 * DOUBLE.u)


def _refuted(case: Case, off: Array) -> Iterator[tuple[int, ...]]:
    """The refuted elements, that of the finding first."""
    if off[case.at] > 0:
        yield case.at
    yield from (tuple(int(i) for i in at) for at in np.argwhere(off > 0))


class _Point(NamedTuple):
    """At one element: D with its radius, B, |B - D| and how far apart rounding may have them; and in how many bits."""

    derivative: float
    radius: float
    reference: float
    off: float
    room: float
    bits: int


def _at(case: Case, sides: _Sides, at: tuple[int, ...], because: str, seconds: float) -> Ruling:
    """The ruling at one element, at which the equation is contradicted and the derivative is one."""
    d, b, largest = _element(sides.derivatives[0], at), _element(sides.backward, at), _largest(case.seen)
    if case.kind == "implied gradient":
        d, b = (as_ball(update(case, at, _exactly(DOUBLE), g), DOUBLE) for g in (d, b))
        unmoved = as_ball(update(case, at, _exactly(DOUBLE), Ball(np.zeros(1), 0, DOUBLE)), DOUBLE)
        largest = float(np.abs(d.value - unmoved.value)[0])
    measured = (d.value, d.radius, b.value, _apart(b.value, d.value), _room(b, d))
    slope, radius, own, off, room = (float(a[0]) for a in measured)
    point = _Point(slope, radius, own, off, room, DOUBLE.precision)
    allowance = max(float(sides.rounding.radius[at]), sides.rounding.share * largest, sides.rounding.largest)
    verdict, note = _told(case, sides, at, point, allowance)
    if verdict == "no ruling" and note != NEITHER and case.kind == "gradient" and len(sides.derivatives) == 1:
        further = _climbed(case, at, point, seconds)
        if further is not None:
            point = further
            verdict, note = _told(case, sides, at, point, allowance)
    note = note if note == NEITHER else f"{note} ({because})"
    return _of_element(verdict, case, at, point.reference, point.derivative, note)


def _told(case: Case, sides: _Sides, at: tuple[int, ...], point: _Point, allowance: float) -> tuple[Words, str]:
    """What follows, and the note; allowance: what rounding may do to a right gradient of the mirror's."""
    off, room = point.off, point.room
    away = float(_apart(case.seen[at], np.asarray(point.derivative)))
    strays = np.isfinite(allowance) and not away <= allowance + point.radius  # not: nan strays, too
    told = f"by a derivative with a radius, {point.radius:.2g}"
    told += f" in {point.bits} bits" if point.bits > DOUBLE.precision else ""
    strays = strays or bool(sides.off[at] > 2 * (off + room))
    if off > room:
        return ("no ruling", NEITHER) if strays else (NOT_ITS_OWN, f"{_times(off, room)}, {told}")
    if strays:
        return "the mirror strays", told
    return "no ruling", f"radii of {room:.2g} are too wide to tell a difference of {float(sides.off[at]):.2g}"


def _climbed(case: Case, at: tuple[int, ...], point: _Point, seconds: float) -> _Point | None:
    """The same in as many bits as tell D and B apart (tape/ladder.py); None if the budget has no room for more."""
    if forward_operations(case) > LONG:
        return None
    name = updated(case.experiment, case.finding.tensor)
    with recording():
        loss, by = _recorded_loss(case, name, _variables())
        own = backward(case, name, _variables(), keep)
    rungs = [r for r in climb(loss, {name: (by, own)}, seconds=seconds) if r.tried and r.bits > point.bits]
    if not rungs:
        return None
    pair, bits = rungs[-1].pairs[name], rungs[-1].bits
    apart, room = (float(np.broadcast_to(a, case.seen.shape)[at]) for a in (pair.apart, pair.room))
    return _Point(float(pair.derivative[at]), room, point.reference, apart, room, bits)


def _times(off: float, room: float) -> str:
    return f"{off / room:.3g} times their radii apart" if room else "apart, both without a radius"


def _element(x: Ball, at: tuple[int, ...]) -> Ball:
    return Ball(x.value[at].reshape(1), np.broadcast_to(x.radius, x.shape)[at].reshape(1), DOUBLE)


def _largest(a: Array) -> float:
    return float(np.max(np.abs(a), initial=0, where=np.isfinite(a)))


def _of_element(
    verdict: Words, case: Case, at: tuple[int, ...], reference: float, derivative: float | None, note: str
) -> Ruling:
    f = case.finding
    mirror = None if f.side == "numpy" else float(case.seen[at])
    return Ruling(verdict, f.tensor, f.step, f.index if at == case.at else at, derivative, reference, mirror, note=note)
