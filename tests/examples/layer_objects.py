"""Layers that are objects, and keep their input and their gradients: W (in, out), b (1, out), squared error."""

from typing import Any

import numpy as np


class Dense:
    def __init__(self, W: Any, b: Any) -> None:
        self.W, self.b = W, b

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad: Any) -> Any:
        self.dW = self.x.T @ grad
        self.db = grad.sum(axis=0, keepdims=True)
        return grad @ self.W.T


class LeakyReLU:
    def forward(self, x: Any) -> Any:
        self.x = x
        return np.where(x > 0, x, 0.125 * x)

    def backward(self, grad: Any) -> Any:
        return np.where(self.x > 0, grad, 0.125 * grad)


class Model:
    """Parameters are the Dense layers' own W and b."""

    def __init__(self, layers: list[Any]) -> None:
        self.layers = layers

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, grad: Any) -> None:
        for layer in reversed(self.layers):
            grad = layer.backward(grad)


def init(draws: np.random.Generator, inputs: int = 4, hidden: int = 5, outputs: int = 2) -> list[Any]:
    shapes = [(inputs, hidden), (1, hidden), (hidden, outputs), (1, outputs)]
    return [draws.standard_normal(shape) for shape in shapes]


def loss(weights: list[Any], x: Any, t: Any) -> tuple[Any, list[Any]]:
    """weights: W1, b1, W2, b2. Returns the loss and their gradients in that order."""
    first, second = Dense(*weights[:2]), Dense(*weights[2:])
    model = Model([first, LeakyReLU(), second])
    error = model.forward(x) - t
    model.backward(2 * error / error.size)
    return np.mean(error**2), [first.dW, first.db, second.dW, second.db]
