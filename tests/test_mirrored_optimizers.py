"""Which of torch's optimizers stands for which of the reference's; their steps: tests/reference/optimizers."""

from typing import Any

import pytest
import torch
from torch import nn

from reference.errors import InputError
from reference.optimizers.adagrad import Adagrad
from reference.optimizers.adam import Adam, AdamW
from reference.optimizers.clipping import ClippedByNorm, ClippedByValue
from reference.optimizers.groups import Groups
from reference.optimizers.rmsprop import RMSprop
from reference.optimizers.sgd import SGD
from torch_mirror.optimizers import optimizer_of, schedule_of, set_rates, states_of


def weights() -> dict[str, nn.Parameter]:
    return {name: nn.Parameter(torch.ones(2, 3)) for name in ("W1", "b1", "W2")}


def all_others(_name: str) -> bool:
    return True


OWN: list[tuple[Any, type, dict[str, Any], dict[str, str]]] = [
    (
        SGD(0.1, 0.9, 0.0, 0.2, nesterov=True), torch.optim.SGD,
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.2, "nesterov": True, "maximize": False},
        {"v": "momentum_buffer"},
    ),
    (SGD(0.1, maximize=True), torch.optim.SGD, {"lr": 0.1, "momentum": 0.0, "maximize": True}, {}),
    (
        Adam(0.1, (0.8, 0.9), 1e-3, 0.2, maximize=True), torch.optim.Adam,
        {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.2, "amsgrad": False, "maximize": True},
        {"m": "exp_avg", "v": "exp_avg_sq"},
    ),
    (
        AdamW((0.3, 0.2), amsgrad=True), torch.optim.AdamW, {"lr": 0.3, "weight_decay": 0.01, "amsgrad": True},
        {"m": "exp_avg", "v": "exp_avg_sq", "x": "max_exp_avg_sq"},
    ),
    (
        RMSprop(0.1, 0.9, 1e-3, 0.2, 0.5, centered=True), torch.optim.RMSprop,
        {"lr": 0.1, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.2, "momentum": 0.5, "centered": True},
        {"v": "square_avg", "m": "grad_avg", "b": "momentum_buffer"},
    ),
    (
        Adagrad(0.1, 0.2, 0.3, 0.4, 1e-3), torch.optim.Adagrad,
        {"lr": 0.1, "lr_decay": 0.2, "weight_decay": 0.3, "initial_accumulator_value": 0.4, "eps": 1e-3},
        {"s": "sum"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("optimizer", "kind", "options", "states"), OWN, ids=lambda x: type(x).__name__)
def test_torchs_own_class_has_the_options(
    optimizer: Any, kind: type, options: dict[str, Any], states: dict[str, str]
) -> None:
    named = weights()
    own = optimizer_of(optimizer, named)
    assert type(own) is kind
    (group,) = own.param_groups
    assert {name: group[name] for name in options} == options
    assert [id(w) for w in group["params"]] == [id(w) for w in named.values()]
    assert states_of(optimizer) == states
    assert own.defaults["lr"] == group["lr"]
    for w in named.values():
        w.grad = torch.ones_like(w)
    own.step()
    held = own.state[named["W1"]]
    assert set(states.values()) == {key for key, value in held.items() if torch.is_tensor(value) and value.ndim}


def test_groups_are_param_groups() -> None:
    named = weights()
    groups = Groups(((["b1"], AdamW(0.1, weight_decay=0.0)), (all_others, AdamW((0.2, 0.3)))))
    own = optimizer_of(groups, named)
    assert type(own) is torch.optim.AdamW
    assert [[id(w) for w in g["params"]] for g in own.param_groups] == [
        [id(named["b1"])], [id(named["W1"]), id(named["W2"])],
    ]  # fmt: skip
    assert [(g["lr"], g["weight_decay"]) for g in own.param_groups] == [(0.1, 0.0), (0.2, 0.01)]
    schedule = schedule_of(groups)
    assert schedule is not None
    assert schedule(1) == [0.1, 0.3]
    set_rates(own, schedule(1))
    assert [g["lr"] for g in own.param_groups] == [0.1, 0.3]
    set_rates(own, [0.5])
    assert schedule_of(AdamW(0.1)) is None
    assert [g["lr"] for g in own.param_groups] == [0.5, 0.5]
    assert states_of(Groups(((["b1"], RMSprop()), (all_others, RMSprop(momentum=0.5))))) == {
        "v": "square_avg", "b": "momentum_buffer",
    }  # fmt: skip


def by_norm(largest: float) -> Any:
    return lambda w: nn.utils.clip_grad_norm_(w, largest)


def by_value(largest: float) -> Any:
    return lambda w: nn.utils.clip_grad_value_(w, largest)


@pytest.mark.parametrize(
    ("around", "clips"),
    [
        (ClippedByValue(SGD(1.0), 0.25), [by_value(0.25)]),
        (ClippedByNorm(SGD(1.0), 1.0), [by_norm(1.0)]),
        (ClippedByNorm(ClippedByValue(SGD(1.0), 0.25), 1.0), [by_norm(1.0), by_value(0.25)]),
        (ClippedByValue(ClippedByNorm(SGD(1.0), 1.0), 0.25), [by_value(0.25), by_norm(1.0)]),
    ],
    ids=["by value", "by norm", "by norm around by value", "by value around by norm"],
)
def test_torch_clips_before_the_step_the_outer_one_first(around: Any, clips: list[Any]) -> None:
    named, by_hand = weights(), weights()
    for w in (*named.values(), *by_hand.values()):
        w.grad = torch.arange(6.0).reshape(2, 3) / 8
    optimizer_of(around, named).step()
    for clip in clips:
        clip(by_hand.values())
    torch.optim.SGD(by_hand.values(), 1.0).step()
    for name, w in named.items():
        assert torch.equal(w, by_hand[name])
    if len(clips) == 2:  # the other order is another step
        others = weights()
        for w in others.values():
            w.grad = torch.arange(6.0).reshape(2, 3) / 8
        for clip in reversed(clips):
            clip(others.values())
        torch.optim.SGD(others.values(), 1.0).step()
        assert not torch.equal(others["W1"], named["W1"])


def test_a_group_may_be_clipped_alone() -> None:
    named = weights()
    own = optimizer_of(Groups(((["b1"], ClippedByValue(SGD(1.0), 0.25)), (all_others, SGD(1.0)))), named)
    for w in named.values():
        w.grad = torch.ones_like(w)
    own.step()
    for name, expected in {"W1": 0.0, "b1": 0.75, "W2": 0.0}.items():
        assert torch.equal(named[name], torch.full((2, 3), expected))


class DoubledAdam(Adam):
    """A subclass with a step of its own."""

    def step(self, *args: Any) -> Any:
        return super().step(*args)


class OwnGroups(Groups):
    """The same of a wrapper."""


REFUSED: dict[str, tuple[Any, str]] = {
    "a subclass": (DoubledAdam(), "optimizer: expected one of SGD, Adam, .*got DoubledAdam"),
    "a subclass in a group": (Groups(((all_others, DoubledAdam()),)), "optimizer: .*got DoubledAdam"),
    "a subclass of Groups": (OwnGroups(((all_others, Adam()),)), "optimizer: .*got OwnGroups"),
    "nothing": (None, "optimizer: .*got NoneType"),
    "eps inside Adam's root": (Adam(eps_inside=True), "eps_inside: expected False, as torch.optim.Adam has no other"),
    "no bias correction": (AdamW(bias_correction=False), "bias_correction: expected True, as torch.optim.AdamW has"),
    "eps inside RMSprop's root": (RMSprop(eps_inside=True), "eps_inside: expected False, as torch.optim.RMSprop has"),
    "two kinds": (
        Groups(((["b1"], SGD(0.1)), (all_others, Adam()))),
        "parameter groups: expected optimizers of one kind.*got Adam, SGD",
    ),
    "Adam and AdamW": (Groups(((["b1"], AdamW()), (all_others, Adam()))), "of one kind.*got Adam, AdamW"),
    "two initial values": (
        Groups(((["b1"], Adagrad()), (all_others, Adagrad(initial_accumulator_value=0.5)))),
        "initial_accumulator_value of parameter groups: expected one for all",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_torch_does_not_have_is_refused(name: str) -> None:
    optimizer, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        optimizer_of(optimizer, weights())
