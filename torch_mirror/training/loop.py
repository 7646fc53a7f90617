"""The torch producer of traces: nn.Module, nn.MSELoss and torch.optim.SGD, nothing imitated.

Torch runs free from the experiment's start: it is never set back to the reference's state, so that
stale gradients and optimizer state show. What is recorded costs as little as it can: every forward
pass makes new tensors, so a reference to them is enough; only what may be written to again, the
parameters, their gradients and the momentum buffers, is copied.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.objective import takes_sow
from reference.claim.rehearsal import tensor_names
from reference.claim.tree import named
from reference.errors import InputError
from reference.optimizers.sgd import SGD
from reference.traces.trace import Trace, check_record, gather
from reference.traces.training import segment_steps
from torch_mirror.networks import mirror_of

LARGE = 10_000
"""Numbers in a gradient from which it is copied at once."""


class Session(NamedTuple):
    """What a torch training loop consists of; replace a part to train with your own.

    module: called as ``module(x, sow)``, or as ``module(x)`` if its forward takes no ``sow``: then only y, the
    loss and the gradients of y and of the parameters are known of it, and judged end to end;
    names: reference parameter name to name in the state dict;
    criterion: (y, t) to the loss; optimizer: over the module's parameters.
    """

    module: nn.Module
    names: Mapping[str, str]
    criterion: Callable[[Tensor, Tensor], Tensor]
    optimizer: torch.optim.Optimizer


def session(
    experiment: Experiment, module: nn.Module | None = None, names: Mapping[str, str] | None = None
) -> Session:
    """The mirror of the experiment's network, its loss and its optimizer, at the experiment's start.

    module, names: your own module in the mirror's place, and the name in its state dict of each of the
    reference's parameters; its weights are set to the start.
    """
    e = experiment
    if module is None:
        mirror = mirror_of(e.network)
        module, names = mirror.Module(e.network, tensor(e.x[:0]).dtype), mirror.parameters(e.network)
    start = named(e.parameters)
    names = names or {name: name for name in start}
    load(module, names, start)
    squared_error = nn.MSELoss(reduction=e.loss.reduction)
    scale = e.loss.scale
    criterion = squared_error if scale == 1 else lambda y, t: scale * squared_error(y, t)
    return Session(module, names, criterion, optimizer_of(e.sgd, module.parameters()))


def optimizer_of(sgd: SGD, parameters: Iterable[nn.Parameter]) -> torch.optim.SGD:
    """torch's own optimizer with these options; of a sequence of learning rates it has the first."""
    lr = sgd.lr if isinstance(sgd.lr, float) else next(iter(sgd.lr), 0.0)
    return torch.optim.SGD(parameters, lr, *sgd[1:5], maximize=sgd.maximize)


def load(module: nn.Module, names: Mapping[str, str], values: Mapping[str, Array]) -> None:
    """Copy arrays into the module's parameters, bit for bit; no memory is shared with them."""
    state = module.state_dict()
    for name, value in values.items():
        if names.get(name, name) not in state:
            raise InputError(f"parameter {name}", f"one of the module's {', '.join(state)}", names.get(name, name))
        target = state[names.get(name, name)]
        if tuple(target.shape) != value.shape:
            raise InputError(f"parameter {name}", f"shape {tuple(target.shape)}", f"shape {value.shape}")
        if target.dtype != tensor(value[:0]).dtype:
            raise InputError(f"parameter {name} of the module", f"dtype {value.dtype}", f"dtype {target.dtype}")
        target.copy_(tensor(value))


