"""The search: every edit of the menu tried on arrays, and what is left proven on balls.

An edit is accepted if every element of some wrong output is within its radius and no right output is spoiled. The radii
must be far smaller than the error that is explained (BITS), or a wide ball would fit anything. On arrays an edit is
only refused, never accepted.

A constant is not guessed but solved for. The outputs are affine in a factor c, A + (c - 1) D, or in its inverse; two
evaluations tell which. c, or 1 / c, is then the one of least squares, <seen - A, D> / <D, D>, known within what the
radii move that, and what the outputs bend. Names of c within this tolerance are tried, each with its own exact value.
A constant without a name is accepted only if at least three elements of different sizes agree on it, and if nothing
bends: what is solved for along a line is a number near the one that was meant else, and not it.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.cell import Ball
from torch_mirror.tape.edits.case import Case, distance
from torch_mirror.tape.edits.constants import Constant, names_of
from torch_mirror.tape.edits.edit import By, Change, Edit, Values, evaluated, way_of

BITS = 30.0
"""By so many bits an error exceeds the radii, the three elements together in which it does so most.

If a wrong edit's values are spread over the size of the error, one of them meets a ball of 1/r of this size with a
chance of about 1/r. With three elements that are independent of each other, and a thousand edits tried, 2^30 leaves one
in a million. More elements are not counted, as they need not be independent: one sample's error has rank 1.
"""

CAST_BITS = 24.0
"""As BITS, of a cast. A grid outlives a copy, a transposition, a sign and a power of 2, but no product and no sum: of
the casts tried only those of such values could meet it by chance. For four of them in four formats, 2^4, one in a
million remains, as above.
"""

LOOK = 32
"""Edits between two looks at the clock, which may take longer than an edit does."""

LONG = 0.5
"""Seconds of the processor after which, beside a fit, nothing is tried that costs more by two: it would be told as less
simple. Of an equation of many turns an edit of each takes a thousand times as long as of a small one.
"""

ALIKE = 16
"""Names that a number may have. Where more are within its tolerance it is known too little to be any of them."""

NAMELESS = 9
"""What a constant without a name adds to the cost."""

EXPECTED = (ValueError, TypeError, IndexError, ZeroDivisionError, FloatingPointError, NotImplementedError)
"""What an edit raises that does not fit in: shapes that cannot be multiplied, a comparison that has no meaning."""


class Fit(NamedTuple):
    """An edit that was accepted. worst: the largest |seen - edited| / (both radii) of what it explains."""

    edit: Edit
    explains: frozenset[str]
    worst: float


class Found(NamedTuple):
    """fits: in no order; tried: edits that were evaluated; complete: False where the time ran out."""

    fits: tuple[Fit, ...]
    tried: int
    complete: bool


def search(case: Case, edits: Sequence[Edit], until: float, *, whole: bool) -> Found:
    """All edits that fit, the cheapest tried first.

    until: by time.process_time, when to stop
    whole: only those that explain every wrong output; one look at the nearest of these refuses most edits
    """
    fits: list[Fit] = []
    tried, started, dear = 0, time.process_time(), np.inf
    with np.errstate(all="ignore"):
        for edit in sorted(edits, key=lambda e: e.cost):
            if tried % LOOK == 0 and time.process_time() > (until if edit.cost <= dear else min(until, started + LONG)):
                return Found(_named_first(fits), tried, complete=False)
            tried += 1
            proven: dict[float | None, Fit | None] = {}  # names of the same number need one proof
            for one in _solved(case, edit, whole=whole) if edit.solve else (edit,):
                if one.c not in proven:
                    proven[one.c] = _accepted(case, one, whole=whole)
                fit = proven[one.c]
                if fit is not None:
                    fits.append(fit._replace(edit=one))
                    dear = min(dear, one.cost + 1)
    return Found(_named_first(fits), tried, complete=True)


def with_a_constant(edits: Sequence[Edit]) -> Iterator[Edit]:
    """Each edit of one change, and a factor at the same place: for where nothing simpler fits."""
    for edit in edits:
        if not edit.solve and len(edit.changes) == 1 and "rounded" not in edit.words:
            change = edit.changes[0]
            by = change.by
            scaled = Change(change.node, change.operand, lambda h, by=by: by(h) * h.c)
            yield Edit((scaled,), f"{edit.words}, and a factor {{}} there", edit.cost + 3, "factor")


def _named_first(fits: Sequence[Fit]) -> tuple[Fit, ...]:
    """Constants without a name only where nothing else fits."""
    named = tuple(fit for fit in fits if fit.edit.cost < NAMELESS)
    return named or tuple(fits)


def _run(case: Case, edit: Edit, names: Sequence[str], new: dict[int, Any], start: Values) -> Any:
    """The outputs with the edit; None where it does not fit in."""
    try:
        return evaluated(case.eq, case.shape, start, (edit,), names, new, case.found)
    except EXPECTED:
        return None


def _touched(case: Case, edit: Edit) -> tuple[list[str], list[str]]:
    """The right and the wrong outputs that may change with it; the nearest first."""
    nodes = {change.node for change in edit.changes}
    lengths = {name: length for name in case.seen if (length := len(way_of(case.shape, nodes, name)))}
    names = sorted(lengths, key=lengths.__getitem__)
    return [name for name in names if name not in case.wrong], [name for name in names if name in case.wrong]


def _near(case: Case, name: str, x: Any) -> bool:
    seen = case.seen[name].value
    return np.shape(x) == seen.shape and bool((np.abs(x - seen) <= case.room[name]).all())


def _accepted(case: Case, edit: Edit, *, whole: bool) -> Fit | None:
    right, wrong = _touched(case, edit)
    if not wrong or (whole and len(wrong) < len(case.wrong)):
        return None
    hopeful = _hopeful(case, edit, right, wrong, whole=whole)
    balls = _run(case, edit, [*right, *hopeful], {}, case.balls) if hopeful else None
    if balls is None or any(distance(case.seen[name], balls[name]) > 1 for name in right):
        return None
    worst = {name: distance(case.seen[name], balls[name]) for name in hopeful if _telling(case, name, balls[name])}
    explained = frozenset(name for name, ratio in worst.items() if ratio <= 1)
    if not explained or (whole and len(explained) < len(case.wrong)) or not _told_as_a_cast(case, edit, explained):
        return None
    return Fit(edit, explained, max(worst[name] for name in explained))


def _hopeful(case: Case, edit: Edit, right: Sequence[str], wrong: Sequence[str], *, whole: bool) -> list[str]:
    """The wrong outputs that it may explain, by arrays alone; none if it spoils a right one."""
    new: dict[int, Any] = {}
    found: list[str] = []
    for name in wrong:
        outputs = _run(case, edit, (name,), new, case.arrays)
        if outputs is None:
            return []
        if _near(case, name, outputs[name]):
            found.append(name)
        elif whole:
            return []
    outputs = _run(case, edit, right, new, case.arrays) if found else None
    return found if outputs is not None and all(_near(case, name, outputs[name]) for name in right) else []


def _telling(case: Case, name: str, ball: Any) -> bool:
    """Whether the radii are far smaller than the error that is explained."""
    seen, expected = case.seen[name], case.balls[case.eq.outputs[name]]
    error = np.abs(seen.value - expected.value)
    allowed = np.asarray(ball.radius) + seen.radius
    ratio = np.where(error > 0, error / allowed, 1.0)  # infinite where nothing rounds
    most = np.sort(np.maximum(np.nan_to_num(ratio, nan=1.0), 1.0), axis=None)[-3:]
    return bool(np.log2(most).sum() >= BITS)


def _told_as_a_cast(case: Case, edit: Edit, names: frozenset[str]) -> bool:
    """Whether so many elements are wrong that no other cast would have them by chance; True of what is none.

    A small radius is no evidence here: what was cast is on a grid, and meets what another cast has there exactly. So an
    element counts for edit.tells bits, and CAST_BITS are needed: two elements for float32, eight for the others.
    """
    balls = {name: case.balls[case.eq.outputs[name]] for name in names}
    wrong = sum(
        int((np.abs(case.seen[name].value - x.value) > case.seen[name].radius + np.asarray(x.radius)).sum())
        for name, x in balls.items()
    )
    return not edit.tells or wrong * edit.tells >= CAST_BITS


# --- constants ---------------------------------------------------------------------------------------------------


def _solved(case: Case, edit: Edit, *, whole: bool) -> Iterator[Edit]:
    """The edit with each constant that may be it. whole: as the nearest output has it, for all must agree."""
    start = 1.0 if edit.solve == "factor" else 0.0
    _, wrong = _touched(case, edit)
    if whole:
        wrong = wrong[:1] if len(wrong) == len(case.wrong) else []
    first, second = (_run(case, edit._replace(c=c), wrong, {}, case.arrays) for c in (start + 1.0, start - 0.5))
    if not wrong or first is None or second is None:
        return
    base = _run(case, edit._replace(c=start), wrong, {}, case.arrays) if edit.solve == "factor" else None
    done: list[float] = []
    for name in wrong:
        at_start = base[name] if base is not None else case.arrays[case.eq.outputs[name]]
        found = _least_squares(case, name, at_start, first[name], second[name], start)
        if found is None and whole and edit.solve == "factor":
            found = _bent(case, edit, name, at_start)
        if found is None or any(abs(found.c - c) <= 1e-9 * abs(c) for c in done):
            continue
        done.append(found.c)
        yield from _bound(case, edit, found)


class _Constant(NamedTuple):
    """The edit's own constant c, within the tolerance."""

    c: float
    tolerance: float
    sizes: int  # different sizes among the elements that c was found from
    bends: bool  # the outputs are affine in c, or in 1 / c, only about


