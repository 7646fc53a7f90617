"""torch's loss and gradients against NumPy's, from identical weights, nothing between them known.

One reference step is taken from torch's own parameters and state of the optimizer, as balls, with nothing known of
torch's intermediate values: the radii propagate through the network, both branches of an undecided ReLU are inside,
and torch's loss and gradients must lie within them. Of an ensemble's members nothing else is known of a step: its next
parameters and state of the optimizer are judged as well.
"""

from collections.abc import Mapping
from typing import Any

from reference.claim.experiment import Experiment
from reference.claim.slots import parameter_gradients
from torch_mirror.balls.format import format_of
from torch_mirror.judge.checks.forms import Forms, any_form, held_up
from torch_mirror.judge.compare import Where, compare
from torch_mirror.judge.findings import Check, Findings, Side, merge
from torch_mirror.judge.replay import Part, as_ball, evaluate, loss_of, single


def free_step(e: Experiment, part: Part, optimizer: Any = None) -> dict[str, Any]:
    """Every tensor of one reference step from the trace's parameters and state, nothing known of its other tensors.

    optimizer: see ``evaluate``.
    """
    balls: dict[str, Any] = {}

    def collect(name: str, equation: Any) -> Any:
        balls[name] = equation
        return equation

    evaluate(e, part, collect, optimizer)
    return balls | {"loss": loss_of(e, part, balls["y"])} if e.objective.deferred else balls


def judge_end_to_end(
    e: Experiment, balls: Mapping[str, Any], part: Part, side: Side = "both", check: Check = "end to end"
) -> tuple[Findings, Mapping[str, Any]]:
    """The trace's loss and parameter gradients against the balls of a free step; of members all that it hands on.

    Returns the balls as well that it was held up to: where something is outside, those of any form of the gradients.
    """
    fmt = format_of(e.dtype)
    seen = {name: part.tensors[name] for name in ("loss", *parameter_gradients(e.slots)) if name in part.tensors}
    if part.members:
        seen |= part.after

    def where(name: str) -> Where:
        return Where(name, side, check, part.steps, members=part.members)

    found = merge(compare(a, as_ball(balls[name], fmt), where(name)) for name, a in seen.items())
    if not found.first:
        return found, balls
    if len(part.steps) > 1:  # what no form explains at the first step that is outside needs no look at the others
        one = single(part, part.steps.index(found.first.step))
        there, _ = judge_end_to_end(e, free_step(e, one), one, side, check)
        if there.first:
            return _without(found, there, found.first.step), balls
    others = any_form(e, part, balls)
    forms = {name: Forms(as_ball(balls[name], fmt), as_ball(others[name], fmt)) for name in seen}
    rows = (held_up(row, seen[row.tensor], forms[row.tensor], where(row.tensor)) for row in found.rows)
    return Findings(tuple(rows)), others


def _without(found: Findings, there: Findings, step: int) -> Findings:
    """What was found, of the rows that are outside at this step only what still is there."""
    first = {row.tensor: row.first for row in there.rows}
    return Findings(
        tuple(
            row._replace(first=first[row.tensor]) if row.first and row.first.step == step else row for row in found.rows
        )
    )