def tensor(array: Array) -> Tensor:
    """A copy of the array on the CPU; torch.from_numpy alone would share its memory, and not every layout will do."""
    return torch.from_numpy(np.array(array, order="C"))


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
    module, names, criterion, optimizer = using or session(e)
    once, each = tensor_names(e)
    start = list(named(e.parameters))
    model = _with_sow(module)
    known = each if model is module else [n for n in each if n in ("y", "loss", "dy", *(f"d{name}" for name in start))]
    wanted = check_record(record, [*known, *start, *e.buffers])
    own = dict(module.named_parameters())
    weights = {name: own[names[name]] for name in start}
    x, t = tensor(e.x), tensor(e.t)
    constants = {"x": x.numpy().copy(), "t": t.numpy().copy()}

    def note_constant(name: str, value: Tensor) -> Tensor:
        constants[name] = value.numpy().copy()
        return value

    # a module may have an attribute of that name for itself, as torchvision's have
    features: Any = getattr(module, "features", None) if once else None
    x = x if features is None else features(x, note_constant)
    x_t, t_t = x, t
    size = size or min(segment_steps(e), max(e.steps, 1))  # memory for a step is memory that is touched
    gradients = _Gradients({f"d{name}": weight for name, weight in weights.items() if f"d{name}" in wanted}, size)
    watched = {name: name[1:] for name in wanted if name.startswith("d") and name[1:] in known}
    values = [name for name in each if name in wanted and name not in gradients.weights and name not in watched]
    states = {name: _States(weights[name], size) for name in weights if name in wanted}
    buffers = {name: _Buffers(optimizer, weights[name[1:]], size) for name in e.buffers if name in wanted}
    room: dict[str, Tensor] = {}  # one block of memory a tensor, for all segments: fresh memory is slow memory
    for first in range(0, e.steps, size) if e.steps else (0,):
        steps = min(size, e.steps - first)
        kept: list[_States | _Buffers] = [*states.values(), *buffers.values()]
        for state in kept:
            state.keep(0)
        record_of = _Record([*values, *gradients.weights], set(watched.values()))
        sow = record_of.sow
        for i in range(steps):
            if e.batches is not None:
                x_t, t_t = x[e.rows(first + i)], t[e.rows(first + i)]
            if not isinstance(e.sgd.lr, float):
                set_rate(optimizer, e.sgd.lr[first + i])
            optimizer.zero_grad()
            loss = criterion(model(x_t, sow), t_t)
            sow("loss", loss)
            check_in_graph("loss", loss)
            loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
            gradients.keep(record_of.rows, i)
            optimizer.step()
            for state in kept:
                state.keep(i + 1)
        rows = record_of.finished() | {name: record_of.gradients_of(of) for name, of in watched.items()}
        yield Trace(
            steps,
            constants,
            {name: state.kept(steps) for name, state in states.items()},
            {
                name: _stack(name, rows[name], room, size)
                if rows[name] or name not in gradients.large
                else gradients.kept(name, steps)
                for name in each
                if name in wanted and steps
            },
            first,
            {name: buffer.kept(steps) for name, buffer in buffers.items()},
        )


def train(experiment: Experiment, record: Sequence[str] | None = None, using: Session | None = None) -> Trace:
    """Train the torch mirror of the experiment.

    record: names of the tensors to keep, default all; parameters have steps + 1 entries.
    using: your own module, loss and optimizer in place of the mirror's.
    Raises UnknownNameError for a name in ``record`` that the run does not have, and InputError when
    the module has no such tensor or no gradient for it.
    """
    with gradients_on():
        return gather(experiment.steps, segments(experiment, record, using=using))


@contextmanager
def gradients_on() -> Iterator[None]:
    """Within it torch records gradients, whatever mode the caller is in."""
    with torch.inference_mode(mode=False), torch.enable_grad():
        yield


class _States:
    """A parameter after each step of a segment, in memory that all segments share."""

    def __init__(self, weight: Tensor, size: int) -> None:
        self.weight = weight.detach()  # the same memory, which the optimizer writes to
        self.room = torch.empty((size + 1, *weight.shape), dtype=weight.dtype, device=weight.device)
        self.slots = list(self.room.unbind())

    def keep(self, step: int) -> None:
        self.slots[step].copy_(self.weight)

    def kept(self, steps: int) -> Array:
        return self.room[: steps + 1].numpy()


class _Buffers:
    """A parameter's momentum buffer after each step of a segment; NaN where the optimizer has none."""

    def __init__(self, optimizer: torch.optim.Optimizer, weight: Tensor, size: int) -> None:
        self.state, self.weight = optimizer.state, weight
        self.room = torch.empty((size + 1, *weight.shape), dtype=weight.dtype, device=weight.device)

    def keep(self, step: int) -> None:
        buffer = self.state.get(self.weight, {}).get("momentum_buffer")
        self.room[step] = torch.nan if buffer is None else buffer

    def kept(self, steps: int) -> Array:
        return self.room[: steps + 1].numpy()


