"""What a torch training loop consists of: the mirror of an experiment, or what a user brings in its place."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from reference.arrays import Array, same
from reference.claim.experiment import Experiment, checked_experiment
from reference.claim.objective import takes_sow
from reference.claim.slots import names as names_of
from reference.claim.tree import named
from reference.errors import InputError
from torch_mirror.losses import criterion_of
from torch_mirror.networks import mirror_of
from torch_mirror.optimizers import optimizer_of, states_of
from torch_mirror.penalties import penalty_of
from torch_mirror.training.places import fitting, load, places
from torch_mirror.training.recording import HALF


class Session(NamedTuple):
    """A torch training loop; replace a part to train with your own.

    module: called as ``module(x, sow)``, or as ``module(x)`` if its forward takes no ``sow``: then only y, the
    loss and the gradients of y and of the parameters are known of it, and judged end to end;
    names: reference parameter name to name in the state dict, with ``.T`` behind it if torch has the transpose, and
    ``[:, None]`` or ``[None, :]`` if the reference has a column or row of torch's one axis;
    criterion: (y, t) to the loss; optimizer: over the module's parameters;
    states: where torch keeps each part of the reference optimizer's state, such as {"v": "momentum_buffer"};
    train_step: your own training step, (x, t) to the loss: it is called in place of the loop's own zero_grad, forward
    pass, criterion, backward pass and step, and module and optimizer are only looked at;
    scheduled: the optimizer whose learning rates the loop sets at each step, by the reference's schedule; one of your
    own sets its own, as torch.optim.lr_scheduler does.
    """

    module: nn.Module
    names: Mapping[str, str]
    criterion: Callable[..., Tensor]
    optimizer: torch.optim.Optimizer
    states: Mapping[str, str] = {}
    train_step: Callable[..., Any] | None = None
    scheduled: torch.optim.Optimizer | None = None


def session(
    experiment: Experiment,
    module: nn.Module | None = None,
    names: Mapping[str, str] | None = None,
    criterion: Callable[..., Tensor] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    states: Mapping[str, str] | None = None,
    train_step: Callable[..., Any] | None = None,
) -> Session:
    """The mirror of the experiment's network, its loss and its optimizer, at the experiment's start.

    module, names: your own module in the mirror's place, and the name in its state dict of each of the
    reference's parameters; its weights are set to the start. criterion, optimizer, states, train_step: your own as
    well, as in ``Session``; a function, which has its loss in it, needs a criterion or a train_step. Raises InputError
    where something is needed that torch does not have, or does not fit.
    """
    e = checked_experiment(experiment)
    if module is None:
        mirror = mirror_of(e.network)
        module, names = mirror.Module(e.network, torch_dtype(e)), mirror.parameters(e.network)
    start = named(e.parameters)
    names = names or {name: name for name in start}
    weights = {name: place.weight for name, place in load(module, names, start).items()}
    if criterion is None:
        criterion = _criterion(e, module, names) if train_step is None else _in_train_step
    if optimizer is not None:
        return Session(module, names, criterion, optimizer, states or {}, train_step)
    optimizer = optimizer_of(e.optimizer, _each_once(weights))
    others = [w for w in module.parameters() if not any(w is mapped for mapped in weights.values())]
    if others:  # trained all the same, as a loop over module.parameters() would; what is not mapped is told
        optimizer.add_param_group({"params": others})
    return Session(module, names, criterion, optimizer, states or states_of(e.optimizer), train_step, optimizer)


def _each_once(weights: Mapping[str, nn.Parameter]) -> dict[str, nn.Parameter]:
    """Of parameters that are one tensor of the module the first: torch would update that tensor once for each."""
    return {name: w for name, w in weights.items() if name == next(n for n, other in weights.items() if other is w)}


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


def _in_train_step(y: Tensor, _t: Any = None) -> Tensor:
    raise InputError("criterion", "one of its own beside the train_step that has it in it", f"y {tuple(y.shape)}")


def torch_dtype(experiment: Experiment) -> torch.dtype:
    """The precision of the run, as torch calls it."""
    return torch.from_numpy(np.empty(0, experiment.dtype)).dtype


def checked_session(using: object, experiment: Experiment) -> Session:
    """The session. Raises InputError for anything else, such as the None of a function that returns nothing.

    Also for a part of it that is not what it is to be, and for a module that does not fit the experiment.
    """
    if not isinstance(using, Session):
        raise InputError("using", "a function that returns a torch_mirror.Session", type(using).__name__)
    own = using.train_step is not None
    for what, part, kind, expected in (
        ("module", using.module, nn.Module, "a torch.nn.Module"),
        ("names", using.names, Mapping, "a dict from the reference's names to the module's"),
        ("optimizer", using.optimizer, torch.optim.Optimizer, "a torch.optim.Optimizer"),
        ("states", using.states, Mapping, "a dict, such as {'v': 'momentum_buffer'}"),
    ):
        if not isinstance(part, kind):
            raise InputError(f"{what} of the session", expected, repr(part))
    if own and not callable(using.train_step):
        raise InputError("train_step of the session", "a function (x, t) to the loss", repr(using.train_step))
    if not own and not callable(using.criterion):
        raise InputError("criterion of the session", "a function (y, t) to the loss", repr(using.criterion))
    if not own and _needs_a_closure(using.optimizer):
        expected = "one whose step takes no closure; for this one give a train_step of your own"
        raise InputError("optimizer of the session", expected, type(using.optimizer).__name__)
    if torch.is_autocast_enabled("cpu"):
        expected = "off around a run that is judged, as radii are those of float32 and float64"
        raise InputError("torch.autocast", expected, f"on, with {torch.get_autocast_dtype('cpu')}")
    fitting(using.module, using.names, named(experiment.parameters))
    return using


def module_takes_sow(module: nn.Module) -> bool:
    """True if the module's forward has a parameter ``sow``; of a wrapper around one module, if that one's has.

    A wrapper is one whose forward takes any arguments: torch.compile's, torch.nn.DataParallel.
    """
    if takes_sow(module.forward, by_name=True):
        return True
    children = list(module.children())
    return takes_sow(module.forward) and len(children) == 1 and module_takes_sow(children[0])


def session_by(using: Any, experiment: Experiment) -> Session:
    """What ``using`` makes of the experiment, checked.

    Raises InputError where it is no function, and where it writes to the experiment's arrays, which it is given as
    they are: they are put back.
    """
    if not callable(using):
        raise InputError("using", "a function that returns a torch_mirror.Session", type(using).__name__)
    given = {**experiment.named_data, **named(experiment.parameters)}
    copies = {name: a.copy() for name, a in given.items()}
    try:
        session = using(experiment)
    finally:
        written = [name for name, a in given.items() if not same(a, copies[name])]
        for name in written:
            given[name][...] = copies[name]
    if written:
        raise InputError("using", f"to leave {written[0]} of the experiment as it is", "one that writes to it: copy it")
    _check_memory(session, given)
    return checked_session(session, experiment)


def _check_memory(session: Any, given: Mapping[str, Array]) -> None:
    """Raise InputError where the module trains in the memory of the experiment's arrays, as torch.from_numpy has it."""
    module = getattr(session, "module", None)
    for weight in module.parameters() if isinstance(module, nn.Module) else ():
        if weight.device.type == "cpu" and weight.layout is torch.strided and weight.dtype not in HALF:
            own = weight.detach().numpy()
            for name, a in given.items():
                if np.may_share_memory(own, a):
                    expected = "a module with memory of its own: torch.tensor(a), or torch.from_numpy(a).clone()"
                    raise InputError("using", expected, f"one that shares that of {name}")


