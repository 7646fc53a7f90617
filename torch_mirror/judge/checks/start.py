"""The given values of a run, which must be the experiment's to the last bit."""

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.tree import named
from reference.traces.trace import Trace
from torch_mirror.balls.cell import Ball
from torch_mirror.judge.compare import Where, compare
from torch_mirror.judge.findings import Findings, Side, merge


def judge_start(experiment: Experiment, trace: Trace, side: Side) -> Findings:
    """Judge the data, the start of the parameters, and that of the optimizer's state."""
    e = experiment
    given = {**e.named_data, **named(e.parameters), **named(e.optimizer.init(e.parameters))}
    handed_on = {**trace.parameters, **trace.states}
    seen = {name: handed_on[name][0] if name in handed_on else trace[name] for name in given}
    where = {name: Where(name, side, "start", (trace.first,), stacked=False) for name in given}
    return merge(compare(floats(seen[name]), Ball(floats(value)), where[name]) for name, value in given.items())


def floats(a: Array) -> Array:
    """Whole numbers as the floats that they are."""
    return a if a.dtype.kind == "f" else a.astype(float)
