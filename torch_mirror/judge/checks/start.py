"""The given values of a run, which must be the experiment's to the last bit."""

import numpy as np

from reference.arrays import Array
from reference.claim.ensemble import Ensemble
from reference.claim.experiment import Experiment
from reference.claim.tree import named
from reference.traces.trace import Trace
from torch_mirror.balls.cell import Ball
from torch_mirror.judge.compare import Where, compare
from torch_mirror.judge.findings import Findings, Side, merge


def judge_start(run: Experiment | Ensemble, trace: Trace, side: Side) -> Findings:
    """Judge the data; and where the trace begins at step 0 the start of the parameters and of the optimizer's state.

    The trace of an ensemble may be of fewer members: it is of the first of them.
    """
    given = dict(run.named_data)
    if trace.first == 0:
        given |= named(run.parameters) | named(run.optimizer.init(run.parameters))
    members = range(len(next(iter(trace.constants.values())))) if isinstance(run, Ensemble) else ()
    handed_on = {**trace.parameters, **trace.states}
    found = []
    for name, whole in given.items():
        seen = handed_on[name][0] if name in handed_on else trace.constants[name]
        value = whole[: len(members)] if members else whole
        where = Where(name, side, "start", (trace.first,), members=members)
        found.append(compare(_floats(seen, value)[None], Ball(_floats(value, value)[None]), where, roomy=True))
    return merge(found)


def _floats(a: Array, value: Array) -> Array:
    """Whole numbers as floats; two that differ stay two, if need be by one more ulp than float64 tells apart."""
    if a.dtype.kind == "f" or a.shape != value.shape:
        return a if a.dtype.kind == "f" else a.astype(float)
    floats, centre = a.astype(float), value.astype(float)
    return np.where((a != value) & (floats == centre), np.nextafter(centre, np.inf), floats)
