"""The torch producer of traces: nn.Module, torch's losses and torch.optim, nothing imitated.

Torch runs free from the experiment's start: it is never set back to the reference's state, so that
stale gradients and optimizer state show.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reference.claim.experiment import Experiment
from reference.claim.slots import STEP, gradient_of, names
from reference.claim.tree import named, zip_with
from reference.errors import InputError
from reference.traces.trace import Trace, check_record, gather
from reference.traces.training import segment_steps
from torch_mirror.optimizers import schedule_of, set_rates
from torch_mirror.training.recording import Gradients, Hooks, Parameters, Record, State, check_in_graph, stacked
from torch_mirror.training.session import (
    Session,
    checked_session,
    gradients_on,
    module_takes_sow,
    places,
    session,
    state_keys,
    tensors,
)


def segments(
    experiment: Experiment,
    record: Sequence[str] | None = None,
    size: int | None = None,
    using: Session | None = None,
) -> Iterator[Trace]:
    """Train, and hand out the trace in segments of ``size`` steps: see ``train``.

    A segment's arrays are overwritten by the next one's.
    """
    e = experiment
    using = checked_session(session(e) if using is None else using, e)
    module, optimizer = using.module, using.optimizer
    once, start = names(e.slots, "constant"), list(named(e.parameters))
    known = _known(e, using)
    at = places(module, using.names, named(e.parameters))
    keys = state_keys(e, using)
    wanted = check_record(record, [*known, *start, *keys])
    data: Any = tuple(tensors(part) for part in e.data)
    constants = {name: a.copy() for name, a in e.named_data.items()}

    def note_constant(name: str, value: Tensor) -> Tensor:
        constants[name] = value.numpy().copy()
        return value

    # a module may have an attribute of that name for itself, as torchvision's have
    features: Any = getattr(module, "features", None) if once else None
    data = data if features is None else (features(data[0], note_constant), *data[1:])
    size = size or min(segment_steps(e), max(e.steps, 1))  # memory for a step is memory that is touched
    hooks = None if using.train_step is None else Hooks(at)
    source: Callable[[Tensor], Tensor | None] = _grad if hooks is None else hooks.take
    gradients = Gradients({own: at[of] for own, of in _gradients(e, start) if own in wanted}, size, source)
    watched = {own: of for own, of in _gradients(e, known) if own in wanted and own not in gradients.of}
    values = [name for name in known if name in wanted and name not in gradients.of and name not in watched]
    before = named(e.optimizer.init(e.parameters))
    parameters = {name: Parameters(at[name], size) for name in start if name in wanted}
    states = {
        name: State(optimizer, at[of], key, before[name], size) for name, (of, key) in keys.items() if name in wanted
    }
    room: dict[str, Tensor] = {}
    schedule = schedule_of(e.optimizer) if hooks is None else None
    try:
        for first in range(0, e.steps, size) if e.steps else (0,):
            steps = min(size, e.steps - first)
            kept: list[Parameters | State] = [*parameters.values(), *states.values()]
            for state in kept:
                state.keep(0)
            record_of = Record([*values, *gradients.of], set(watched.values()))
            take_step = _loop(using, record_of.sow) if hooks is None else _own_step(using, record_of.sow)
            for i in range(steps):
                seen, record_of.step = data, i
                if e.batches is not None:
                    rows = e.rows(first + i)
                    seen = tuple(zip_with(lambda _, a, rows=rows: a[rows], part) for part in data)
                if schedule is not None:
                    set_rates(optimizer, schedule(first + i))
                for _ in take_step(seen):  # between the backward pass and the update
                    gradients.keep(record_of.rows, i)
                for state in kept:
                    state.keep(i + 1)
            done = record_of.finished() | {name: record_of.gradients_of(of) for name, of in watched.items()}
            yield Trace(
                steps,
                constants,
                {name: state.kept(steps) for name, state in parameters.items()},
                {
                    name: gradients.stacked(name, done[name], room, size, steps)
                    if name in gradients.of
                    else stacked(name, done[name], room, size)
                    for name in known
                    if name in wanted and steps
                },
                first,
                {name: state.kept(steps) for name, state in states.items()},
            )
    finally:
        if hooks is not None:
            hooks.remove()


def train(experiment: Experiment, record: Sequence[str] | None = None, using: Session | None = None) -> Trace:
    """Train the torch mirror of the experiment.

    record: names of the tensors to keep, default all; parameters and states have steps + 1 entries.
    using: your own module, loss and optimizer in place of the mirror's.
    Raises UnknownNameError for a name in ``record`` that the run does not have, and InputError when
    the module has no such tensor or no gradient for it.
    """
    with gradients_on():
        return gather(experiment.steps, segments(experiment, record, using=using))


def _known(e: Experiment, using: Session) -> list[str]:
    """What torch can tell of a step, in the order of the equations; of a module without ``sow`` it is little."""
    start = list(named(e.parameters))
    each = names(e.slots, *STEP)
    sows = using.train_step is None and module_takes_sow(using.module)
    forward = each[: each.index("loss")] if sows and e.objective.deferred else [n for n in ("y",) if n in each]
    if sows and not e.objective.deferred:
        forward = [n for n in each if e.slots[n].role == "value" and not n.endswith(".data")]
    told = {*forward, "loss"}
    if using.train_step is not None:
        told.discard("y")
    of = {gradient_of(e.slots, name) for name in (*start, *told)}
    return [name for name in each if name in told or name in of]


def _gradients(e: Experiment, of: Sequence[str]) -> list[tuple[str, str]]:
    """(gradient, what it is the gradient of) for those of these tensors that have one."""
    pairs = ((gradient_of(e.slots, name), name) for name in of)
    return [(own, name) for own, name in pairs if own is not None]


def _grad(weight: Tensor) -> Tensor | None:
    """What torch keeps as None, of a parameter that it could have trained and the loss does not depend on, is 0."""
    return torch.zeros_like(weight) if weight.grad is None and weight.requires_grad else weight.grad


def _loop(using: Session, sow: Callable[[str, Tensor], Tensor]) -> Callable[[Any], Iterator[None]]:
    """A training step that stops once, when the gradients are there."""
    module, _, criterion, optimizer, *_ = using
    model = _with_sow(module)

    def take_step(data: Any) -> Iterator[None]:
        optimizer.zero_grad()
        y = model(data[0], sow)
        try:
            with _called("criterion", "(y, t)"):
                loss = criterion(y, *data[1:])
        except Exception as error:
            if isinstance(y, Tensor):
                raise
            expected = "a tensor, or something that the criterion takes"
            raise InputError("output of the torch module", expected, type(y).__name__) from error
        if not isinstance(loss, Tensor) or loss.ndim:
            raise InputError("criterion", "to return a tensor of one number", _shown(loss))
        sow("loss", loss)
        check_in_graph("loss", loss)
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        yield
        optimizer.step()

    return take_step


def _own_step(using: Session, sow: Callable[[str, Tensor], Tensor]) -> Callable[[Any], Iterator[None]]:
    """The user's own training step, after which the gradients are what hooks have caught."""
    own, dtype = using.train_step, next(using.module.parameters()).dtype

    def take_step(data: Any) -> Iterator[None]:
        with _called("train_step", "(x, t)"):
            loss = own(*data) if own is not None else None
        number = isinstance(loss, (int, float, np.integer, np.floating)) or (
            isinstance(loss, (Tensor, np.ndarray)) and not loss.ndim
        )
        if not number:
            raise InputError("train_step", "to return the loss, one number", _shown(loss))
        sow("loss", loss.detach() if isinstance(loss, Tensor) else torch.tensor(loss, dtype=dtype))
        yield

    return take_step


@contextmanager
def _called(what: str, arguments: str) -> Iterator[None]:
    """Say of a call that fails before the user's code is reached what it is called with; theirs is left as it is."""
    try:
        yield
    except TypeError as error:
        inside = error.__traceback__ and error.__traceback__.tb_next
        if inside and inside.tb_next:
            raise
        raise InputError(what, f"to take {arguments}", error) from error


def _shown(value: object) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"shape {tuple(shape)}"


def _with_sow(module: Any) -> Callable[..., Tensor]:
    """The module, or for one whose forward takes no ``sow`` a function that sows what it returns."""
    if module_takes_sow(module):
        return module
    return lambda x, sow: sow("y", module(x))
