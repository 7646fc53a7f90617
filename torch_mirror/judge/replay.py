"""The one evaluator: the equations of a run, on the values that a trace holds.

    findings, givens = judge_givens(experiment, trace, side)
    for part in parts(experiment, trace, givens):
        evaluate(experiment, part, sow)

``evaluate`` runs the training step on balls for all steps of a part at once, stacked along an axis in front, where
the equations stack, and otherwise for one. What sow returns for a value is what the equations go on with: so a check
decides what is taken from the trace and what propagates. ``blocks`` gives the parts of an ensemble's run, which have
a second axis, of its members; the experiment is then that of any member, as they share all but their numbers.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from math import prod
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array, Sow
from reference.claim.experiment import Experiment
from reference.claim.objective import Data, Objective, step
from reference.claim.rehearsal import shapes_at
from reference.claim.tree import named, rebuild, zip_with
from reference.errors import InputError, TorchMirrorError
from reference.traces.trace import Sliced, Trace
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import Format, format_of
from torch_mirror.judge.compare import Where, compare
from torch_mirror.judge.findings import Findings, Side, merge


class Givens(NamedTuple):
    """What every equation of a run starts from and no step changes, as exact balls; whole numbers as they are."""

    data: Data
    roomy: bool


CACHED = 1 << 17
"""Numbers that the largest tensor of one block has at most: some of its kind then fit a cache."""


class Part(NamedTuple):
    """Steps of a trace that one call of the equations evaluates, stacked; they have as many samples each.

    Axes in front, the lead: of the steps; or of the steps and of an ensemble's members.
    """

    steps: Sequence[int]           # of the run
    data: Data                     # without an axis for steps; with one where each step has a batch of its own
    p: Any                         # parameters before each step, exact, in the form of the network's own
    state: Any                     # of the optimizer before each step, the same
    after: Mapping[str, Array]     # parameters and states after each step, as the trace holds them
    tensors: Mapping[str, Array]   # what else it holds of each step
    roomy: bool
    batched: bool                  # whether the data have an axis for steps
    stacks: bool = True            # False: one step, without an axis for steps when the equations run
    members: Sequence[int] = ()    # of an ensemble, along a second axis; none: the run of one network

    @property
    def lead(self) -> int:
        """How many axes stand in front."""
        return 2 if self.members else 1


class Start(NamedTuple):
    """What the equations of a step start from; t: its number."""

    p: Any
    state: Any
    data: Data
    t: Any


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


def parts(
    experiment: Experiment, trace: Trace, givens: Givens, *, stacks: bool = True, steps: Sequence[int] | None = None
) -> Iterator[Part]:
    """The steps of a trace, in as few parts as there may be; one by one if the equations do not stack.

    steps: some of them, in order; all if None.
    While one is looked at its parameters keep their products, as two evaluations of one step ask for the same ones.
    """
    for some in _alike(experiment, _steps(trace) if steps is None else steps):
        part = _part(experiment, trace, givens, some)
        for one in (part,) if stacks else (single(part, i)._replace(stacks=False) for i in range(len(some))):
            with remembering(one):
                yield one


def blocks(experiment: Experiment, trace: Trace, givens: Givens) -> Iterator[Part]:
    """Every step of every member of an ensemble's run: what one call evaluates stays in the cache.

    In the order of the steps where that is possible. experiment: of any member. trace: with an axis of K members in
    front of each constant, and behind that of the steps of everything else.
    """
    e, members = experiment, len(next(iter(trace.constants.values())))
    largest = max(prod(slot.shape) for slot in e.slots.values() if slot.role not in ("data", "constant"))
    networks = max(1, CACHED // largest)  # at once
    stride = max(1, networks // members)
    for some in _alike(e, _steps(trace)):
        for i in range(0, len(some), stride):
            for k in range(0, members, networks):
                yield _part(e, trace, givens, some[i : i + stride], range(k, min(k + networks, members)))


def _steps(trace: Trace) -> range:
    return range(trace.first, trace.first + trace.steps)


def _alike(e: Experiment, steps: Sequence[int]) -> Iterator[list[int]]:
    """The steps by how many samples they see."""
    together: dict[int, list[int]] = {}
    for t in steps:
        together.setdefault(0 if e.batches is None else e.batch_length(t), []).append(t)
    yield from together.values()


def _part(e: Experiment, trace: Trace, givens: Givens, steps: list[int], members: Sequence[int] = ()) -> Part:
    fmt = format_of(e.dtype)
    whole = len(steps) == trace.steps and not members
    here = entries(steps, trace, members)
    before = {name: lifted(a[:-1][here], fmt) for name, a in trace.parameters.items()}
    state = {name: lifted(a[:-1][here], fmt) for name, a in trace.states.items()}
    tensors = trace.tensors if whole else {name: a[here] for name, a in trace.tensors.items()}
    if e.batch_length(steps[0]) < e.batch_length(0):
        tensors = _without_filling(tensors, shapes_at(e, steps[0]), 2 if members else 1)
    return Part(
        steps,
        rows_of(e, givens.data, steps, members),
        e.parameters_of(before),
        rebuild(e.optimizer.init(e.parameters), state),
        {name: a[1:][here] for name, a in {**trace.states, **trace.parameters}.items()},
        tensors,
        givens.roomy,
        e.batches is not None,
        members=members,
    )


def rows_of(e: Experiment, data: Data, steps: Sequence[int], members: Sequence[int] = ()) -> Data:
    """What these steps see of the data: with an axis of steps in front where each has a batch of its own."""
    if members:
        data = _each(data, lambda a: a[_index(members)])
    if e.batches is None:
        return data
    rows = np.stack([np.arange(e.samples)[e.rows(t)] for t in steps])
    if e.batches.axis == -1:
        return _each(data, lambda a: np.moveaxis(a[..., rows], -2, 0))
    return _each(data, lambda a: a[:, rows].swapaxes(0, 1) if members else a[rows])


def _each(data: Data, f: Callable[[Any], Any]) -> Data:
    return tuple(zip_with(lambda _, a: f(a), tree) for tree in data)


def entries(steps: Sequence[int], trace: Trace, members: Sequence[int] = ()) -> Any:
    """Where a trace has what it holds of these steps and members: an index of its first axes, of the states after."""
    here = _index(steps, trace.first)
    return (here, _index(members)) if members else here


def _index(numbers: Sequence[int], first: int = 0) -> Any:
    """These numbers, which ascend, as an index: a slice, which copies nothing, where they are consecutive."""
    start, stop = numbers[0] - first, numbers[-1] - first + 1
    return slice(start, stop) if stop - start == len(numbers) else np.array(numbers) - first


def _without_filling(
    tensors: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]], lead: int
) -> dict[str, Array]:
    """The tensors of batches smaller than the largest, without what fills them up."""
    return {name: a[(*(slice(None),) * lead, *map(slice, shapes[name]))] for name, a in tensors.items()}


def single(part: Part, i: int) -> Part:
    """One of the steps alone."""
    one = slice(i, i + 1)

    def at(_name: str, ball: Any) -> Any:
        return Ball(ball.value[one], 0, ball.format) if isinstance(ball, Ball) else ball[one]

    return Part(
        part.steps[one],
        _each(part.data, lambda a: a[one]) if part.batched else part.data,
        zip_with(at, part.p),
        zip_with(at, part.state),
        {name: a[one] for name, a in part.after.items()},
        part.tensors.at(one) if isinstance(part.tensors, Sliced) else {n: a[one] for n, a in part.tensors.items()},
        part.roomy,
        part.batched,
        part.stacks,
        part.members,
    )


def together(some: Sequence[Part]) -> Part:
    """Parts of one run and of as many samples a step as one."""
    if len(some) == 1:
        return some[0]
    first = some[0]

    def joined(_name: str, *arrays: Any) -> Any:
        if isinstance(arrays[0], Ball):
            return Ball(np.concatenate([ball.value for ball in arrays]), 0, arrays[0].format)
        return np.concatenate(arrays)

    def both(trees: Sequence[Any]) -> Any:
        return zip_with(joined, *trees)

    return first._replace(
        steps=[t for part in some for t in part.steps],
        data=tuple(both(trees) for trees in zip(*(part.data for part in some), strict=True))
        if first.batched
        else first.data,
        p=both([part.p for part in some]),
        state=both([part.state for part in some]),
        after={name: np.concatenate([part.after[name] for part in some]) for name in first.after},
        tensors={name: np.concatenate([part.tensors[name] for part in some]) for name in first.tensors},
    )


def start_of(part: Part) -> Start:
    """What the part's steps start from; of one that does not stack, without the axis for steps."""
    if part.stacks:
        return Start(part.p, part.state, part.data, np.array(part.steps).reshape(-1, *(1,) * (part.lead - 1)))
    return only_step(part)


