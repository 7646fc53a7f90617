"""A notebook: cells that hand everything on by globals; two layers with a sigmoid, and a squared error."""

from typing import Any

import numpy as np

# %% data and weights
rng = np.random.default_rng(0)
X = rng.standard_normal((6, 4))
y = rng.standard_normal((6, 2))
W1, b1 = rng.standard_normal((4, 5)), np.zeros(5)
W2, b2 = rng.standard_normal((5, 2)), np.zeros(2)
lr = 0.1
a: Any
out: Any
dW1: Any  # noqa: N816 - the gradient of W1
db1: Any
dW2: Any  # noqa: N816 - the gradient of W2
db2: Any


# %% forward
def forward() -> Any:
    global a, out  # noqa: PLW0603 - as in a notebook
    a = 1 / (1 + np.exp(-(X @ W1 + b1)))
    out = a @ W2 + b2
    return 0.5 * np.sum((out - y) ** 2) / len(X)


# %% backward
def backward() -> None:
    global dW1, db1, dW2, db2
    dout = (out - y) / len(X)
    dW2, db2 = a.T @ dout, dout.sum(axis=0)
    dz = dout @ W2.T * a * (1 - a)
    dW1, db1 = X.T @ dz, dz.sum(axis=0)


# %% training
def train(steps: int = 3) -> None:
    global W1, b1, W2, b2  # noqa: PLW0603 - the same
    for _ in range(steps):
        forward()
        backward()
        W1 -= lr * dW1
        b1 -= lr * db1
        W2 -= lr * dW2
        b2 -= lr * db2


def init(draws: np.random.Generator) -> dict[str, Any]:
    return {name: draws.standard_normal(globals()[name].shape) for name in ("W1", "b1", "W2", "b2")}


def loss(p: dict[str, Any], x: Any, t: Any) -> tuple[Any, dict[str, Any]]:
    """x: (N, 4), t: (N, 2)."""
    globals().update(p, X=x, y=t)
    value = forward()
    backward()
    return value, {name: globals()[f"d{name}"] for name in p}
