"""A training step of the user's own that changes its gradients before the update: judged by what comes of it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reference import SGD, Experiment
from reference.optimizers.clipping import ClippedByNorm
from torch_mirror import session, verify
from torch_mirror.training.places import Place
from torch_mirror.training.recording import Hooks

SUM, SAMPLES = nn.MSELoss(reduction="sum"), 6
RATE = 0.1
BOUND = 0.05


def loss_by_hand(p: Any, x: Any, t: Any) -> Any:
    """The mean over the samples of the squared error."""
    d = x @ p["W"] + p["b"] - t
    return (d**2).sum() / SAMPLES, {"W": x.T @ (2 * d / SAMPLES), "b": (2 * d / SAMPLES).sum(axis=0)}


def experiment(optimizer: Any) -> Experiment:
    draws = np.random.default_rng(0)
    p = {"W": draws.normal(size=(3, 2)), "b": draws.normal(size=2)}
    x, t = draws.normal(size=(SAMPLES, 3)), draws.normal(size=(SAMPLES, 2))
    return Experiment(loss_by_hand, p, x, t, None, optimizer, 5)


Change = Callable[[list[nn.Parameter]], object]


def divided(weights: list[nn.Parameter], by: float = SAMPLES) -> None:
    for w in weights:
        assert w.grad is not None
        w.grad /= by


def clipped(weights: list[nn.Parameter]) -> Tensor:
    return nn.utils.clip_grad_norm_(weights, BOUND)


LOOPS: dict[str, tuple[float, list[Change]]] = {
    "as always": (1 / SAMPLES, []),
    "divided": (1, [divided]),
    "unscaled": (1024 / SAMPLES, [lambda weights: divided(weights, 1024)]),
    "clipped": (1 / SAMPLES, [clipped]),
    "divided and clipped": (1, [divided, clipped]),
    "not divided": (1, []),
    "divided twice": (1 / SAMPLES, [divided]),
    "clipped and divided": (1, [clipped, divided]),
}


def verdict(loop: str, optimizer: Any) -> str:
    scale, changes = LOOPS[loop]

    def by_torch(e: Experiment) -> Any:
        module = nn.Linear(3, 2).double()
        sgd = torch.optim.SGD(module.parameters(), lr=RATE)

        def train_step(x: Tensor, t: Tensor) -> Tensor:
            sgd.zero_grad()
            loss = SUM(module(x), t)
            (loss * scale).backward()
            for change in changes:
                change(list(module.parameters()))
            sgd.step()
            return loss / SAMPLES

        return session(e, module, {"W": "weight.T", "b": "bias"}, optimizer=sgd, train_step=train_step)

    return verify(experiment(optimizer), using=by_torch).verdict


@pytest.mark.parametrize("loop", ["as always", "divided", "unscaled"])
def test_a_right_loop_without_a_bound_is_certified(loop: str) -> None:
    assert verdict(loop, SGD(RATE)) == "certified"


@pytest.mark.parametrize("loop", ["clipped", "divided and clipped"])
def test_a_right_loop_with_a_bound_is_certified(loop: str) -> None:
    assert verdict(loop, ClippedByNorm(SGD(RATE), BOUND)) == "certified"


@pytest.mark.parametrize("loop", ["not divided", "divided twice", "clipped"])
def test_a_wrong_loop_without_a_bound_is_refuted(loop: str) -> None:
    assert verdict(loop, SGD(RATE)) == "refuted"


@pytest.mark.parametrize("loop", ["as always", "divided", "clipped and divided"])
def test_a_wrong_loop_with_a_bound_is_refuted(loop: str) -> None:
    assert verdict(loop, ClippedByNorm(SGD(RATE), BOUND)) == "refuted"


@pytest.mark.parametrize(("change", "unclear"), [(torch.Tensor.nan_to_num_, {"w"}), (torch.Tensor.abs_, set())])
def test_a_gradient_of_nan_that_is_made_0_is_changed(change: Callable[[Tensor], Tensor], unclear: set[str]) -> None:
    """The square root's derivative at 0 is infinite, and 0 times that NaN."""
    weight = nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([weight], lr=RATE)
    hooks = Hooks({"w": Place(weight, "w")}, optimizer)
    torch.autograd.backward((0 * weight.sqrt()).sum())
    assert weight.grad is not None
    change(weight.grad)
    optimizer.step()
    assert hooks.unclear({"w": Place(weight, "w")}) == unclear