def _least_squares(case: Case, name: str, a: Any, first: Any, second: Any, start: float) -> _Constant | None:
    """From the output at the start, at start + 1 and at start - 1/2; None where it is neither affine nor inverse."""
    seen = case.seen[name]
    if not np.shape(a) == np.shape(first) == np.shape(second) == seen.shape:
        return None
    up, down = np.asarray(first - a), np.asarray(second - a)
    noise = seen.radius + np.asarray(case.balls[case.eq.outputs[name]].radius)
    size = _norm(up) + _norm(down)
    if not 0 < size < np.inf:
        return None
    slack = 1e-6 * size + 8 * _norm(noise)
    affine, inverse = _norm(down + up / 2) <= slack, start == 1 and _norm(up + down / 2) <= slack
    d = up if affine else down
    if not (affine or inverse) or not (square := _dot(d, d)) > 0:
        return None
    t = _dot(d, seen.value - a) / square
    if not np.isfinite(t) or np.abs(seen.value - a - t * d).max() > case.room[name] * (1 + abs(t)):
        return None
    sharp = 4 * (1 + abs(t)) * _dot(np.abs(d), noise) / square + 1e-12 * (1 + abs(start + t))
    bend = _bend(_norm(down + up / 2 if affine else up + down / 2), _norm(d), t)
    found = _Constant(start + t, sharp + bend, _sizes(d), bend > sharp)
    return found if affine else _inverted(found)


