"""The binary cross-entropy of logits, with its gradient beside it.

L  = sum -(t log s(y) + (1 - t) log(1 - s(y))) / N      s(y) = 1 / (1 + e^-y)
   = sum ((1 - t) y - log s(y)) / N                     log s(y) = min(y, 0) - log(1 + e^-|y|)
dy = (s(y) - t) / N                                     N = 1 (sum) or the number of elements of y (mean)

In the second form no exponential overflows and no logarithm is of 0. Differentiable everywhere.
Source: torch.nn.BCEWithLogitsLoss and torch.nn.LogSigmoid (documentation; ATen's Loss.cpp for the order).
"""

from typing import NamedTuple

import numpy as np

from reference.activations import sigmoid
from reference.arrays import Array
from reference.losses.reduction import Reduction, check_shape_of_y, checked_reduction, reduced, shared_out


class BinaryCrossEntropyWithLogits(NamedTuple):
    """y: logits, any numbers; t: probabilities, or 0 and 1, as floating numbers."""

    reduction: Reduction = "mean"
    axes: int | None = None

    def value(self, y: Array, t: Array) -> Array:
        """The loss. y: (..., batch, out), t: y's shape; returns (...)."""
        log_sigmoid = np.minimum(y, 0) - np.log1p(np.exp(-np.abs(y)))
        return reduced((1 - t) * y - log_sigmoid, self.reduction, self.axes)

    def gradient(self, y: Array, t: Array) -> Array:
        """dy = dL/dy. y: (..., batch, out), t: y's shape; returns y's shape."""
        return shared_out(sigmoid(y) - t, self.reduction, self.axes)

    def validated(self) -> "BinaryCrossEntropyWithLogits":
        """The loss with plain numbers. Raises InputError where an option does not fit."""
        return self._replace(reduction=checked_reduction(self.reduction))

    def checked(self, t: Array, y_shape: tuple[int, ...]) -> "BinaryCrossEntropyWithLogits":
        """The same, which raises InputError where t does not fit as well."""
        check_shape_of_y(t, y_shape)
        return self.validated()
