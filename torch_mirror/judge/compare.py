"""What a trace holds against the ball of its equation: element by element, the error over the radius."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from reference.arrays import Array
from reference.errors import InputError
from torch_mirror.balls.ball import Ball
from torch_mirror.balls.rules import sums
from torch_mirror.judge.verdict import Check, Finding, Side

DEEPEST = 1024
"""Roundings, in units of u, that the evaluation of a radius itself may add up to: 128 rules of 8."""


class Where(NamedTuple):
    """What a comparison is about."""

    tensor: str
    side: Side
    check: Check
    steps: Sequence[int] = (0,)  # of the run, of each entry
    stacked: bool = True         # whether the first axis counts steps


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
            first.pop(key, None)  # behind what its own step has found above it
            first[key] = finding
    return Findings(
        sum(f.tensors for f in parts),
        sum(f.judged for f in parts),
        sum(f.vacuous for f in parts),
        worst,
        tuple(first.values()),
    )


def compare(seen: Array, equation: Ball, where: Where, *, roomy: bool = False, above: float = 0) -> Findings:
    """Judge every element of ``seen``: it passes if it is within R radii of the equation's centre.

    roomy: nothing in sight can overflow, so that an element equal to the centre passes unbounded.
    above: a worst element is named only if its error / radius is larger than this.
    Raises InputError when the shapes differ.
    """
    centre = equation.value
    if seen.shape != centre.shape:
        raise InputError(f"tensor {where.tensor} of the trace", f"shape {centre.shape}", f"shape {seen.shape}")
    with np.errstate(all="ignore"):
        return _judge(seen, equation, where, above, roomy=roomy)


def _judge(seen: Array, equation: Ball, where: Where, above: float, *, roomy: bool) -> Findings:
    centre = equation.value
    tensors = len(seen) if where.stacked else 1
    if not seen.size:
        return Findings(tensors)
    picked = None
    if roomy and above >= WORTH_A_LOOK and seen.size >= MANY:
        picked = _suspects(seen, equation, min(above, 1.0))
    if roomy and picked is None:
        differs = seen != centre
        differing = int(np.count_nonzero(differs))
        picked = np.flatnonzero(differs) if 4 * differing < seen.size else None
    if picked is not None and not len(picked):
        return Findings(tensors, seen.size)

    def take(array: Array) -> Array:
        return array if picked is None else _picked(array, seen.shape, picked)

    error = np.atleast_1d(np.subtract(take(seen), take(centre)))
    np.abs(error, out=error)
    radius = equation.radius if picked is None else _radius_at(equation, seen.shape, picked, take)
    radius = _bound(equation) * np.where(np.isfinite(take(centre)), radius, np.inf)
    ratio = _ratio(error, radius)
    at = int(np.argmax(ratio))
    refutations: tuple[Finding, ...] = ()
    largest = float(np.finfo(error.dtype).max)  # a radius may be held in a wider format than the difference
    if float(ratio.flat[at]) <= 1 and float(np.max(radius)) < largest:
        infinite = 0
    else:
        finite = np.broadcast_to(radius < largest, error.shape)
        infinite = error.size - int(np.count_nonzero(finite))
        ratio[~finite] = 0
        at = int(np.argmax(ratio))
        outside = np.flatnonzero(finite & (ratio > 1))
        if len(outside):
            flat = outside if picked is None else picked[outside]
            refutations = (_first_outside(seen, equation, where, flat, ratio.reshape(-1)[outside]),)
    worst = None
    if ratio.flat[at] > above:
        worst = _finding(seen, equation, where, np.unravel_index(at if picked is None else picked[at], seen.shape))
    return Findings(tensors, seen.size - infinite, infinite, worst, refutations)


WORTH_A_LOOK = 0.25
"""From this worst error / radius on, most sums can be told to lie below it by their own size."""

MANY = 4096
"""Elements of a tensor from which that pays."""

BLOCK = 1 << 14
"""Elements looked at in one go."""


def _suspects(seen: Array, equation: Ball, above: float) -> Array | None:
    """Flat positions of the elements of a sum that may exceed ``above``; None if they are too many.

    The sum of magnitudes is at least the magnitude of the sum, so that where nothing is exact
    gamma |value| is at most the radius: an error below ``above`` times that needs no closer look.
    """
    total = equation.open
    if total is None or total.at is None or total.grid is None or total.grid() is not None:
        return None
    share = above * equation.slack * equation.format.gamma(total.terms)
    flat, centre = seen.reshape(-1), equation.value.reshape(-1)
    found: list[Array] = []
    for start in range(0, flat.size, BLOCK):  # small enough to stay in the cache from one operation to the next
        error = flat[start : start + BLOCK] - centre[start : start + BLOCK]
        np.abs(error, out=error)
        least = share * centre[start : start + BLOCK]
        np.abs(least, out=least)
        found.append(np.flatnonzero(~(error <= least)) + start)
    picked = np.concatenate(found)
    return picked if 16 * len(picked) < seen.size else None


def _radius_at(equation: Ball, shape: tuple[int, ...], picked: Array, take: Callable[[Array], Array]) -> Array:
    """The radius at flat positions."""
    radius = None
    if equation.open:
        radius = sums.radius_at(equation.open, equation.format, np.unravel_index(picked, shape))
    return np.asarray(equation.e(take)) if radius is None else radius


def _picked(array: Array, shape: tuple[int, ...], flat: Array) -> Array:
    """The elements at flat positions of the array, broadcast to the shape."""
    array = np.asarray(array)
    if not array.ndim:
        return array
    if array.shape == shape and array.flags.c_contiguous:
        return array.reshape(-1)[flat]
    return np.broadcast_to(array, shape)[np.unravel_index(flat, shape)]


def _bound(equation: Ball) -> float:
    """R, with room for the roundings of the radius's own evaluation."""
    return equation.slack * (1 + DEEPEST * equation.format.u)