def only_step(part: Part) -> Start:
    """What the one step of a part starts from, without the axis for steps."""

    def first(_name: str, ball: Any) -> Any:
        return ball[0]

    return Start(zip_with(first, part.p), zip_with(first, part.state), _only_data(part), part.steps[0])


def _only_data(part: Part) -> Data:
    return _each(part.data, lambda a: a[0]) if part.batched else part.data


def evaluate(experiment: Experiment, part: Part, sow: Sow, optimizer: Any = None) -> None:
    """Run the equations of the part's steps; what is sown has an axis of steps in front, whether they stack or not.

    optimizer: one in the place of the experiment's, which makes the update. Raises InputError where the equations ask
    for what balls have no rule for, and where they raise anything themselves.
    """
    e, last = experiment, "the start"

    def noted(name: str, equation: Any) -> Any:
        nonlocal last
        last = name
        return sow(name, equation) if part.stacks else sow(name, equation[None])[0]

    p, state, data, t = start_of(part)
    try:
        step(_objective(e, part), p, data, optimizer or e.optimizer, state, t, noted)
    except TorchMirrorError:
        raise
    except Exception as error:  # whatever somebody's code raises on balls
        kind = "" if type(error) is TypeError else f"{type(error).__name__}: "
        came = f"{kind}{' '.join(str(error).split())}"
        raise InputError(f"equations behind {last}", "NumPy functions that run on balls", came) from error


def loss_of(experiment: Experiment, part: Part, y: Any) -> Any:
    """The loss of the part's steps from their y: (steps,), or (steps, members)."""
    objective = _objective(experiment, part)
    return objective.loss_of(y, part.data) if part.stacks else objective.loss_of(y[0], _only_data(part))[None]


def _objective(e: Experiment, part: Part) -> Objective:
    return e.stacked(part.lead) if part.stacks else e.objective


@contextmanager
def remembering(part: Part) -> Iterator[Part]:
    """Within it the part's parameters keep their products, as two evaluations of one step ask for the same ones."""
    with ExitStack() as stack:
        for ball in named(part.p).values():
            if isinstance(ball, Ball):
                stack.enter_context(ball.remembering())
        yield part


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

