"""An LSTM cell unrolled over a sequence, its four gates in one matrix; the loss is of the last hidden state."""

from typing import Any

import numpy as np


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def init(draws: np.random.Generator, inputs: int = 3, hidden: int = 4) -> dict[str, Any]:
    return {
        "W": draws.standard_normal((inputs + hidden, 4 * hidden)) / 2,
        "b": draws.standard_normal(4 * hidden),
        "v": draws.standard_normal(hidden),
    }


def loss(p: dict[str, Any], xs: Any, t: Any) -> tuple[Any, dict[str, Any]]:
    """xs: (T, N, in), t: (N,)."""
    H, N = len(p["v"]), xs.shape[1]
    h, c = np.zeros((N, H)), np.zeros((N, H))
    cache = []
    for x in xs:
        hx = np.concatenate([h, x], axis=1)
        z = hx @ p["W"] + p["b"]
        i, f, o, g = sigmoid(z[:, :H]), sigmoid(z[:, H : 2 * H]), sigmoid(z[:, 2 * H : 3 * H]), np.tanh(z[:, 3 * H :])
        c_before = c
        c = f * c_before + i * g
        tanh_c = np.tanh(c)
        h = o * tanh_c
        cache.append((hx, i, f, o, g, c_before, tanh_c))
    error = h @ p["v"] - t
    value = (error**2).mean()

    dy = 2 * error / N
    dv = h.T @ dy
    dh, dc = np.outer(dy, p["v"]), np.zeros((N, H))
    dW, db = np.zeros_like(p["W"]), np.zeros_like(p["b"])
    for hx, i, f, o, g, c_before, tanh_c in reversed(cache):
        dc = dc + dh * o * (1 - tanh_c**2)
        di, df, do, dg = dc * g, dc * c_before, dh * tanh_c, dc * i
        dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)], axis=1)
        dW += hx.T @ dz
        db += dz.sum(axis=0)
        dh = (dz @ p["W"].T)[:, :H]
        dc = dc * f
    return value, {"W": dW, "b": db, "v": dv}
