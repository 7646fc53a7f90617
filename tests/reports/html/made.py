"""Verdicts for the tests of the page: small runs and gradients that are right, and some that are wrong."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

import torch_mirror
from reference import Experiment, SquaredError, experiments
from reference.optimizers.sgd import SGD
from torch_mirror.doors.check.pictures import pictured
from torch_mirror.doors.check.result import Checked
from torch_mirror.judge.verdict import Certificate

HOSTILE = "\"'><script>alert(1)</script><img src=//x>&{{7*7}}"
STEPS = 3


@cache
def right() -> Certificate:
    """A run that is certified, with its series."""
    return torch_mirror.verify(replace(experiments.load("mlp-relu", dtype="float32"), steps=STEPS), series=True)


class Twice:
    """A linear layer whose gradient is twice what it should be."""

    def forward(self, p: Any, x: Any) -> Any:
        return x @ p["W"], x

    def backward(self, p: Any, x: Any, dy: Any) -> Any:
        return {"W": 2 * (x.mT @ dy)}


@cache
def wrong() -> Certificate:
    """A run whose reference has a factor 2 too much, with a name that would break out of a page."""
    import torch

    start = {"W": np.arange(6.0).reshape(3, 2)}
    x, t = np.eye(4, 3) + 1, np.ones((4, 2))
    e = Experiment(Twice(), start, x, t, SquaredError("mean"), SGD(0.01), STEPS, name=HOSTILE)

    def using(_: Experiment) -> torch_mirror.Session:
        module = torch.nn.Linear(3, 2, bias=False, dtype=torch.float64)
        with torch.no_grad():
            module.weight.copy_(torch.tensor(start["W"].T))
        sgd = torch.optim.SGD(module.parameters(), lr=0.01)
        return torch_mirror.Session(module, {"W": "weight.T"}, torch.nn.MSELoss(), sgd)

    return torch_mirror.verify(e, using=using, series=True, explain=False)


def halved(p: Any, x: Any, t: Any) -> Any:
    """A two-layer network with a factor 1/2 too much in dW1."""
    z1 = x @ p["W1"]
    a1 = np.maximum(z1, 0)  # <script>alert(2)</script>
    d = a1 @ p["W2"] - t
    da1 = 2 * d @ p["W2"].T
    dz1 = da1 * (z1 > 0)
    dW1 = x.T @ dz1 / 2
    return (d**2).sum(), {"W1": dW1, "W2": 2 * a1.T @ d}


def arguments() -> tuple[Any, ...]:
    """What check is given of it."""
    draws = np.random.default_rng(0)
    p = {"W1": draws.normal(size=(3, 4)), "W2": draws.normal(size=(4, 2))}
    return halved, p, draws.normal(size=(5, 3)), draws.normal(size=(5, 2))


@cache
def gradients() -> Checked:
    """What check finds of it, with the pictures."""
    function, *rest = arguments()
    return pictured(torch_mirror.check(function, *rest), function, *rest)


@cache
def page() -> str:
    """The page on all of them."""
    from torch_mirror.reports.html.page import document

    return document([right(), wrong(), gradients()], {"python": "3", "numpy": "<2>"}, {"torch": 1})
