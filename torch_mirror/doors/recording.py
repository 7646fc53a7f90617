"""A torch training loop that is not ours, recorded as it runs: hooks on the module and the optimizer, nothing else.

    with recording(module, optimizer, {"W1": "0.weight"}, values={"z": "0"}) as run:
        ...                                     # your loop, as it is
    certify(experiment, run.trace(experiment))  # the experiment says in NumPy what the loop should have done

A step of the run begins where ``optimizer.step()`` is called. Parameters and the optimizer's state are copied there,
before the step, and once more at the end of the block, so that whatever changes them in between is part of the update
that is judged: a clipping of weights by hand, say.

Gradients are copied where ``backward()`` ends, and once more where the step takes them. Where both are the same to the
last bit, these are the gradients of the step. Where they are not, as after ``clip_grad_norm_``, nobody but the loop's
author knows which of the two the experiment means: a clipping belongs to its update, a division by the number of
accumulated batches to its gradient. That gradient is left out of the trace, so that ``certify`` judges the update from
the values on, what changed the gradient included: this holds under either reading. So are the gradients of values, as
the loss itself may have been scaled for it. A loop that says ``run.gradients()`` where they are what the experiment
calls so has those of the parameters judged by themselves.

Values are those of the last forward pass before the step that torch records gradients of; those in half precision, as
under autocast, are left out, as no radii are known of them. Where a module is called
more than once in a step, as a shared layer or an accumulated gradient is, its value is not one, and is left out:
``certify`` judges what follows from it instead. The loss is known where the loop says it: ``run.loss(loss)``.

Source: torch.nn.Module.register_forward_hook, torch.optim.Optimizer.register_step_pre_hook,
torch.Tensor.register_hook (PyTorch documentation, 2.13).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from reference.arrays import Array
from reference.claim.experiment import Experiment, checked_experiment
from reference.claim.slots import gradient_of
from reference.claim.tree import named
from reference.errors import InputError, UnknownNameError
from reference.traces.trace import Trace, stack
from torch_mirror.doors.left import Left, copy_of, gradient_of_weight
from torch_mirror.optimizers import states_of
from torch_mirror.training.places import Place, check_module, places
from torch_mirror.training.recording import HALF
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

    The loop, the module and the optimizer are not changed. Before ``optimizer.step()`` it may say ``run.loss(loss)``,
    and ``run.gradients()`` where the gradients are what the experiment calls so, before they are clipped. Of a module
    that is wrapped (DistributedDataParallel) give the one inside. Raises InputError or UnknownNameError for what does
    not fit together.
    """
    if not isinstance(module, nn.Module):
        raise InputError("module", "a torch.nn.Module", type(module).__name__)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise InputError("optimizer", "a torch.optim.Optimizer", type(optimizer).__name__)
    check_module(module)
    own = {name: name for name, _ in module.named_parameters()} if names is None else dict(names)
    run = Recording(module, optimizer, own, states)
    with ExitStack() as hooks:
        hooks.callback(run.look_away)
        for name, where in {"y": "", **(values or {})}.items():
            if where is None:
                continue
            handle = _submodule(module, name, where).register_forward_hook(run.keeper(name))
            hooks.callback(handle.remove)
        hooks.callback(optimizer.register_step_pre_hook(run.before_step).remove)
        hooks.callback(module.register_forward_pre_hook(run.before_forward).remove)
        try:
            yield run
        finally:
            run.finish()


@dataclass
class _Seen:
    """What was seen since the last step: outputs by name, the gradients by them, and what was said to be the loss."""

    values: dict[str, list[Array]] = field(default_factory=dict)
    gradients: dict[str, list[Array]] = field(default_factory=dict)
    losses: list[Array | None] = field(default_factory=list)
    gradients_said: dict[str, Array] | None = None  # by parameter


