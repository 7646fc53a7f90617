"""Faults of a formula that the radii of float32 hide, on either side of a perceptron with one hidden layer of tanh."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reference import SGD, Experiment, SquaredError
from reference.arrays import Array
from reference.networks import mlp
from reference.penalties import L2
from torch_mirror import Session, session

WIDTHS = (12, 6, 2)


def layers(batch: int, network: Any = None, seed: int = 1, **changes: Any) -> Experiment:
    """A network of float32 on normal numbers, two steps."""
    draw = np.random.default_rng(seed)

    def normal(*shape: int) -> Array:
        return draw.normal(size=shape).astype("f4")

    W = tuple((normal(o, i) / np.sqrt(i)).astype("f4") for i, o in pairwise(WIDTHS))
    b = tuple(normal(o) / 8 for o in WIDTHS[1:])
    x, t = normal(batch, WIDTHS[0]), normal(batch, WIDTHS[-1])
    given: dict[str, Any] = {"loss": SquaredError("mean"), "optimizer": SGD(0.01), "steps": 2} | changes
    return Experiment(network or mlp.MLP(WIDTHS, activation="tanh"), mlp.Parameters(W, b), x, t, **given)


# --- NumPy's side: the backward of a network, its dW1 another ---------------------------------------------------

Wrong = Callable[[Any, Any, Any], Any]
"""(dW1, dz1, x) -> another dW1, of balls as well."""


class Wrongly(mlp.MLP):
    """One whose dW1 is what ``wrong`` makes of it."""

    wrong: Wrong

    def backward(self, p: Any, c: Any, dy: Any, sow: Any = lambda _, a: a) -> Any:
        kept: dict[str, Any] = {}

        def planted(name: str, value: Any) -> Any:
            kept[name] = value
            return sow(name, type(self).wrong(value, kept["dz1"], c.a[0]) if name == "dW1" else value)

        return super().backward(p, c, dy, planted)


def by_numpy(wrong: Wrong) -> Any:
    return type("Wrongly", (Wrongly,), {"wrong": staticmethod(wrong)})(WIDTHS, activation="tanh")


NUMPY: Mapping[str, Callable[[int], Wrong]] = {
    "the last row dropped": lambda n: lambda _, dz, x: dz[..., : n - 1, :].mT @ x[..., : n - 1, :],
    "N - 1 for N": lambda n: lambda dW, *_: dW * (n / (n - 1)),
    "1 + 1e-6": lambda _: lambda dW, *_: dW * (1 + 1e-6),
}


# --- torch's side: a linear layer whose derivative by W is another ----------------------------------------------


class Linear(torch.autograd.Function):
    """x W^T + b, whose derivative by W leaves rows out at the end, or is a factor too large."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, W: Tensor, b: Tensor, rows: int, factor: float) -> Tensor:
        ctx.save_for_backward(x, W)
        ctx.rows, ctx.factor = rows, factor
        return x @ W.T + b

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        x, W = ctx.saved_tensors
        return g @ W, g[: ctx.rows].T @ x[: ctx.rows] * ctx.factor, g.sum(0), None, None


class Net(nn.Module):
    """The perceptron; ``first`` computes z1."""

    def __init__(self, first: Callable[[Tensor, nn.Linear], Tensor]) -> None:
        super().__init__()
        self.l1, self.l2 = nn.Linear(*WIDTHS[:2]), nn.Linear(*WIDTHS[1:])
        self.first = first

    def forward(self, x: Tensor, sow: Any) -> Tensor:
        z1 = sow("z1", self.first(x, self.l1))
        y: Tensor = sow("y", self.l2(sow("a1", torch.tanh(z1))))
        return y


NAMES = {"W1": "l1.weight", "b1": "l1.bias", "W2": "l2.weight", "b2": "l2.bias"}


def by_torch(first: Callable[[Tensor, nn.Linear], Tensor]) -> Callable[[Experiment], Session]:
    return lambda e: session(e, Net(first), NAMES)


def linear(x: Tensor, layer: nn.Linear) -> Tensor:
    result: Tensor = layer(x)
    return result


def wrongly(less: int, factor: float) -> Callable[[Tensor, nn.Linear], Tensor]:
    return lambda x, layer: Linear.apply(x, layer.weight, layer.bias, len(x) - less, factor)  # type: ignore[no-untyped-call]  # untyped in torch


TORCH: Mapping[str, Callable[[int], Callable[[Experiment], Session]]] = {
    "the last row dropped": lambda _: by_torch(wrongly(1, 1.0)),
    "N - 1 for N": lambda n: by_torch(wrongly(0, n / (n - 1))),
    "1 + 1e-6": lambda _: by_torch(wrongly(0, 1 + 1e-6)),
}

DECAY = L2(1e-5)


def penalised(e: Experiment) -> Session:
    """Its penalty leaves the biases out."""
    net = Net(linear)

    def criterion(y: Tensor, t: Tensor) -> Tensor:
        weights = [w for name, w in net.named_parameters() if "bias" not in name]
        return nn.functional.mse_loss(y, t) + DECAY.strength * sum(w.square().sum() for w in weights)

    return session(e, net, NAMES, criterion)
