"""The two free runs against each other: the distance between them is explained, not gated.

With phi torch's parameters, theta NumPy's, d[t] = |phi[t] - theta[t]| (Euclidean norm over all of
them), F one step of the reference and theta[t+1] = F(theta[t]), the triangle inequality gives

    d[t+1]  <=  |F(phi[t]) - F(theta[t])| + |phi[t+1] - F(phi[t])|  <=  a[t] d[t] + r[t]

where a[t] = |F(phi[t]) - F(theta[t])| / d[t] is the reference's own measured amplification and r[t] the
norm of the radii that torch's step from phi[t] is allowed. A distance that this does not explain is a
difference between the two programs, however small it is beside the parameters. That NumPy's theta[t+1] is F(theta[t])
is a question of its own (own_run.py), which is asked where d[t+1] > d[t] + r[t].

A step of a large network from torch's parameters costs as much as the local check of it, and radii that propagate
several times that. So they are evaluated on a sample of steps, and elsewhere only where the local check objects. What
it does not object to explains the distance up to a second r[t]: with x what the equation of a tensor gives exactly from
torch's values of its operands, e the radius there, and c the centre,

    |v - x|  <=  |v - c| + |c - x|  <=  R e + e        where an evaluation that is admissible has |v - x| <= e

so that local errors are at most R + 1 times those that r[t] = R E allows for, and what they add up to is, to first
order, at most (R + 1) E from the exact step. F(phi[t]) is within E of that. With R = 2 this is 4 E = 2 r[t].

Where the local check objects, a part of r[t] that is cheap to have comes first: the update's own rounding on some of
the parameters. Radii are propagated at the steps whose distance that does not explain.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.slots import gradient_of
from reference.claim.tree import named, rebuild, zip_with
from reference.claim.update import declared, of_parameter
from reference.traces.trace import Trace
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.judge.checks.end_to_end import free_step, judge_end_to_end
from torch_mirror.judge.compare import allowed, allowed_of, block
from torch_mirror.judge.findings import Finding, Findings, merge, refuted_by
from torch_mirror.judge.replay import Part, entries, lifted, remembering, single

PARTS = 499, 17
"""Every so many-th parameter goes into a cheap part of r: the cheapest first. Primes, so that no row or column is
favoured."""

CACHED = 10_000
"""Numbers from which an array of one step is worth a call of its own."""

BLOCK = 1 << 14
"""Numbers of such an array that are looked at in one go."""

LARGE = 1 << 20
"""Parameters from which no step's update is held as a whole."""


class Distances(NamedTuple):
    """Per step: d[t+1], a[t] d[t], r[t] (or, where that suffices, a part of it), and d[t]."""

    distance: Array   # (steps,)
    amplified: Array  # (steps,); NaN where it was not evaluated
    radius: Array     # (steps,)
    before: Array     # (steps,)


def judge_free_run(
    experiment: Experiment,
    part: Part,
    numpy: Trace,
    sample: Collection[int] | None = None,
    *,
    closely: bool = True,
) -> tuple[Findings, Distances]:
    """Judge a part of torch's run against the same steps of NumPy's, both as they ran.

    numpy: of which NumPy's parameters are taken; it holds these steps. sample: the steps of the run at which radii
    are propagated whatever the distances; every step if None. closely: whether every other step is taken as well, to
    see what its distance grew from; only those of the sample if not.
    """
    e = experiment
    here = entries(part.steps, numpy)
    old, new = ({name: a[some][here] for name, a in numpy.parameters.items()} for some in (slice(-1), slice(1, None)))
    with np.errstate(all="ignore"):
        distance = _apart([(part.after[name], a) for name, a in new.items()])
        before = _before(part, old, distance)
        sampled = [] if sample is None else np.flatnonzero(np.isin(part.steps, list(sample))).tolist()
        if sample is not None and not closely:
            return _at_samples(e, part, new, sampled, distance, before)
        free = free_step(e, part)
        after = {name: free[name] for name in named(e.parameters)}
        amplified = _amplified(new, after)
        if sample is None:
            findings, balls = judge_end_to_end(e, free, part)
            found, radius = [findings], _norm([balls[name] for name in after])
        else:
            found, radius = [], np.zeros(len(part.steps))
            if _unexplained(Distances(distance, amplified, radius, before), part).any():
                radius = _part_of_radius(e, part, free, PARTS[0])
            unexplained = np.flatnonzero(_unexplained(Distances(distance, amplified, radius, before), part))
            for i in sorted({*sampled, *unexplained.tolist()}):
                one = slice(i, i + 1)
                findings, radius[i], _ = _propagate(e, single(part, i), {name: a[one] for name, a in new.items()})
                found.append(findings)
        distances = Distances(distance, amplified, radius, before)
        return merge([*found, *_explain(part, distances)]), distances


