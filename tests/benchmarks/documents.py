"""The documents' training loops, as plain as there: the same NumPy calls a step, on the same shapes and dtypes.

Weights are (in, out), whole-numbered data are integers and targets are flat where the document has
them so, since that is what a step costs. Nothing is printed; a loss is computed when the document
computes it. Each takes an experiment for its data, start, learning rate and number of steps.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment


class Run(NamedTuple):
    """What a script ends with: the losses it computed, and its parameters in the reference's order and layout."""

    losses: list[Any]
    parameters: list[Any]


def cubic_sine(e: Experiment) -> Run:
    """Document 000: four scalars, and powers taken anew wherever they are needed."""
    x, y = e.x[:, 0], e.t[:, 0]
    (b, c, d), (a,) = e.parameters.W[0], e.parameters.bias
    lr, losses = e.optimizer.lr, []
    for _ in range(e.steps):
        out = a + b * x + c * x**2 + d * x**3
        losses.append(np.square(out - y).sum())
        g = 2.0 * (out - y)
        ga, gb, gc, gd = g.sum(), (g * x).sum(), (g * x**2).sum(), (g * x**3).sum()
        a -= lr * ga
        b -= lr * gb
        c -= lr * gc
        d -= lr * gd
    return Run(losses, [[[b, c, d]], [a]])


def linear_neuron(e: Experiment) -> Run:
    """Document 001: one sample. The loss it reports is elementwise: not the one it descends."""
    x, y = e.x[0].astype(int), int(e.t[0, 0])

    def loss(w: Array, b: Any) -> Any:
        return np.mean((w * x + b - y) ** 2)

    def gradient(w: Array, b: Any) -> tuple[Any, Any]:
        error = np.dot(w, x) + b - y
        return 2 * error * x, 2 * error

    return _descend(e, loss, gradient)


def linear_batch(e: Experiment) -> Run:
    """Document 001: three samples of whole numbers."""
    return _regression(e, e.x.astype(int), e.t[:, 0].astype(int))


def diabetes_linear(e: Experiment) -> Run:
    """Document 001: the same on the diabetes data."""
    return _regression(e, e.x, e.t[:, 0])


def _regression(e: Experiment, x: Array, y: Array) -> Run:
    def loss(w: Array, b: Any) -> Any:
        return np.mean((np.dot(x, w) + b - y) ** 2)

    def gradient(w: Array, b: Any) -> tuple[Any, Any]:
        errors = np.dot(x, w) + b - y
        return (2 / len(x)) * np.dot(x.T, errors), (2 / len(x)) * np.sum(errors)

    return _descend(e, loss, gradient)


def _descend(
    e: Experiment, loss: Callable[[Array, Any], Any], gradient: Callable[[Array, Any], tuple[Any, Any]]
) -> Run:
    lr, losses = e.optimizer.lr, []

    def update(w: Array, b: Any) -> tuple[Array, Any]:
        dw, db = gradient(w, b)
        return w - lr * dw, b - lr * db

    w, b = e.parameters.W[0], float(e.parameters.b[0])
    for _ in range(e.steps):
        losses.append(loss(w, b))
        w, b = update(w, b)
    return Run(losses, [[w], [b]])


def mlp_relu(e: Experiment) -> Run:
    """Document 001's general loop, without the histories that it keeps beside the loss."""
    return _mlp(e, histories=False)


def mlp_relu_histories(e: Experiment) -> Run:
    """The same with them: mean |dW| of each layer at each epoch, and every tenth epoch's parameters."""
    return _mlp(e, histories=True)


