"""A network of one layer and any function behind it, with the function's gradient as somebody wrote it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from reference import SGD, Experiment, SquaredError
from reference.arrays import Array
from torch_mirror import session, verify
from torch_mirror.judge.findings import Row
from torch_mirror.judge.verdict import Certificate
from torch_mirror.training.session import torch_dtype

F = nn.functional


class Two(NamedTuple):
    W: Any
    O: Any


class Between:
    """z = x W^T, a = f(z), y = a O^T; dz by ``slope(da, z, a)``."""

    def __init__(self, f: Callable[[Any], Any], slope: Callable[[Any, Any, Any], Any]) -> None:
        self.f, self.slope = f, slope

    def forward(self, p: Two, x: Any, sow: Any) -> Any:
        z = sow("z", x @ p.W.mT)
        a = sow("a", self.f(z))
        return sow("y", a @ p.O.mT), (x, z, a)

    def backward(self, p: Two, cache: Any, dy: Any, sow: Any) -> Two:
        x, z, a = cache
        dO, da = sow("dO", dy.mT @ a), sow("da", dy @ p.O)
        dz = sow("dz", self.slope(da, z, a))
        return Two(sow("dW", dz.mT @ x), dO)


class Module(nn.Module):
    def __init__(self, e: Experiment, f: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        for name, w in e.parameters._asdict().items():
            self.register_parameter(name, nn.Parameter(torch.zeros(w.shape, dtype=torch_dtype(e))))
        self.f = f

    def forward(self, x: Tensor, sow: Any = lambda _, value: value) -> Tensor:
        W, O = self.parameters()
        return sow("y", F.linear(sow("a", self.f(sow("z", F.linear(x, W)))), O))


def experiment(network: Any, dtype: str = "float64", size: float = 1.0, **changes: Any) -> Experiment:
    draw = np.random.default_rng(0)

    def normal(*shape: int) -> Array:
        return draw.normal(size=shape).astype(dtype)

    p = Two(size * normal(5, 3), size * normal(2, 5))
    return replace(Experiment(network, p, normal(40, 3), normal(40, 2), SquaredError("mean"), SGD(0.01), 3), **changes)


def judged(e: Experiment, f: Callable[[Tensor], Tensor]) -> Certificate:
    return verify(e, using=lambda e: session(e, Module(e, f), {"W": "W", "O": "O"}))


def row_of(c: Certificate, tensor: str, check: str = "local") -> Row:
    return next(r for r in c.rows if (r.tensor, r.check, r.side) == (tensor, check, "torch"))
