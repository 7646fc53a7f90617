"""A large step of NumPy's own run that is the same when its equations are evaluated again: no longdouble is needed.

Sampled steps of NumPy's run are judged in a wider precision, as in its own the same code gives the same bits, and a
trace agrees with itself. But that says something, too. A radius e is one of every admissible evaluation
(balls/number.py): with x what an equation gives exactly from the trace's operands, the centre c in the run's precision
is such an evaluation, so that |c - x| <= e. A tensor that is c, bit for bit, is within one radius of x, which is what
the wider precision asks. So it can refute only what is not the same, and a step that has anything such is judged
there after all. (What an elementary function of NumPy's errs by is assumed here, and seen in the wider precision.)

What is not known then is how much of its radius an element used: its row says that it is one radius at most. For a
large step that is worth it: longdouble takes a hundred times as long, and twice the memory of everything.
"""

import numpy as np

from reference.claim.experiment import Experiment
from reference.traces.trace import Trace
from torch_mirror.judge.checks.local import judge_locally
from torch_mirror.judge.findings import Findings, merge
from torch_mirror.judge.replay import judge_givens, parts


def judge_same(e: Experiment, one: Trace) -> Findings | None:
    """The findings on one step of NumPy's trace, in its own precision; None where that does not settle it.

    It does where every element is equal to the centre of its equation's ball, and no radius is infinite or too wide.
    """
    with np.errstate(all="ignore"):
        of_features, givens = judge_givens(e, one, "numpy")
        (part,) = parts(e, one, givens, stacks=False)
        rows = merge([of_features, judge_locally(e, part, "numpy")]).rows
    if any(row.worst or row.first or row.under or row.vacuous for row in rows):
        return None
    return Findings(tuple(row._replace(under=1.0) for row in rows))
