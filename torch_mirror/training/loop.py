"""The torch producer of traces: nn.Module, torch's losses and torch.optim, nothing imitated.

Torch runs free from the experiment's start: it is never set back to the reference's state, so that
stale gradients and optimizer state show.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from reference.claim.accumulation import behind, split
from reference.claim.experiment import Experiment, checked_experiment
from reference.claim.slots import STEP, gradient_of, names
from reference.claim.tree import named
from reference.errors import InputError
from reference.traces.trace import Trace, check_record, gather
from reference.traces.training import segment_steps
from torch_mirror.optimizers import schedule_of, set_rates
from torch_mirror.training.operations import Noted
from torch_mirror.training.places import Place, check_trained, places, tensors
from torch_mirror.training.recording import Gradients, Hooks, Parameters, Record, State, check_in_graph, stacked
from torch_mirror.training.session import (
    Session,
    checked_session,
    gradients_on,
    module_takes_sow,
    session,
    state_keys,
)


def segments(
    experiment: Experiment,
    record: Sequence[str] | None = None,
    size: int | None = None,
    using: Session | None = None,
    rooms: int = 1,
    noted: Noted | None = None,
) -> Iterator[Trace]:
    """Train, and hand out the trace in segments of ``size`` steps: see ``train``.

    rooms: for the arrays of so many segments there is memory. A segment's arrays are overwritten by those of the one
    that is so many further on; where it is the next one, what is one step's alone is not copied before. noted: what
    notes the operations of the step that it names.
    """
    e = experiment
    using = session(e) if using is None else using  # checked already, once for all that look at it
    module, optimizer = using.module, using.optimizer
    once, start = names(e.slots, "constant"), list(named(e.parameters))
    known = _known(e, using)
    at = places(module, using.names, named(e.parameters))
    keys = state_keys(e, using.states)
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
    hooks = None if using.train_step is None else Hooks(at, optimizer)
    caught = None if hooks is None else hooks.take
    check_trained((name, at[name]) for name in start if gradient_of(e.slots, name) in wanted)
    own_gradients = {own: at[of] for own, of in _gradients(e, start) if own in wanted}
    watched = {own: of for own, of in _gradients(e, known) if own in wanted and own not in own_gradients}
    values = [name for name in known if name in wanted and name not in own_gradients and name not in watched]
    before = named(e.optimizer.init(e.parameters))
    at_hand = [
        Rooms(
            {name: Parameters(at[name], size) for name in start if name in wanted},
            {
                name: State(optimizer, at[of], key, before[name], size, started=k > 0)
                for name, (of, key) in keys.items()
                if name in wanted
            },
            Gradients(own_gradients, size, caught),
            {},
        )
        for k in range(rooms)
    ]
    schedule = schedule_of(e.optimizer) if using.scheduled is optimizer and hooks is None else None
    try:
        for first in range(0, e.steps, size) if e.steps else (0,):
            steps = min(size, e.steps - first)
            parameters, states, gradients, others = at_hand[first // size % rooms]
            kept: list[Parameters | State] = [*parameters.values(), *states.values()]
            for state in kept:
                state.keep(0)
            record_of = Record([*values, *own_gradients], set(watched.values()))
            take_step = _own_step if hooks is not None else _loop if e.accumulate == 1 else _loop_in_parts(e.accumulate)
            backward, update = _noting(
                take_step(using, record_of.sow), noted, first, Told(record_of, values, watched, gradients.of, hooks)
            )
            for i in range(steps):
                record_of.step = i
                if schedule is not None:
                    set_rates(optimizer, schedule(first + i))
                backward(e.seen(data, first + i))
                gradients.keep(record_of.rows, i)
                if first + i == 0:  # told before anything is trained
                    record_of.check_sown({n: e.slots[n].shape for n in values}, all_of_them=e.objective.deferred)
                    record_of.finished()
                update()
                for state in kept:
                    state.keep(i + 1)
            done = record_of.finished() | {name: record_of.gradients_of(of) for name, of in watched.items()}
            yield Trace(
                steps,
                constants,
                {name: state.kept(steps) for name, state in parameters.items()},
                {
                    name: gradients.stacked(name, done[name], steps)
                    if name in gradients.of
                    else stacked(name, done[name], others, size, copy=rooms > 1)
                    for name in known
                    if name in wanted and steps and (hooks is None or name not in hooks.unclear(own_gradients))
                    if done[name] or name in gradients.of or e.objective.deferred
                },
                first,
                {name: state.kept(steps) for name, state in states.items()},
            )
    finally:
        if hooks is not None:
            hooks.remove()


class Rooms(NamedTuple):
    """Memory for one segment, by the names of what it holds; others: what every step makes anew."""

    parameters: dict[str, Parameters]
    states: dict[str, State]
    gradients: Gradients
    others: dict[str, Tensor]


class Halves(NamedTuple):
    """A training step in two: up to the gradients, and the update."""

    backward: Callable[[Any], None]
    update: Callable[[], Any]


class Told(NamedTuple):
    """What is kept of a step: values, and by the names of their gradients the values and parameters that have one."""

    record: Record
    values: Sequence[str]
    of_values: Mapping[str, str]
    of_parameters: Mapping[str, Place]
    hooks: Hooks | None  # which have the gradients where a step of the user's own clears them

    def of_step(self) -> dict[str, tuple[Tensor | None, Callable[[Any], Any]]]:
        """The tensors of the step that the record is at, by name, each with its layout."""
        i, caught = self.record.step, None if self.hooks is None else self.hooks.caught
        rows = {name: row[i] for name, row in self.record.rows.items() if len(row) > i}
        found: dict[str, tuple[Tensor | None, Callable[[Any], Any]]] = {
            name: (place.weight.grad if caught is None else caught.get(place.weight), place.of)
            for name, place in self.of_parameters.items()
        }
        found |= {name: (rows[name], _as_it_is) for name in self.values if name in rows}
        return found | {name: (rows[of].grad, _as_it_is) for name, of in self.of_values.items() if of in rows}


def _as_it_is(a: Any) -> Any:
    return a


def _noting(halves: Halves, noted: Noted | None, first: int, told: Told) -> Halves:
    """The step in two; of the step that ``noted`` names the operations are noted. first: the segment's first step."""
    if noted is None:
        return halves

    def backward(data: Any) -> None:
        if noted.step != first + told.record.step:
            halves.backward(data)
            return
        given = [t for part in data for t in named(part).values()]
        with noted.of([*given, *(place.weight for place in told.of_parameters.values())]):
            halves.backward(data)
        noted.close(told.of_step())

    return Halves(backward, halves.update)


