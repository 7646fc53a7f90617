"""Torch's own optimizers for those of the reference, and where torch keeps their state.

Nothing is imitated: the classes are torch.optim's, groups its ``param_groups``, and clipping is done by
torch.nn.utils, from a hook before the step. OPTIMIZERS is the one table: what torch has for each, and what the
strategies and the conformance suite draw of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import nn

from reference.errors import InputError
from reference.optimizers.clipping import ClippedByNorm, ClippedByValue
from reference.optimizers.groups import Groups
from reference.optimizers.schedule import rate
from torch_mirror.by_name import class_of, file_of

HOME = "reference.optimizers"
Weights = Mapping[str, nn.Parameter]
"""The module's parameters, by the reference's names."""


def optimizer_of(optimizer: Any, named_parameters: Weights) -> torch.optim.Optimizer:
    """Torch's optimizer with these options, over these parameters; of a schedule it has the first rate.

    Raises InputError for an optimizer that is none of the reference's own (a subclass is another one), for an option
    that torch does not offer, and for groups of several kinds.
    """
    groups = list(_groups(optimizer, named_parameters))
    kinds = {_row(own).torch(own) for own, _ in groups}
    if len(kinds) > 1:
        came = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise InputError("parameter groups", "optimizers of one kind, as a torch.optim.Optimizer is", came)
    (kind,) = kinds
    rows = [{"params": list(weights.values()), **_options(own)} for own, weights in groups]
    first = _options(groups[0][0])  # given to the class, which checks them: those of a group nobody does
    result = kind(rows, **first, **_of_all([own for own, _ in groups]))
    for clip in _clips(optimizer, named_parameters):
        result.register_step_pre_hook(clip)
    return result


def states_of(optimizer: Any) -> dict[str, str]:
    """The names of the optimizer's states, each with the key that it has in torch's: ``m`` to ``exp_avg``."""
    names: dict[str, str] = {}
    for own in _alone(optimizer):
        names |= _row(own).states(own)
    return names


def schedule_of(optimizer: Any) -> Callable[[int], list[float]] | None:
    """The learning rate of each parameter group at a step; None where no group has another one at another step."""
    own = list(_alone(optimizer))
    if not any(isinstance(getattr(one, "lr", None), Sequence) for one in own):
        return None
    return lambda step: [float(rate(one.lr, step)) for one in own]


def set_rates(optimizer: torch.optim.Optimizer, rates: Sequence[float]) -> None:
    """Set the learning rate of the next step, as torch.optim.lr_scheduler does: one a group."""
    for i, group in enumerate(optimizer.param_groups):
        group["lr"] = rates[min(i, len(rates) - 1)]


class Row(NamedTuple):
    """What torch has for one of the reference's optimizers, and what is drawn of its options."""

    torch: Callable[[Any], Callable[..., torch.optim.Optimizer]]
    options: tuple[str, ...]                    # that have the same name there
    states: Callable[[Any], dict[str, str]]
    drawn: Mapping[str, Sequence[Any]] = {}     # values of each option beside lr; any of them go together
    lacks: Mapping[str, bool] = {}              # options that torch does not offer, and the value that it stands for
    of_all: tuple[str, ...] = ()                # options of which torch has one for all groups


def _adam_states(adam: Any) -> dict[str, str]:
    return {"m": "exp_avg", "v": "exp_avg_sq"} | ({"x": "max_exp_avg_sq"} if adam.amsgrad else {})


def _rmsprop_states(rmsprop: Any) -> dict[str, str]:
    centered = {"m": "grad_avg"} if rmsprop.centered else {}
    return {"v": "square_avg"} | centered | ({"b": "momentum_buffer"} if rmsprop.momentum else {})


BETAS = (0.0, 0.5, 0.9, 0.99, 0.999)
EPSILONS = (1e-8, 1e-10, 2.0**-10)
DECAYS = (0.0, 2.0**-6, 0.01)
FLAG = (False, True)
"""Of both sorts: powers of two, by which a product is exact, and decimals, which are themselves rounded."""

