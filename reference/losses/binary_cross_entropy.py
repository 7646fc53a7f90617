"""The binary cross-entropy of probabilities, with its gradient beside it.

L  = sum -(t log y + (1 - t) log(1 - y)) / N       N = 1 (sum) or the number of elements of y (mean)
dy = (y - t) / ((1 - y) y) / N

As in torch, neither logarithm falls below -100, and the denominator not below 1e-12. So dy is not the
derivative of L where one of these bounds holds: there L is constant in one term, and torch's dy is not 0.
At y = 0 and y = 1 it has none. From logits, use BinaryCrossEntropyWithLogits, which needs no bounds.
Source: torch.nn.BCELoss (documentation; ATen's Loss.cpp for the bounds and the order of the operations).
"""

from typing import NamedTuple

import numpy as np

from reference.arrays import Array
from reference.losses.reduction import Reduction, check_shape_of_y, checked_reduction, reduced, shared_out

LEAST_LOG = -100.0
"""Torch's bound on each logarithm."""

LEAST_VARIANCE = float(np.float32(1e-12))
"""Torch's bound on (1 - y) y in the gradient: a constant of float32, where y is float64 too."""


class BinaryCrossEntropy(NamedTuple):
    """y: probabilities between 0 and 1; t: probabilities, or 0 and 1, as floating numbers."""

    reduction: Reduction = "mean"
    axes: int | None = None

    def value(self, y: Array, t: Array) -> Array:
        """The loss. y: (..., batch, out), t: y's shape; returns (...)."""
        with np.errstate(divide="ignore"):  # log 0 = -inf, which the bound takes care of
            log_y, log_rest = np.maximum(np.log(y), LEAST_LOG), np.maximum(np.log1p(-y), LEAST_LOG)
        return reduced((t - 1) * log_rest - t * log_y, self.reduction, self.axes)

    def gradient(self, y: Array, t: Array) -> Array:
        """dy = dL/dy. y: (..., batch, out), t: y's shape; returns y's shape."""
        return shared_out((y - t) / np.maximum((1 - y) * y, LEAST_VARIANCE), self.reduction, self.axes)

    def validated(self) -> "BinaryCrossEntropy":
        """The loss with plain numbers. Raises InputError where an option does not fit."""
        return self._replace(reduction=checked_reduction(self.reduction))

    def checked(self, t: Array, y_shape: tuple[int, ...]) -> "BinaryCrossEntropy":
        """The same, which raises InputError where t does not fit as well."""
        check_shape_of_y(t, y_shape)
        return self.validated()
