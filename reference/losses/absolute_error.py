"""The absolute error, with its gradient beside it.

L  = sum |y - t| / N                   N = 1 (sum) or the number of elements of y (mean)
dy = sign(y - t) / N

Not differentiable where y = t: there dy = 0, as in torch. Source: torch.nn.L1Loss (documentation).
"""

from typing import NamedTuple

import numpy as np

from reference.arrays import Array
from reference.losses.reduction import Reduction, check_shape_of_y, checked_reduction, reduced, shared_out


class AbsoluteError(NamedTuple):
    """Sum or mean of |y - t|."""

    reduction: Reduction = "mean"
    axes: int | None = None

    def value(self, y: Array, t: Array) -> Array:
        """The loss. y: (..., batch, out), t: y's shape; returns (...)."""
        return reduced(np.abs(y - t), self.reduction, self.axes)

    def gradient(self, y: Array, t: Array) -> Array:
        """dy = dL/dy. y: (..., batch, out), t: y's shape; returns y's shape."""
        return shared_out(np.sign(y - t), self.reduction, self.axes)

    def validated(self) -> "AbsoluteError":
        """The loss with plain numbers. Raises InputError where an option does not fit."""
        return self._replace(reduction=checked_reduction(self.reduction))

    def checked(self, t: Array, y_shape: tuple[int, ...]) -> "AbsoluteError":
        """The same, which raises InputError where t does not fit as well."""
        check_shape_of_y(t, y_shape)
        return self.validated()
