"""Every tensor of every step of a trace, each against its own equation.

The equation of a tensor is evaluated on the values that the trace itself holds for its operands,
which are exact by definition. So nothing propagates: a wrong tensor is the root, never a victim, and
a ReLU's branch is taken from the trace's own pre-activation. All steps of a part are one call.
"""

from typing import Any

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.slots import parameter_gradients
from reference.claim.update import declared
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import Format, format_of
from torch_mirror.balls.take import everything
from torch_mirror.judge.checks.forms import judge_other_forms
from torch_mirror.judge.checks.updates import InBlocks, Update, judge_update
from torch_mirror.judge.compare import VERY_MANY, Where, compare
from torch_mirror.judge.findings import Findings, Side, merge
from torch_mirror.judge.replay import Part, as_ball, evaluate, lifted, loss_of, roomy, states_before


def judge_locally(
    experiment: Experiment, part: Part, side: Side, above: float = 0, *, every: bool = False
) -> Findings:
    """Judge each tensor of each step that the trace holds; the balls of those it does not hold propagate.

    The part is in the dtype that the equations are evaluated in: the run's own, or a wider one, which
    shows the trace's own error, not its distance from another evaluation. above: see ``compare``.
    every: whether each tensor's worst element is named, and the resolution told of every step, not of the last alone.
    """
    e = experiment
    fmt = format_of(e.dtype)
    # as long as the trace holds what the equations start from
    room = part.roomy and roomy([*states_before(part), *part.after.values(), *part.tensors.values()], fmt.huge)
    bounded = room  # whether no evaluation of anything, held or not, comes near overflow
    from_held = {*parameter_gradients(e.slots)} <= part.tensors.keys()  # whether the update's operands are exact
    found = [Findings()]
    worst = above

    def judge(name: str, value: Array, equation: Any, *, room: bool) -> Any:
        nonlocal worst
        where = Where(name, side, "local", part.steps, every=every)
        findings = compare(value, as_ball(equation, fmt), where, roomy=room, above=0 if every else worst)
        worst = max(worst, findings.worst.ratio) if findings.worst else worst
        found.append(findings)
        return lifted(value, fmt)

    def plant(name: str, equation: Any) -> Any:
        nonlocal room, bounded
        if name in part.after:
            short = from_held and part.after[name].size >= VERY_MANY
            return judge(name, part.after[name], equation, room=bounded if short else room)
        if name not in part.tensors:
            room, bounded = False, bounded and _bounded(equation, fmt)
        planted = judge(name, part.tensors[name], equation, room=room) if name in part.tensors else equation
        if name == "y" and e.objective.deferred and "loss" in part.tensors:
            judge("loss", part.tensors["loss"], loss_of(e, part, planted), room=room)
        return planted

    def judge_large(update: Update) -> bool:
        nonlocal worst
        rows = judge_update(update, lambda name: Where(name, side, "local", part.steps), worst) if bounded else None
        if rows is None:
            return False
        found.append(Findings(tuple(rows)))
        worst = max([worst, *(row.worst.ratio for row in rows if row.worst)])
        return True

    # in blocks the update's own code runs on what the trace holds, which is to be of the run's precision
    own = not every and all(a.dtype == e.dtype for a in part.after.values())
    in_blocks = own and getattr(e.optimizer, "elementwise", False) and not declared(e.optimizer)
    with np.errstate(all="ignore"):
        owners = {name: slot.of for name, slot in e.slots.items()}
        blocks = InBlocks(e.optimizer, owners, part.steps, part.after, judge_large) if in_blocks else None
        evaluate(e, part, plant, blocks)
    merged = merge(found)
    return judge_other_forms(e, part, merged) if side == "torch" and merged.first else merged


def _bounded(equation: Any, fmt: Format) -> bool:
    """Whether every evaluation of it is as far from overflow as what a trace holds is asked to be."""
    return isinstance(equation, Ball) and roomy([np.asarray(equation.A(everything))], fmt.huge)
