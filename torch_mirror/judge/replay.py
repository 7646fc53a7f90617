"""Every tensor of every step of a trace, each against its own equation.

The equation of a tensor is evaluated on the values that the trace itself holds for its operands,
which are exact by definition. So nothing propagates: a wrong tensor is the root, never a victim, and
a ReLU's branch is taken from the trace's own pre-activation. All steps of a segment are one call.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array, Sow
from reference.claim.experiment import Experiment
from reference.claim.objective import features
from reference.claim.rehearsal import tensor_shapes
from reference.claim.step import step
from reference.claim.tree import named, rebuild, zip_with
from reference.errors import InputError
from reference.optimizers.sgd import SGD
from reference.traces.trace import Sliced, Trace
from torch_mirror.balls.ball import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.judge.compare import Where, compare
from torch_mirror.judge.findings import Findings, Side, merge


class Givens(NamedTuple):
    """What every equation of a run starts from and no step changes, as exact balls."""

    x: Any  # what the network's forward takes: its features of x, or x
    t: Any
    roomy: bool


class Part(NamedTuple):
    """Steps of a trace that one call of the equations evaluates, stacked.

    They have as many samples each, and all of them or none start from a momentum buffer.
    """

    steps: Sequence[int]           # of the run
    x: Any                         # (batch, in); (steps, batch, in) where each step has a batch of its own
    t: Any                         # the same
    p: Any                         # parameters before each step, exact, in the network's own Parameters type
    v: Any                         # momentum buffers before each step, the same; or None
    sgd: SGD                       # whose learning rate is one number, or a ball (steps,)
    after: Mapping[str, Array]     # parameters and buffers after each step, as the trace holds them
    tensors: Mapping[str, Array]   # what else it holds of each step
    roomy: bool
    stacks: bool = True            # False: one step, without an axis for steps when the equations run


def judge_givens(experiment: Experiment, trace: Trace, side: Side) -> tuple[Findings, Givens]:
    """Judge the network's features, which are evaluated once, and make balls of what the steps start from."""
    e = experiment
    fmt = format_of(e.dtype)
    held = trace.constants
    found: list[Findings] = []

    def plant(name: str, equation: Any) -> Any:
        if name not in held:
            return equation
        found.append(compare(held[name], equation, Where(name, side, "local", (trace.first,), stacked=False)))
        return Ball(held[name], 0, fmt)

    with np.errstate(all="ignore"):
        x: Any = features(e.network, Ball(held["x"], 0, fmt), plant)  # type: ignore[arg-type]  # a ball is a duck array
    return merge(found), Givens(x, Ball(held["t"], 0, fmt), x.exact and roomy(held.values(), fmt.huge))


def parts(experiment: Experiment, trace: Trace, givens: Givens, *, stacks: bool = True) -> Iterator[Part]:
    """The steps of a trace, in as few parts as there may be; one by one if the equations do not stack.

    The balls of the parameters remember their products; whoever made them must ``forget`` them in the end.
    """
    e = experiment
    steps = range(trace.first, trace.first + trace.steps)
    together: dict[tuple[int, bool], list[int]] = {}
    if e.batches is None and not e.buffers:
        together[0, False] = list(steps)
    else:
        for step in steps:
            together.setdefault((e.batch_length(step), step == 0), []).append(step)
    for some in filter(None, together.values()):
        part = _part(e, trace, givens, some)
        if stacks:
            yield part
        else:
            yield from (single(part, i)._replace(stacks=False) for i in range(len(some)))


def _part(e: Experiment, trace: Trace, givens: Givens, steps: list[int]) -> Part:
    fmt = format_of(e.dtype)
    whole = len(steps) == trace.steps
    here = entries(steps, trace)
    before = {name: Ball(a[:-1][here], 0, fmt).remember() for name, a in trace.parameters.items()}
    v = {name[1:]: Ball(a[:-1][here], 0, fmt) for name, a in trace.buffers.items()}
    states = {**trace.parameters, **trace.buffers}
    tensors = trace.tensors if whole else {name: a[here] for name, a in trace.tensors.items()}
    if e.batch_length(steps[0]) < e.batch_length(0):
        tensors = _without_filling(tensors, tensor_shapes(e, steps[0]))
    x, t = givens.x, givens.t
    if e.batches is not None:
        rows = np.stack([np.arange(len(e.x))[e.rows(step)] for step in steps])
        x, t = x[rows], t[rows]
    return Part(
        steps, x, t,
        rebuild(e.parameters, before),
        rebuild(e.parameters, v) if e.buffers and steps[0] > 0 else None,
        e.sgd._replace(lr=rates(e.sgd, steps, next(iter(before.values())))),
        {name: a[1:][here] for name, a in states.items()},
        tensors,
        givens.roomy,
    )  # fmt: skip


def entries(steps: Sequence[int], trace: Trace) -> Any:
    """Where a trace has what it holds of these steps: an index of its first axis, or of that of the states after."""
    return slice(None) if len(steps) == trace.steps else np.array(steps) - trace.first


