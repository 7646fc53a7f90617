"""The two free runs against each other: the distance between them is explained, not gated.

With phi torch's parameters, theta NumPy's, d[t] = |phi[t] - theta[t]| (Euclidean norm over all of
them), F one step of the reference and theta[t+1] = F(theta[t]), the triangle inequality gives

    d[t+1]  <=  |F(phi[t]) - F(theta[t])| + |phi[t+1] - F(phi[t])|  <=  a[t] d[t] + r[t]

where a[t] = |F(phi[t]) - F(theta[t])| / d[t] is the reference's own measured amplification and r[t] the
norm of the radii that torch's step from phi[t] is allowed. A distance that this does not explain is a
difference between the two programs, however small it is beside the parameters. That NumPy's theta[t+1] is F(theta[t])
is a question of its own (own_run.py), which is asked where d[t+1] > d[t] + r[t].

Radii that propagate cost several products a step. For a large network they are evaluated on a sample
of steps, and otherwise only where a part of r[t] that is cheap to have, the update's own rounding on
some of the parameters, does not already explain the distance.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.slots import gradient_of
from reference.claim.tree import named, zip_with
from reference.traces.trace import Trace
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.judge.checks.end_to_end import free_step, judge_end_to_end
from torch_mirror.judge.compare import allowed
from torch_mirror.judge.findings import Finding, Findings, merge, refuted_by
from torch_mirror.judge.replay import Part, entries, remembering, single

PART = 499
"""Every PART-th parameter goes into the cheap part of r; a prime, so that no row or column is favoured."""


CACHED = 10_000
"""Numbers from which an array of one step is worth a call of its own."""


class Distances(NamedTuple):
    """Per step: d[t+1], a[t] d[t], r[t] (or, where that suffices, a part of it), and d[t]."""

    distance: Array   # (steps,)
    amplified: Array  # (steps,)
    radius: Array     # (steps,)
    before: Array     # (steps,)


def judge_free_run(
    experiment: Experiment, part: Part, numpy: Trace, sample: Collection[int] | None = None
) -> tuple[Findings, Distances]:
    """Judge a part of torch's run against the same steps of NumPy's, both as they ran.

    numpy: of which NumPy's parameters are taken; it holds these steps. sample: the steps of the run at which radii
    are propagated whatever the distances; every step if None.
    """
    e = experiment
    here = entries(part.steps, numpy)
    theirs = {name: a[1:][here] for name, a in numpy.parameters.items()}
    with np.errstate(all="ignore"):
        free = free_step(e, part)
        after = {name: free[name] for name in named(e.parameters)}
        distance, amplified = _distances(part, theirs, after)
        before = _before(part, {name: a[:-1][here] for name, a in numpy.parameters.items()}, distance)
        if sample is None:
            findings, balls = judge_end_to_end(e, free, part)
            found, radius = [findings], _norm([allowed(balls[name]) for name in after])
        else:
            found, radius = [], np.zeros(len(part.steps))
            # a part of the parameters tells something only where each of them is updated by itself
            apart = getattr(e.optimizer, "elementwise", False) and part.stacks
            if apart and _unexplained(Distances(distance, amplified, radius, before), part).any():
                radius = _part_of_radius(e, part, free)
            unexplained = np.flatnonzero(_unexplained(Distances(distance, amplified, radius, before), part))
            sampled = np.flatnonzero(np.isin(part.steps, list(sample)))
            for i in sorted({*sampled.tolist(), *unexplained.tolist()}):
                findings, radius[i] = _propagate(e, single(part, i))
                found.append(findings)
        distances = Distances(distance, amplified, radius, before)
        return merge([*found, *_explain(part, distances)]), distances


def _propagate(e: Experiment, one: Part) -> tuple[Findings, float]:
    """The findings on one step's loss and gradients, with radii end to end, and its r."""
    with remembering(one):
        findings, balls = judge_end_to_end(e, free_step(e, one), one)
        return findings, float(_norm([allowed(balls[name]) for name in named(e.parameters)])[0])