TURNS = 12
"""Of the search for a factor that the output is no multiple of."""


def _bent(case: Case, edit: Edit, name: str, at_start: Any) -> _Constant | None:
    """The factor where the output bends with it, as behind a softmax: by Gauss-Newton steps in its logarithm, from 1.

    None where they do not end at an output that is near. Source: Nocedal and Wright, Numerical Optimization, section
    10.3, with the derivative by a difference; what is found is proven by the edit, and here only sought.
    """
    seen = case.seen[name]
    noise = seen.radius + np.asarray(case.balls[case.eq.outputs[name]].radius)
    c, a = 1.0, at_start
    for _ in range(TURNS):
        ahead = _run(case, edit._replace(c=c * (1 + STEP)), (name,), {}, case.arrays)
        if ahead is None or not np.shape(ahead[name]) == np.shape(a) == seen.shape:
            return None
        d = (ahead[name] - a) / STEP  # by the logarithm of c
        square = _dot(d, d)
        if not 0 < square < np.inf:
            return None
        t = float(np.clip(_dot(d, seen.value - a) / square, -1, 1))
        c *= float(np.exp(t))
        there = _run(case, edit._replace(c=c), (name,), {}, case.arrays)
        if there is None or not np.isfinite(there[name]).all():
            return None
        a = there[name]
        if abs(t) < STEP and np.abs(seen.value - a).max() <= case.room[name]:
            sharp = 4 * abs(c) * _dot(np.abs(d), noise) / square + 1e-12 * abs(c)
            return _Constant(c, sharp + abs(c * t) * STEP, _sizes(d), bends=False)
    return None


