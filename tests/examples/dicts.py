"""One function of a dict of weights (in, out): a ReLU, softmax, cross-entropy of labels, L2 on the weights."""

from typing import Any

import numpy as np

REG = 0.5


def init(draws: np.random.Generator, inputs: int = 4, hidden: int = 5, classes: int = 3) -> dict[str, Any]:
    return {
        "W1": draws.standard_normal((inputs, hidden)),
        "b1": draws.standard_normal(hidden),
        "W2": draws.standard_normal((hidden, classes)),
        "b2": draws.standard_normal(classes),
    }


def loss(p: dict[str, Any], X: Any, y: Any) -> tuple[Any, dict[str, Any]]:
    """X: (N, in), y: (N,) labels. Returns the loss and a dict of gradients."""
    N = X.shape[0]
    hidden = np.maximum(0, X.dot(p["W1"]) + p["b1"])
    scores = hidden.dot(p["W2"]) + p["b2"]

    shifted = scores - np.max(scores, axis=1, keepdims=True)
    probs = np.exp(shifted)
    probs /= np.sum(probs, axis=1, keepdims=True)
    data_loss = -np.sum(np.log(probs[np.arange(N), y])) / N
    total = data_loss + REG * (np.sum(p["W1"] * p["W1"]) + np.sum(p["W2"] * p["W2"]))

    dscores = probs.copy()
    dscores[np.arange(N), y] -= 1
    dscores /= N
    grads = {"W2": hidden.T.dot(dscores) + 2 * REG * p["W2"], "b2": np.sum(dscores, axis=0)}
    dhidden = dscores.dot(p["W2"].T)
    dhidden[hidden <= 0] = 0
    grads["W1"] = X.T.dot(dhidden) + 2 * REG * p["W1"]
    grads["b1"] = np.sum(dhidden, axis=0)
    return total, grads