def _at_samples(
    e: Experiment, part: Part, theirs: Mapping[str, Array], sampled: list[int], distance: Array, before: Array
) -> tuple[Findings, Distances]:
    """The same, of which only the sampled entries are stepped from torch's parameters.

    Of the others r[t] is the update's own part, on torch's own gradients, where a distance grew that it may explain.
    """
    unknown = np.full(len(part.steps), np.nan)
    distances = Distances(distance, unknown, np.zeros(len(part.steps)), before)
    gradients, fmt = {str(gradient_of(e.slots, name)) for name in theirs}, format_of(e.dtype)
    for stride in PARTS if gradients <= part.tensors.keys() else ():
        if grown(part, distances):
            of_trace = {name: lifted(part.tensors[name], fmt) for name in gradients}
            distances = distances._replace(radius=_part_of_radius(e, part, of_trace, stride))
    found = []
    for i in sampled:
        one = slice(i, i + 1)
        there = {name: a[one] for name, a in theirs.items()}
        findings, distances.radius[i], distances.amplified[i] = _propagate(e, single(part, i), there)
        found.append(findings)
    return merge([*found, *_explain(part, distances)]), distances


def _propagate(e: Experiment, one: Part, theirs: Mapping[str, Array]) -> tuple[Findings, float, float]:
    """The findings on one step's loss and gradients, with radii end to end; its r, and a d from these parameters.

    The update of a large network is made a block at a time, so that neither it nor what it is made of is held.
    """
    with remembering(one):
        w = named(one.p)
        alone = getattr(e.optimizer, "elementwise", False) and not declared(e.optimizer)
        if alone and sum(ball.value.size for ball in w.values()) >= LARGE:
            free = free_step(e, one, NoUpdate())
            findings, _ = judge_end_to_end(e, free, one)
            dw = {name: free[str(gradient_of(e.slots, name))] for name in w}
            in_order = all(ball.value.flags.c_contiguous for ball in (*w.values(), *dw.values()))
            if in_order and not any(row.first or row.forms for row in findings.rows):
                return findings, *_stepped_in_blocks(e, one, dw, theirs)
        free = free_step(e, one)
        findings, balls = judge_end_to_end(e, free, one)
        after = {name: free[name] for name in w}
        return findings, float(_norm([balls[name] for name in after])[0]), float(_amplified(theirs, after)[0])


class NoUpdate:
    """An optimizer that leaves the parameters where they are, for a step that ends with its gradients."""

    def step(self, p: Any, _dp: Any, state: Any, _t: Any, _sow: Any) -> tuple[Any, Any]:
        """The same parameters and state; nothing is sown."""
        return p, state


def _stepped_in_blocks(
    e: Experiment, one: Part, gradients: Mapping[str, Ball], theirs: Mapping[str, Array]
) -> tuple[float, float]:
    """r of one step, and the distance of its next parameters from these, of an update of each element by itself.

    The second is not known, NaN, where r is infinite.
    """
    t = np.array(one.steps) if one.stacks else one.steps[0]
    radii = apart = 0.0
    for name, w in named(one.p).items():
        own = {other: a for other, a in named(one.state).items() if e.slots[other].of == name}
        optimizer = of_parameter(e.optimizer, name)
        for start in range(0, w.value.size, BLOCK):

            def block_of(a: Array, here: slice = slice(start, start + BLOCK)) -> Array:
                return a.reshape(1, -1)[:, here]

            some = {other: Ball(block_of(a.value), 0, a.format) for other, a in {name: w, **own}.items()}
            empty = optimizer.init({name: some[name].value})
            state = rebuild(empty, {other: some[other] for other in named(empty)}) if empty else empty
            p, _ = optimizer.step({name: some[name]}, {name: gradients[name].view(block_of)}, state, t)
            radius = allowed(p[name]).astype(np.float64, copy=False)
            radii += float(np.vdot(radius, radius))
            if not radii < np.inf:  # which explains any distance
                return np.inf, np.nan
            difference = np.subtract(p[name].value, block_of(theirs[name]), dtype=np.float64)
            apart += float(np.vdot(difference, difference))
    return float(np.sqrt(radii)), float(np.sqrt(apart))


