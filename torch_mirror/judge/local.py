"""Every tensor of every step of a trace, each against its own equation.

The equation of a tensor is evaluated on the values that the trace itself holds for its operands,
which are exact by definition. So nothing propagates: a wrong tensor is the root, never a victim, and
a ReLU's branch is taken from the trace's own pre-activation. All steps of a segment are one call.
"""

from typing import Any

import numpy as np

from reference.arrays import Array
from reference.experiment import Experiment
from reference.network import features
from reference.parameters import named, rebuild
from reference.trace import Trace
from reference.training import step
from torch_mirror.judge.ball import Ball
from torch_mirror.judge.certificate import Side
from torch_mirror.judge.compare import Findings, Where, compare, merge
from torch_mirror.judge.format import format_of


def judge_locally(experiment: Experiment, trace: Trace, side: Side, centre: Any = None) -> Findings:
    """Judge each tensor that the trace holds; the balls of those that it does not hold propagate.

    centre: the dtype to evaluate the equations in, that of the trace by default; a wider one shows
    the trace's own error, not its distance from another evaluation.
    """
    e = experiment
    fmt = format_of(e.dtype)
    seen = trace if centre is None else trace.astype(centre)
    room = roomy(seen, fmt.huge)
    found: list[Findings] = []

    def exact(array: Array) -> Any:
        return Ball(array, 0, fmt)

    def judge(name: str, value: Array, equation: Any, stacked: bool = True) -> Any:
        found.append(compare(value, equation, Where(name, side, "local", trace.first, stacked), room))
        return exact(value)

    def plant_constant(name: str, equation: Any) -> Any:
        return judge(name, seen.constants[name], equation, stacked=False) if name in seen.constants else equation

    def plant(name: str, equation: Any) -> Any:
        if name in seen.parameters:
            return judge(name, seen.parameters[name][1:], equation)
        if name == "y":
            equation = judge(name, seen[name], equation) if name in seen.tensors else equation
            if "loss" in seen.tensors:
                judge("loss", seen.tensors["loss"], e.loss.value(equation, t))
            return equation
        return judge(name, seen.tensors[name], equation) if name in seen.tensors else equation

    t: Any = exact(seen.constants["t"])
    p = rebuild(e.parameters, {name: exact(a[:-1]) for name, a in seen.parameters.items()})
    with np.errstate(all="ignore"):
        x = features(e.network, exact(seen.constants["x"]), plant_constant)
        step(e.network, p, x, t, e.loss, e.sgd, plant)
    return merge(found)


def judge_start(experiment: Experiment, trace: Trace, side: Side) -> Findings:
    """The run's given values, which must be the experiment's to the last bit."""
    e = experiment
    given = {"x": e.x, "t": e.t, **named(e.parameters)}
    seen = {name: trace.parameters[name][0] if name in trace.parameters else trace[name] for name in given}
    where = {name: Where(name, side, "start", trace.first, stacked=False) for name in given}
    return merge(compare(seen[name], Ball(value), where[name]) for name, value in given.items())


def roomy(trace: Trace, huge: float) -> bool:
    """True if no equation of a step can come near overflow: no sum exceeds the product of two norms."""
    limit = np.ldexp(huge, -20)
    with np.errstate(all="ignore"):
        return all(float(np.vdot(a, a)) < limit for a in trace.values())
