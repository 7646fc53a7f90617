"""Whether equations may be evaluated for many steps at once, stacked along axes in front: tried, and not believed.

Some steps are evaluated one by one and then stacked, as the judge would stack them, and every tensor must be the
same: bit for bit, or within the radius of the single one. The steps start from parameters that differ in size, sign
and place, so that nothing of one step can pass for another's; and there are as many of them as no other axis of the
run has elements, so that no axis is taken for another. Whatever the user's code raises in the trial means that it
does not stack.
"""

from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.objective import Objective, step
from reference.claim.slots import STEP, names
from reference.claim.tree import Tree, zip_with
from torch_mirror.balls.format import format_of
from torch_mirror.judge.compare import allowed
from torch_mirror.judge.replay import as_ball, lifted

FACTORS = (1.0, -32.0, 0.5, -0.25, 8.0, -0.875, 0.125)
"""What the starts differ by in size and sign; exact in every format. A maximum over all steps, say, then lies far above
that of the first one, so that more than the last digits differ where it is subtracted."""


class _Trial(NamedTuple):
    """One of the steps: where it starts, and what it sees."""

    p: Tree
    state: Tree
    data: Any
    t: Any


def stacking_flaw(experiment: Experiment, lead: int = 1) -> str | None:
    """Why the equations cannot be evaluated stacked along so many axes in front; None if they can.

    lead: 1 for the steps of a run; 2 for steps and members of an ensemble, whose data have an axis of members.
    """
    e, counts = experiment, _counts(experiment, lead)
    values: dict[str, Any] = {}
    try:
        with np.errstate(all="ignore"):
            trials = _trials(e, counts)
            alone = [_run(e, e.objective, trial, {}) for trial in trials]
            _run(e, e.stacked(lead), _together(e, trials, counts), values)
            return _difference(e, trials, alone, values, counts)
    except Exception as error:  # noqa: BLE001 - whatever the user's code raises
        for name, value in values.items():
            if np.shape(value) != (*counts, *e.slots[name].shape):
                return _of_another_shape(name, value, e.slots[name].shape, counts)
        each = [name for name in names(e.slots, *STEP) if name not in values and e.slots[name].role != "loss"]
        behind = each[0] if each else "the update"
        reason = " ".join(str(error).split()) or type(error).__name__
        return f"the equation of {behind}: {reason}"


def _counts(e: Experiment, lead: int) -> tuple[int, ...]:
    taken = {n for slot in e.slots.values() for n in slot.shape} | {e.batch_length(0)}
    free = [n for n in range(2, 3 + len(taken) + lead) if n not in taken]
    return tuple(free[:lead])


