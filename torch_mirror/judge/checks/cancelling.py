"""Gradients that are 0 but for rounding, as that of a bias before a batch norm: their radius is larger than they are.

All terms of such a sum cancel. What is left is the rounding of the terms, and the radius, which holds that rounding, is
larger than what is left. Elsewhere a radius larger than the values means that nothing could have failed; here it means
that there is nothing of which a factor could be wrong: an error as large as the rounding of the terms is refuted.

The two are told apart by NumPy's own code, evaluated once more in longdouble from the same parameters. What is rounding
alone is as much smaller there as longdouble's unit is: eps' / eps times as large. A number that is known to more than
its rounding stays what it is, however wide its radius is. Halfway between the two, on a scale of factors, is
sqrt(eps' / eps): where the largest element in longdouble is below that many times the largest of the run's own, and of
the trace's, both of those are rounding alone. Of the trace's it is asked as well, as NumPy's code may be so bad that it
loses what torch has. This is measured, not proven, at the steps that are kept of a run; where longdouble is no wider
than the run's own precision nothing is told, and the tensor stays undecided.
"""

from collections.abc import Sequence

import numpy as np

from reference.claim.experiment import Experiment
from reference.claim.slots import names
from reference.traces.trace import Trace
from torch_mirror.judge.checks.own_values import in_longdouble, own_values
from torch_mirror.judge.findings import Findings


def judge_cancelling(e: Experiment, sample: Sequence[Trace], found: Findings) -> Findings:
    """What was found, with the gradients that are rounding alone marked so. sample: steps, one trace each."""
    gradients = names(e.slots, "gradient")
    voided = {row.tensor for row in found.rows if row.infinite or row.open_at}
    wanted = {name for name in found.undecided if name in gradients} - voided
    if not wanted or not sample or found.first or np.finfo(np.longdouble).eps >= np.finfo(e.dtype).eps:
        return found
    with np.errstate(all="ignore"):
        for trace in sample:
            wanted &= _cancelling(e, trace, wanted)
            if not wanted:
                return found
    return Findings(tuple(row._replace(cancels=row.tensor in wanted) for row in found.rows))


def _cancelling(e: Experiment, trace: Trace, wanted: set[str]) -> set[str]:
    """Those of the gradients that are rounding alone at this step, in NumPy's code and in the trace."""
    p = {name: a[0] for name, a in trace.parameters.items()}
    try:
        own, wide = own_values(e, p, trace.first), own_values(e, p, trace.first, in_longdouble)
    except Exception:  # noqa: BLE001 - whatever somebody's code raises of longdouble: then nothing is told
        return set()
    found = set()
    falls = float(np.sqrt(np.finfo(np.longdouble).eps / np.finfo(e.dtype).eps))
    for name in wanted & own.keys() & wide.keys() & trace.tensors.keys():
        largest = np.abs(wide[name]).max()
        if all(largest < falls * np.abs(a).max() for a in (own[name], trace.tensors[name][0])):
            found.add(name)
    return found