def _part_of_radius(e: Experiment, whole: Part, gradients: Mapping[str, Ball], stride: int) -> Array:
    """The norm of the update's own radii over every ``stride``-th parameter, with these gradients taken as exact.

    With the free step's gradients it is at most r, as a radius only grows with those of its operands. 0 where an
    optimizer does not update each parameter by itself, as a part of them then tells nothing.
    """
    if not getattr(e.optimizer, "elementwise", False):
        return np.zeros(len(whole.steps))
    fmt = format_of(e.dtype)

    def part(a: Ball) -> Ball:
        return Ball(a.value.reshape(len(a.value), -1)[:, ::stride], 0, fmt)

    w, state = (zip_with(lambda _, a: part(a), tree) for tree in (whole.p, whole.state))
    dw = zip_with(lambda name, _: part(gradients[str(gradient_of(e.slots, name))]), whole.p)
    t = np.array(whole.steps) if whole.stacks else whole.steps[0]  # a part that does not stack is of one step
    after, _ = e.optimizer.step(w, dw, state, t)
    return _norm([*named(after).values()])


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


def _amplified(numpy: Mapping[str, Array], after: Mapping[str, Ball]) -> Array:
    """a[t] d[t] of each step."""
    return _apart([(ball.value, numpy[name]) for name, ball in after.items()])


def _before(part: Part, numpy: Mapping[str, Array], distance: Array) -> Array:
    """d[t] of each step; of all but the first it is the one after the step before, where the steps are consecutive."""
    consecutive = part.steps[-1] - part.steps[0] + 1 == len(part.steps)
    some = slice(1 if consecutive else None)
    before = _apart([(ball.value[some], numpy[name][some]) for name, ball in named(part.p).items()])
    return np.concatenate([before, distance[:-1]]) if consecutive else before


def _apart(pairs: list[tuple[Array, Array]]) -> Array:
    """The Euclidean norm of a - b over all pairs, for each step.

    In float64, where the difference of two float32 numbers is not rounded a second time. Differences of
    a large network are taken a block at a time: they then stay in the cache until they are squared.
    """
    total = np.zeros(len(pairs[0][0]))
    for a, b in pairs:
        if a[0].size < CACHED:
            difference = np.subtract(a, b, dtype=np.float64).reshape(len(a), -1)
            total += np.vecdot(difference, difference)
            continue
        room = np.empty(BLOCK)
        for t in range(len(a)):
            u, v = a[t].reshape(-1), b[t].reshape(-1)
            for start in range(0, u.size, BLOCK):
                here = slice(start, start + BLOCK)
                difference = np.subtract(u[here], v[here], out=room[: u[here].size], dtype=np.float64)
                total[t] += np.vdot(difference, difference)
    return np.sqrt(total)


def _norm(balls: list[Ball]) -> Array:
    """The Euclidean norm of what the balls allow, over everything but the first axis, which counts steps; in float64.

    Of a large tensor that is no sum the radii are evaluated a block at a time, and never held together.
    """
    total = np.zeros(len(balls[0].value))
    for ball in balls:
        shape = ball.value.shape
        if len(total) > 1 or ball.open or ball.value.size < CACHED:
            distance = allowed(ball).astype(np.float64, copy=False).reshape(len(total), -1)
            total += np.vecdot(distance, distance)
            continue
        for start in range(0, ball.value.size, BLOCK):
            distance = np.asarray(allowed_of(ball, block(shape, slice(start, start + BLOCK))), np.float64)
            total += np.vdot(distance, distance)
    return np.sqrt(total)


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
