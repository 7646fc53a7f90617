"""A torch training loop that is not ours, recorded as it runs: hooks on the module and the optimizer, nothing else.

    with recording(module, optimizer, {"W1": "0.weight"}, values={"z": "0"}) as run:
        ...                                     # your loop, as it is
    certify(experiment, run.trace(experiment))  # the experiment says in NumPy what the loop should have done

A step of the run begins where ``optimizer.step()`` is called. Parameters and the optimizer's state are copied there,
before the step, and once more at the end of the block, so that whatever changes them in between is part of the update
that is judged: a clipping of weights by hand, say. Gradients are copied there too, as the optimizer sees them.

Values are those of the last forward pass before the step that torch records gradients of. Where a module is called
more than once in a step, as a shared layer or an accumulated gradient is, its value is not one, and is left out:
``certify`` judges what follows from it instead. The loss is known where the loop says it: ``run.loss(loss)``.

Source: torch.nn.Module.register_forward_hook, torch.optim.Optimizer.register_step_pre_hook,
torch.Tensor.register_hook (PyTorch documentation, 2.13).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from reference.arrays import Array
from reference.claim.experiment import Experiment, checked_experiment
from reference.claim.slots import gradient_of
from reference.claim.tree import named
from reference.errors import InputError, UnknownNameError
from reference.traces.trace import Trace, stack
from torch_mirror.optimizers import states_of
from torch_mirror.training.places import Place, check_module, places
from torch_mirror.training.session import state_keys

L = TypeVar("L")
Rows = dict[str, list[Array | None]]


@contextmanager
def recording(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    names: Mapping[str, str] | None = None,
    *,
    values: Mapping[str, str | None] | None = None,
    states: Mapping[str, str] | None = None,
) -> "Iterator[Recording]":
    """Record what a training loop does with this module and this optimizer inside the block.

    names:  reference parameter name to name in the module's state dict, ``0.weight``; ``0.weight.T`` where torch has it
            transposed. The module's own names by default
    values: of names among the reference's values the submodule whose output it is. The module's own output is ``y``;
            {"y": None} where it is not, as of a process that sees a part of the batch alone
    states: where torch keeps each part of the reference optimizer's state, {"m": "exp_avg"}; known for torch's own
            kinds of which there is a reference

    The loop, the module and the optimizer are not changed. Of a module that is wrapped (DistributedDataParallel) give
    the one inside. Raises InputError or UnknownNameError for what does not fit together.
    """
    if not isinstance(module, nn.Module):
        raise InputError("module", "a torch.nn.Module", type(module).__name__)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise InputError("optimizer", "a torch.optim.Optimizer", type(optimizer).__name__)
    check_module(module)
    own = {name: name for name, _ in module.named_parameters()} if names is None else dict(names)
    run = Recording(module, optimizer, own, states)
    with ExitStack() as hooks:
        for name, where in {"y": "", **(values or {})}.items():
            if where is None:
                continue
            handle = _submodule(module, name, where).register_forward_hook(run.keeper(name))
            hooks.callback(handle.remove)
        hooks.callback(optimizer.register_step_pre_hook(run.before_step).remove)
        try:
            yield run
        finally:
            run.finish()


class Recording:
    """What was recorded so far; ``trace`` makes a trace of it when the block has ended."""

    def __init__(
        self, module: nn.Module, optimizer: torch.optim.Optimizer, names: Mapping[str, str], states: Any
    ) -> None:
        self._module, self._optimizer, self._names, self._states = module, optimizer, names, states
        self._places = places(module, names, names)
        self._parameters: list[dict[str, Array]] = []
        self._kept: list[dict[str, dict[str, Array]]] = []  # the optimizer's, by parameter and torch's own key
        self._gradients: list[dict[str, Array]] = []
        self._values: list[dict[str, list[Array]]] = []
        self._of_values: list[dict[str, list[Array]]] = []
        self._losses: list[Array | None] = []
        self._since: tuple[dict[str, list[Array]], dict[str, list[Array]], list[Array]] = ({}, {}, [])
        self._ended = False

    @property
    def steps(self) -> int:
        """How many steps were recorded."""
        return len(self._gradients)

    def loss(self, loss: L) -> L:
        """Say, before ``optimizer.step()``, what the loss of this step is; it is returned as it is."""
        value = loss.detach().numpy().copy() if isinstance(loss, Tensor) else np.asarray(loss)
        if value.ndim:
            raise InputError("loss", "one number", f"shape {value.shape}")
        self._since[2].append(value)
        return loss

    # --- what torch calls -----------------------------------------------------------------------------

    def keeper(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        """A hook that copies an output, and its gradient when there is one."""

        def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if not (torch.is_grad_enabled() and isinstance(output, Tensor)):
                return  # an evaluation, or nothing to judge
            values, gradients, _ = self._since
            values.setdefault(name, []).append(_copy(output))
            if output.requires_grad:
                output.register_hook(lambda g: gradients.setdefault(name, []).append(_copy(g)))  # type: ignore[no-untyped-call]  # untyped in torch

        return keep

    def before_step(self, _optimizer: torch.optim.Optimizer, arguments: Any, options: Any) -> None:
        """A hook that copies what a step starts from. Raises InputError for a step with a closure."""
        if arguments[1:] or any(value is not None for value in options.values()):
            expected = "optimizer.step() without a closure: gradients are looked at before the step"
            raise InputError("recording", expected, "one with a closure")
        self._keep_state()
        self._gradients.append({name: _gradient(place) for name, place in self._places.items()})
        values, gradients, losses = self._since
        self._values.append(values)
        self._of_values.append(gradients)
        self._losses.append(losses[0] if len(losses) == 1 else None)
        self._since = ({}, {}, [])

    def _keep_state(self) -> None:
        self._parameters.append({name: place.of(_copy(place.weight)) for name, place in self._places.items()})
        self._kept.append({name: _state(self._optimizer, place) for name, place in self._places.items()})

    def finish(self) -> None:
        """Keep how the run ends."""
        self._keep_state()
        self._ended = True

    # --- the trace ------------------------------------------------------------------------------------

    def trace(self, experiment: Experiment) -> Trace:
        """The run as a trace of this experiment, whose data it takes.

        That the loop saw these data shows in its values and gradients, which are judged. Raises InputError inside the
        block, and where the experiment has what the recording has not.
        """
        e = checked_experiment(experiment)
        if not self._ended:
            raise InputError("trace", "to be asked for behind the block of the recording", "inside it")
        start = named(e.parameters)
        for name in start:
            if name not in self._names:
                raise UnknownNameError("parameter among the names of the recording:", name, self._names)
        states = states_of(e.optimizer) if self._states is None else self._states
        gradients = {str(gradient_of(e.slots, name)): [row[name] for row in self._gradients] for name in start}
        rows: Rows = {"loss": self._losses, **gradients}  # type: ignore[dict-item]  # a list of arrays is one of arrays and None
        for name in sorted({name for values in self._values for name in values} & e.slots.keys()):
            rows[name] = [_one(values.get(name)) for values in self._values]
            rows[str(gradient_of(e.slots, name))] = [_one(values.get(name)) for values in self._of_values]
        known = {name: slot.shape for name, slot in e.slots.items()}
        whole = {name: some for name, some in rows.items() if name in known and all(a is not None for a in some)}
        return Trace(
            self.steps,
            {name: a.copy() for name, a in e.named_data.items()},
            {name: np.stack([row[name] for row in self._parameters]) for name in start},
            {name: _stacked(name, some, known[name]) for name, some in whole.items() if some},
            0,
            {name: self._state_of(of, key, a) for name, (of, key), a in _states(e, states)},
        )

    def _state_of(self, of: str, key: str, before: Array) -> Array:
        """One tensor of the optimizer's state, (steps + 1, ...): torch makes it at its first step only."""
        place, lacks = self._places[of], np.full_like(before, np.nan)
        found = [row[of].get(key) for row in self._kept]
        first = next((i for i, a in enumerate(found) if a is not None), len(found))
        given = [np.asarray(before) if i < first else lacks if a is None else a for i, a in enumerate(found)]
        return np.stack([place.of(a) if i >= first and a.ndim else a for i, a in enumerate(given)])