def _with_sow(module: nn.Module) -> Callable[..., Tensor]:
    """The module, or for one whose forward takes no ``sow`` a function that sows what it returns."""
    if takes_sow(module.forward):
        return module
    return lambda x, sow: sow("y", module(x))


def check_in_graph(name: str, value: Tensor) -> None:
    """Raise InputError for a value whose gradient torch cannot tell."""
    if not value.requires_grad:
        raise InputError(f"tensor {name}", "a value of torch that depends on the parameters", "one detached from them")


def set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of a schedule's next step, as torch.optim.lr_scheduler does."""
    for group in optimizer.param_groups:
        group["lr"] = lr


class _Gradients:
    """The parameters' gradients at each step, copied: whether somebody writes to one later is not known in time.

    Large ones are copied to memory that all segments share.
    """

    def __init__(self, weights: Mapping[str, Tensor], size: int) -> None:
        self.weights = weights
        self.large = {
            name: torch.empty((size, *weight.shape), dtype=weight.dtype, device=weight.device)
            for name, weight in weights.items()
            if weight.numel() >= LARGE
        }

    def keep(self, rows: Mapping[str, list[Any]], step: int) -> None:
        for name, weight in self.weights.items():
            gradient = weight.grad
            if gradient is not None and name in self.large:
                self.large[name][step].copy_(gradient)
            else:
                rows[name].append(None if gradient is None else gradient.clone())

    def kept(self, name: str, steps: int) -> Array:
        return self.large[name][:steps].numpy()


class _Record:
    """What a segment's steps leave: a row of tensors a name. ``retained``: those that are to keep their gradient."""

    def __init__(self, names: Sequence[str], retained: set[str]) -> None:
        self.rows: dict[str, list[Any]] = {name: [] for name in (*names, *retained)}
        self.versions: dict[str, list[int]] = {name: [] for name in self.rows}
        self.retained = retained

    def sow(self, name: str, value: Tensor) -> Tensor:
        row = self.rows.get(name)
        if row is not None:
            row.append(value)
            self.versions[name].append(value._version)  # noqa: SLF001 - as above
            if name in self.retained:
                check_in_graph(name, value)
                value.retain_grad()
        return value

    def gradients_of(self, name: str) -> list[Tensor | None]:
        return [value.grad for value in self.rows[name]]

    def finished(self) -> dict[str, list[Any]]:
        """The rows. Raises InputError if a tensor was written to after it was sown, as by nn.ReLU(inplace=True)."""
        for name, seen in self.versions.items():
            for value, version in zip(self.rows[name], seen, strict=False):
                if value._version != version:  # noqa: SLF001 - as above
                    raise InputError(f"tensor {name}", "a value that stays as it was sown", "one overwritten in place")
        return self.rows


def _stack(name: str, rows: Sequence[Tensor | None], room: dict[str, Tensor], size: int) -> Array:
    """One array from the tensors of all steps, along a new first axis; smaller batches are filled up with NaN."""
    if not rows:
        raise InputError(f"tensor {name}", "one value a step from the torch module", "none: is it sown?")
    if any(row is None for row in rows):
        raise InputError(f"tensor {name}", "a gradient from torch", "None: is it part of the graph?")
    tensors: list[Tensor] = rows  # type: ignore[assignment]  # the None are excluded above
    with torch.no_grad():
        if len(tensors) == 1:
            return tensors[0].detach()[None].numpy()
        shape = max(tuple(row.shape) for row in tensors[:2])  # one of two in a row is a whole batch's
        if name not in room:
            room[name] = torch.empty((size, *shape), dtype=tensors[0].dtype, device=tensors[0].device)
        out = room[name][: len(tensors)]
        try:
            return torch.stack(tensors, out=out).numpy()
        except RuntimeError:  # some are smaller
            out.fill_(torch.nan)
            for space, row in zip(out, tensors, strict=True):
                space[tuple(slice(n) for n in row.shape)] = row
            return out.numpy()
