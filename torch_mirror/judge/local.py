"""Every tensor of every step of a trace, each against its own equation.

The equation of a tensor is evaluated on the values that the trace itself holds for its operands,
which are exact by definition. So nothing propagates: a wrong tensor is the root, never a victim, and
a ReLU's branch is taken from the trace's own pre-activation. All steps of a segment are one call.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.experiment import Experiment
from reference.network import features
from reference.parameters import named, rebuild, zip_with
from reference.step import step
from reference.trace import Trace
from torch_mirror.judge.ball import Ball
from torch_mirror.judge.certificate import Side
from torch_mirror.judge.compare import Findings, Where, compare, merge
from torch_mirror.judge.format import format_of


class Givens(NamedTuple):
    """What every equation of a run starts from and no step changes, as exact balls."""

    x: Any  # what the network's forward takes: its features of x, or x
    t: Any
    roomy: bool


def judge_givens(experiment: Experiment, trace: Trace, side: Side) -> tuple[Findings, Givens]:
    """Judge the network's features, which are evaluated once, and make balls of what the steps start from."""
    e = experiment
    fmt = format_of(e.dtype)
    held = trace.constants
    found: list[Findings] = []

    def plant(name: str, equation: Any) -> Any:
        if name not in held:
            return equation
        found.append(compare(held[name], equation, Where(name, side, "local", trace.first, stacked=False)))
        return Ball(held[name], 0, fmt)

    with np.errstate(all="ignore"):
        x: Any = features(e.network, Ball(held["x"], 0, fmt), plant)  # type: ignore[arg-type]  # a ball is a duck array
    return merge(found), Givens(x, Ball(held["t"], 0, fmt), x.exact and roomy(held.values(), fmt.huge))


def parameter_balls(experiment: Experiment, trace: Trace) -> Any:
    """The parameters before each step, exact, in the network's own Parameters type.

    They remember their products; whoever made them must let them ``forget`` when the steps are judged.
    """
    fmt = format_of(experiment.dtype)
    before = {name: Ball(a[:-1], 0, fmt).remember() for name, a in trace.parameters.items()}
    return rebuild(experiment.parameters, before)


def forget(p: Any) -> None:
    """Free the memory that the balls of ``parameter_balls`` hold."""
    zip_with(lambda _, ball: ball.forget(), p)


def judge_locally(
    experiment: Experiment, trace: Trace, side: Side, givens: Givens, p: Any, above: float = 0
) -> Findings:
    """Judge each tensor of each step that the trace holds; the balls of those it does not hold propagate.

    The trace, givens and p (``parameter_balls``) are in the dtype that the equations are evaluated in:
    the run's own, or a wider one, which shows the trace's own error, not its distance from another
    evaluation. above: see ``compare``.
    """
    e = experiment
    fmt = format_of(e.dtype)
    # as long as the trace holds what the equations start from
    room = givens.roomy and roomy([*trace.parameters.values(), *trace.tensors.values()], fmt.huge)
    found = [Findings()]
    worst = above

    def judge(name: str, value: Array, equation: Any) -> Any:
        nonlocal worst
        findings = compare(value, equation, Where(name, side, "local", trace.first), roomy=room, above=worst)
        worst = findings.worst.ratio if findings.worst else worst
        found.append(findings)
        return Ball(value, 0, fmt)

    def plant(name: str, equation: Any) -> Any:
        if name in trace.parameters:
            return judge(name, trace.parameters[name][1:], equation)
        nonlocal room
        room = room and name in trace.tensors
        planted = judge(name, trace.tensors[name], equation) if name in trace.tensors else equation
        if name == "y" and "loss" in trace.tensors:
            judge("loss", trace.tensors["loss"], e.loss.value(planted, givens.t))
        return planted

    with np.errstate(all="ignore"):
        step(e.network, p, givens.x, givens.t, e.loss, e.sgd, plant)
    return merge(found)


def judge_start(experiment: Experiment, trace: Trace, side: Side) -> Findings:
    """The run's given values, which must be the experiment's to the last bit."""
    e = experiment
    given = {"x": e.x, "t": e.t, **named(e.parameters)}
    seen = {name: trace.parameters[name][0] if name in trace.parameters else trace[name] for name in given}
    where = {name: Where(name, side, "start", trace.first, stacked=False) for name in given}
    return merge(compare(seen[name], Ball(value), where[name]) for name, value in given.items())


def roomy(tensors: Iterable[Array], huge: float) -> bool:
    """True if no equation of a step can come near overflow: no sum exceeds the product of two norms."""
    limit = np.ldexp(huge, -20)
    with np.errstate(all="ignore"):
        return all(float(np.vdot(a, a)) < limit for a in tensors)
