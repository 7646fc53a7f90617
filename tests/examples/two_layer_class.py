"""A class with a loss() of its own: parameters in a dict of the object, ReLU, softmax, L2, gradients by name."""

from typing import Any

import numpy as np


class TwoLayerNet:
    def __init__(self, draws: np.random.Generator, inputs: int = 4, hidden: int = 6, classes: int = 3) -> None:
        self.reg = 0.05
        self.params = {
            "W1": 0.5 * draws.standard_normal((inputs, hidden)),
            "b1": np.zeros(hidden),
            "W2": 0.5 * draws.standard_normal((hidden, classes)),
            "b2": np.zeros(classes),
        }
        self.history: list[float] = []
        self.calls = 0

    def loss(self, X: Any, y: Any) -> tuple[Any, dict[str, Any]]:
        self.calls += 1
        W1, b1 = self.params["W1"], self.params["b1"]
        W2, b2 = self.params["W2"], self.params["b2"]
        N = X.shape[0]
        z1 = X.dot(W1) + b1
        a1 = np.maximum(0, z1)
        scores = a1.dot(W2) + b2
        exp_scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        probs = exp_scores / exp_scores.sum(axis=1, keepdims=True)
        correct = -np.log(probs[range(N), y])
        loss = float(np.sum(correct) / N)
        loss += 0.5 * self.reg * (np.sum(W1 * W1) + np.sum(W2 * W2))
        self.history.append(loss)

        grads = {}
        dscores = probs
        dscores[range(N), y] -= 1
        dscores /= N
        grads["W2"] = np.dot(a1.T, dscores)
        grads["b2"] = np.sum(dscores, axis=0)
        da1 = np.dot(dscores, W2.T)
        dz1 = da1.copy()
        dz1[z1 <= 0] = 0
        grads["W1"] = np.dot(X.T, dz1)
        grads["b1"] = np.sum(dz1, axis=0)
        grads["W2"] += self.reg * W2
        grads["W1"] += self.reg * W1
        return loss, grads


NET = TwoLayerNet(np.random.default_rng(1))


def init(draws: np.random.Generator) -> dict[str, Any]:
    p = TwoLayerNet(draws).params
    return {name: a + 0.1 * draws.standard_normal(a.shape) for name, a in p.items()}


def loss(p: dict[str, Any], X: Any, y: Any) -> tuple[Any, dict[str, Any]]:
    """X: (N, in), y: (N,) labels."""
    NET.params = p
    return NET.loss(X, y)
