"""The one evaluator: the equations of a run, on the values that a trace holds.

    findings, givens = judge_givens(experiment, trace, side)
    for part in parts(experiment, trace, givens):
        with remembering(part):
            evaluate(experiment, part, sow)

``evaluate`` runs the training step on balls for all steps of a part at once, stacked along an axis in front, where
the equations stack, and otherwise for one. What sow returns for a value is what the equations go on with: so a check
decides what is taken from the trace and what propagates.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array, Sow
from reference.claim.experiment import Experiment
from reference.claim.objective import Data, Objective, step
from reference.claim.rehearsal import shapes_at
from reference.claim.tree import named, rebuild, zip_with
from reference.errors import InputError, TorchMirrorError
from reference.traces.trace import Sliced, Trace
from torch_mirror.balls.ball import Ball
from torch_mirror.balls.format import Format, format_of
from torch_mirror.judge.compare import Where, compare
from torch_mirror.judge.findings import Findings, Side, merge


class Givens(NamedTuple):
    """What every equation of a run starts from and no step changes, as exact balls; whole numbers as they are."""

    data: Data
    roomy: bool


class Part(NamedTuple):
    """Steps of a trace that one call of the equations evaluates, stacked; they have as many samples each."""

    steps: Sequence[int]           # of the run
    data: Data                     # without an axis for steps; with one where each step has a batch of its own
    p: Any                         # parameters before each step, exact, in the form of the network's own
    state: Any                     # of the optimizer before each step, the same
    after: Mapping[str, Array]     # parameters and states after each step, as the trace holds them
    tensors: Mapping[str, Array]   # what else it holds of each step
    roomy: bool
    batched: bool                  # whether the data have an axis for steps
    stacks: bool = True            # False: one step, without an axis for steps when the equations run


def lifted(a: Array, fmt: Format) -> Any:
    """An array as an exact ball; whole numbers and bools are no numbers with radii."""
    return Ball(a, 0, fmt) if a.dtype.kind == "f" else a


def as_ball(equation: Any, fmt: Format) -> Ball:
    """What an equation gives as a ball: a mask and whole numbers too, whose radius is 0 where they are decided."""
    if isinstance(equation, Ball):
        return equation
    number = getattr(equation, "number", None)
    return number() if callable(number) else Ball(np.asarray(equation, fmt.dtype), 0, fmt)


def judge_givens(experiment: Experiment, trace: Trace, side: Side) -> tuple[Findings, Givens]:
    """Judge the network's features, which are evaluated once, and make balls of what the steps start from."""
    e = experiment
    fmt = format_of(e.dtype)
    held = trace.constants
    found: list[Findings] = []

    def plant(name: str, equation: Any) -> Any:
        if name not in held:
            return equation
        where = Where(name, side, "local", (trace.first,), stacked=False)
        found.append(compare(held[name], as_ball(equation, fmt), where))
        return lifted(held[name], fmt)

    with np.errstate(all="ignore"):
        data = e.objective.prepare(e.data_of({name: lifted(held[name], fmt) for name in e.named_data}), plant)
    leaves = [a for part in data for a in named(part).values()]
    exact = all(not isinstance(a, Ball) or a.exact for a in leaves)
    return merge(found), Givens(data, exact and roomy(held.values(), fmt.huge))


def parts(experiment: Experiment, trace: Trace, givens: Givens, *, stacks: bool = True) -> Iterator[Part]:
    """The steps of a trace, in as few parts as there may be; one by one if the equations do not stack."""
    e = experiment
    steps = range(trace.first, trace.first + trace.steps)
    together: dict[int, list[int]] = {}
    if e.batches is None:
        together[0] = list(steps)
    else:
        for t in steps:
            together.setdefault(e.batch_length(t), []).append(t)
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
    before = {name: lifted(a[:-1][here], fmt) for name, a in trace.parameters.items()}
    state = {name: lifted(a[:-1][here], fmt) for name, a in trace.states.items()}
    tensors = trace.tensors if whole else {name: a[here] for name, a in trace.tensors.items()}
    if e.batch_length(steps[0]) < e.batch_length(0):
        tensors = _without_filling(tensors, shapes_at(e, steps[0]))
    return Part(
        steps,
        rows_of(e, givens.data, steps),
        e.parameters_of(before),
        rebuild(e.optimizer.init(e.parameters), state),
        {name: a[1:][here] for name, a in {**trace.parameters, **trace.states}.items()},
        tensors,
        givens.roomy,
        e.batches is not None,
    )


