"""What a trace holds against the ball of its equation: element by element, the error over the radius."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from reference.arrays import Array
from reference.errors import InputError
from torch_mirror.judge.ball import Ball
from torch_mirror.judge.certificate import Check, Finding, Side

DEEPEST = 1024
"""Roundings, in units of u, that the evaluation of a radius itself may add up to: 128 rules of 8."""


class Where(NamedTuple):
    """What a comparison is about."""

    tensor: str
    side: Side
    check: Check
    first: int = 0         # step of the first entry
    stacked: bool = True   # whether the first axis counts steps


class Findings(NamedTuple):
    """What came of some comparisons."""

    tensors: int = 0
    judged: int = 0
    vacuous: int = 0
    worst: Finding | None = None
    refutations: tuple[Finding, ...] = ()


def merge(parts: Iterable[Findings]) -> Findings:
    """All of them in one; of each tensor, side and check the earliest refutation is kept."""
    parts = list(parts)
    worst = max((f.worst for f in parts if f.worst), key=lambda f: f.ratio, default=None)
    first: dict[tuple[str, str, str], Finding] = {}
    for finding in (f for part in parts for f in part.refutations):
        key = finding.tensor, finding.side, finding.check
        if key not in first or finding.step < first[key].step:
            first[key] = finding
    return Findings(
        sum(f.tensors for f in parts),
        sum(f.judged for f in parts),
        sum(f.vacuous for f in parts),
        worst,
        tuple(first.values()),
    )


def compare(seen: Array, equation: Ball, where: Where, roomy: bool = False) -> Findings:
    """Judge every element of ``seen``: it passes if it is within R radii of the equation's centre.

    roomy: nothing in sight can overflow, so that an element equal to the centre passes unbounded.
    Raises InputError when the shapes differ.
    """
    centre = equation.value
    if seen.shape != centre.shape:
        raise InputError(f"tensor {where.tensor} of the trace", f"shape {centre.shape}", f"shape {seen.shape}")
    tensors = len(seen) if where.stacked else 1
    differs = seen != centre
    differing = int(np.count_nonzero(differs))
    if roomy and not differing:
        return Findings(tensors, seen.size)
    picked = np.nonzero(differs) if roomy and 8 * differing < seen.size else None

    def take(array: Array) -> Array:
        return array if picked is None else np.broadcast_to(array, seen.shape)[picked]

    error = np.abs(take(seen) - take(centre))
    radius = _bound(equation) * (equation.radius if picked is None else equation.e(take))
    passed = int(np.count_nonzero(error <= radius))
    finite = np.isfinite(radius)
    infinite = error.size - int(np.count_nonzero(finite))
    if passed == error.size and not infinite:
        ratio = _ratio(error, radius)
        at = int(np.argmax(ratio))
        worst = _finding(seen, equation, where, np.unravel_index(at, seen.shape) if picked is None else _at(picked, at))
        return Findings(tensors, seen.size, 0, worst if ratio.flat[at] > 0 else None)
    outside = np.zeros(seen.shape, bool)
    outside[... if picked is None else picked] = finite & ~(error <= radius)
    ratio = np.where(finite, _ratio(error, radius), 0)
    at = int(np.argmax(ratio))
    worst = _finding(seen, equation, where, np.unravel_index(at, seen.shape) if picked is None else _at(picked, at))
    refutations = (_first_outside(seen, equation, where, outside),) if outside.any() else ()
    return Findings(tensors, seen.size - infinite, infinite, worst if ratio.flat[at] > 0 else None, refutations)


def _bound(equation: Ball) -> float:
    """R, with room for the roundings of the radius's own evaluation."""
    return equation.slack * (1 + DEEPEST * equation.format.u)


def allowed(equation: Ball) -> Array:
    """The largest admissible distance of another evaluation from the centre, element by element."""
    distance: Array = _bound(equation) * equation.radius
    return distance


def _ratio(error: Array, radius: Array) -> Array:
    """error / radius; 0 where there is no error, infinite where a NaN or a radius of 0 makes it so."""
    ratio = np.divide(error, radius, out=np.full(error.shape, np.inf, error.dtype), where=radius > 0)
    ratio[error == 0] = 0
    ratio[np.isnan(ratio)] = np.inf
    return ratio


def _at(picked: tuple[Array, ...], i: int) -> tuple[int, ...]:
    return tuple(int(axis[i]) for axis in picked)


def _first_outside(seen: Array, equation: Ball, where: Where, outside: Array) -> Finding:
    """The worst element of the first step that has one outside."""
    step = int(np.argmax(outside.reshape(len(outside), -1).any(axis=1))) if where.stacked and outside.ndim else None
    here = outside if step is None else outside[step]
    candidates = [tuple(int(i) for i in index) for index in np.argwhere(here)]
    full = [index if step is None else (step, *index) for index in candidates]
    findings = [_finding(seen, equation, where, index) for index in full[:4096]]
    worst = max(findings, key=lambda f: f.ratio)
    return worst._replace(outside=len(candidates), size=int(here.size))


def _finding(seen: Array, equation: Ball, where: Where, index: Iterable[int]) -> Finding:
    index = tuple(int(i) for i in index)

    def take(array: Array) -> Array:
        return np.asarray(np.broadcast_to(array, seen.shape)[index])

    s, v = take(seen), take(equation.value)
    radius = _bound(equation) * np.asarray(equation.e(take))
    error = np.abs(s - v)
    ratio = float(_ratio(error[None], radius[None])[0]) if np.isfinite(radius) else 0.0
    tested = equation.format.dtype
    spacing = float(np.spacing(np.abs(v).astype(tested))) or float("nan")
    local = index[1:] if where.stacked else index
    step = where.first + (index[0] if where.stacked else 0)
    return Finding(
        ratio, step, where.tensor, where.side, where.check, local, float(s), float(v), float(radius), float(error) / spacing
    )
