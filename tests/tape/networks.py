"""Networks that the tests of the tape run: loss and backward pass in one function, as users write them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.recording import Recording, recording
from torch_mirror.tape.sweep import leaf


class Net(NamedTuple):
    """(parameters, x, t) -> (loss, gradients), and what it is run with."""

    function: Callable[[Any, Any, Any], tuple[Any, dict[str, Any]]]
    p: dict[str, Array]
    x: Array
    t: Array


class Taped(NamedTuple):
    """A run on the tape."""

    tape: Recording
    p: dict[str, Ball]
    loss: Ball
    gradients: dict[str, Ball]


def taped(net: Net) -> Taped:
    """In float64."""
    with recording() as tape:
        p = {name: leaf(v.astype(float), name) for name, v in net.p.items()}
        loss, gradients = net.function(p, Ball(net.x.astype(float)), Ball(net.t.astype(float)))
    return Taped(tape, p, loss, gradients)


def by_tanh(at: int, factor: float) -> Callable[..., Any]:
    """The derivative by the argument of tanh, of which one layer has a square that is too large."""
    return lambda i, d, a: d * (1 - a**2 * (factor if i == at else 1.0))


def tanh_network(
    layers: int, width: int, batch: int, dtype: Any = np.float64, scale: float = 1.5, fault: Any = None
) -> Net:
    """tanh layers and a squared error. fault(layer, d, a): the derivative by tanh's argument, for the right one."""
    rng = np.random.default_rng(0)
    p = {}
    for i in range(layers):
        p[f"W{i}"] = (rng.normal(size=(width, width)) * scale / np.sqrt(width)).astype(dtype)
        p[f"b{i}"] = (rng.normal(size=width) * 0.1).astype(dtype)
    x, t = (rng.normal(size=(batch, width)).astype(dtype) for _ in range(2))

    def function(p: Any, x: Any, t: Any) -> tuple[Any, dict[str, Any]]:
        a = [x]
        for i in range(layers):
            a.append(np.tanh(a[-1] @ p[f"W{i}"].T + p[f"b{i}"]))
        loss = ((a[-1] - t) ** 2).sum() / (2 * len(x))
        d, gradients = a[-1] - t, {}
        for i in reversed(range(layers)):
            dz = d * (1 - a[i + 1] ** 2) if fault is None else fault(i, d, a[i + 1])
            gradients[f"W{i}"] = dz.T @ a[i] / len(x)
            gradients[f"b{i}"] = dz.sum(axis=0) / len(x)
            d = dz @ p[f"W{i}"]
        return loss, gradients

    return Net(function, p, x, t)


def softmax_network(inputs: int, hidden: int, outputs: int, batch: int, penalty: float = 1e-4) -> Net:
    """ReLU, softmax and cross-entropy of labels, with L2 on the weights; the hidden layer's bias makes one row 0."""
    rng = np.random.default_rng(1)
    p = {
        "W1": rng.normal(size=(hidden, inputs)) / np.sqrt(inputs), "b1": np.zeros(hidden),
        "W2": rng.normal(size=(outputs, hidden)) / np.sqrt(hidden), "b2": np.zeros(outputs),
    }  # fmt: skip
    x, labels = rng.random((batch, inputs)), rng.integers(0, outputs, batch)

    def function(p: Any, x: Any, t: Any) -> tuple[Any, dict[str, Any]]:
        z1 = x @ p["W1"].T + p["b1"]
        a1 = np.maximum(z1, 0)
        z2 = a1 @ p["W2"].T + p["b2"]
        e = np.exp(z2 - z2.max(axis=1, keepdims=True))
        y = e / e.sum(axis=1, keepdims=True)
        loss = -(t * np.log(y)).sum() / len(x)
        loss = loss + penalty / 2 * ((p["W1"] ** 2).sum() + (p["W2"] ** 2).sum())
        dz2 = (y - t) / len(x)
        dz1 = (dz2 @ p["W2"]) * (z1 > 0)
        return loss, {
            "W1": dz1.T @ x + penalty * p["W1"], "b1": dz1.sum(axis=0),
            "W2": dz2.T @ a1 + penalty * p["W2"], "b2": dz2.sum(axis=0),
        }  # fmt: skip

    return Net(function, p, x, np.eye(outputs)[labels])
