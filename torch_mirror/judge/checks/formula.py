"""The formulas of a run in float32, judged where float32 hides nothing (design, section 4: two questions).

A row left out of a batch of 10,000, N - 1 for N and 1 + 1e-6 are within float32's radius of a long sum. So the very
operations of a step of torch's run are done once more in float64 (training/in_float64.py), and each tensor of it, the
twin's, is held against its equation, on the twin's own operands, by a radius in which no long sum has a part.

**The radius.** A right program in float32 has the equation's own operations, or others that amount to them. Let each
result of an operation be off by u = 2^-24 of itself, as if it were evaluated exactly and then rounded, or by what the
rule of its function allows; let a sum of K terms, before its result is rounded, be off by gamma_K(v) of the sum of its
terms' sizes, with v = 2^-49; and let each constant be off by u of itself, by which 0.1 may be rounded or not. The
radius R is what the balls make of these (balls/rules/sums.py: ``inside``): first-order errors that are propagated
through all that follows, so that a constant which is part of what cancels is allowed for by what it does to the
difference, and not by its own size. The twin in float64 has the errors of float64 alone, 2^-53: v has room for sixteen
of them a term, of another form of a right formula.

What that leaves out is what sums round in float32, and only that: K u is 6e-4 for a batch of 10,000, and u is 6e-8.

**The second allowance.** A constant of torch's may have gone through operations of its own before it meets a parameter:
1 - 0.999 of float32 is 0.00100001. Where something is outside R, the twin is done again: with what was computed of
constants alone computed in float64, and then with each constant moved by half a unit in its last place, one after the
other. D is the sum of what each of these changes seen - equation by: to first order the most that all do together. Only

    |seen - equation| > R + MARGIN D

speaks against a formula. Each of these ends in "no doubt": they are conditions for saying something.

**How large MARGIN is.** D moves each constant by half a unit in its last place. Let a right program's constant c_i be
off by s_i of these: after K roundings, each of at most as much, s_i is a sum of K numbers in [-1, 1]. To first order
seen - equation is off by sum(s_i d_i), and D = sum(|d_i|).

* K <= MARGIN = 4: |s_i| <= K, so the sum is at most MARGIN D, and there is no doubt, for certain. 1 / sqrt(2 pi) comes
  to less than three: 0.5 of pi, which the root halves, 1.3 of the root, and 1 of the quotient.
* K > 4: let the roundings be independent and uniform in [-1, 1] (Higham & Mary, 2019, have them independent, for sums).
  The sum is beyond MARGIN D with a probability of at most that of one constant alone, as a convex combination of such
  numbers is no less peaked than one of them (Proschan, 1965). That is P(K) = 2 F_K((K - 4) / 2), F_K being the
  distribution of the sum of K numbers uniform in [0, 1] (Irwin, Hall):
  0.00052 for K = 5, 0.0028 for 6, 0.012 for 8, 0.045 for 12.
  All elements of all tensors see the same s_i: a doubt needs one of the C constants to be beyond MARGIN, and so a right
  run has one with a probability of at most C P(K), whatever its size.

**What is said is a doubt, and no refutation.** That K is so small is not known: a table of sines that was computed in
float32, sin(100 w), is off by a hundred times as much; a number that NumPy code made of others of float32,
1 - x.dtype.type(0.999), by a thousand times, as what cancels makes roundings larger. Nobody's formula is wrong by that.
So a run is never refuted by its twin.

What is not known of a module is not seen as well: between two tensors that the trace holds the allowances of all
operations add up in the worst case. Of a function without names, or a module without sow, a factor 1 + 1e-6 may be
within them, where the terms of a sum cancel.

Source: Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), sections 2.2 and 3.1; Higham & Mary, A New
Approach to Probabilistic Rounding Error Analysis, SIAM J. Sci. Comput. 41 (2019); Proschan, Peakedness of Distributions
of Convex Combinations, Ann. Math. Statist. 36 (1965); Johnson, Kotz & Balakrishnan, Continuous Univariate Distributions
2, section 26.9 (the sum of uniform numbers); for constants that are moved, Parker, Monte Carlo Arithmetic, UCLA
CSD-970002, 1997.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.slots import names
from reference.claim.tree import named, zip_with
from reference.optimizers.sgd import SGD
from reference.traces.trace import Trace
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.judge.compare import allowed
from torch_mirror.judge.findings import Doubt, Finding, Findings
from torch_mirror.judge.replay import Part, as_ball, evaluate, judge_givens, lifted, loss_of, parts

DOUBLE = np.dtype(np.float64)

ROUNDED_ONCE = format_of(np.dtype(np.float32))._replace(inside=2.0**-49)
"""Float32, where a sum is evaluated in float64 and its result rounded."""

MARGIN = 4.0
"""Roundings that a constant may have gone through, each as large as what it is moved by (above)."""


BLOCK = 1 << 14
"""Elements looked at in one go."""


class Off(NamedTuple):
    """A tensor of the twin beside its equation."""

    seen: Array
    expected: Array
    radius: Array  # the largest admissible |seen - expected|; infinite where all are known to be within it

    @property
    def by(self) -> Array:
        """seen - expected."""
        return np.asarray(self.seen - self.expected)

    @property
    def outside(self) -> bool:
        """Whether any element is; where a radius is infinite, or something NaN, nothing is."""
        return bool((np.abs(self.by) > self.radius).any())


def twin_of(run: Trace, tensors: Mapping[str, Array]) -> Trace:
    """The step of a run, one alone, in float64; its tensors are those of the twin, and no others.

    Its parameters stay as they are: nobody asks for an update, and that of ``alone`` changes nothing.
    """
    own = {name: tensors[name] for name in run.tensors if name in tensors}
    before = {name: np.broadcast_to(a[:1].astype(DOUBLE), a.shape) for name, a in run.parameters.items()}
    return replace(replace(run, parameters={}, tensors={}).astype(DOUBLE), parameters=before, tensors=own)


def offs(e: Experiment, twin: Trace) -> dict[str, Off]:
    """Every tensor of the twin beside its equation, by name."""
    _, givens = judge_givens(e, twin, "torch")
    (part,) = parts(e, twin, givens, stacks=False)
    with np.errstate(all="ignore"):
        return {name: _off(part.tensors[name], ball) for name, ball in _equations(e, part).items()}


def _off(seen: Array, ball: Ball) -> Off:
    """The radius of a sum is not evaluated where every element is within what the rounding of its result may do."""
    if ball.open is not None and _within_a_rounding(seen, ball.value):
        return Off(seen, ball.value, np.broadcast_to(np.inf, seen.shape))
    radius = np.broadcast_to(allowed(ball), seen.shape)
    return Off(seen, ball.value, np.where(np.isfinite(radius) & np.isfinite(ball.value), radius, np.inf))


def _within_a_rounding(seen: Array, value: Array) -> bool:
    """Whether every |seen - value| is at most u |value|, which is the last part of the radius of a sum."""
    flat, values = seen.reshape(-1), value.reshape(-1)
    for start in range(0, flat.size, BLOCK):
        here = values[start : start + BLOCK]
        error, least = flat[start : start + BLOCK] - here, ROUNDED_ONCE.u * here
        np.abs(error, out=error)
        np.abs(least, out=least)
        if not (error <= least).all():  # which a NaN is not
            return False
    return True


def outside(of: Mapping[str, Off], moved: Callable[[], Iterable[Mapping[str, Off]]]) -> dict[str, Off]:
    """What speaks against a formula, by name, with both allowances in its radius.

    moved: the twin with constants computed anew, and then with each constant moved.
    """
    found = {name: off for name, off in of.items() if off.outside}
    base: Mapping[str, Off] | None = None
    for others in moved() if found else ():
        for name, off in found.items():
            change = np.abs(others[name].by - (base or of)[name].by)
            found[name] = off._replace(radius=off.radius + MARGIN * change)
        base = base or others
    return {name: off for name, off in found.items() if off.outside}


def with_doubts_of(findings: Findings, found: Mapping[str, Off]) -> Findings:
    """All that was found, with a doubt about what is outside, where there is no other."""

    def told(row: Any) -> Any:
        own = (row.check, row.side) == ("local", "torch") and row.tensor in found and row.doubt is None
        return row._replace(doubt=doubt_of(found[row.tensor]), sought=max(row.sought, 1)) if own else row

    return Findings(tuple(told(row) for row in findings.rows))


def doubt_of(off: Off) -> Doubt:
    """That the tensor is so many radii off; if constants are rounded once, no right code is off by more than one."""
    return Doubt("formula", _worst(off)[1], 0.0)


def finding_of(name: str, step: int, off: Off) -> Finding:
    """The worst element, as one that is wrong by the formula: what a ruling and a cause are asked about."""
    flat, ratio = _worst(off)
    index = tuple(map(int, np.unravel_index(flat, off.seen.shape)))
    seen, expected, radius = (float(a[index]) for a in (off.seen, off.expected, off.radius))
    return Finding(
        ratio, step, name, "torch", "local", index[1:], seen, expected, radius,
        abs(seen - expected) / (float(np.spacing(abs(expected))) or float("nan")),
        outside=int(np.count_nonzero(np.abs(off.by) > off.radius)), size=off.seen.size,
    )  # fmt: skip


def _worst(off: Off) -> tuple[int, float]:
    """Where the largest error over its radius is, and that."""
    error, radius = np.abs(off.by).reshape(-1), off.radius.reshape(-1)
    with np.errstate(all="ignore"):
        ratio = np.where(error > radius, error / radius, 0.0)
    at = int(ratio.argmax())
    return at, float(ratio[at])


def alone(e: Experiment, run: Trace) -> Experiment:
    """The step of a run as an experiment of one step in float64: from its parameters, on its samples.

    Its optimizer changes nothing: updates round each element by itself, and have nothing to hide in.
    """
    p = e.parameters_of({name: run.parameters[name][0].astype(DOUBLE) for name in named(e.parameters)})
    seen = e.seen(e.data, run.first)
    data = [zip_with(lambda _, a: a.astype(DOUBLE) if a.dtype.kind == "f" else a, part) for part in seen]
    return replace(
        e, parameters=p, x=data[0], t=data[1] if len(data) > 1 else None, optimizer=SGD(0.0), steps=1, batches=None
    )  # fmt: skip


def _equations(e: Experiment, part: Part) -> dict[str, Ball]:
    """The equation of every tensor that the twin has, on the twin's own operands, (1, ...)."""
    part = part._replace(
        p=zip_with(_anew, part.p), state=zip_with(_anew, part.state), after={},
        data=tuple(zip_with(_anew, tree) for tree in part.data),
    )  # fmt: skip
    found: dict[str, Ball] = {}

    def plant(name: str, equation: Any) -> Any:
        if name not in part.tensors:
            return equation
        found[name] = as_ball(equation, ROUNDED_ONCE)
        planted = lifted(part.tensors[name], ROUNDED_ONCE)
        if name == "y" and e.objective.deferred and "loss" in part.tensors:
            found["loss"] = as_ball(loss_of(e, part, planted), ROUNDED_ONCE)
        return planted

    evaluate(e, part, plant)
    return {name: found[name] for name in names(e.slots, "value", "gradient", "loss") if name in found}


def _anew(_: str, a: Any) -> Any:
    """The same ball in that format."""
    return Ball(a.value, 0 if a.exact else a.radius, ROUNDED_ONCE) if isinstance(a, Ball) else a