def train(experiment: Experiment, record: Sequence[str] | None = None, using: Session | None = None) -> Trace:
    """Train the torch mirror of the experiment.

    record: names of the tensors to keep, default all; parameters and states have steps + 1 entries.
    using: your own module, loss and optimizer in place of the mirror's.
    Raises UnknownNameError for a name in ``record`` that the run does not have, and InputError when
    the module has no such tensor or no gradient for it.
    """
    e = checked_experiment(experiment)
    with gradients_on():
        using = session(e) if using is None else checked_session(using, e)
        return gather(e.steps, segments(e, record, using=using))


def _known(e: Experiment, using: Session) -> list[str]:
    """What torch can tell of a step, in the order of the equations; of a module without ``sow`` it is little."""
    start = list(named(e.parameters))
    each = names(e.slots, *STEP)
    sows = using.train_step is None and module_takes_sow(using.module)
    forward = each[: each.index("loss")] if sows and e.objective.deferred else [n for n in ("y",) if n in each]
    if sows and not e.objective.deferred:
        forward = [n for n in each if e.slots[n].role == "value"]  # what it does not sow is left out
    told = {*forward, "loss"}
    if using.train_step is not None:
        told.discard("y")
    of = {gradient_of(e.slots, name) for name in (*start, *told)}
    return [name for name in each if name in told or name in of]


def _gradients(e: Experiment, of: Sequence[str]) -> list[tuple[str, str]]:
    """(gradient, what it is the gradient of) for those of these tensors that have one."""
    pairs = ((gradient_of(e.slots, name), name) for name in of)
    return [(own, name) for own, name in pairs if own is not None]


def _loop(using: Session, sow: Callable[[str, Tensor], Tensor]) -> Halves:
    """The training step that everyone writes."""
    module, _, criterion, optimizer, *_ = using
    model = _with_sow(module)

    def backward(data: Any) -> None:
        optimizer.zero_grad()
        loss = loss_of(criterion, model(data[0], sow), *data[1:])
        sow("loss", loss)
        check_in_graph("loss", loss)
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch

    return Halves(backward, optimizer.step)


def _loop_in_parts(parts: int) -> Callable[[Session, Callable[[str, Tensor], Tensor]], Halves]:
    """The same with the samples in parts: each part's loss, divided by their number, has a backward pass of its own."""

    def loop(using: Session, sow: Callable[[str, Tensor], Tensor]) -> Halves:
        module, _, criterion, optimizer, *_ = using
        model = _with_sow(module)

        def backward(data: Any) -> None:
            optimizer.zero_grad()
            total: Any = 0.0
            for j, (x, t) in enumerate(split(data, parts)):
                loss = loss_of(criterion, model(x, behind(f"@{j}", sow)), t) / parts
                loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
                total = total + loss.detach()
            sow("loss", total)

        return Halves(backward, optimizer.step)

    return loop


def _own_step(using: Session, sow: Callable[[str, Tensor], Tensor]) -> Halves:
    """The user's own training step, after which the gradients are what hooks have caught."""
    own, dtype = using.train_step, next(using.module.parameters()).dtype

    def backward(data: Any) -> None:
        with _called("train_step", "(x, t)"):
            loss = own(*data) if own is not None else None
        number = isinstance(loss, (int, float, np.integer, np.floating)) or (
            isinstance(loss, (Tensor, np.ndarray)) and not loss.ndim
        )
        if not number:
            raise InputError("train_step", "to return the loss, one number", _shown(loss))
        sow("loss", loss.detach() if isinstance(loss, Tensor) else torch.tensor(loss, dtype=dtype, device="cpu"))

    return Halves(backward, lambda: None)  # it has made the update, too


def loss_of(criterion: Callable[..., Any], y: Any, *t: Any) -> Tensor:
    """The loss. Raises InputError for what is no tensor of one number, and where y is not what the criterion takes."""
    try:
        loss = criterion(y, *t)
    except Exception as error:
        _told_of_criterion(y, error)
        raise
    if not isinstance(loss, Tensor) or loss.ndim:
        raise InputError("criterion", "to return a tensor of one number", _shown(loss))
    return loss


def _told_of_criterion(y: object, error: Exception) -> None:
    """Raise InputError where it is the call that failed: for what y is, or for what the criterion does not take."""
    here = error.__traceback__
    if isinstance(error, TypeError) and here is not None and here.tb_next is None:  # it was not reached
        raise InputError("criterion", "to take (y, t)", error) from error
    if not isinstance(y, Tensor):
        expected = "a tensor, or something that the criterion takes"
        raise InputError("output of the torch module", expected, type(y).__name__) from error


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