class _Start(NamedTuple):
    """What a step starts from; kept: the optimizer's state, by parameter and torch's own key."""

    parameters: dict[str, Array]
    kept: dict[str, dict[str, Array]]


class _Step(NamedTuple):
    """What a step has: its gradients by parameter, None where it is not known, and what was seen before it.

    as_left: whether backward() left all of them so. Else those of values may be multiples of what the experiment has.
    """

    gradients: dict[str, Array | None]
    seen: _Seen
    as_left: bool


class Recording:
    """What was recorded so far; ``trace`` makes a trace of it when the block has ended."""

    def __init__(
        self, module: nn.Module, optimizer: torch.optim.Optimizer, names: Mapping[str, str], states: Any
    ) -> None:
        self._module, self._optimizer, self._names, self._states = module, optimizer, names, states
        self._starts: list[_Start] = []  # of each step, and behind the last one
        self._steps: list[_Step] = []
        self._since = _Seen()
        self._left = Left()
        self._ended = False
        for name, place in self._places().items():
            if place.weight.dtype in HALF:
                expected = "of float32 or float64, whose radii are known"
                raise InputError(f"parameter {name}", expected, place.weight.dtype)
        self._look()

    @property
    def steps(self) -> int:
        """How many steps were recorded."""
        return len(self._steps)

    def loss(self, loss: L) -> L:
        """Say, before ``optimizer.step()``, what the loss of this step is; it is returned as it is."""
        value = copy_of(loss) if isinstance(loss, Tensor) else np.asarray(loss)
        if value.ndim:
            raise InputError("loss", "one number", f"shape {value.shape}")
        self._since.losses.append(None if isinstance(loss, Tensor) and loss.dtype in HALF else value)
        return loss

    def gradients(self) -> None:
        """Say, before ``optimizer.step()``, that the parameters' gradients are now what the experiment calls so.

        Needed only where something changes them between ``backward()`` and the step, such as a clipping, and they are
        to be judged by themselves: say it before what belongs to the update, and behind what belongs to the gradient.
        """
        self._since.gradients_said = {name: _gradient(place) for name, place in self._places().items()}

    def _places(self) -> dict[str, Place]:
        """Where the parameters are now: a loop may put another one in the place of one."""
        return places(self._module, self._names, self._names)

    # --- what torch calls -----------------------------------------------------------------------------

    def keeper(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        """A hook that copies an output, and its gradient when there is one; of half precision neither is judged."""

        def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if not (torch.is_grad_enabled() and isinstance(output, Tensor)) or output.dtype in HALF:
                return  # an evaluation, or nothing to judge
            seen = self._since
            seen.values.setdefault(name, []).append(copy_of(output))
            if output.requires_grad:
                output.register_hook(lambda g: seen.gradients.setdefault(name, []).append(copy_of(g)))  # type: ignore[no-untyped-call]  # untyped in torch

        return keep

    def before_step(self, _optimizer: torch.optim.Optimizer, arguments: Any, options: Any) -> None:
        """A hook that copies what a step starts from. Raises InputError for a step with a closure."""
        if arguments[1:] or any(value is not None for value in options.values()):
            expected = "optimizer.step() without a closure: gradients are looked at before the step"
            raise InputError("recording", expected, "one with a closure")
        self._starts.append(self._start())
        self._steps.append(self._step())
        self._since = _Seen()
        self._left.forget()

    def _step(self) -> _Step:
        """The step that begins now: its gradients were said, or else it takes them as backward() left them."""
        at, said = self._places(), self._since.gradients_said
        taken = {name: self._left.is_taken(place.weight) for name, place in at.items()}
        known = {name: _gradient(place) if taken[name] else None for name, place in at.items()}
        return _Step(known if said is None else {**said}, self._since, all(taken.values()))

    def before_forward(self, _module: nn.Module, _inputs: Any) -> None:
        """A hook that looks at the parameters there are: a loop may have put one in the place of another."""
        self._look()

    def _look(self) -> None:
        self._left.look(place.weight for place in self._places().values())

    def look_away(self) -> None:
        """Remove the hooks on parameters."""
        self._left.remove()

    def _start(self) -> _Start:
        at = self._places()
        parameters = {name: place.of(copy_of(place.weight)) for name, place in at.items()}
        return _Start(parameters, {name: _state(self._optimizer, place) for name, place in at.items()})

    def finish(self) -> None:
        """Keep how the run ends."""
        self._starts.append(self._start())
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
        rows: Rows = {"loss": [_one(step.seen.losses) for step in self._steps]}
        rows |= {str(gradient_of(e.slots, name)): [step.gradients[name] for step in self._steps] for name in start}
        for name in sorted({name for step in self._steps for name in step.seen.values} & e.slots.keys()):
            rows[name] = [_one(step.seen.values.get(name, [])) for step in self._steps]
            gradients = (step.seen.gradients.get(name, []) if step.as_left else () for step in self._steps)
            rows[str(gradient_of(e.slots, name))] = [_one(some) for some in gradients]
        known = {name: slot.shape for name, slot in e.slots.items()}
        whole = {name: some for name, some in rows.items() if name in known and all(a is not None for a in some)}
        return Trace(
            self.steps,
            {name: a.copy() for name, a in e.named_data.items()},
            {name: np.stack([at.parameters[name] for at in self._starts]) for name in start},
            {name: _stacked(name, some, known[name]) for name, some in whole.items() if some},
            0,
            {name: self._state_of(of, key, a) for name, (of, key), a in _states(e, states)},
        )

    def _state_of(self, of: str, key: str, before: Array) -> Array:
        """One tensor of the optimizer's state, (steps + 1, ...); NaN where it has none.

        before: what it is before the first step, where torch makes it at the first step only.
        """
        view = self._places()[of].of if before.ndim else lambda a: a  # one number a parameter has no layout
        lacks = [before, *(np.full_like(before, np.nan) for _ in self._steps)]
        held = [start.kept[of].get(key) for start in self._starts]
        return np.stack([lack if a is None else view(a) for lack, a in zip(lacks, held, strict=True)])


def _states(e: Experiment, states: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, str], Array]]:
    """Of each tensor of the optimizer's state its name, where torch keeps it, and what it is at the start."""
    at_start = named(e.optimizer.init(e.parameters))
    return ((name, where, at_start[name]) for name, where in state_keys(e, states).items())


