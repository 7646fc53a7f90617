"""Faults in the torch program, planted by hooks, and judged by ``verify``.

A hook of a value or of a parameter hands torch's gradient over as an array, so that the same catalogue serves both
sides. The module, the loss and the optimizer stay the user's own objects; what is wrapped is how they are called.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reference.claim.experiment import Experiment
from reference.claim.slots import gradient_of
from reference.claim.tree import named
from reference.errors import InputError
from reference.experiments import rounded
from torch_mirror.doors.mirror_causes import causes_of_gradients
from torch_mirror.doors.selftest.backward import Using, elsewhere_of
from torch_mirror.doors.selftest.graded import graded, in_short
from torch_mirror.doors.selftest.planting import Planting, Target, differ, planting, tells
from torch_mirror.doors.selftest.told import Named, Trial
from torch_mirror.doors.selftest.wrongs import Wrong
from torch_mirror.doors.verify import verify
from torch_mirror.judge.verdict import NOT_ITS_OWN, Certificate
from torch_mirror.training.loop import train
from torch_mirror.training.places import Place, places
from torch_mirror.training.session import Session, module_takes_sow


def can_be_planted(e: Experiment, using: Using, target: Target) -> bool:
    """Whether the module tells the tensor: the gradient of a parameter always, a value if it sows."""
    return target.of in named(e.parameters) or target.tensor == "loss" or module_takes_sow(using(e).module)


def planted_in(e: Experiment, right: Session, target: Target, plant: Planting) -> Session:
    """The session with the mistake: at every step, from the first at which it can be made."""
    weights = places(right.module, right.names, named(e.parameters))
    if target.tensor == "loss":
        return right._replace(criterion=_loss(right.criterion, plant))
    if target.of in weights:
        _hook_parameter(weights, target, plant)
    if module_takes_sow(right.module):
        _hook_values(right, target, plant, weights)
    return right


def _array(g: Tensor) -> Any:
    return g.detach().numpy().copy()


def _hook_parameter(weights: dict[str, Place], target: Target, plant: Planting) -> None:
    place = weights[target.of]

    def change(g: Tensor) -> Tensor:
        own = _array(place.of(g))
        plant.note(target.of, _array(place.of(place.weight)))
        made = plant.change(target.tensor, own)
        plant.note(target.tensor, made)
        out = torch.empty_like(g)
        place.of(out).copy_(torch.from_numpy(np.array(made, order="C")))
        return out

    place.weight.register_hook(change)  # type: ignore[no-untyped-call]  # untyped in torch


def _hook_values(right: Session, target: Target, plant: Planting, weights: dict[str, Place]) -> None:
    """Each value passes through the mistake on its way to whoever records it; gradients are hooked on their values."""
    forward: Any = right.module.forward

    def on(name: str, value: Tensor) -> Tensor:
        if name == target.tensor:  # another value, through which gradients pass as if it were the right one
            own = _array(value)
            made = torch.from_numpy(np.array(plant.change(name, own), order="C"))
            if made.numpy().tobytes() != own.tobytes():
                value = _Another.apply(value, made)  # type: ignore[no-untyped-call]  # as above
        plant.note(name, _array(value))
        if value.requires_grad and target.of not in weights:
            value.register_hook(lambda g: at(name, g))  # type: ignore[no-untyped-call]  # as above
        return value

    def at(name: str, g: Tensor) -> Tensor:
        """Of every value, as some are what a mistake is made of."""
        gradient = target.tensor if name == target.of else f"d{name}"
        made = plant.change(gradient, _array(g))
        plant.note(gradient, made)
        return torch.from_numpy(np.array(made, order="C")) if name == target.of else g

    right.module.forward = lambda x, sow: forward(x, lambda name, value: sow(name, on(name, value)))


class _Another(torch.autograd.Function):
    """Other numbers in the place of a value, with the gradient of the right one."""

    @staticmethod
    def forward(_ctx: Any, value: Tensor, made: Tensor) -> Tensor:
        return made.clone() if made.shape == value.shape else value

    @staticmethod
    def backward(_ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        return g, None


def _loss(criterion: Callable[..., Tensor], plant: Planting) -> Callable[..., Tensor]:
    def wrong(y: Tensor, t: Tensor) -> Tensor:
        value = criterion(y, t)
        made = torch.from_numpy(np.asarray(plant.change("loss", _array(value))))
        result: Tensor = _Another.apply(value, made)  # type: ignore[no-untyped-call]  # as above
        return result

    return wrong


def trials(
    of: dict[str, Experiment], wrong: Wrong, target: Target, using: Using, rooms: Mapping[str, Mapping[str, float]]
) -> Iterator[Trial]:
    """The mistake in the mirror, in each dtype; its cause is looked for once, in float64: the formula is the same.

    rooms: of each dtype how much of each tensor it may round away
    """
    wide = rounded(next(iter(of.values())), "float64")
    named: tuple[Named, str] | None = None
    for dtype, e in of.items():
        started = time.perf_counter()
        plant = planting(wrong, target)

        def wrongly(e: Experiment, plant: Planting = plant) -> Session:
            return planted_in(e, using(e), target, plant)

        try:
            certificate = verify(e, using=wrongly, explain=False)
            row = _row(certificate, wrong, target, plant, rooms[dtype].get(target.tensor, 0.0))
            if row.changes and wrong.where not in ("value", "loss"):
                named = named or _named(wide, wrong, target, using)
                asked = named[1] or tells(wrong, plant.made)
                row = row._replace(named=named[0] if asked else "not asked", cause=named[1])
        except InputError as error:
            row = Trial("tensor", wrong.name, "torch", "", target.tensor, changes=True, said=f"refused: {error}")
        yield row._replace(dtype=dtype, seconds=time.perf_counter() - started)


def _named(e: Experiment, wrong: Wrong, target: Target, using: Using) -> tuple[Named, str]:
    """What is named as the cause, at the step that shows it, and whether it is so at other parameters, too."""

    def causes(e: Experiment) -> tuple[str, ...]:
        trace = train(e, using=planted_in(e, using(e), target, planting(wrong, target)))
        return causes_of_gradients(e, trace, wrong.steps - 1).causes

    found = causes(e)
    if not found and not (wrong.causes and _goes_on(e, wrong, target, using)):
        return "not asked", ""
    return graded(found, lambda: causes(elsewhere_of(e))), in_short(found)


def _goes_on(e: Experiment, wrong: Wrong, target: Target, using: Using) -> bool:
    """Whether the mistake makes the gradient of a parameter another one: else no cause is asked."""
    e = replace(e, steps=wrong.steps)
    own = [str(gradient_of(e.slots, name)) for name in named(e.parameters)]
    right = train(e, own, using=using(e)).tensors
    wrongs = train(e, own, using=planted_in(e, using(e), target, planting(wrong, target))).tensors
    return any(right[name].tobytes() != wrongs[name].tobytes() for name in own)


def _row(c: Certificate, wrong: Wrong, target: Target, plant: Planting, room: float) -> Trial:
    differs = differ(plant.made, room)
    first = "" if c.first is None else c.first.tensor
    said = "" if c.ruling is None else c.ruling.verdict
    forward = wrong.where in ("value", "loss")  # of two forwards neither is the right one: neither may be blamed
    fine = said not in ("the reference strays", "both stray", NOT_ITS_OWN) if forward else said == "the mirror strays"
    return Trial(
        "tensor", wrong.name, "torch", "", target.tensor, differs, c.verdict == "refuted", first == target.tensor,
        fine, where=first, said=said,
    )  # fmt: skip