def _states(e: Experiment, states: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, str], Array]]:
    """Of each tensor of the optimizer's state its name, where torch keeps it, and what it is at the start."""
    at_start = named(e.optimizer.init(e.parameters))
    return ((name, where, at_start[name]) for name, where in state_keys(e, states).items())


def _submodule(module: nn.Module, name: str, where: object) -> nn.Module:
    try:
        return module.get_submodule(where)  # type: ignore[arg-type]  # what is no text raises, too
    except (AttributeError, TypeError) as error:
        raise InputError(f"value {name}", "the name of a submodule, as module.named_modules() has it", where) from error


def _copy(value: Tensor) -> Array:
    copied: Array = value.detach().to_dense().numpy().copy() if value.is_sparse else value.detach().numpy().copy()
    return copied


def _gradient(place: Place) -> Array:
    """0 where torch has None, as the loss does not depend on the parameter."""
    weight = place.weight
    seen: Array = place.of(_copy(torch.zeros_like(weight) if weight.grad is None else weight.grad))
    return seen


def _state(optimizer: torch.optim.Optimizer, place: Place) -> dict[str, Array]:
    """What the optimizer keeps of one parameter, by its own keys."""
    kept = optimizer.state.get(place.weight, {})
    return {key: _copy(value) for key, value in kept.items() if isinstance(value, Tensor)}


def _one(values: list[Array] | None) -> Array | None:
    """The value, where there is one alone."""
    return values[0] if values is not None and len(values) == 1 else None


def _stacked(name: str, rows: list[Array | None], shape: tuple[int, ...]) -> Array:
    """(steps, ...): a smaller batch's is filled up."""
    own: list[Array] = rows  # type: ignore[assignment]  # none is missing, as was just seen
    if own[0].shape != shape:  # the first batch is a whole one
        expected = f"shape {shape}, as the experiment has it"
        raise InputError(f"{name} of the recording", expected, f"shape {own[0].shape}")
    return stack(own, np.empty((len(own), *shape), own[0].dtype))
