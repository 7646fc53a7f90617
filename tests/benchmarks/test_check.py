"""What `check` and the tape cost: derivatives with radii, beside a backward pass by hand and beside gradcheck."""

from functools import partial

import numpy as np
import pytest
import torch

from reference.arrays import Array
from tests.benchmarks.conftest import SideBySide, processor_seconds
from tests.tape.networks import Net, softmax_network, taped
from torch_mirror import check
from torch_mirror.tape.sweep import derivative

COLD = """
import numpy as np
from torch_mirror import check

def mine(p, x, t):
    y = np.tanh(x @ p["W"])
    return ((y - t) ** 2).sum(), {"W": x.T @ (2 * (y - t) * (1 - y**2))}

draw = np.random.default_rng(0)
check(mine, {"W": draw.normal(size=(3, 2))}, draw.normal(size=(5, 3)), draw.normal(size=(5, 2))).assert_certified()
"""


def network(side_by_side: SideBySide) -> Net:
    return softmax_network(*((784, 128, 10, 64) if side_by_side.timing else (6, 5, 3, 4)))


def backward_of(net: Net) -> partial[dict[str, Array]]:
    """The backward pass alone, of a forward pass that is done."""
    p, x, t = net.p, net.x, net.t
    z1 = x @ p["W1"].T + p["b1"]
    a1 = np.maximum(z1, 0)
    z2 = a1 @ p["W2"].T + p["b2"]
    e = np.exp(z2 - z2.max(axis=1, keepdims=True))
    return partial(_backward, p, x, t, z1, a1, e / e.sum(axis=1, keepdims=True))


def _backward(p: dict[str, Array], x: Array, t: Array, z1: Array, a1: Array, y: Array) -> dict[str, Array]:
    dz2 = (y - t) / len(x)
    dz1 = (dz2 @ p["W2"]) * (z1 > 0)
    return {
        "W1": dz1.T @ x + 1e-4 * p["W1"], "b1": dz1.sum(axis=0),
        "W2": dz2.T @ a1 + 1e-4 * p["W2"], "b2": dz2.sum(axis=0),
    }  # fmt: skip


@pytest.mark.benchmark(group="check")
def test_derivatives_beside_the_backward_pass(side_by_side: SideBySide) -> None:
    """Recording the loss, and the user's backward pass on balls, is in it."""
    net = network(side_by_side)
    backward = backward_of(net)
    side_by_side(lambda: derivative(taped(net).loss), backward, asked=25, rounds=30)
    _, gradients = net.function(net.p, net.x, net.t)
    assert all(np.array_equal(gradients[name], g) for name, g in backward().items())


@pytest.mark.benchmark(group="check")
def test_derivatives_beside_gradcheck_fast(side_by_side: SideBySide) -> None:
    net = network(side_by_side)
    p = {name: torch.tensor(a, requires_grad=True) for name, a in net.p.items()}
    x, t = torch.tensor(net.x), torch.tensor(net.t)

    def loss(W1: torch.Tensor, b1: torch.Tensor, W2: torch.Tensor, b2: torch.Tensor) -> torch.Tensor:
        a1 = torch.relu(x @ W1.mT + b1)
        scores = a1 @ W2.mT + b2
        return -(t * torch.log_softmax(scores, 1)).sum() / len(x) + 5e-5 * ((W1**2).sum() + (W2**2).sum())

    def gradcheck() -> bool:
        return torch.autograd.gradcheck(loss, tuple(p.values()), fast_mode=True)

    side_by_side(lambda: derivative(taped(net).loss), gradcheck, asked=0.5, rounds=10)
    assert gradcheck()


@pytest.mark.benchmark(group="check")
@pytest.mark.parametrize("name", ["right", "wrong"])
def test_check(name: str, side_by_side: SideBySide) -> None:
    """Of a failing network blame and cause are in it."""
    net = network(side_by_side)

    def mine(p: dict[str, Array], x: Array, t: Array) -> tuple[Array, dict[str, Array]]:
        loss, gradients = net.function(p, x, t)
        return loss, gradients | {"W1": gradients["W1"] / 2} if name == "wrong" else gradients

    side_by_side(lambda: check(mine, net.p, net.x, net.t), asked=3, rounds=3)
    assert check(mine, net.p, net.x, net.t).certified == (name == "right")


@pytest.mark.benchmark(group="check")
def test_a_cold_start(side_by_side: SideBySide) -> None:
    side_by_side.beyond(lambda: processor_seconds("-c", COLD), asked=0.7, rounds=5)