STEP = 1e-6
"""Of the difference, and where the search has come to its end."""


def _bend(off: float, d: float, t: float) -> float:
    """How far t may be off where the output is t d + t^2 q: by t^2 |q| / |d|.

    The two outputs that were looked at are those of t = 1 and of t = -1/2. Half the one and the other are together
    (1/2 + 1/4) q, of which ``off`` is the length.
    """
    return t * t * off / (0.75 * d)


def _inverted(found: _Constant) -> _Constant | None:
    """1 / c, which is known if c is not 0: |1 / c - 1 / (c + e)| <= |e| / (|c| (|c| - |e|))."""
    c, e = abs(found.c), found.tolerance
    return None if c <= 2 * e else found._replace(c=1 / found.c, tolerance=e / (c * (c - e)))


def _dot(a: Array, b: Array) -> float:
    """Without BLAS, whose threads cost more than they save here."""
    return float(np.einsum("i,i->", np.ravel(a), np.ravel(b)))


def _norm(a: Array) -> float:
    return float(np.sqrt(_dot(a, a)))


def _sizes(d: Array) -> int:
    """Different sizes among the elements that count."""
    sizes = np.abs(d[np.abs(d) > 1e-6 * np.abs(d).max()])
    return len(np.unique((sizes / sizes.max()).round(9))) if sizes.size else 0


def _bound(case: Case, edit: Edit, found: _Constant) -> Iterator[Edit]:
    """By each name within the tolerance; nameless if there is none, and enough elements agree."""
    names = names_of(found.c, found.tolerance, case.constants)
    for name in names if len(names) <= ALIKE else ():
        known = case.constants[name]
        if known.value != (1.0 if edit.solve == "factor" else 0.0):
            yield bound(edit, name, known)
    sharp = found.tolerance <= 1e-9 * abs(found.c)  # and as many names are those of a number that is well known
    if (not names or (len(names) > ALIKE and sharp)) and found.sizes >= 3 and not found.bends:
        yield _nameless(edit, found)


def bound(edit: Edit, name: str, known: Constant) -> Edit:
    """The edit with a constant of that name: a ball, as 1 / 6 is rounded."""
    c = Ball(np.asarray(known.value), abs(known.value) * 2.0**-50)
    return edit._replace(
        changes=tuple(change._replace(by=_fixed(change, c)) for change in edit.changes),
        words=edit.words.replace("{}", name),
        cost=edit.cost + known.cost - 1, solve="", c=known.value, name=name, template=edit,
    )  # fmt: skip


def _fixed(change: Change, c: Ball) -> By:
    """The change's function, given the constant as what x is: a ball, or a plain number."""
    by, number = change.by, float(c.value)
    return lambda h: by(h._replace(c=c if hasattr(h.x, "settled") else number))


def _nameless(edit: Edit, found: _Constant) -> Edit:
    shown = f"{found.c:.6g}" if abs(found.c - 1) > 1e-4 else f"1 {'+' if found.c > 1 else '-'} {abs(found.c - 1):.3g}"
    return bound(edit, f"{shown} (a number without a name)", Constant(found.c, NAMELESS))._replace(
        changes=tuple(
            change._replace(by=_fixed(change, Ball(np.asarray(found.c), found.tolerance))) for change in edit.changes
        )
    )  # fmt: skip