def _mlp(e: Experiment, *, histories: bool) -> Run:
    X, Y, lr = e.x.astype(int), e.t[:, 0].astype(int), e.optimizer.lr
    layers = [(W.T.copy(), b[None].copy()) for W, b in zip(e.parameters.W, e.parameters.b, strict=True)]
    losses, kept, means = [], [], []

    def forward(W: Array, b: Array, a: Array) -> Array:
        return np.dot(a, W) + b

    def backward(dz: Array, a: Array, W: Array) -> tuple[Array, Array, Array]:
        dW = np.dot(a.T, dz)
        db = np.sum(dz, axis=0, keepdims=True)
        return np.dot(dz, W.T), dW, db

    for epoch in range(e.steps):
        a = [X]
        for l, (W, b) in enumerate(layers):
            z = forward(W, b, a[-1])
            a.append(np.maximum(0, z) if l < len(layers) - 1 else z)
        losses.append(np.mean((a[-1] - Y.reshape(-1, 1)) ** 2))
        da, mean = a[-1] - Y.reshape(-1, 1), {}
        for l in reversed(range(len(layers))):
            W, b = layers[l]
            dz = da * (a[l + 1] > 0).astype(float) if l < len(layers) - 1 else da
            da, dW, db = backward(dz, a[l], W)
            if histories:
                mean[l] = np.mean(np.abs(dW))
            W -= lr * dW
            b -= lr * db
            layers[l] = (W, b)
        if histories:
            means.append(mean)
            if epoch % 10 == 0:
                kept.append({l: (W.copy(), b.copy()) for l, (W, b) in enumerate(layers)})
    return Run(losses, [W.T for W, _ in layers] + [b[0] for _, b in layers])


def two_layer_linear(e: Experiment) -> Run:
    """Document 002: the loss is computed at every hundredth epoch."""
    x, y, lr, losses = e.x.astype(int), e.t.astype(int), e.optimizer.lr, []
    W1, W2 = e.parameters.W1.T.copy(), e.parameters.W2.T.copy()

    def forward(W1: Array, W2: Array) -> tuple[Array, Array]:
        h = x @ W1
        return h, h @ W2

    def update(W1: Array, W2: Array, h: Array, out: Array) -> tuple[Array, Array]:
        dy = 2 * (out - y) / out.shape[0]
        dW2 = h.T @ dy
        dW1 = x.T @ (dy @ W2.T)
        W2 -= lr * dW2
        W1 -= lr * dW1
        return W1, W2

    for epoch in range(e.steps):
        h, out = forward(W1, W2)
        if epoch % 100 == 0:
            losses.append(np.mean(np.square(y - out)))
        W1, W2 = update(W1, W2, h, out)
    return Run(losses, [W1.T, W2.T])


def two_layer_linear_bias(e: Experiment) -> Run:
    """Document 002 with biases, which are plain numbers there."""
    x, y, lr, losses = e.x.astype(int), e.t.astype(int), e.optimizer.lr, []
    W1, W2 = e.parameters.W1.T.copy(), e.parameters.W2.T.copy()
    b1, b2 = float(e.parameters.b1[0]), float(e.parameters.b2[0])

    def forward(W1: Array, b1: Any, W2: Array, b2: Any) -> tuple[Array, Array]:
        h = x @ W1 + b1
        return h, h @ W2 + b2

    def update(W1: Array, b1: Any, W2: Array, b2: Any, h: Array, out: Array) -> tuple[Array, Any, Array, Any]:
        dy = 2 * (out - y) / out.shape[0]
        db2 = np.sum(dy)
        dW2 = h.T @ dy
        dh = dy @ W2.T
        db1 = np.sum(dh)
        dW1 = x.T @ dh
        b2 -= lr * db2
        W2 -= lr * dW2
        b1 -= lr * db1
        W1 -= lr * dW1
        return W1, b1, W2, b2

    for epoch in range(e.steps):
        h, out = forward(W1, b1, W2, b2)
        if epoch % 100 == 0:
            losses.append(np.mean(np.square(y - out)))
        W1, b1, W2, b2 = update(W1, b1, W2, b2, h, out)
    return Run(losses, [W1.T, [b1], W2.T, [b2]])


def two_layer_relu(e: Experiment) -> Run:
    """Documents 003 and 004."""
    x, y, lr, losses = e.x, e.t, e.optimizer.lr, []
    w1, w2 = e.parameters.W1.T.copy(), e.parameters.W2.T.copy()
    for _ in range(e.steps):
        h = x.dot(w1)
        a = np.maximum(h, 0)
        out = a.dot(w2)
        losses.append(np.square(out - y).sum())
        g = 2.0 * (out - y)
        gw2 = a.T.dot(g)
        gh = g.dot(w2.T).copy()
        gh[h < 0] = 0
        gw1 = x.T.dot(gh)
        w1 -= lr * gw1
        w2 -= lr * gw2
    return Run(losses, [w1.T, w2.T])
