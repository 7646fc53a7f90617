"""Many networks at once: the real module under torch.vmap, as torch trains the members of an ensemble.

Small networks are all overhead: nearly all the time of a test goes into drawing a shape, building a module
and calling small operations. So torch trains all members in one loop: the module itself is called through
torch.func.functional_call on stacked parameters under torch.vmap, with the real criterion, and the real
optimizer steps on the stacked parameters, which is the same as one optimizer each where it is elementwise.

Source: torch.func (documentation: functional_call, vmap, "Model ensembling").
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from reference.arrays import Array
from reference.claim.ensemble import Ensemble
from reference.claim.tree import named, zip_with
from reference.errors import InputError
from reference.traces.trace import Trace
from torch_mirror.networks import keep
from torch_mirror.optimizers import schedule_of, set_rates
from torch_mirror.training import loop
from torch_mirror.training.places import Place, check_trained, places, tensor, tensors
from torch_mirror.training.session import Session, gradients_on, module_takes_sow, session, state_keys


def train(ensemble: Ensemble, using: Session | None = None) -> Trace:
    """Train all members of the ensemble in torch, at once.

    using: the module, loss and optimizer of one member, in place of the mirror's; none of them is changed.

    The trace has an axis of the members behind that of the steps: parameters and states of the optimizer
    (steps + 1, K, ...), ``loss`` (steps, K), the parameters' gradients (steps, K, ...); intermediate
    values are not among them, as they exist within vmap only. Raises InputError when the module has no
    such parameter, or no gradient for one, or cannot be batched.
    """
    e = ensemble
    with gradients_on():
        module, names, criterion, like, *_ = one = using or session(e.first)
        stacked = {name: nn.Parameter(tensor(a)) for name, a in named(e.parameters).items()}
        optimizer = _stacked_optimizer(e, one, like, stacked)
        at = places(module, names, stacked)
        check_trained(at.items())
        weights = {f"module.{_own(name, at[name])}": weight for name, weight in stacked.items()}
        data: Any = (tensors(e.x), *(() if e.t is None else (tensors(e.t),)))
        constants = {name: a.copy() for name, a in e.named_data.items()}
        features: Any = getattr(module, "features", None) if hasattr(e.first.network, "features") else None
        data = data if features is None else (_batched(lambda x: features(x, keep))(data[0]), *data[1:])
        sow = (keep,) if module_takes_sow(module) else ()
        descended = _Descended(module, criterion, sow)
        loss_of = _batched(lambda p, *seen: functional_call(descended, p, seen))
        keys = state_keys(e.first, one.states)
        before = named(e.first.optimizer.init(e.parameters))
        parameters = {name: _room(weight, e.steps + 1) for name, weight in stacked.items()}
        gradients = {name: _room(weight, e.steps) for name, weight in stacked.items()}
        states = {name: _room(stacked[of], e.steps + 1) for name, (of, _) in keys.items()}
        example = next(iter(stacked.values()))
        losses = example.new_empty((e.steps, e.members))
        ones = example.new_ones(e.members)  # dL/dL of every member
        for name, weight in stacked.items():
            parameters[name][0] = weight.detach()
        for name, room in states.items():
            room[0] = tensor(before[name])
        schedule = schedule_of(e.optimizer) if one.scheduled is like else None
        for s in range(e.steps):
            rows = e.first.rows(s)
            if schedule is not None:
                set_rates(optimizer, schedule(s))
            optimizer.zero_grad()
            some = None if e.batches is None else partial(e.batches.of, rows=rows, members=1)
            seen = data if some is None else (zip_with(lambda _, a, some=some: some(a), part) for part in data)
            loss = loss_of(weights, *seen)
            loss.backward(ones)  # type: ignore[no-untyped-call]  # untyped in torch
            losses[s] = loss.detach()
            for name, weight in stacked.items():
                if weight.grad is None:
                    raise InputError(f"tensor d{name}", "a gradient from torch", "None: is it part of the graph?")
                gradients[name][s] = weight.grad
            optimizer.step()
            for name, weight in stacked.items():
                parameters[name][s + 1] = weight.detach()
            for name, room in states.items():
                of, key = keys[name]
                value = optimizer.state.get(stacked[of], {}).get(key)
                room[s + 1] = torch.nan if value is None else value
        return Trace(
            e.steps,
            constants,
            _arrays(parameters),
            {"loss": losses.numpy(), **{f"d{name}": a for name, a in _arrays(gradients).items()}},
            states=_arrays(states),
        )


class _Descended(nn.Module):
    """A module and the loss of what it gives, in one: a penalty within the loss has a member's parameters, too."""

    def __init__(self, module: nn.Module, criterion: Callable[..., Tensor], sow: tuple[Any, ...]) -> None:
        super().__init__()
        self.module, self.criterion, self.sow = module, criterion, sow

    def forward(self, x: Any, *t: Any) -> Tensor:
        return loop.loss_of(self.criterion, self.module(x, *self.sow), *t)


def alone(e: Ensemble, one: Session) -> Trace:
    """The first member's run by ``torch_mirror.training.loop``, as an ensemble's of one."""
    wanted = [*named(e.parameters), *state_keys(e.first, one.states)]
    run = loop.train(e.first, ["loss", *(f"d{name}" for name in named(e.parameters)), *wanted], one)

    def of_one(group: Mapping[str, Array]) -> dict[str, Array]:
        return {name: a[:, None] for name, a in group.items()}

    constants = {name: run.constants[name][None] for name in e.first.named_data}
    return Trace(run.steps, constants, of_one(run.parameters), of_one(run.tensors), states=of_one(run.states))


def _stacked_optimizer(
    e: Ensemble, one: Session, like: torch.optim.Optimizer, stacked: Mapping[str, nn.Parameter]
) -> torch.optim.Optimizer:
    """Another optimizer of the same class, with the same groups and options, over the stacked parameters.

    Raises InputError where the reference's optimizer does not say that it updates each element by itself, as clipping
    by norm does not: it would take all members for one.
    """
    if not getattr(e.optimizer, "elementwise", False):
        expected = "one that updates each element by itself (elementwise)"
        raise InputError("optimizer of an ensemble", expected, type(e.optimizer).__name__)
    weights = places(one.module, one.names, stacked)
    groups = []
    for group in like.param_groups:
        own = [stacked[name] for name, place in weights.items() if any(place.weight is w for w in group["params"])]
        groups.append({**group, "params": own})  # an empty one too: the rate of a step is set by its place
    make: Callable[..., torch.optim.Optimizer] = type(like)
    taken = inspect.signature(make).parameters  # some read an option here and not from their groups, as Adagrad does
    return make(groups, **{name: value for name, value in like.defaults.items() if name in taken})


def _own(name: str, place: Place) -> str:
    """The module's name of a parameter. Raises InputError for another layout than torch's: an ensemble has none."""
    if place.layout:
        raise InputError(f"parameter {name} of an ensemble", "the layout of torch", f"{place.name}{place.layout}")
    return place.name


def _batched(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """torch.vmap, whose complaint about what it cannot batch is an InputError."""
    batched = vmap(function)

    def call(*arguments: Any) -> Tensor:
        try:
            result: Tensor = batched(*arguments)
        except InputError:
            raise
        except (RuntimeError, ValueError) as error:
            raise InputError("torch module", "one that torch.vmap can batch", str(error)) from error
        return result

    return call


def _room(like: Tensor, entries: int) -> Tensor:
    """Memory for a tensor at every step; NaN where nothing is written."""
    return like.new_full((entries, *like.shape), torch.nan)


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    return {name: a.numpy() for name, a in tensors.items()}
