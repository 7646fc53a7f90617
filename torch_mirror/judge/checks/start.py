"""The given values of a run, which must be the experiment's to the last bit."""

from reference.arrays import Array
from reference.claim.ensemble import Ensemble
from reference.claim.experiment import Experiment
from reference.claim.tree import named
from reference.traces.trace import Trace
from torch_mirror.balls.cell import Ball
from torch_mirror.judge.compare import Where, compare
from torch_mirror.judge.findings import Findings, Side, merge


def judge_start(run: Experiment | Ensemble, trace: Trace, side: Side) -> Findings:
    """Judge the data, the start of the parameters, and that of the optimizer's state.

    The trace of an ensemble may be of fewer members: it is of the first of them.
    """
    given = {**run.named_data, **named(run.parameters), **named(run.optimizer.init(run.parameters))}
    members = range(len(next(iter(trace.constants.values())))) if isinstance(run, Ensemble) else ()
    handed_on = {**trace.parameters, **trace.states}
    found = []
    for name, value in given.items():
        seen = handed_on[name][0] if name in handed_on else trace.constants[name]
        ball = Ball(_floats(value[: len(members)] if members else value)[None])
        where = Where(name, side, "start", (trace.first,), members=members)
        found.append(compare(_floats(seen)[None], ball, where, roomy=True))
    return merge(found)


def _floats(a: Array) -> Array:
    """Whole numbers as the floats that they are."""
    return a if a.dtype.kind == "f" else a.astype(float)
