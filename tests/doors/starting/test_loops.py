"""torch-mirror init on functions that train: what they compute in a step becomes a function that can be judged."""

from pathlib import Path

import pytest

from tests.doors.starting.test_init import folder, left_open, started

__all__ = ["folder"]  # a fixture that is used by itself

GIVEN = """
import numpy as np
def forward(x, W1, b1, W2, b2):
    h = np.maximum(x @ W1 + b1, 0)
    return h @ W2 + b2, h
def train(x, t, W1, b1, W2, b2, lr=0.1, steps=100):
    for _ in range(steps):
        y, h = forward(x, W1, b1, W2, b2)
        dy = 2 * (y - t) / len(t)
        dW2, db2 = h.T @ dy, dy.sum(0)
        dz = dy @ W2.T * (h > 0)
        dW1, db1 = x.T @ dz, dz.sum(0)
        W1 -= lr * dW1; b1 -= lr * db1; W2 -= lr * dW2; b2 -= lr * db2
    return ((y - t) ** 2).mean()
"""
MADE = """
import numpy as np
SCALE = 0.5
def sigmoid(z):
    return 1 / (1 + np.exp(-z))
def train(X, y, hidden=5, epochs=100, lr=0.1, reg=0.01):
    rng = np.random.default_rng(0)
    n, d = X.shape
    W1 = rng.normal(size=(d, hidden)) * SCALE
    b1 = np.zeros(hidden)
    W2 = rng.normal(size=(hidden, 1)) * SCALE
    v1, history = 0, []
    for epoch in range(epochs):
        h = np.tanh(X @ W1 + b1)
        p = sigmoid(SCALE * h @ W2)
        cost = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean() + reg * (W1**2).sum()
        history.append(cost)
        dz2 = SCALE * (p - y) / n
        dW2 = h.T @ dz2
        dz1 = dz2 @ W2.T * (1 - h**2)
        dW1 = X.T @ dz1 + 2 * reg * W1
        db1 = dz1.sum(axis=0)
        v1 = 0.9 * v1 + dW1
        for w, g in ((W1, v1), (b1, db1), (W2, dW2)):
            w -= lr * g
        if epoch % 10 == 0:
            print(epoch, cost)
    return W1, b1, W2, history
"""


@pytest.mark.parametrize(
    ("source", "lines", "right", "wrong", "cause"),
    [
        (GIVEN, ("y, h = mine.forward(x, W1, b1, W2, b2)", "loss = ((y - t) ** 2).mean()"), " * (h > 0)", "", "mask"),
        (MADE, ("p = mine.sigmoid(mine.SCALE * h @ W2)", "reg = 0.01", '"W2": draw.normal(size=(5, 1)),'), "2 * reg",
         "reg", "a factor 1/2"),
    ],
    ids=["given", "made"],
)  # fmt: skip
def test_the_lines_of_a_loop_are_judged(
    source: str, lines: tuple[str, ...], right: str, wrong: str, cause: str
) -> None:
    text, said = started(source)
    assert "certified, each is the derivative" in said, f"{said}\n{text}"
    assert [line for line in lines if line not in text] == []
    assert not any(word in text for word in ("lr", "print(epoch", "history", "v1", "range("))
    Path("case.py").unlink()
    assert source.count(right) == 1
    text, said = started(source.replace(right, wrong), "other.py")
    assert ": refuted" in said, f"{said}\n{text}"
    assert cause in said, said


def test_a_loop_without_a_loss_is_none() -> None:
    _, result, _ = left_open(GIVEN.replace("return ((y - t) ** 2).mean()", "return W1, b1"))
    assert "In mine.py none of the ways is recognised" in result