def _submodule(module: nn.Module, name: str, where: object) -> nn.Module:
    try:
        return module.get_submodule(where)  # type: ignore[arg-type]  # what is no text raises, too
    except (AttributeError, TypeError) as error:
        raise InputError(f"value {name}", "the name of a submodule, as module.named_modules() has it", where) from error


def _gradient(place: Place) -> Array:
    """In the reference's layout."""
    seen: Array = place.of(gradient_of_weight(place.weight))
    return seen


def _state(optimizer: torch.optim.Optimizer, place: Place) -> dict[str, Array]:
    """What the optimizer keeps of one parameter, by its own keys."""
    kept = optimizer.state.get(place.weight, {})
    return {key: copy_of(value) for key, value in kept.items() if isinstance(value, Tensor)}


def _one(values: Sequence[Array | None]) -> Array | None:
    """The value, where there is one alone."""
    return values[0] if len(values) == 1 else None


def _stacked(name: str, rows: list[Array | None], shape: tuple[int, ...]) -> Array:
    """(steps, ...): a smaller batch's is filled up."""
    own: list[Array] = rows  # type: ignore[assignment]  # none is missing, as was just seen
    if own[0].shape != shape:  # the first batch is a whole one
        expected = f"shape {shape}, as the experiment has it"
        raise InputError(f"{name} of the recording", expected, f"shape {own[0].shape}")
    return stack(own, np.empty((len(own), *shape), own[0].dtype))