def _part_of_radius(e: Experiment, whole: Part, free: dict[str, Ball]) -> Array:
    """The norm of the update's own radii over every PART-th parameter: at most r.

    The free step's gradients are taken as exact, and a radius only grows with those of its operands.
    """
    fmt = format_of(e.dtype)

    def part(a: Ball) -> Ball:
        return Ball(a.value.reshape(len(a.value), -1)[:, ::PART], 0, fmt)

    w, state = (zip_with(lambda _, a: part(a), tree) for tree in (whole.p, whole.state))
    dw = zip_with(lambda name, _: part(free[str(gradient_of(e.slots, name))]), whole.p)
    after, _ = e.optimizer.step(w, dw, state, np.array(whole.steps))
    return _norm([allowed(ball) for ball in named(after).values()])


def _explain(part: Part, distances: Distances) -> list[Findings]:
    """A refutation of the first distance that is not explained, if there is one."""
    unexplained = np.flatnonzero(_unexplained(distances, part))
    if not len(unexplained):
        return []
    i = int(unexplained[0])
    d, amplified, r, _ = (float(a[i]) for a in distances)
    ratio = (d - amplified) / r if r > 0 else float("inf")
    finding = Finding(
        ratio, int(part.steps[i]), "parameters", "both", "trajectory", (),
        seen=d, expected=amplified, radius=r, ulp=float("nan"),
    )  # fmt: skip
    return [refuted_by(finding)]


def _distances(part: Part, numpy: Mapping[str, Array], after: dict[str, Ball]) -> tuple[Array, Array]:
    """d[t+1] and a[t] d[t] of each step."""
    distance = _apart([(part.after[name], numpy[name]) for name in after])
    return distance, _apart([(ball.value, numpy[name]) for name, ball in after.items()])


def _before(part: Part, numpy: Mapping[str, Array], distance: Array) -> Array:
    """d[t] of each step; of all but the first it is the one after the step before, where the steps are consecutive."""
    consecutive = part.steps[-1] - part.steps[0] + 1 == len(part.steps)
    some = slice(1 if consecutive else None)
    before = _apart([(ball.value[some], numpy[name][some]) for name, ball in named(part.p).items()])
    return np.concatenate([before, distance[:-1]]) if consecutive else before


def _apart(pairs: list[tuple[Array, Array]]) -> Array:
    """The Euclidean norm of a - b over all pairs, for each step.

    In float64, where the difference of two float32 numbers is not rounded a second time. Differences of
    a large network are taken a step at a time: they then stay in the cache until they are squared.
    """
    total = np.zeros(len(pairs[0][0]))
    for a, b in pairs:
        if a[0].size < CACHED:
            difference = np.subtract(a, b, dtype=np.float64).reshape(len(a), -1)
            total += np.vecdot(difference, difference)
            continue
        for t in range(len(a)):
            difference = np.subtract(a[t], b[t], dtype=np.float64).reshape(-1)
            total[t] += np.vdot(difference, difference)
    return np.sqrt(total)


def _norm(parts: list[Array]) -> Array:
    """The Euclidean norm over everything but the first axis, which counts steps; in float64."""
    return _apart([(part, np.broadcast_to(part.dtype.type(0), part.shape)) for part in parts])


def _unexplained(distances: Distances, part: Part) -> Array:
    """True where d[t+1] > a[t] d[t] + r[t], whatever the rounding of the three norms."""
    d, amplified, r, _ = distances
    rounding = _rounding_of_norms(part)
    explained = d * (1 - rounding) <= (amplified + r) * (1 + rounding)
    unexplained: Array = ~explained & np.isfinite(d + amplified + r)
    return unexplained


def grown(part: Part, distances: Distances) -> list[int]:
    """The steps of the run at which d[t+1] may exceed d[t] + r[t], whatever the rounding of the norms."""
    d, _, r, before = distances
    rounding = _rounding_of_norms(part)
    bounded = (d == 0) | (d * (1 + rounding) <= (before + r) * (1 - rounding))
    return [part.steps[i] for i in np.flatnonzero(~(bounded & np.isfinite(r))).tolist()]


def _rounding_of_norms(part: Part) -> float:
    """A sum of n squares and its root are off by at most gamma_{n+4} relative (Higham, section 3.1)."""
    size = sum(ball.value[0].size for ball in named(part.p).values())
    return float(format_of(np.dtype(np.float64)).gamma(size + 4))