OPTIMIZERS: Mapping[str, Row] = {
    "sgd": Row(
        lambda _: torch.optim.SGD,
        ("momentum", "dampening", "weight_decay", "nesterov", "maximize"),
        lambda sgd: {"v": "momentum_buffer"} if sgd.momentum else {},  # whose options ``strategies.sgds`` draws
    ),
    "adam": Row(
        lambda adam: torch.optim.AdamW if adam.decoupled else torch.optim.Adam,
        ("betas", "eps", "weight_decay", "amsgrad", "maximize"),
        _adam_states,
        {
            "betas": tuple(product(BETAS, BETAS)), "eps": EPSILONS, "weight_decay": DECAYS,
            "amsgrad": FLAG, "maximize": FLAG, "decoupled": FLAG,
        },
        {"eps_inside": False, "bias_correction": True},
    ),
    "rmsprop": Row(
        lambda _: torch.optim.RMSprop,
        ("alpha", "eps", "weight_decay", "momentum", "centered", "maximize"),
        _rmsprop_states,
        {
            "alpha": BETAS[1:], "eps": EPSILONS, "weight_decay": DECAYS, "momentum": (0.0, 0.5, 0.9),
            "centered": FLAG, "maximize": FLAG,
        },
        {"eps_inside": False},
    ),
    "adagrad": Row(
        lambda _: torch.optim.Adagrad,
        ("lr_decay", "weight_decay", "eps", "maximize"),
        lambda _: {"s": "sum"},
        {
            "lr_decay": DECAYS, "weight_decay": DECAYS, "initial_accumulator_value": (0.0, 0.5, 0.1),
            "eps": EPSILONS, "maximize": FLAG,
        },
        of_all=("initial_accumulator_value",),
    ),
}  # fmt: skip
"""By the file of the reference's optimizer, which has a class of its name."""

CLIPS: Mapping[type, Callable[..., Any]] = {
    ClippedByNorm: nn.utils.clip_grad_norm_,
    ClippedByValue: nn.utils.clip_grad_value_,
}


def _row(optimizer: Any) -> Row:
    file = file_of(HOME, type(optimizer))
    if file not in OPTIMIZERS:
        known = (*(class_of(HOME, file) for file in OPTIMIZERS), Groups, *CLIPS)
        expected = f"one of {', '.join(kind.__name__ for kind in known)}, or torch's beside your own"
        raise InputError("optimizer", expected, type(optimizer).__name__)
    return OPTIMIZERS[file]


def _options(optimizer: Any) -> dict[str, Any]:
    """The options of one parameter group. Raises InputError for what torch lacks."""
    row = _row(optimizer)
    for name, value in row.lacks.items():
        if getattr(optimizer, name) != value:
            of = row.torch(optimizer).__name__
            raise InputError(name, f"{value}, as torch.optim.{of} has no other", repr(getattr(optimizer, name)))
    lr = optimizer.lr
    first = next(iter(lr), 0.0) if isinstance(lr, Sequence) else lr
    return {"lr": first} | {name: getattr(optimizer, name) for name in row.options}


def _of_all(optimizers: Sequence[Any]) -> dict[str, Any]:
    """The options that torch has once. Raises InputError where the groups differ in one."""
    shared: dict[str, Any] = {}
    for name in _row(optimizers[0]).of_all:
        values = {getattr(own, name) for own in optimizers}
        if len(values) > 1:
            raise InputError(f"{name} of parameter groups", "one for all, as torch has", f"{sorted(values)}")
        (shared[name],) = values
    return shared


def _alone(optimizer: Any) -> Iterator[Any]:
    """The optimizer of each group, without what clips."""
    if type(optimizer) in CLIPS:
        yield from _alone(optimizer.optimizer)
    elif type(optimizer) is Groups:
        for _, own in optimizer.groups:
            yield from _alone(own)
    else:
        yield optimizer


def _groups(optimizer: Any, weights: Weights) -> Iterator[tuple[Any, Weights]]:
    """The optimizer of each group, in the order of ``_alone``, with the group's parameters."""
    if type(optimizer) in CLIPS:
        yield from _groups(optimizer.optimizer, weights)
    elif type(optimizer) is Groups:
        for own, part in _parts(optimizer, weights):
            yield from _groups(own, part)
    else:
        yield optimizer, weights


def _clips(optimizer: Any, weights: Weights) -> Iterator[Callable[..., None]]:
    """What clips, in the order in which it does: the outer one first."""
    if type(optimizer) in CLIPS:
        clip, parameters, largest = CLIPS[type(optimizer)], list(weights.values()), optimizer.largest

        def before_the_step(*_: Any) -> None:
            clip(parameters, largest)

        yield before_the_step
        yield from _clips(optimizer.optimizer, weights)
    elif type(optimizer) is Groups:
        for own, part in _parts(optimizer, weights):
            yield from _clips(own, part)


def _parts(groups: Groups, weights: Weights) -> Iterator[tuple[Any, Weights]]:
    for (_, own), names in zip(groups.groups, groups.parts(weights), strict=True):
        yield own, {name: weights[name] for name in names}
