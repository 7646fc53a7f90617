"""What reduces the losses of all elements to one number a step: their sum, or their mean.

Source: torch.nn.L1Loss (documentation of ``reduction``). "mean" divides by batch * out, not by the batch.
"""

import math
from typing import Any, Literal

import numpy as np

from reference.arrays import Array
from reference.errors import InputError

Reduction = Literal["sum", "mean"]


def own(y: Array, axes: int | None) -> tuple[int, ...]:
    """The axes of y that belong to one step, counted from the last."""
    return tuple(range(-(y.ndim if axes is None else axes), 0))


def elements(y: Array, axes: int | None) -> int:
    """N: how many elements of y belong to one step."""
    return y.size if axes is None else math.prod(y.shape[y.ndim - axes :])


def reduced(losses: Array, reduction: Reduction, axes: int | None) -> Array:
    """The sum over the axes of one step, or the mean. losses: (..., one step's own); returns (...)."""
    total = losses.sum(axis=own(losses, axes))
    return total / elements(losses, axes) if reduction == "mean" else total


def shared_out(dy: Array, reduction: Reduction, axes: int | None) -> Array:
    """The gradient of ``reduced`` from that of the losses: divided by N for the mean."""
    return dy / elements(dy, axes) if reduction == "mean" else dy


def checked_reduction(reduction: Any) -> Reduction:
    """Raise InputError for anything but the two of them."""
    if not isinstance(reduction, str) or reduction not in ("sum", "mean"):
        raise InputError("loss reduction", "'sum' or 'mean'", repr(reduction))
    return reduction  # type: ignore[return-value]  # one of the two, as just seen


def check_shape_of_y(t: Any, y_shape: tuple[int, ...]) -> None:
    """Raise InputError unless t is a floating array of y's shape."""
    if not isinstance(t, np.ndarray):
        raise InputError("tensor t", "a NumPy array", type(t).__name__)
    if t.dtype.kind != "f":
        raise InputError("tensor t", "floating numbers: t.astype(y.dtype) makes them", f"dtype {t.dtype}")
    if t.shape != tuple(y_shape):
        raise InputError("tensor t", f"shape {tuple(y_shape)}, that of y (nothing is broadcast)", f"shape {t.shape}")
