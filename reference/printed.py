"""The figures that the documents report, computed from a trace, whoever produced it.

A trace holds what these need if it records it: gradients, parameters, or ``y``.
"""

import numpy as np

from reference.arrays import Array
from reference.errors import InputError
from reference.traces.trace import Trace


def mean_absolute_gradients(trace: Trace) -> dict[str, Array]:
    """Mean |dW| of each weight at each step: (steps,) by the weight's name.

    Biases, whose arrays are (steps + 1, out), are left out. Source: document 001, ``grad_history``.
    """
    weights = [name for name, a in trace.parameters.items() if a.ndim == 3]
    return {name: np.abs(trace[f"d{name}"]).mean(axis=(-2, -1)) for name in weights}


def weight_history(trace: Trace) -> list[dict[str, Array]]:
    """The parameters after each step, by name, as copies. Source: document 001, ``weight_history``."""
    return [
        {name: a[step].copy() for name, a in trace.parameters.items()} for step in range(1, trace.steps + 1)
    ]


def elementwise_loss(trace: Trace) -> Array:
    """Document 001's "Loss" of linear-neuron, before the first step and after each: (steps + 1,).

    It is mean((w * x + b - t)^2) over the five elementwise products w_i x_i: "Epoch 0: Loss = 452.56".
    This is *not* the loss that the document descends: its gradient is that of (w . x + b - t)^2, which
    starts at 5.8^2 = 33.64 and goes to 0, while this figure ends at 398.98, above its value after one
    step. Hence a reported figure here, and not a loss.
    """
    w, b = trace["W"], trace["b"][..., None]     # (steps + 1, 1, in), (steps + 1, 1, 1)
    d = w * trace["x"] + b - trace["t"]          # (steps + 1, 1, in)
    return np.asarray(np.mean(d * d, axis=(-2, -1)))


def mse(trace: Trace) -> Array:
    """Mean squared error at each step, whatever loss is trained: (steps,).

    Source: document 001, whose 3-5-1 network descends half the sum of squares and prints this.
    """
    d = trace["y"] - trace["t"]
    return np.asarray(np.mean(d * d, axis=(-2, -1)))


def rmse(trace: Trace) -> Array:
    """Root of the mean squared error at each step: (steps,). Source: document 001, ``Final RMSE``."""
    return np.sqrt(mse(trace))


def r2(t: Array, y: Array) -> float:
    """R^2 = 1 - sum (t - y)^2 / sum (t - mean t)^2 of each output, and of these the mean. t, y: (batch, out).

    Source: document 001, whose scikit-learn has this in its user guide, "R^2 score, the coefficient of
    determination". Raises InputError where the targets of an output are all equal: it has no value there.
    """
    within = np.sum((t - y) ** 2, axis=-2)                      # (out,)
    around = np.sum((t - np.mean(t, axis=-2)) ** 2, axis=-2)    # (out,)
    if not np.all(around > 0):
        raise InputError("t", "targets that differ from each other, in each output", "equal ones")
    return float(np.mean(1 - within / around))