def _without_filling(tensors: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """The tensors of batches smaller than the largest, without what fills them up."""
    return {name: a[(slice(None), *map(slice, shapes[name]))] for name, a in tensors.items()}


def rates(sgd: SGD, steps: Sequence[int], like: Ball) -> Any:
    """The learning rate of these steps: one number, or a ball (steps,), each rounded to the format."""
    if isinstance(sgd.lr, float):
        return sgd.lr
    each = [sgd.lr[step] for step in steps]
    return each[0] if len(set(each)) == 1 else like.operand(np.array(each))


def single(part: Part, i: int) -> Part:
    """One of the steps alone, which remembers products of its own."""
    one = slice(i, i + 1)
    stacked = part.x.ndim > 2
    lr: Any = part.sgd.lr  # of one step it is one number

    def at(_name: str, ball: Ball) -> Ball:
        return Ball(ball.value[one], 0, ball.format)

    return Part(
        part.steps[one],
        part.x[one] if stacked else part.x,
        part.t[one] if stacked else part.t,
        zip_with(lambda name, ball: at(name, ball).remember(), part.p),
        None if part.v is None else zip_with(at, part.v),
        part.sgd if isinstance(lr, float) else part.sgd._replace(lr=lr[i]),
        {name: a[one] for name, a in part.after.items()},
        part.tensors.at(one) if isinstance(part.tensors, Sliced) else {n: a[one] for n, a in part.tensors.items()},
        part.roomy,
    )


def evaluate(experiment: Experiment, part: Part, sow: Sow) -> None:
    """Run the equations of the part's steps; what is sown has an axis of steps in front, whether they stack or not.

    Raises InputError where they ask for what balls have no rule for.
    """
    e, last = experiment, "the start"

    def noted(name: str, equation: Any) -> Any:
        nonlocal last
        last = name
        return sow(name, equation) if part.stacks else sow(name, equation[None])[0]

    def first(_name: str, ball: Any) -> Any:
        return ball[0]

    p, x, t, v = part.p, part.x, part.t, part.v
    if not part.stacks:
        p, v = zip_with(first, p), None if v is None else zip_with(first, v)
        x, t = (x, t) if e.batches is None else (x[0], t[0])
    try:
        step(e.network, p, x, t, e.loss, part.sgd, v, noted)
    except TypeError as error:
        raise InputError(f"equations behind {last}", "NumPy functions that run on balls", error) from error


def forget(part: Part) -> None:
    """Free the memory that the products of a part hold."""
    zip_with(lambda _, ball: ball.forget(), part.p)


def judge_locally(experiment: Experiment, part: Part, side: Side, above: float = 0) -> Findings:
    """Judge each tensor of each step that the trace holds; the balls of those it does not hold propagate.

    The part is in the dtype that the equations are evaluated in: the run's own, or a wider one, which
    shows the trace's own error, not its distance from another evaluation. above: see ``compare``.
    """
    e = experiment
    fmt = format_of(e.dtype)
    # as long as the trace holds what the equations start from
    room = part.roomy and roomy([*_before(part), *part.after.values(), *part.tensors.values()], fmt.huge)
    found = [Findings()]
    worst = above

    def judge(name: str, value: Array, equation: Any) -> Any:
        nonlocal worst
        findings = compare(value, equation, Where(name, side, "local", part.steps), roomy=room, above=worst)
        worst = max(worst, findings.worst.ratio) if findings.worst else worst
        found.append(findings)
        return Ball(value, 0, fmt)

    def plant(name: str, equation: Any) -> Any:
        if name in part.after:
            return judge(name, part.after[name], equation)
        nonlocal room
        room = room and name in part.tensors
        planted = judge(name, part.tensors[name], equation) if name in part.tensors else equation
        if name == "y" and "loss" in part.tensors:
            judge("loss", part.tensors["loss"], e.loss.value(planted, part.t))
        return planted

    with np.errstate(all="ignore"):
        evaluate(e, part, plant)
    return merge(found)


def _before(part: Part) -> list[Array]:
    """The states before each step, without those that are also after one."""
    consecutive = part.steps[-1] - part.steps[0] + 1 == len(part.steps)
    balls = [*named(part.p).values(), *({} if part.v is None else named(part.v)).values()]
    return [ball.value[:1] if consecutive else ball.value for ball in balls]


def judge_start(experiment: Experiment, trace: Trace, side: Side) -> Findings:
    """The run's given values, which must be the experiment's to the last bit."""
    e = experiment
    given = {"x": e.x, "t": e.t, **named(e.parameters)}
    seen = {name: trace.parameters[name][0] if name in trace.parameters else trace[name] for name in given}
    where = {name: Where(name, side, "start", (trace.first,), stacked=False) for name in given}
    return merge(compare(seen[name], Ball(value), where[name]) for name, value in given.items())


def roomy(tensors: Iterable[Array], huge: float) -> bool:
    """True if no equation of a step can come near overflow: no sum exceeds the product of two norms."""
    limit = np.ldexp(huge, -20)
    with np.errstate(all="ignore"):
        return all(float(np.vdot(a, a)) < limit for a in tensors)
