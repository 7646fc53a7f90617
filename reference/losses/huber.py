"""Huber's loss, with its gradient beside it.

L  = sum l(y - t) / N          N = 1 (sum) or the number of elements of y (mean)
l  = d^2 / 2                   |d| <= delta
     delta (|d| - delta / 2)   else
dy = d / N                     clipped to [-delta, delta] before the division

Differentiable everywhere; the second derivative jumps at |d| = delta.
Source: Huber, Robust Estimation of a Location Parameter, Annals of Mathematical Statistics 35 (1964), 73-101;
torch.nn.HuberLoss (documentation), which is delta times SmoothL1(delta).
"""

from typing import NamedTuple

import numpy as np

from reference.arrays import Array
from reference.losses.reduction import Reduction, check_shape_of_y, checked_reduction, reduced, shared_out
from reference.options import number_that


class Huber(NamedTuple):
    """Square near t, straight from a distance of ``delta`` on."""

    reduction: Reduction = "mean"
    delta: float = 1.0
    axes: int | None = None

    def value(self, y: Array, t: Array) -> Array:
        """The loss. y: (..., batch, out), t: y's shape; returns (...)."""
        z, delta = np.abs(y - t), self.delta
        return reduced(np.where(z <= delta, 0.5 * z * z, delta * (z - 0.5 * delta)), self.reduction, self.axes)

    def gradient(self, y: Array, t: Array) -> Array:
        """dy = dL/dy. y: (..., batch, out), t: y's shape; returns y's shape."""
        return shared_out(np.clip(y - t, -self.delta, self.delta), self.reduction, self.axes)

    def validated(self) -> "Huber":
        """The loss with plain numbers. Raises InputError where an option does not fit."""
        delta = number_that("loss delta", self.delta, lambda n: n > 0, "more than 0, as torch.nn.HuberLoss does")
        return self._replace(reduction=checked_reduction(self.reduction), delta=delta)

    def checked(self, t: Array, y_shape: tuple[int, ...]) -> "Huber":
        """The same, which raises InputError where t does not fit as well."""
        check_shape_of_y(t, y_shape)
        return self.validated()
