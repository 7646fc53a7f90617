"""The formulas of torch's gradients in float64, where the radii of float32 hide nothing.

A row left out of a batch of 10,000, N - 1 for N and 1 + 1e-6 are within float32's radius of a long sum. So at a step of
a run in float32 a twin of the module in float64 (training/twin.py) is run on the same numbers, which float32 holds
exactly, and its trace is judged like any other in float64: each tensor by its own equation, on its own operands.

What is outside there is refuted only if it is a fault of the run itself, and no rounding:

    hidden      with d = what the twin's tensor is off its equation by, the run's own is off by as much, to within the
                radius of float32: |(seen - E)_32 - (seen - E)_64| <= R_32 + R_64. Otherwise the twin is another program
                than the run, one that asks for its precision, say.
    not rounded a constant that was rounded to float32 on one side alone, np.float32(0.1) beside 0.1, is no other
                formula: some element is off by more than gamma_8 of float32 times its size, and where it is small by
                cancellation (CANCELLED), times the largest element. That is 4.8e-7, and 1 + 1e-6 is seen.
    its own     NumPy's own evaluation in float64, on plain arrays, is within the radius of its equation. Otherwise its
                code computes in float32 whatever it is given, and it is this that shows.

Each is a condition for saying something, none is a bound that lets a run pass: where one fails, no more is known than
without the twin, and it is said why.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.slots import names
from reference.claim.tree import named, zip_with
from reference.optimizers.sgd import SGD
from reference.traces.trace import Trace
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.judge.checks.local import judge_locally
from torch_mirror.judge.compare import allowed
from torch_mirror.judge.findings import Findings, Row
from torch_mirror.judge.replay import Part, as_ball, evaluate, judge_givens, lifted, loss_of, parts

DOUBLE = np.dtype(np.float64)
SINGLE = format_of(np.dtype(np.float32))

CANCELLED = 2.0**-7
"""Of an element's own size: as in tape/compared.py, and for the reason given there."""


class Formula(NamedTuple):
    """What was found of the formulas at one step; because: why nothing can be told, "" where it can."""

    findings: Findings = Findings()
    because: str = ""


def in_float64(e: Experiment, run: Trace) -> Experiment:
    """The step of a run, one alone, as an experiment of one step in float64: from its parameters, on its samples.

    Its optimizer changes nothing: updates round each element by itself, and have nothing to hide in.
    """
    (p,) = (e.parameters_of({name: run.parameters[name][0].astype(DOUBLE) for name in named(e.parameters)}),)
    seen = e.seen(e.data, run.first)
    data = [zip_with(lambda _, a: a.astype(DOUBLE) if a.dtype.kind == "f" else a, part) for part in seen]
    return replace(
        e, parameters=p, x=data[0], t=data[1] if len(data) > 1 else None, optimizer=SGD(0.0), steps=1, batches=None
    )  # fmt: skip


def judge_formula(e: Experiment, run: Trace, e64: Experiment, twin: Trace) -> Formula:
    """What the twin's trace of a step says of the formulas of the run's.

    run: the step of the run, one alone. e64: what in_float64 makes of it. twin: the trace of that in torch.
    """
    with np.errstate(all="ignore"):
        part = _part(e64, twin)
        found = _told_as_formula(judge_locally(e64, part, "torch"))
        wrong = {row.tensor for row in found.rows if row.first is not None}
        if not wrong:
            return Formula(found)
        return Formula(found, _another_program(e, run, e64, part, wrong))


def _part(e: Experiment, trace: Trace) -> Part:
    """The step, of which no update is judged."""
    _, givens = judge_givens(e, trace, "torch")
    (part,) = parts(e, trace, givens, stacks=False)
    return part._replace(after={})


def _told_as_formula(found: Findings) -> Findings:
    def told(row: Row) -> Row:
        marks = {
            what: f._replace(check="formula")
            for what in ("worst", "first", "unbounded")
            if (f := getattr(row, what)) is not None
        }
        return row._replace(check="formula", **marks)

    return Findings(tuple(told(row) for row in found.rows))


class _Sides(NamedTuple):
    """A tensor of one step: what a trace holds, and its equation, on that trace's own operands."""

    seen: Array
    equation: Ball
    own: Any  # NumPy's own evaluation of the equation, on plain arrays

    @property
    def off(self) -> Array:
        return self.seen.astype(DOUBLE) - self.equation.value

    @property
    def room(self) -> Array:
        return np.broadcast_to(allowed(self.equation), self.seen.shape).astype(DOUBLE)


def _another_program(e: Experiment, run: Trace, e64: Experiment, twin: Part, wrong: set[str]) -> str:
    """Why what is wrong in the twin is no fault of the run; "" if it is one."""
    wide, narrow = _sides(e64, twin), _sides(e, _part(e, run))
    for name, one in wide.items():
        if name not in narrow or narrow[name].seen.shape != one.seen.shape:
            continue
        apart = np.abs(narrow[name].off - one.off) - narrow[name].room - one.room
        if (apart > 0).any():
            return f"in float64 {name} is off by what float32 does not show: it depends on precision or step"
    strays = [name for name in wrong if (np.abs(wide[name].own - wide[name].equation.value) > wide[name].room).any()]
    if strays:
        return f"NumPy's own {min(strays)} is not computed in float64 where it is given float64"
    if not any((np.abs(one.off) > one.room + _rounded(one)).any() for one in (wide[name] for name in wrong)):
        return f"{min(wrong)} is off in float64 by no more than a constant that is rounded to float32 on one side alone"
    return ""


def _rounded(one: _Sides) -> Array:
    """What a constant rounded to float32 may change."""
    size, share = np.maximum(np.abs(one.seen), np.abs(one.equation.value)), SINGLE.gamma(8)
    room: Array = np.maximum(share * size, np.minimum(share * size.max(initial=0.0), CANCELLED * size))
    return room


def _sides(e: Experiment, part: Part) -> dict[str, _Sides]:
    """Every tensor that the trace holds, by name."""
    fmt = format_of(e.dtype)
    balls = _evaluated(e, part, lambda a: lifted(a, fmt), lambda a: as_ball(a, fmt))
    plain = _evaluated(e, _plain(part), np.array, np.array)
    return {
        name: _Sides(np.asarray(part.tensors[name][0]), ball, plain[name])
        for name, ball in balls.items()
        if name in part.tensors and name in plain and ball.value.shape == part.tensors[name][0].shape
    }


def _plain(part: Part) -> Part:
    def value(_: str, a: Any) -> Any:
        return a.value if isinstance(a, Ball) else a

    return part._replace(
        p=zip_with(value, part.p), state=zip_with(value, part.state),
        data=tuple(zip_with(value, tree) for tree in part.data),
    )  # fmt: skip


def _evaluated(e: Experiment, part: Part, lift: Any, noted: Any) -> Mapping[str, Any]:
    """Every tensor's equation on what the trace holds of its operands, of the one step."""
    found: dict[str, Any] = {}

    def plant(name: str, equation: Any) -> Any:
        found[name] = noted(equation[0])
        planted = lift(part.tensors[name]) if name in part.tensors else equation
        if name == "y" and e.objective.deferred and "loss" in part.tensors:
            found["loss"] = noted(loss_of(e, part, planted)[0])
        return planted

    evaluate(e, part, plant)
    return {name: a for name, a in found.items() if name in names(e.slots, "value", "gradient", "loss")}
