"""The squared error, with its gradient beside it.

L  = scale * sum (y - t)^2 / N          N = 1 (sum) or the number of elements of y (mean)
dy = 2 * scale * (y - t) / N           written (y - t) / (N / 2), one operation on the array, where there is
                                       no scale: N and scale are rounded apart, as in torch

Source: torch.nn.MSELoss (documentation of ``reduction``); scale 1/2 gives the half sum of squares of
the seed document 001. Note that "mean" divides by batch * out, not by the batch.
"""

from typing import NamedTuple

from reference.arrays import Array
from reference.losses.reduction import Reduction, check_shape_of_y, checked_reduction, elements, reduced
from reference.options import number_that


class SquaredError(NamedTuple):
    """Squared error; ``reduction`` over the batch and the outputs, times ``scale``."""

    reduction: Reduction = "sum"
    scale: float = 1.0
    axes: int | None = None

    def value(self, y: Array, t: Array) -> Array:
        """The loss. y: (..., batch, out), t: y's shape; returns (...)."""
        d = y - t
        total = reduced(d * d, self.reduction, self.axes)
        return total if self.scale == 1 else self.scale * total

    def gradient(self, y: Array, t: Array) -> Array:
        """dy = dL/dy. y: (..., batch, out), t: y's shape; returns y's shape."""
        d, n = y - t, elements(y, self.axes)
        if self.reduction == "sum":
            return (2 * self.scale) * d
        return d / (n / (2 * self.scale)) if self.scale == 1 else self.scale * (2 * d / n)

    def checked(self, t: Array, y_shape: tuple[int, ...]) -> "SquaredError":
        """The loss with a plain number. Raises InputError where an option or t does not fit."""
        check_shape_of_y(t, y_shape)
        scale = number_that("loss scale", self.scale, lambda n: n != 0, "a number other than 0")
        return self._replace(reduction=checked_reduction(self.reduction), scale=scale)
