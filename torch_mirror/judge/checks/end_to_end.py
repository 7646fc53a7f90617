"""torch's loss and gradients against NumPy's, from identical weights, nothing between them known.

One reference step is taken from torch's own parameters and state of the optimizer, as balls, with nothing known of
torch's intermediate values: the radii propagate through the network, both branches of an undecided ReLU are inside,
and torch's loss and gradients must lie within them.
"""

from typing import Any

from reference.claim.experiment import Experiment
from reference.claim.slots import parameter_gradients
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.judge.compare import Where, compare
from torch_mirror.judge.findings import Findings, merge
from torch_mirror.judge.replay import Part, as_ball, evaluate, loss_of


def free_step(e: Experiment, part: Part) -> dict[str, Any]:
    """Every tensor of one reference step from the trace's parameters and state, nothing known of its other tensors."""
    balls: dict[str, Any] = {}

    def collect(name: str, equation: Any) -> Any:
        balls[name] = equation
        return equation

    evaluate(e, part, collect)
    return balls | {"loss": loss_of(e, part, balls["y"])} if e.objective.deferred else balls


def judge_end_to_end(e: Experiment, balls: dict[str, Ball], part: Part) -> Findings:
    """The trace's loss and parameter gradients against the balls of a free step."""
    wanted = ["loss", *parameter_gradients(e.slots)]
    fmt = format_of(e.dtype)
    return merge(
        compare(part.tensors[name], as_ball(balls[name], fmt), Where(name, "both", "end to end", part.steps))
        for name in wanted
        if name in part.tensors
    )
