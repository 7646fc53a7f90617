"""No wrong verdict: code that is right where numbers saturate or vanish is not refuted, and wrong code is not certified.

Each test is a case that once had the wrong verdict.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from torch_mirror import check

draw = np.random.default_rng(0)
PIXELS = draw.integers(0, 256, (8, 16)).astype(float)
TARGET = draw.normal(size=8)
W, V = draw.normal(size=(16, 5)), draw.normal(size=5)

# --- saturated: the rounding of 1 - h, where h is 1 in float64 --------------------------------------------------


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def by_sigmoid(p: Any, x: Any, t: Any, factor: float = 1) -> Any:
    h = sigmoid(x @ p["W"])
    e = h @ p["v"] - t
    d = np.outer(2 * e / len(e), p["v"])
    return (e**2).mean(), {"W": factor * (x.T @ (d * h * (1 - h))), "v": h.T @ (2 * e / len(e))}


def by_tanh(p: Any, x: Any, t: Any, factor: float = 1) -> Any:
    h = np.tanh(x @ p["W"])
    e = h @ p["v"] - t
    d = np.outer(2 * e / len(e), p["v"])
    return (e**2).mean(), {"W": factor * (x.T @ (d * (1 - h**2))), "v": h.T @ (2 * e / len(e))}


def by_decay(p: Any, x: Any, t: Any, factor: float = 1) -> Any:
    """h = 1 - exp(-z^2), and by it 1 - h."""
    z = x @ p["W"]
    h = 1 - np.exp(-(z**2))
    e = h @ p["v"] - t
    d = np.outer(2 * e / len(e), p["v"])
    return (e**2).mean(), {"W": factor * (x.T @ (d * 2 * z * (1 - h))), "v": h.T @ (2 * e / len(e))}


def by_softmax(p: Any, x: Any, t: Any, factor: float = 1) -> Any:
    """A softmax within the network, whose derivative has 1 - h as well."""
    z = x @ p["W"]
    e = np.exp(z - z.max(axis=1, keepdims=True))
    h = e / e.sum(axis=1, keepdims=True)
    r = h @ p["v"] - t
    d = np.outer(2 * r / len(r), p["v"])
    dz = h * (d - (d * h).sum(axis=1, keepdims=True))
    return (r**2).mean(), {"W": factor * (x.T @ dz), "v": h.T @ (2 * r / len(r))}


SATURATED = (by_sigmoid, by_tanh, by_decay, by_softmax)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("network", SATURATED)
def test_right_code_is_not_refuted_where_it_saturates(network: Callable[..., Any], scale: float, dtype: Any) -> None:
    p = {"W": (scale * W).astype(dtype), "v": V.astype(dtype)}
    result = check(network, p, PIXELS.astype(dtype), TARGET.astype(dtype))
    assert result.verdict != "refuted", str(result)


@pytest.mark.parametrize("scale", [0.01, 0.1])
@pytest.mark.parametrize("network", SATURATED)
def test_wrong_code_is_not_certified_where_it_saturates(network: Callable[..., Any], scale: float) -> None:
    def wrong(p: Any, x: Any, t: Any) -> Any:
        return network(p, x, t, 1.25)

    result = check(wrong, {"W": scale * W, "v": V}, PIXELS, TARGET)
    assert result.verdict != "certified", str(result)
