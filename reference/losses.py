"""The squared error, with its gradient beside it.

L  = scale * sum (y - t)^2 / N          N = 1 (sum) or the number of elements of y (mean)
dy = 2 * scale * (y - t) / N           written (y - t) / (N / 2), one operation on the array, where there is
                                       no scale: N and scale are rounded apart, as in torch

Source: torch.nn.MSELoss (documentation of ``reduction``); scale 1/2 gives the half sum of squares of
the seed document 001. Note that "mean" divides by batch * out, not by the batch.
"""

from math import prod
from typing import Literal, NamedTuple

from reference.arrays import Array
from reference.errors import InputError
from reference.options import checked_number


class SquaredError(NamedTuple):
    """Squared error; ``reduction`` over the elements of y, times ``scale``.

    axes: how many of the last axes of y belong to one step, where steps are stacked in front; None for all.
    """

    reduction: Literal["sum", "mean"] = "sum"
    scale: float = 1.0
    axes: int | None = None

    def validated(self) -> "SquaredError":
        """The same with a plain float. Raises InputError for another reduction, and a scale that is 0 or not finite."""
        if self.reduction not in ("sum", "mean"):
            raise InputError("loss reduction", "'sum' or 'mean'", repr(self.reduction))
        scale = checked_number("loss scale", self.scale)
        if scale == 0:
            raise InputError("loss scale", "a number other than 0", repr(self.scale))
        return self._replace(scale=scale)

    def checked(self, t: Array, shape: tuple[int, ...]) -> None:
        """Raises InputError unless t has the shape of y."""
        if t is None or t.shape != shape:
            came = "none" if t is None else f"shape {t.shape}"
            raise InputError("tensor t", f"shape {shape}, that of y (nothing is broadcast)", came)

    def value(self, y: Array, t: Array) -> Array:
        """The loss. y, t: (..., batch, out); returns (...)."""
        d = y - t
        total: Array = (d * d).sum(axis=tuple(range(-self._axes(y), 0)))
        if self.reduction == "mean":
            total = total / self._count(y)
        return total if self.scale == 1 else self.scale * total

    def gradient(self, y: Array, t: Array) -> Array:
        """dy = dL/dy. y, t: (..., batch, out); returns (..., batch, out)."""
        d = y - t
        if self.reduction == "sum":
            return (2 * self.scale) * d
        n = self._count(y)
        return d / (n / (2 * self.scale)) if self.scale == 1 else self.scale * (2 * d / n)

    def _axes(self, y: Array) -> int:
        return y.ndim if self.axes is None else self.axes

    def _count(self, y: Array) -> int:
        return prod(y.shape[y.ndim - self._axes(y) :])
