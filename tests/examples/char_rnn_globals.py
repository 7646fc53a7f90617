"""A character RNN in which the weights are names of the module, as in a well-known hundred lines of Python."""

from typing import Any

import numpy as np

hidden_size = 5
vocab_size = 4

Wxh = np.zeros((hidden_size, vocab_size))
Whh = np.zeros((hidden_size, hidden_size))
Why = np.zeros((vocab_size, hidden_size))
bh = np.zeros((hidden_size, 1))
by = np.zeros((vocab_size, 1))


def lossFun(inputs: Any, targets: Any, hprev: Any) -> Any:
    xs, hs, ys, ps = {}, {}, {}, {}
    hs[-1] = np.copy(hprev)
    loss = 0
    for t in range(len(inputs)):
        xs[t] = np.zeros((vocab_size, 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(np.dot(Wxh, xs[t]) + np.dot(Whh, hs[t - 1]) + bh)
        ys[t] = np.dot(Why, hs[t]) + by
        ps[t] = np.exp(ys[t]) / np.sum(np.exp(ys[t]))
        loss += -np.log(ps[t][targets[t], 0])
    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby = np.zeros_like(bh), np.zeros_like(by)
    dhnext = np.zeros_like(hs[0])
    for t in reversed(range(len(inputs))):
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1
        dWhy += np.dot(dy, hs[t].T)
        dby += dy
        dh = np.dot(Why.T, dy) + dhnext
        dhraw = (1 - hs[t] * hs[t]) * dh
        dbh += dhraw
        dWxh += np.dot(dhraw, xs[t].T)
        dWhh += np.dot(dhraw, hs[t - 1].T)
        dhnext = np.dot(Whh.T, dhraw)
    for dparam in (dWxh, dWhh, dWhy, dbh, dby):
        np.clip(dparam, -5, 5, out=dparam)
    return loss, dWxh, dWhh, dWhy, dbh, dby, hs[len(inputs) - 1]


def init(draws: np.random.Generator) -> dict[str, Any]:
    shapes = {"Wxh": Wxh.shape, "Whh": Whh.shape, "Why": Why.shape, "bh": bh.shape, "by": by.shape}
    return {name: 0.4 * draws.standard_normal(shape) for name, shape in shapes.items()}


def loss(p: dict[str, Any], inputs: Any, targets: Any, hprev: Any) -> tuple[Any, dict[str, Any]]:
    """inputs, targets: lists of whole numbers; hprev: (hidden, 1)."""
    globals().update(p)
    value, dWxh, dWhh, dWhy, dbh, dby, _ = lossFun(inputs, targets, hprev)
    return value, {"Wxh": dWxh, "Whh": dWhh, "Why": dWhy, "bh": dbh, "by": dby}
