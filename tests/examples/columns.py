"""Features x batch, as the notebooks of a well-known course have it: W (out, in), b (out, 1), sigmoid, m samples."""

from typing import Any

import numpy as np


def init(draws: np.random.Generator, n_x: int = 4, n_h: int = 5, n_y: int = 1) -> dict[str, Any]:
    return {
        "W1": draws.standard_normal((n_h, n_x)),
        "b1": draws.standard_normal((n_h, 1)),
        "W2": draws.standard_normal((n_y, n_h)),
        "b2": draws.standard_normal((n_y, 1)),
    }


def forward_propagation(X: Any, parameters: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    Z1 = np.dot(parameters["W1"], X) + parameters["b1"]
    A1 = np.tanh(Z1)
    Z2 = np.dot(parameters["W2"], A1) + parameters["b2"]
    A2 = 1 / (1 + np.exp(-Z2))
    return A2, {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}


def compute_cost(A2: Any, Y: Any) -> Any:
    m = Y.shape[1]
    return -np.sum(np.multiply(np.log(A2), Y) + np.multiply(np.log(1 - A2), 1 - Y)) / m


def backward_propagation(parameters: dict[str, Any], cache: dict[str, Any], X: Any, Y: Any) -> dict[str, Any]:
    m = X.shape[1]
    dZ2 = cache["A2"] - Y
    dW2 = np.dot(dZ2, cache["A1"].T) / m
    db2 = np.sum(dZ2, axis=1, keepdims=True) / m
    dZ1 = np.dot(parameters["W2"].T, dZ2) * (1 - np.power(cache["A1"], 2))
    dW1 = np.dot(dZ1, X.T) / m
    db1 = np.sum(dZ1, axis=1, keepdims=True) / m
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


def loss(parameters: dict[str, Any], X: Any, Y: Any) -> tuple[Any, dict[str, Any]]:
    """X: (in, m), Y: (out, m) of 0 and 1. Returns the cost and a dict of gradients."""
    A2, cache = forward_propagation(X, parameters)
    return compute_cost(A2, Y), backward_propagation(parameters, cache, X, Y)
