"""The torch producer of traces: nn.Module, nn.MSELoss and torch.optim.SGD, nothing imitated.

Torch runs free from the experiment's start: it is never set back to the reference's state, so that
stale gradients and optimizer state show. What is recorded costs as little as it can: every forward
pass makes new tensors and zero_grad drops the gradients, so a reference to them is enough; only the
parameters, which the optimizer overwrites, are copied.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from reference.arrays import Array
from reference.errors import InputError
from reference.experiment import Experiment
from reference.parameters import named
from reference.trace import Trace, check_record, concatenate
from reference.training import segment_steps, tensor_names
from torch_mirror.networks import mirror_of


class Session(NamedTuple):
    """What a torch training loop consists of; replace a part to train with your own.

    module: called as ``module(x, sow)``; names: reference parameter name to name in the state dict;
    criterion: (y, t) to the loss; optimizer: over the module's parameters.
    """

    module: nn.Module
    names: Mapping[str, str]
    criterion: Callable[[Tensor, Tensor], Tensor]
    optimizer: torch.optim.Optimizer


def session(experiment: Experiment) -> Session:
    """The mirror of the experiment's network, its loss and its optimizer, at the experiment's start."""
    e = experiment
    mirror = mirror_of(e.network)
    module = mirror.Module(e.network, torch.from_numpy(e.x[:0]).dtype)
    names = mirror.parameters(e.network)
    load(module, names, named(e.parameters))
    squared_error = nn.MSELoss(reduction=e.loss.reduction)
    scale = e.loss.scale
    criterion = squared_error if scale == 1 else lambda y, t: scale * squared_error(y, t)
    return Session(module, names, criterion, torch.optim.SGD(module.parameters(), lr=e.sgd.lr))


def load(module: nn.Module, names: Mapping[str, str], values: Mapping[str, Array]) -> None:
    """Copy arrays into the module's parameters, bit for bit; no memory is shared with them."""
    state = module.state_dict()
    for name, value in values.items():
        target = state[names[name]]
        if tuple(target.shape) != value.shape:
            raise InputError(f"parameter {name}", f"shape {tuple(target.shape)}", f"shape {value.shape}")
        target.copy_(torch.from_numpy(value))


def segments(
    experiment: Experiment,
    record: Sequence[str] | None = None,
    size: int | None = None,
    using: Session | None = None,
) -> Iterator[Trace]:
    """Train, and hand out the trace in segments of ``size`` steps: see ``train``."""
    e = experiment
    module, names, criterion, optimizer = using or session(e)
    _, each = tensor_names(e)
    start = list(named(e.parameters))
    wanted = check_record(record, [*each, *start])
    own = dict(module.named_parameters())
    weights = {name: own[names[name]] for name in start}
    copied = {name: weight for name, weight in weights.items() if name in wanted}
    x, t = torch.tensor(e.x), torch.tensor(e.t)  # torch.tensor copies, torch.from_numpy would share
    constants = {"x": x.numpy().copy(), "t": t.numpy().copy()}

    def note_constant(name: str, value: Tensor) -> Tensor:
        constants[name] = value.numpy().copy()
        return value

    features: Any = getattr(module, "features", None)
    x = x if features is None else features(x, note_constant)
    size = size or segment_steps(e)
    values = [name for name in each if name in wanted and not (name.startswith("d") and name[1:] in [*each, *start])]
    watched = {name[1:] for name in wanted if name.startswith("d") and name[1:] in each}
    for first in range(0, e.steps, size) if e.steps else (0,):
        steps = min(size, e.steps - first)
        rows: dict[str, list[Tensor]] = {name: [] for name in {*values, *watched} if name != "loss"}
        losses: list[Tensor] = []
        grads: dict[str, list[Any]] = {name: [] for name in start if f"d{name}" in wanted}
        states = {name: [weight.detach().clone()] for name, weight in copied.items()}

        def sow(name: str, value: Tensor, rows: dict[str, list[Tensor]] = rows) -> Tensor:
            if name in rows:
                rows[name].append(value)
                if name in watched:
                    value.retain_grad()
            return value

        for _ in range(steps):
            optimizer.zero_grad()
            loss = criterion(module(x, sow), t)
            losses.append(loss)
            loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
            for name, row in grads.items():
                row.append(weights[name].grad)
            optimizer.step()
            for name, weight in copied.items():
                states[name].append(weight.detach().clone())
        stacked = {name: stack(name, rows[name] if name != "loss" else losses) for name in values} if steps else {}
        if steps:
            stacked |= {f"d{name}": stack(f"d{name}", [v.grad for v in rows[name]]) for name in watched}
            stacked |= {f"d{name}": stack(f"d{name}", row) for name, row in grads.items()}
        yield Trace(
            steps,
            constants,
            {name: stack(name, row) for name, row in states.items()},
            {name: stacked[name] for name in each if name in stacked},
            first,
        )


def train(experiment: Experiment, record: Sequence[str] | None = None, using: Session | None = None) -> Trace:
    """Train the torch mirror of the experiment.

    record: names of the tensors to keep, default all; parameters have steps + 1 entries.
    using: your own module, loss and optimizer in place of the mirror's.
    Raises UnknownNameError for a name in ``record`` that the run does not have, and InputError when
    the module has no such tensor or no gradient for it.
    """
    return concatenate(list(segments(experiment, record, using=using)))


def stack(name: str, rows: Sequence[Tensor | None]) -> Array:
    """One array from the tensors of all steps, along a new first axis."""
    if not rows:
        raise InputError(f"tensor {name}", "one value a step from the torch module", "none: is it sown?")
    if any(row is None for row in rows):
        raise InputError(f"tensor {name}", "a gradient from torch", "None: is it part of the graph?")
    with torch.no_grad():
        return torch.stack(rows).numpy()  # type: ignore[arg-type]  # the None are excluded above