def rows_of(e: Experiment, data: Data, steps: Sequence[int]) -> Data:
    """What these steps see of the data: with an axis of steps in front where each has a batch of its own."""
    if e.batches is None:
        return data
    rows = np.stack([np.arange(e.samples)[e.rows(t)] for t in steps])
    return tuple(zip_with(lambda _, a: a[rows], part) for part in data)


def entries(steps: Sequence[int], trace: Trace) -> Any:
    """Where a trace has what it holds of these steps: an index of its first axis, or of that of the states after."""
    return slice(None) if len(steps) == trace.steps else np.array(steps) - trace.first


def _without_filling(tensors: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """The tensors of batches smaller than the largest, without what fills them up."""
    return {name: a[(slice(None), *map(slice, shapes[name]))] for name, a in tensors.items()}


def single(part: Part, i: int) -> Part:
    """One of the steps alone."""
    one = slice(i, i + 1)

    def at(_name: str, ball: Any) -> Any:
        return Ball(ball.value[one], 0, ball.format) if isinstance(ball, Ball) else ball[one]

    return Part(
        part.steps[one],
        tuple(zip_with(lambda _, a: a[one], tree) for tree in part.data) if part.batched else part.data,
        zip_with(at, part.p),
        zip_with(at, part.state),
        {name: a[one] for name, a in part.after.items()},
        part.tensors.at(one) if isinstance(part.tensors, Sliced) else {n: a[one] for n, a in part.tensors.items()},
        part.roomy,
        part.batched,
        part.stacks,
    )


def evaluate(experiment: Experiment, part: Part, sow: Sow) -> None:
    """Run the equations of the part's steps; what is sown has an axis of steps in front, whether they stack or not.

    Raises InputError where they ask for what balls have no rule for, and where they raise anything themselves.
    """
    e, last = experiment, "the start"

    def noted(name: str, equation: Any) -> Any:
        nonlocal last
        last = name
        return sow(name, equation) if part.stacks else sow(name, equation[None])[0]

    def first(_name: str, ball: Any) -> Any:
        return ball[0]

    p, state, data = part.p, part.state, part.data
    t: Any = np.array(part.steps)
    objective: Objective = e.stacked() if part.stacks else e.objective
    if not part.stacks:
        p, state, t = zip_with(first, p), zip_with(first, state), part.steps[0]
        data = tuple(zip_with(first, tree) for tree in data) if part.batched else data
    try:
        step(objective, p, data, e.optimizer, state, t, noted)
    except TorchMirrorError:
        raise
    except Exception as error:  # whatever somebody's code raises on balls
        kind = "" if type(error) is TypeError else f"{type(error).__name__}: "
        came = f"{kind}{' '.join(str(error).split())}"
        raise InputError(f"equations behind {last}", "NumPy functions that run on balls", came) from error


def loss_of(experiment: Experiment, part: Part, y: Any) -> Any:
    """The loss of the part's steps from their y, (steps,)."""
    e = experiment
    if part.stacks:
        return e.stacked().loss_of(y, part.data)
    data = tuple(zip_with(lambda _, a: a[0], tree) for tree in part.data) if part.batched else part.data
    return e.objective.loss_of(y[0], data)[None]


@contextmanager
def remembering(part: Part) -> Iterator[Part]:
    """Within it the part's parameters keep their products, as two evaluations of one step ask for the same ones."""
    balls = [ball for ball in named(part.p).values() if isinstance(ball, Ball)]
    for ball in balls:
        ball.remember()
    try:
        yield part
    finally:
        for ball in balls:
            ball.forget()


def states_before(part: Part) -> list[Array]:
    """The parameters and states before each step, without those that are also after one."""
    consecutive = part.steps[-1] - part.steps[0] + 1 == len(part.steps)
    balls = [*named(part.p).values(), *named(part.state).values()]
    values = [ball.value if isinstance(ball, Ball) else ball for ball in balls]
    return [value[:1] if consecutive else value for value in values]


def roomy(tensors: Iterable[Array], huge: float) -> bool:
    """True if no equation of a step can come near overflow: no sum exceeds the product of two norms."""
    limit = np.ldexp(huge, -20)
    with np.errstate(all="ignore"):
        return all(float(np.vdot(a, a)) < limit for a in tensors if a.dtype.kind == "f")