def _needs_a_closure(optimizer: torch.optim.Optimizer) -> bool:
    try:
        closure = inspect.signature(optimizer.step).parameters.get("closure")
    except (TypeError, ValueError):  # no signature is known
        return False
    return closure is not None and closure.default is closure.empty


def state_keys(e: Experiment, states: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Of each tensor of the optimizer's state: its parameter, and its key in torch's state of that parameter.

    Raises InputError where the session does not say where torch keeps a part of the state.
    """
    keys: dict[str, tuple[str, str]] = {}
    for name in names_of(e.slots, "state"):
        of = e.slots[name].of
        part = name if of is None else name.removesuffix(f".{of}")
        if of is None or part not in states:
            kind = type(e.optimizer).__name__
            if of is None:
                expected = "arrays like the parameters; what the step alone decides is of t: update(p, g, state, t)"
                raise InputError(f"state {name} of {kind}", expected, f"shape {e.slots[name].shape}")
            expected = f"where torch keeps {part} of {kind}: its key in optimizer.state[weight], such as 'exp_avg'"
            raise InputError("states of the session", expected, dict(states))
        keys[name] = of, states[part]
    return keys


@contextmanager
def gradients_on() -> Iterator[None]:
    """Within it torch records gradients, whatever mode the caller is in."""
    with torch.inference_mode(mode=False), torch.enable_grad():
        yield
