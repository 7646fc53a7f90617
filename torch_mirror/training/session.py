"""What a torch training loop consists of: the mirror of an experiment, or what a user brings in its place."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.slots import names as names_of
from reference.claim.tree import named, zip_with
from reference.errors import InputError
from torch_mirror.losses import criterion_of
from torch_mirror.networks import mirror_of
from torch_mirror.optimizers import optimizer_of, states_of
from torch_mirror.penalties import penalty_of

TRANSPOSED = ".T"
"""Behind a name in a state dict: the reference's parameter is the transpose of that one."""


class Session(NamedTuple):
    """A torch training loop; replace a part to train with your own.

    module: called as ``module(x, sow)``, or as ``module(x)`` if its forward takes no ``sow``: then only y, the
    loss and the gradients of y and of the parameters are known of it, and judged end to end;
    names: reference parameter name to name in the state dict, with ``.T`` behind it if torch has the transpose;
    criterion: (y, t) to the loss; optimizer: over the module's parameters;
    states: where torch keeps each part of the reference optimizer's state, such as {"v": "momentum_buffer"};
    train_step: your own training step, (x, t) to the loss: it is called in place of the loop's own zero_grad, forward
    pass, criterion, backward pass and step, and module and optimizer are only looked at.
    """

    module: nn.Module
    names: Mapping[str, str]
    criterion: Callable[..., Tensor]
    optimizer: torch.optim.Optimizer
    states: Mapping[str, str] = {}
    train_step: Callable[..., Any] | None = None


def session(
    experiment: Experiment,
    module: nn.Module | None = None,
    names: Mapping[str, str] | None = None,
    criterion: Callable[..., Tensor] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    states: Mapping[str, str] | None = None,
) -> Session:
    """The mirror of the experiment's network, its loss and its optimizer, at the experiment's start.

    module, names: your own module in the mirror's place, and the name in its state dict of each of the
    reference's parameters; its weights are set to the start. criterion, optimizer, states: your own as well, as in
    ``Session``; a function, which has its loss in it, needs a criterion. Raises InputError where something is needed
    that torch does not have, or does not fit.
    """
    e = experiment
    if module is None:
        mirror = mirror_of(e.network)
        module, names = mirror.Module(e.network, torch_dtype(e)), mirror.parameters(e.network)
    start = named(e.parameters)
    names = names or {name: name for name in start}
    load(module, names, start)
    weights = {name: place.weight for name, place in places(module, names, start).items()}
    criterion = criterion or _criterion(e, module, names)
    if optimizer is not None:
        return Session(module, names, criterion, optimizer, states or {})
    optimizer = optimizer_of(e.optimizer, weights)
    others = [w for w in module.parameters() if not any(w is mapped for mapped in weights.values())]
    if others:  # trained all the same, as a loop over module.parameters() would; what is not mapped is told
        optimizer.add_param_group({"params": others})
    return Session(module, names, criterion, optimizer, states or states_of(e.optimizer))


def _criterion(e: Experiment, module: nn.Module, names: Mapping[str, str]) -> Callable[..., Tensor]:
    if e.loss is None:
        expected = "one of your own for a function, which has its loss in it: session(e, module, names, criterion)"
        raise InputError("criterion", expected, "none")
    criterion = criterion_of(e.loss)
    if e.penalty is None:
        return criterion

    def penalised(y: Tensor, t: Tensor) -> Tensor:
        """The weights are asked for each time: in an ensemble the module has those of a member."""
        weights = {name: place.weight for name, place in places(module, names, names).items()}
        return criterion(y, t) + penalty_of(e.penalty, weights)()

    return penalised


def torch_dtype(experiment: Experiment) -> torch.dtype:
    """The precision of the run, as torch calls it."""
    return torch.from_numpy(np.empty(0, experiment.dtype)).dtype


class Place(NamedTuple):
    """Where a reference parameter is in the module."""

    weight: nn.Parameter
    transposed: bool

    def of(self, value: Tensor) -> Tensor:
        """A tensor of the module's shape as the reference has it."""
        return value.mT if self.transposed else value


def places(module: nn.Module, names: Mapping[str, str], wanted: Mapping[str, Any]) -> dict[str, Place]:
    """The module's parameter for each of the reference's. Raises InputError for a name that it does not have."""
    own = dict(module.named_parameters())
    found: dict[str, Place] = {}
    for name in wanted:
        told = names.get(name, name)
        where = told.removesuffix(TRANSPOSED)
        if where not in own:
            raise InputError(f"parameter {name}", f"one of the module's {', '.join(own)}", told)
        found[name] = Place(own[where], told != where)
    return found


def load(module: nn.Module, names: Mapping[str, str], values: Mapping[str, Array]) -> None:
    """Copy arrays into the module's parameters, bit for bit; no memory is shared with them.

    Raises InputError for another shape or dtype; nothing is transposed unless its name says so with ``.T``.
    """
    for name, place in places(module, names, values).items():
        value, target = values[name], place.weight
        shape = tuple(place.of(target).shape) if target.ndim > 1 else tuple(target.shape)
        if shape != value.shape:
            hint = "" if value.shape[::-1] != shape else f" (is it {names.get(name, name)}{TRANSPOSED}?)"
            raise InputError(f"parameter {name}", f"shape {shape}", f"shape {value.shape}{hint}")
        if target.dtype != tensor(value[:0]).dtype:
            raise InputError(f"parameter {name} of the module", f"dtype {value.dtype}", f"dtype {target.dtype}")
        with torch.no_grad():
            place.of(target).copy_(tensor(value))


def unmapped(using: Session) -> tuple[str, ...]:
    """What the module has and no name maps, in words: it is not judged."""
    known = {name.removesuffix(TRANSPOSED) for name in using.names.values()}
    parameters = [name for name, _ in using.module.named_parameters() if name not in known]
    buffers = [name for name, _ in using.module.named_buffers()]
    words = []
    if parameters:
        words.append(f"not judged: parameters of the module that no name maps: {', '.join(parameters)}")
    if buffers:
        words.append(f"not judged: buffers of the module: {', '.join(buffers)}")
    return tuple(words)


def state_keys(e: Experiment, using: Session) -> dict[str, tuple[str, str]]:
    """Of each tensor of the optimizer's state: its parameter, and its key in torch's state of that parameter.

    Raises InputError where the session does not say where torch keeps a part of the state.
    """
    keys: dict[str, tuple[str, str]] = {}
    for name in names_of(e.slots, "state"):
        of = e.slots[name].of
        part = name if of is None else name.removesuffix(f".{of}")
        if of is None or part not in using.states:
            kind = type(e.optimizer).__name__
            expected = f"where torch keeps {part} of {kind}, as in {{{part!r}: 'momentum_buffer'}}"
            raise InputError("states of the session", expected, dict(using.states))
        keys[name] = of, using.states[part]
    return keys


def tensor(array: Array) -> Tensor:
    """A copy of the array on the CPU; torch.from_numpy alone would share its memory, and not every layout will do.

    Whole numbers become int64, as torch wants its labels and indices.
    """
    dtype = np.int64 if array.dtype.kind in "iu" else array.dtype
    return torch.from_numpy(np.array(array, dtype, order="C"))


def tensors(tree: Any) -> Any:
    """A tree of arrays as one of tensors."""
    return zip_with(lambda _, a: tensor(a), tree)


@contextmanager
def gradients_on() -> Iterator[None]:
    """Within it torch records gradients, whatever mode the caller is in."""
    with torch.inference_mode(mode=False), torch.enable_grad():
        yield
