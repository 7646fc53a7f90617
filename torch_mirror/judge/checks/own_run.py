"""NumPy's own run bound to its equations, at every step at which it might have left them.

The trajectory (trajectory.py) takes NumPy's theta[t+1] for F(theta[t]), one step F of the reference from its own
parameters before. A fault of one moment, in one call of many, breaks that: theta[t+1] = F(theta[t]) + j. With d[t] the
distance of the two runs, a[t] d[t] what a step makes of it, and r[t] the norm of the radii of torch's step, the
triangle inequality gives

    |j|  <=  d[t+1] + |phi[t+1] - F(phi[t])| + |F(phi[t]) - F(theta[t])|  <=  d[t+1] + r[t] + a[t] d[t]

so that where the distance grew by no more than r[t], |j| is at most 2 r[t] + (1 + a[t]) d[t]: what rounding allows and
the distance that was there. Where torch's step is known by the local check alone it may be 2 r[t] from F(phi[t])
(trajectory.py), and then this is 3 r[t] + (1 + a[t]) d[t]. Where the distance grew by more, NumPy's step is evaluated
anew, from what its trace holds before it; what comes out the same to the last bit is an evaluation of the equations,
and the rest is judged tensor by tensor.

A state of the optimizer that went wrong behind the update shows in the parameters a step later. So the step before
one that grew is looked at as well, and the last one of a segment, whose successor is in the next. It shows later still
where its element has no gradient for a while. So the two runs' states are held against each other, too. With s[t]
torch's and q[t] NumPy's element of a state, a fault of one moment adds itself to |s - q| in that step, but for what the
step does to the distance by itself. Of that the steps that were looked at tell how much it may be: a step is looked at
where some element's distance grows by more than twice what it did in any step looked at before, and by more than a
rounding of the tensor's largest element. What is never looked at has jumped by no more than that.
"""

from collections.abc import Collection, Mapping

import numpy as np

from reference.arrays import Array, same
from reference.claim.experiment import Experiment
from reference.claim.objective import step
from reference.claim.tree import named, rebuild
from reference.traces.trace import Trace
from torch_mirror.judge.checks.local import judge_locally
from torch_mirror.judge.findings import Findings, merge
from torch_mirror.judge.replay import judge_givens, parts


def jumps(torch: Trace, numpy: Trace, known: Mapping[str, float]) -> tuple[list[int], dict[str, float]]:
    """The steps after which a state's distance grew more than at any step looked at before, and how much it did.

    known: by state, the largest growth of an element's distance at a step that was looked at.
    """
    steps, largest = set(), dict(known)
    for name in numpy.states.keys() & torch.states.keys():
        theirs, ours = torch.states[name], numpy.states[name]
        if ours.dtype.kind != "f" or ours[0].size == 0:
            continue
        rounding = float(np.finfo(ours.dtype).eps)
        before = _apart(theirs[0], ours[0])
        for i in range(numpy.steps):
            after = _apart(theirs[i + 1], ours[i + 1])
            growth = float(np.fmax.reduce(after - before, axis=None))
            before = after
            if growth > 2 * largest.get(name, 0) and growth > rounding * float(np.abs(theirs[i + 1]).max()):
                steps.add(numpy.first + i)
                largest[name] = growth
    return sorted(steps), largest


def _apart(a: Array, b: Array) -> Array:
    """The distance of each element: infinite where one of the two alone is finite, 0 where neither is."""
    finite = np.isfinite(a), np.isfinite(b)
    apart: Array = np.where(finite[0] == finite[1], np.where(finite[0], np.abs(a - b), 0), np.inf)
    return apart


def suspects(numpy: Trace, grown: Collection[int]) -> list[int]:
    """The steps of NumPy's trace to look at: where the distance grew by more than the radii, and with a state more."""
    if not (numpy.states and numpy.steps):
        return sorted(grown)
    before = {max(t - 1, numpy.first) for t in grown}
    return sorted({*grown, *before, numpy.first + numpy.steps - 1})


def judge_own_run(e: Experiment, numpy: Trace, steps: list[int], above: float = 0, *, stacks: bool) -> Findings:
    """Judge these steps of NumPy's trace locally, but for those that come out the same when they are evaluated anew.

    What the trace does not hold, as of most steps of a large network, propagates. above: see ``compare``.
    """
    with np.errstate(all="ignore"):
        others = _differ(e, numpy, steps)
        if not others:
            return Findings()
        _, givens = judge_givens(e, numpy, "numpy")  # the features are judged where the steps are sampled
        again = parts(e, numpy, givens, stacks=stacks, steps=others)
        return merge(judge_locally(e, part, "numpy", above) for part in again)


def _differ(e: Experiment, numpy: Trace, steps: list[int]) -> list[int]:
    """The steps after which the trace holds other numbers than the same code gives, run on what it holds before."""
    prepared = e.objective.prepare(e.data) if steps else ()
    handed_on = {**numpy.parameters, **numpy.states}
    others = []
    for t in steps:
        i = t - numpy.first
        before = {name: a[i] for name, a in handed_on.items()}
        p, state = e.parameters_of(before), rebuild(e.optimizer.init(e.parameters), before)
        p, state = step(e.objective, p, e.seen(prepared, t), e.optimizer, state, t)
        after = named(p) | named(state)
        if not all(same(a[i + 1], after[name]) for name, a in handed_on.items()):
            others.append(t)
    return others
