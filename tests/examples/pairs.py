"""Functions over a list of (W, b), samples as rows, tanh between the layers and half the mean of squares at the end."""

from itertools import pairwise
from typing import Any

import numpy as np

Layers = list[tuple[Any, Any]]


def init(draws: np.random.Generator, sizes: tuple[int, ...] = (4, 5, 3, 2)) -> Layers:
    return [(draws.standard_normal((n, m)), draws.standard_normal(m)) for n, m in pairwise(sizes)]


def forward(layers: Layers, x: Any) -> list[Any]:
    """Every layer's input, and the output last."""
    activations = [x]
    for W, b in layers[:-1]:
        activations.append(np.tanh(activations[-1] @ W + b))
    W, b = layers[-1]
    return [*activations, activations[-1] @ W + b]


def loss(layers: Layers, x: Any, t: Any) -> tuple[Any, Layers]:
    """x: (N, in), t: (N, out). Returns the loss and a list of (dW, db)."""
    activations = forward(layers, x)
    error = activations[-1] - t
    delta = error / len(x)
    grads = []
    for i in reversed(range(len(layers))):
        W, _ = layers[i]
        grads.append((activations[i].T @ delta, delta.sum(axis=0)))
        if i:
            delta = (delta @ W.T) * (1 - activations[i] ** 2)
    return (error**2).sum() / (2 * len(x)), grads[::-1]
