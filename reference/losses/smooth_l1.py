"""The smooth absolute error, with its gradient beside it.

L  = sum l(y - t) / N          N = 1 (sum) or the number of elements of y (mean)
l  = d^2 / (2 beta)            |d| < beta
     |d| - beta / 2            else
dy = (d / beta) / N            clipped to [-1, 1] before the division by N

Differentiable everywhere; the second derivative jumps at |d| = beta.
Source: Girshick, Fast R-CNN (ICCV 2015), equation 3, with beta = 1; torch.nn.SmoothL1Loss (documentation).
"""

from typing import NamedTuple

import numpy as np

from reference.arrays import Array
from reference.losses.reduction import Reduction, check_shape_of_y, checked_reduction, reduced, shared_out
from reference.options import number_that


class SmoothL1(NamedTuple):
    """Square near t, the absolute error less beta / 2 from a distance of ``beta`` on."""

    reduction: Reduction = "mean"
    beta: float = 1.0
    axes: int | None = None

    def value(self, y: Array, t: Array) -> Array:
        """The loss. y: (..., batch, out), t: y's shape; returns (...)."""
        z, beta = np.abs(y - t), self.beta
        return reduced(np.where(z < beta, 0.5 * z * z / beta, z - 0.5 * beta), self.reduction, self.axes)

    def gradient(self, y: Array, t: Array) -> Array:
        """dy = dL/dy. y: (..., batch, out), t: y's shape; returns y's shape."""
        return shared_out(np.clip((y - t) / self.beta, -1, 1), self.reduction, self.axes)

    def validated(self) -> "SmoothL1":
        """The loss with plain numbers. Raises InputError where an option does not fit."""
        beta = number_that("loss beta", self.beta, lambda n: n > 0, "more than 0: for 0 use AbsoluteError")
        return self._replace(reduction=checked_reduction(self.reduction), beta=beta)

    def checked(self, t: Array, y_shape: tuple[int, ...]) -> "SmoothL1":
        """The same, which raises InputError where t does not fit as well."""
        check_shape_of_y(t, y_shape)
        return self.validated()
