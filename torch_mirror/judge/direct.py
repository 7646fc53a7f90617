"""The plain comparison, made rigorous: NumPy against torch from identical weights, and run against run.

From identical weights. One reference step F is taken from torch's own parameters phi[t], as balls, with
nothing known of torch's intermediate values: the radii propagate through the network, both branches of
an undecided ReLU are inside, and torch's loss, gradients and next parameters must lie within them.

Run against run. With theta NumPy's parameters, d[t] = |phi[t] - theta[t]| (Euclidean norm over all of
them) and theta[t+1] = F(theta[t]), the triangle inequality gives

    d[t+1]  <=  |F(phi[t]) - F(theta[t])| + |phi[t+1] - F(phi[t])|  <=  a[t] d[t] + r[t]

where a[t] = |F(phi[t]) - F(theta[t])| / d[t] is the reference's own measured amplification and r[t] the
norm of the radii that torch's step from phi[t] is allowed. A distance that this does not explain is a
difference between the two programs, however small it is beside the parameters.

Radii that propagate cost several products a step. For a large network they are evaluated on a sample
of steps, and otherwise only where a part of r[t] that is cheap to have, the update's own rounding on
some of the parameters, does not already explain the distance.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.experiment import Experiment
from reference.network import features
from reference.parameters import named, rebuild
from reference.trace import Trace
from reference.training import step
from torch_mirror.judge.ball import Ball
from torch_mirror.judge.certificate import Finding
from torch_mirror.judge.compare import Findings, Where, allowed, compare, merge
from torch_mirror.judge.format import format_of

PART = 61
"""Every PART-th parameter goes into the cheap part of r; a prime, so that no row or column is favoured."""


class Distances(NamedTuple):
    """Per step: d[t+1], a[t] d[t] and r[t] (or, where that suffices, a part of it)."""

    distance: Array   # (steps,)
    amplified: Array  # (steps,)
    radius: Array     # (steps,)


def judge_directly(
    experiment: Experiment, torch: Trace, numpy: Trace, everywhere: bool, sample: Collection[int]
) -> tuple[Findings, Distances]:
    """Judge a segment of torch's run against the same segment of NumPy's, both as they ran.

    everywhere: propagate radii at every step, else only at the steps of the run named in ``sample``.
    """
    e = experiment
    with np.errstate(all="ignore"):
        if everywhere:
            findings, after, radius = _propagate(e, torch, slice(None))
            return _explain(torch, numpy, findings, after, radius)
        sampled = [t - torch.first for t in sample if torch.first <= t < torch.first + torch.steps]
        after, radius = _step_and_part(e, torch)
        found = []
        distances = _distances(torch, numpy, after, radius)
        unexplained = np.flatnonzero(_unexplained(distances, _size(torch)))
        for i in sorted({*sampled, *unexplained.tolist()}):
            part, _, here = _propagate(e, torch, slice(i, i + 1))
            found.append(part)
            radius[i] = here[0]
        return _explain(torch, numpy, merge(found), after, radius)


def _propagate(e: Experiment, torch: Trace, steps: slice) -> tuple[Findings, dict[str, Array], Array]:
    """End-to-end balls of some steps: findings, F(phi), and r."""
    fmt = format_of(e.dtype)
    part = torch.at(steps)
    balls: dict[str, Ball] = {}

    def collect(name: str, equation: Any) -> Any:
        balls[name] = equation
        return equation

    t: Any = Ball(e.t, 0, fmt)
    p = rebuild(e.parameters, {name: Ball(a[:-1], 0, fmt) for name, a in part.parameters.items()})
    x = features(e.network, Ball(e.x, 0, fmt), collect)  # type: ignore[arg-type]  # a ball is a duck array
    after = named(step(e.network, p, x, t, e.loss, e.sgd, collect))
    balls["loss"] = e.loss.value(balls["y"], t)  # type: ignore[assignment,arg-type]  # a ball is a duck array
    wanted = ["loss", *(f"d{name}" for name in after)]
    where = {name: Where(name, "both", "end to end", part.first) for name in wanted}
    findings = merge(compare(part[name], balls[name], where[name]) for name in wanted if name in part)
    return findings, {name: ball.value for name, ball in after.items()}, _norm([allowed(b) for b in after.values()])


def _step_and_part(e: Experiment, torch: Trace) -> tuple[dict[str, Array], Array]:
    """F(phi), and the norm of the update's own radii over every PART-th parameter: at most r."""
    fmt = format_of(e.dtype)
    gradients: dict[str, Array] = {}

    def collect(name: str, value: Array) -> Array:
        gradients[name] = value
        return value

    before = {name: a[:-1] for name, a in torch.parameters.items()}
    p = rebuild(e.parameters, before)
    after = named(step(e.network, p, features(e.network, e.x), e.t, e.loss, e.sgd, collect))
    flat = (torch.steps, -1)
    w = {name: Ball(a.reshape(flat)[:, ::PART], 0, fmt) for name, a in before.items()}
    dw = {name: Ball(gradients[f"d{name}"].reshape(flat)[:, ::PART], 0, fmt) for name in w}
    updated = named(e.sgd.step(rebuild(e.parameters, w), rebuild(e.parameters, dw)))
    return after, _norm([allowed(ball) for ball in updated.values()])


def _explain(
    torch: Trace, numpy: Trace, findings: Findings, after: dict[str, Array], radius: Array
) -> tuple[Findings, Distances]:
    distances = _distances(torch, numpy, after, radius)
    unexplained = np.flatnonzero(_unexplained(distances, _size(torch)))
    if len(unexplained):
        i = int(unexplained[0])
        d, amplified, r = (float(a[i]) for a in distances)
        ratio = (d - amplified) / r if r > 0 else float("inf")
        where = (torch.first + i, "parameters", "both", "trajectory", ())
        finding = Finding(ratio, *where, seen=d, expected=amplified, radius=r, ulp=float("nan"))  # type: ignore[arg-type]  # mypy widens the tuple's literals
        findings = merge([findings, Findings(refutations=(finding,))])
    return findings, distances


def _distances(torch: Trace, numpy: Trace, after: dict[str, Array], radius: Array) -> Distances:
    phi, theta = torch.parameters, numpy.parameters
    return Distances(
        _norm([_difference(phi[name][1:], theta[name][1:]) for name in after]),
        _norm([_difference(after[name], theta[name][1:]) for name in after]),
        radius,
    )


def _difference(a: Array, b: Array) -> Array:
    """In float64, where the difference of two float32 numbers is not rounded a second time."""
    return np.subtract(a, b, dtype=np.float64)


def _norm(parts: list[Array]) -> Array:
    """The Euclidean norm over everything but the first axis, which counts steps."""
    flat = [a.reshape(len(a), -1).astype(np.float64, copy=False) for a in parts]
    return np.sqrt(sum(np.einsum("ti,ti->t", a, a) for a in flat))  # type: ignore[no-any-return]  # sum's start is 0


def _size(trace: Trace) -> int:
    return sum(a[0].size for a in trace.parameters.values())


def _unexplained(distances: Distances, size: int) -> Array:
    """True where d[t+1] > a[t] d[t] + r[t], whatever the rounding of the three norms.

    A sum of n squares and its root are off by at most gamma_{n+2} relative (Higham, section 3.1).
    """
    d, amplified, r = distances
    rounding = format_of(np.dtype(np.float64)).gamma(size + 4)
    return ~(d * (1 - rounding) <= (amplified + r) * (1 + rounding)) & np.isfinite(d + amplified + r)  # type: ignore[no-any-return]  # arrays of bool
