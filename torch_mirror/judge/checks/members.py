"""An ensemble's run, judged end to end: every member, every step, in as few calls as stay in the cache.

The end-to-end check on parts that have an axis of members: see ``replay.blocks``. Torch itself has run free, from
the ensemble's start.
"""

from collections.abc import Mapping

import numpy as np

from reference.arrays import Array
from reference.claim.ensemble import Ensemble
from reference.traces.trace import Trace
from torch_mirror.judge.checks.end_to_end import free_step, judge_end_to_end
from torch_mirror.judge.checks.start import judge_start
from torch_mirror.judge.findings import Check, Findings, merge
from torch_mirror.judge.replay import blocks, judge_givens


def judge_members(ensemble: Ensemble, run: Trace, check: Check) -> Findings:
    """Judge torch's run of an ensemble; a finding names the member.

    run: parameters and states (steps + 1, K, ...), and ``loss`` (steps, K) and the parameters' gradients
    (steps, K, ...) among the tensors; a run of fewer members is of the first of them.
    """
    e = ensemble.first  # for what the members share: the equations, the batches, the slots
    with np.errstate(all="ignore"):
        of_features, givens = judge_givens(e, run, "torch")
        found = [judge_start(ensemble, run, "torch"), of_features]
        for part in blocks(e, run, givens):
            of_part, _ = judge_end_to_end(e, free_step(e, part), part, "torch", check)
            found.append(of_part)
    return merge(found)


def member_of(run: Trace, k: int) -> Trace:
    """The run of one member, without the axis of members; its arrays are views."""

    def own(group: Mapping[str, Array]) -> dict[str, Array]:
        return {name: a[:, k] for name, a in group.items()}

    constants = {name: a[k] for name, a in run.constants.items()}
    return Trace(run.steps, constants, own(run.parameters), own(run.tensors), run.first, own(run.states))
