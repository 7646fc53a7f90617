"""Lists of weights (out, in) and biases (out, 1), one sample at a time in columns, sigmoids: the way of a book."""

from itertools import pairwise
from typing import Any

import numpy as np


def sigmoid(z: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z: Any) -> Any:
    return sigmoid(z) * (1 - sigmoid(z))


class Network:
    def __init__(self, sizes: list[int], draws: np.random.Generator) -> None:
        self.num_layers = len(sizes)
        self.biases = [draws.standard_normal((y, 1)) for y in sizes[1:]]
        self.weights = [draws.standard_normal((y, x)) for x, y in pairwise(sizes)]

    def feedforward(self, a: Any) -> Any:
        for b, w in zip(self.biases, self.weights, strict=True):
            a = sigmoid(np.dot(w, a) + b)
        return a

    def cost(self, samples: list[tuple[Any, Any]]) -> Any:
        return sum(0.5 * np.sum((self.feedforward(x) - y) ** 2) for x, y in samples) / len(samples)

    def gradients(self, samples: list[tuple[Any, Any]]) -> tuple[Any, Any]:
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        for x, y in samples:
            delta_nabla_b, delta_nabla_w = self.backprop(x, y)
            nabla_b = [nb + dnb for nb, dnb in zip(nabla_b, delta_nabla_b, strict=True)]
            nabla_w = [nw + dnw for nw, dnw in zip(nabla_w, delta_nabla_w, strict=True)]
        return [nb / len(samples) for nb in nabla_b], [nw / len(samples) for nw in nabla_w]

    def backprop(self, x: Any, y: Any) -> tuple[Any, Any]:
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        activation = x
        activations = [x]
        zs = []
        for b, w in zip(self.biases, self.weights, strict=True):
            z = np.dot(w, activation) + b
            zs.append(z)
            activation = sigmoid(z)
            activations.append(activation)
        delta = (activations[-1] - y) * sigmoid_prime(zs[-1])
        nabla_b[-1] = delta
        nabla_w[-1] = np.dot(delta, activations[-2].transpose())
        for l in range(2, self.num_layers):
            z = zs[-l]
            sp = sigmoid_prime(z)
            delta = np.dot(self.weights[-l + 1].transpose(), delta) * sp
            nabla_b[-l] = delta
            nabla_w[-l] = np.dot(delta, activations[-l - 1].transpose())
        return nabla_b, nabla_w


NET = Network([4, 5, 3], np.random.default_rng(0))


def init(draws: np.random.Generator) -> dict[str, Any]:
    net = Network([4, 5, 3], draws)
    return {"b": net.biases, "w": net.weights}


def loss(p: dict[str, Any], X: Any, Y: Any) -> tuple[Any, dict[str, Any]]:
    """X: (N, in, 1), Y: (N, out, 1). The parameters are put into the one network there is."""
    NET.biases, NET.weights = p["b"], p["w"]
    samples = list(zip(X, Y, strict=True))
    nabla_b, nabla_w = NET.gradients(samples)
    return NET.cost(samples), {"b": nabla_b, "w": nabla_w}
