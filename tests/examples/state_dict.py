"""A network of torch in NumPy, gradients by hand, with the weights out of a .pt file."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

NAMES = {"W1": "0.weight.T", "b1": "0.bias", "W2": "2.weight.T", "b2": "2.bias"}


def forward(p: dict[str, Any], x: Any) -> Any:
    return np.maximum(x @ p["W1"] + p["b1"], 0) @ p["W2"] + p["b2"]


def loss(p: dict[str, Any], x: Any, t: Any) -> tuple[Any, dict[str, Any]]:
    """x: (N, 4), t: (N,) labels."""
    h = np.maximum(x @ p["W1"] + p["b1"], 0)
    y = h @ p["W2"] + p["b2"]
    log_p = y - y.max(axis=1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))

    dy = np.exp(log_p)
    dy[np.arange(len(t)), t] -= 1
    dy /= len(t)
    dz = np.where(h > 0, dy @ p["W2"].T, 0)
    gradients = {"W1": x.T @ dz, "b1": dz.sum(axis=0), "W2": h.T @ dy, "b2": dy.sum(axis=0)}
    return -log_p[np.arange(len(t)), t].mean(), gradients


def parameters(path: Path) -> dict[str, Any]:
    """The adapter: torch's Linear has (out, in), the network here (in, out)."""
    weights = torch.load(path, weights_only=True)
    arrays = {name: a.numpy() for name, a in weights.items()}
    return {"W1": arrays["0.weight"].T, "b1": arrays["0.bias"], "W2": arrays["2.weight"].T, "b2": arrays["2.bias"]}
