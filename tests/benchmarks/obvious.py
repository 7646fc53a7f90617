"""The obvious property test of a hand-written gradient, written once, to be measured against.

Each example draws a shape and every array number by number (hypothesis.extra.numpy.arrays), builds new
torch modules, copies the weights into them, runs both, and compares with assert_allclose. Its tolerances
are the customary ones: numpy.allclose's. Nowhere else in this project is a tolerance chosen.
"""

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from reference.arrays import Array
from reference.claim.tree import named
from reference.losses import SquaredError
from reference.networks.mlp import MLP, Parameters
from reference.optimizers.sgd import SGD
from tests.steps import gradients, step

LOSS = SquaredError("mean")
RTOL, ATOL = 1e-5, 1e-8


@st.composite
def problems(draw: st.DrawFn) -> tuple[MLP, Parameters, Array, Array]:
    """A ReLU network d-h-o with a batch of n: n <= 16, d and h <= 8, o <= 4; in float64."""
    n, d, h, o = (draw(st.integers(1, most)) for most in (16, 8, 8, 4))

    def array(*shape: int) -> Array:
        numbers: Array = draw(arrays(np.float64, shape, elements=st.floats(-2, 2)))
        return numbers

    return MLP((d, h, o)), Parameters((array(h, d), array(o, h)), (array(h), array(o))), array(n, d), array(n, o)


def module_of(network: MLP, p: Parameters) -> nn.Sequential:
    """A new torch module with these weights."""
    d, h, o = network.widths
    module = nn.Sequential(nn.Linear(d, h), nn.ReLU(), nn.Linear(h, o)).double()
    with torch.no_grad():
        for target, value in zip(module.parameters(), _in_torch_order(p), strict=True):
            target.copy_(torch.from_numpy(value))
    return module


def check_gradients(network: MLP, p: Parameters, x: Array, t: Array) -> None:
    """One forward and backward pass of each."""
    module = module_of(network, p)
    nn.MSELoss()(module(torch.from_numpy(x)), torch.from_numpy(t)).backward()
    _assert_close([weight.grad for weight in module.parameters()], gradients(network, p, x, t, LOSS))


def check_trajectory(network: MLP, p: Parameters, x: Array, t: Array, lr: float, steps: int) -> None:
    """So many steps of each, and then the weights."""
    module = module_of(network, p)
    optimizer, criterion = torch.optim.SGD(module.parameters(), lr=lr), nn.MSELoss()
    torch_x, torch_t = torch.from_numpy(x), torch.from_numpy(t)
    for _ in range(steps):
        optimizer.zero_grad()
        criterion(module(torch_x), torch_t).backward()
        optimizer.step()
        p = step(network, p, x, t, LOSS, SGD(lr))
    _assert_close([weight.detach() for weight in module.parameters()], p)


def _in_torch_order(p: Parameters) -> list[Array]:
    values = named(p)
    return [values[name] for name in ("W1", "b1", "W2", "b2")]


def _assert_close(torchs: list[Any], ours: Parameters) -> None:
    for seen, expected in zip(torchs, _in_torch_order(ours), strict=True):
        np.testing.assert_allclose(seen.numpy(), expected, RTOL, ATOL)
