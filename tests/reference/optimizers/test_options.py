"""What optimizers refuse, as torch does, and what their options become."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reference.errors import InputError
from reference.optimizers.adagrad import Adagrad
from reference.optimizers.adam import Adam, AdamW
from reference.optimizers.clipping import ClippedByNorm, ClippedByValue
from reference.optimizers.groups import Groups
from reference.optimizers.rmsprop import RMSprop
from reference.optimizers.schedule import at, beside, rate
from torch_mirror.optimizers import optimizer_of

NAN, TEXT = float("nan"), "0.1"
AS_TORCH: dict[str, tuple[Any, str]] = {
    "Adam's rate": (Adam(-0.1), "learning rate: expected 0 or more, as torch.optim.Adam does, got -0.1"),
    "AdamW's rate": (AdamW(-0.1), "learning rate: .*torch.optim.AdamW does, got -0.1"),
    "beta1 of 1": (Adam(betas=(1.0, 0.9)), "beta1: expected 0 or more and below 1, as torch.optim.Adam does, got 1.0"),
    "beta2 below 0": (Adam(betas=(0.9, -0.1)), "beta2: .*got -0.1"),
    "Adam's eps": (Adam(eps=-1e-8), "eps: .*got -1e-08"),
    "Adam's decay": (Adam(weight_decay=-1.0), "weight decay: .*got -1.0"),
    "RMSprop's rate": (RMSprop(-0.1), "learning rate: .*torch.optim.RMSprop does, got -0.1"),
    "alpha": (RMSprop(alpha=-0.1), "alpha: .*got -0.1"),
    "momentum": (RMSprop(momentum=-0.1), "momentum: .*got -0.1"),
    "RMSprop's eps": (RMSprop(eps=-1.0), "eps: .*got -1.0"),
    "RMSprop's decay": (RMSprop(weight_decay=-1.0), "weight decay: .*got -1.0"),
    "Adagrad's rate": (Adagrad(-0.1), "learning rate: .*torch.optim.Adagrad does, got -0.1"),
    "lr_decay": (Adagrad(lr_decay=-0.1), "lr decay: .*got -0.1"),
    "initial value": (Adagrad(initial_accumulator_value=-0.1), "initial accumulator value: .*got -0.1"),
    "Adagrad's decay": (Adagrad(weight_decay=-1.0), "weight decay: .*got -1.0"),
    "Adagrad's eps": (Adagrad(eps=-1.0), "eps: .*got -1.0"),
    "within a group": (Groups(((str.isalpha, Adam(-1.0)), (str.isalnum, Adam()))), "learning rate: .*got -1.0"),
    "within a clipping": (ClippedByNorm(Adam(eps=-1.0), 1.0), "eps: .*got -1.0"),
}  # fmt: skip
OURS: dict[str, tuple[Any, str]] = {
    "a schedule that is short": (Adam((0.1,) * 4), "learning rate: expected one for each of 5 steps, got 4 of them"),
    "a rate of text": (Adam(TEXT), "learning rate: expected a finite number, got '0.1'"),
    "a rate that is NaN": (RMSprop(NAN), "learning rate: expected a finite number, got nan"),
    "a rate beyond all floats": (Adagrad(10**400), "learning rate: expected a finite number, got 1000"),
    "a bad rate in a schedule": (RMSprop((0.1,) * 4 + (NAN,)), "learning rate: expected a finite number, got nan"),
    "one beta": (Adam(betas=0.9), "betas: expected two numbers, got 0.9"),  # type: ignore[arg-type]  # on purpose
    "three betas": (Adam(betas=(0.9, 0.9, 0.9)), "betas: expected two numbers"),  # type: ignore[arg-type]  # on purpose
    "beta of bool": (Adam(betas=(True, 0.9)), "beta1: expected a finite number, got True"),
    "amsgrad of a number": (Adam(amsgrad=1), "amsgrad: expected True or False, got 1"),  # type: ignore[arg-type]  # on purpose
    "centered of text": (RMSprop(centered="no"), "centered: expected True or False, got 'no'"),  # type: ignore[arg-type]  # on purpose
    "a norm below 0": (ClippedByNorm(Adam(), -1.0), "largest gradient: expected 0 or more, got -1.0"),
    "a value that is NaN": (ClippedByValue(Adam(), NAN), "largest gradient: expected a finite number, got nan"),
    "no group": (Groups(()), "parameter groups: expected at least one, got none"),
}  # fmt: skip


@pytest.mark.parametrize("name", [*AS_TORCH, *OURS])
def test_what_does_not_fit_is_named(name: str) -> None:
    optimizer, message = (AS_TORCH | OURS)[name]
    with pytest.raises(InputError, match=message):
        optimizer.checked(5)


@pytest.mark.parametrize("name", AS_TORCH)
def test_torch_refuses_it_too(name: str) -> None:
    with pytest.raises(ValueError, match="Invalid"):
        optimizer_of(AS_TORCH[name][0], {"W1": nn.Parameter(torch.zeros(2)), "b": nn.Parameter(torch.zeros(2))})


FLOATS = Adam(np.float64(0.1), (np.float32(0.5), np.float64(0.25)), 1, np.float32(0.5), np.bool_(True))  # type: ignore[arg-type]  # on purpose
CHECKED: list[Any] = [
    FLOATS,
    Adam([np.float64(0.1)] * 5),
    RMSprop(np.full(5, 0.1), np.float64(0.5), centered=np.bool_(False)),  # type: ignore[arg-type]  # on purpose
    Adagrad(1, 0, 0, 1),
]


@pytest.mark.parametrize("optimizer", CHECKED, ids=str)
def test_options_become_plain_numbers(optimizer: Any) -> None:
    checked = optimizer.checked(5)
    assert type(checked) is type(optimizer)
    for option, given in zip(checked, optimizer, strict=True):
        several = option if isinstance(option, tuple) else (option,)
        assert all(type(o) in (float, bool) for o in several)
        assert np.array_equal(option, given)
    for around in (ClippedByNorm(optimizer, np.float64(2)), ClippedByValue(optimizer, np.float64(2))):
        assert around.checked(5).optimizer == checked
        assert type(around.checked(5).largest) is float
    assert Groups(((["W"], optimizer),)).checked(5).groups[0][1] == checked


def test_adamw_is_adam_with_torchs_decay_decoupled() -> None:
    own, theirs = AdamW(), torch.optim.AdamW([nn.Parameter(torch.zeros(1))]).defaults
    assert own.decoupled
    assert (own.lr, own.betas, own.eps, own.weight_decay) == tuple(
        theirs[name] for name in ("lr", "betas", "eps", "weight_decay")
    )
    assert AdamW(bias_correction=False) == AdamW()._replace(bias_correction=False)


@pytest.mark.parametrize(
    ("own", "theirs"),
    [(Adam(), torch.optim.Adam), (RMSprop(), torch.optim.RMSprop), (Adagrad(), torch.optim.Adagrad)],
    ids=str,
)
def test_defaults_are_torchs(own: Any, theirs: Any) -> None:
    defaults = theirs([nn.Parameter(torch.zeros(1))]).defaults
    shared = own._asdict().keys() & defaults.keys()
    assert len(shared) >= 5
    assert {name: getattr(own, name) for name in shared} == {name: defaults[name] for name in shared}


# --- numbers that depend on the step ----------------------------------------------------------------


def test_a_number_of_the_step_is_the_same_stacked() -> None:
    rates = (0.1, 0.2, 0.3)
    assert rate(0.5, 2) == rate(0.5, np.arange(3)) == 0.5
    assert type(rate(rates, 1)) is float
    assert rate(rates, 1) == 0.2
    assert rate(rates, np.array([[2, 0]])).tolist() == [[0.3, 0.1]]
    steps = np.arange(1000)
    assert at(lambda s: 0.9**s, steps).tolist() == [0.9**s for s in range(1000)]
    assert type(at(lambda s: 0.9**s, 3)) is float


def test_a_number_of_the_step_stands_beside_a_leaf() -> None:
    w, t = np.ones((2, 3, 4), np.float32), np.array([5, 7])
    c = beside(at(float, t), w, t)
    assert c.shape == (2, 1, 1)
    assert c.dtype == (c * w).dtype == np.float32
    assert beside(0.5, w, t) == beside(0.5, w, 3) == 0.5
    assert beside(np.array([1.0, 2.0]), w.astype(object), t).dtype == object
