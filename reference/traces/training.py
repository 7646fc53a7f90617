"""The NumPy producer of traces."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from reference.arrays import Array, Sow, keep
from reference.claim.experiment import Experiment, checked_experiment
from reference.claim.objective import Data, Objective, step
from reference.claim.slots import STEP, names, size
from reference.claim.tree import named, zip_with
from reference.errors import InputError
from reference.traces.trace import Trace, check_record, gather, stack

SEGMENT_BYTES = 24 << 20
"""Size of the segments that a long run is produced and judged in: few enough calls, and little memory."""

SEGMENT_STEPS = 1024
"""Steps of a segment at most: by then the calls are few, and a small network's arrays still fit a cache."""


def numbers_a_step(experiment: Experiment) -> int:
    """How many numbers the equations of one step yield: intermediate values, the next state and parameters."""
    return size(slot for slot in experiment.slots.values() if slot.role in (*STEP, "parameter", "state"))


def segment_steps(experiment: Experiment) -> int:
    """How many steps one segment holds, so that it stays near SEGMENT_BYTES and memory stays bounded."""
    return max(1, min(SEGMENT_BYTES // (numbers_a_step(experiment) * experiment.dtype.itemsize), SEGMENT_STEPS))


def segments(
    experiment: Experiment,
    record: Sequence[str] | Callable[[range], Sequence[str] | None] | None = None,
    size: int | None = None,
    plant: Sow = keep,
    rooms: int = 1,
) -> Iterator[Trace]:
    """Train, and hand out the trace in segments of ``size`` steps: see ``train``.

    record may be a function from the steps of a segment to what is kept of it. rooms: for the arrays of so many
    segments there is memory. A segment's arrays are overwritten by those of the one that is so many further on.
    """
    e = experiment
    each = names(e.slots, *STEP)
    start = named(e.parameters)
    constants: dict[str, Array] = dict(e.named_data)

    def note_constant(name: str, value: Array, /) -> Array:
        constants[name] = plant(name, value)
        return constants[name]

    objective, optimizer = e.objective, e.optimizer
    prepared = objective.prepare(read_only(e.data), note_constant)
    p = zip_with(lambda _, a: a.copy(), e.parameters)
    state = optimizer.init(p)
    size = size or segment_steps(e)
    at_hand: list[dict[str, Array]] = [{} for _ in range(rooms)]  # a block of memory a tensor: fresh memory is slow
    for first in range(0, e.steps, size) if e.steps else (0,):
        steps, room = range(first, min(first + size, e.steps)), at_hand[first // size % rooms]
        here = record(steps) if callable(record) else record
        wanted = check_record(here, [*each, *start, *named(state)])
        needed = {"y" if name == "loss" and objective.deferred else name for name in wanted}
        rows: dict[str, list[Array]] = {name: [] for name in each if name in needed}
        parameters = {name: [value] for name, value in named(p).items() if name in wanted}
        states = {name: [value] for name, value in named(state).items() if name in wanted}
        sow = _recorder({**rows, **parameters, **states}, plant)
        data = [e.seen(prepared, t) for t in steps]
        for t, seen in zip(steps, data, strict=True):
            p, state = step(objective, p, seen, optimizer, state, t, sow)
        if "loss" in wanted and objective.deferred and steps:
            rows["loss"] = [plant("loss", _losses(e, rows["y"], data, room, size))]
        stacked = [{n: _stack(n, row, room, size + 1) for n, row in some.items()} for some in (parameters, states)]
        for row in (*parameters.values(), *states.values()):
            row.clear()  # what is stacked is held once
        tensors: Mapping[str, Array] = _Stacks(
            {name: rows[name] for name in each if name in wanted and steps}, room, size, objective
        )
        if rooms > 1 and len(steps) == 1:  # of code that uses its memory again the next step may overwrite them
            tensors = {name: a.copy() for name, a in tensors.items()}
        yield Trace(len(steps), constants, stacked[0], tensors, first, stacked[1])


def read_only(data: Data) -> Data:
    """The same arrays as views that nothing is written to."""

    def view(_name: str, a: Array) -> Array:
        a = a.view()
        a.flags.writeable = False
        return a

    return tuple(zip_with(view, part) for part in data)


def _losses(e: Experiment, ys: list[Array], data: list[Data], room: dict[str, Array], size: int) -> Array:
    """The loss of each step: (steps,)."""
    if e.batches is None and hasattr(e.loss, "axes"):
        return e.stacked().loss_of(_stack("y", ys, room, size), data[0])
    return np.stack([e.objective.loss_of(y, seen) for y, seen in zip(ys, data, strict=True)])


def train(experiment: Experiment, record: Sequence[str] | None = None, plant: Sow = keep) -> Trace:
    """Train with the hand-derived equations.

    record: names of the tensors to keep, default all; parameters and states have steps + 1 entries.
    plant: a sow that sees, and may replace, every named value as it is computed.
    Raises UnknownNameError for a name in ``record`` that the run does not have.
    """
    checked_experiment(experiment)
    if callable(record):
        raise InputError("record", "a list of names", repr(record))
    if not callable(plant):
        raise InputError("plant", "a function (name, value) -> value", repr(plant))
    return gather(experiment.steps, segments(experiment, record, plant=plant))


def _recorder(rows: dict[str, list[Array]], plant: Sow) -> Sow:
    """A sow that appends the values to the row of their name; nothing is copied, as nothing is written to."""
    if plant is not keep:

        def plant_and_record(name: str, value: Array, /) -> Array:
            value = plant(name, value)
            if name in rows:
                rows[name].append(value)
            return value

        return plant_and_record

    append = {name: row.append for name, row in rows.items()}

    def record(name: str, value: Array, /) -> Array:
        if name in append:
            append[name](value)
        return value

    return record


class _Stacks(Mapping[str, Array]):
    """The tensors of a segment, each stacked over its steps when it is asked for: not every reader wants all."""

    def __init__(self, rows: dict[str, list[Array]], room: dict[str, Array], size: int, objective: Objective) -> None:
        self.rows, self.room, self.size = rows, room, size
        self.whole = {"loss"} if objective.deferred else set()  # what is stacked already

    def __getitem__(self, name: str) -> Array:
        if name in self.whole:
            return self.rows[name][0]
        return _stack(name, self.rows[name], self.room, self.size)

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, steps: slice) -> dict[str, Array]:
        """The tensors of some of the steps only."""
        return {name: row[0][steps] if name in self.whole else _stacked(row[steps]) for name, row in self.rows.items()}


def _stack(name: str, rows: list[Array], room: dict[str, Array], size: int) -> Array:
    """Arrays along a new first axis, in memory that is kept under their name."""
    if len(rows) == 1:
        return rows[0][None]
    if name not in room:
        room[name] = np.empty((size, *_largest(rows)), rows[0].dtype)
    return stack(rows, room[name])


def _stacked(rows: list[Array]) -> Array:
    """Arrays along a new first axis, in memory of their own."""
    return stack(rows, np.empty((len(rows), *_largest(rows)), rows[0].dtype)) if rows else np.empty(0)


def _largest(rows: list[Array]) -> tuple[int, ...]:
    """The shape of the largest: one of two in a row belongs to a whole batch, unless an epoch is one batch."""
    return max(row.shape for row in rows[:2])