def allowed(equation: Ball) -> Array:
    """The largest admissible distance of another evaluation from the centre, element by element."""
    distance: Array = _bound(equation) * equation.radius
    return distance


def _ratio(error: Array, radius: Array) -> Array:
    """error / radius; 0 where there is no error, infinite where a NaN or a radius of 0 makes it so."""
    ratio: Array = np.divide(error, radius)
    if not float(np.max(ratio, initial=0)) < np.inf:  # NaN wins a maximum
        ratio[error == 0] = 0
        ratio[np.isnan(ratio)] = np.inf
    return ratio


def _first_outside(seen: Array, equation: Ball, where: Where, flat: Array, ratio: Array) -> Finding:
    """The worst element of the first step that has one outside; flat: where they are, ratio: how far."""
    size = seen[0].size if where.stacked and seen.ndim else seen.size
    steps = flat // size
    here = np.flatnonzero(steps == steps[0])  # flat positions ascend
    worst = flat[here[np.argmax(ratio[here])]]
    finding = _finding(seen, equation, where, np.unravel_index(worst, seen.shape))
    return finding._replace(outside=len(here), size=size)


def _finding(seen: Array, equation: Ball, where: Where, index: Iterable[int]) -> Finding:
    index = tuple(int(i) for i in index)

    def take(array: Array) -> Array:
        return np.asarray(np.broadcast_to(array, seen.shape)[index])  # one element

    s, v = take(seen), take(equation.value)
    radius = _bound(equation) * np.asarray(equation.e(take))
    error = np.abs(s - v)
    ratio = float(_ratio(np.atleast_1d(error), np.atleast_1d(radius))[0]) if np.isfinite(radius) else 0.0
    tested = equation.format.dtype
    spacing = float(np.spacing(np.abs(v).astype(tested))) or float("nan")
    local = index[1:] if where.stacked else index
    step = int(where.steps[index[0] if where.stacked else 0])
    return Finding(
        ratio, step, where.tensor, where.side, where.check, local,
        float(s), float(v), float(radius), float(error) / spacing,
    )  # fmt: skip