def _trials(e: Experiment, counts: tuple[int, ...]) -> list[_Trial]:
    """The steps, each from another start."""
    p = zip_with(lambda _, a: _filled(a), e.parameters)
    state = zip_with(lambda _, a: _filled(a + a.dtype.type(1)), e.optimizer.init(e.parameters))
    axis = 0 if e.batches is None else e.batches.axis
    first = [
        zip_with(lambda _, a: a if e.batches is None else e.batches.of(a, e.rows(0)), part)
        for part in e.objective.prepare(e.data)
    ]

    def trial(k: int) -> _Trial:
        shift = (k if e.batches is not None else 0) + (k % counts[-1] if len(counts) > 1 else 0)
        return _Trial(
            zip_with(lambda _, a: _moved(a, k), p),
            zip_with(lambda _, a: np.abs(_moved(a, k)), state),
            tuple(zip_with(lambda _, a: np.roll(a, shift, axis) if shift and a.ndim else a, part) for part in first),
            (k if len(counts) == 1 else k // counts[-1]) % max(e.steps, 1),
        )

    return [trial(k) for k in range(int(np.prod(counts)))]


def _filled(a: Array) -> Array:
    """Without zeros, as biases start at, which would hide what is done to them."""
    return np.where(a == 0, _eighths(a), a) if a.dtype.kind == "f" else a


def _moved(a: Array, k: int) -> Array:
    """The elements k places on, and of another size and sign."""
    if a.dtype.kind != "f":
        return a
    flat, at = a.reshape(-1), -k % max(a.size, 1)
    return np.concatenate((flat[at:], flat[:at])).reshape(a.shape) * a.dtype.type(FACTORS[k % len(FACTORS)])


def _eighths(like: Array) -> Array:
    """Numbers between -1 and 1 of that shape, none of which is 0 or its neighbour."""
    pattern = np.array([1, -3, 5, -7, 2, -6, 4]) / 8
    return np.resize(pattern, like.shape).astype(like.dtype)


def _together(e: Experiment, trials: list[_Trial], counts: tuple[int, ...]) -> _Trial:
    """All of them stacked, the data only as the judge stacks them."""

    def stacked(trees: list[Tree], *shape: int) -> Tree:
        return zip_with(lambda _, *rows: np.stack(rows).reshape(*shape, *np.shape(rows[0])), *trees)

    def data(part: int) -> Tree:
        trees = [trial.data[part] for trial in trials]
        if e.batches is not None:
            return stacked(trees, *counts)
        return trees[0] if len(counts) == 1 else stacked(trees[: counts[-1]], counts[-1])

    steps = (np.arange(counts[0]) % max(e.steps, 1)).reshape(-1, *(1,) * (len(counts) - 1))
    return _Trial(
        stacked([trial.p for trial in trials], *counts),
        stacked([trial.state for trial in trials], *counts),
        tuple(data(i) for i in range(len(trials[0].data))),
        steps,
    )


def _run(e: Experiment, objective: Objective, trial: _Trial, values: dict[str, Any]) -> dict[str, Any]:
    """One evaluation of a step, or of stacked ones: what it sows, by name."""

    def note(name: str, value: Any, /) -> Any:
        values[name] = value
        return value

    step(objective, trial.p, trial.data, e.optimizer, trial.state, trial.t, note)
    if objective.deferred:
        note("loss", objective.loss_of(values["y"], trial.data))
    return values


def _difference(
    e: Experiment, trials: list[_Trial], alone: list[dict[str, Any]], stacked: dict[str, Any], counts: tuple[int, ...]
) -> str | None:
    """The first tensor whose stacked value is not that of each step alone, in words."""
    balls: dict[int, dict[str, Any]] = {}
    for name in alone[0]:
        shape = np.shape(alone[0][name])
        if np.shape(stacked[name]) != (*counts, *shape):
            return _of_another_shape(name, stacked[name], shape, counts)
        rows = np.asarray(stacked[name]).reshape(-1, *shape)
        for k in _others(rows, [one[name] for one in alone]):
            if k not in balls:
                balls[k] = _on_balls(e, trials[k])
            ball = as_ball(balls[k][name], format_of(e.dtype))
            if not (np.abs(rows[k] - ball.value) <= allowed(ball)).all():
                return f"{name} of stacked steps is not that of each step by itself"
    return None


def _others(rows: Array, alone: list[Array]) -> list[int]:
    """Which rows are not the same bit for bit, but that a NaN is one and the zeros are the same."""
    singles = np.stack(alone)
    same = rows == singles
    if rows.dtype.kind == "f":
        same |= np.isnan(rows) & np.isnan(singles)
    return np.flatnonzero(~same.reshape(len(rows), -1).all(axis=1)).tolist()


def _of_another_shape(name: str, value: Any, shape: tuple[int, ...], counts: tuple[int, ...]) -> str:
    return f"{name} of {counts} stacked steps has shape {np.shape(value)} and not {(*counts, *shape)}"


def _on_balls(e: Experiment, trial: _Trial) -> dict[str, Any]:
    fmt = format_of(e.dtype)
    lift = [zip_with(lambda _, a: lifted(a, fmt), tree) for tree in (trial.p, trial.state, *trial.data)]
    p, state, *data = lift
    return _run(e, e.objective, _Trial(p, state, tuple(data), trial.t), {})
