"""Torch's own losses for those of the reference: (y, t) to the loss, a tensor of one number."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from torch import Tensor, nn

from reference.errors import InputError
from reference.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    BinaryCrossEntropyWithLogits,
    CrossEntropy,
    Huber,
    SmoothL1,
    SquaredError,
)

Criterion: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def criterion_of(loss: Any) -> Criterion:
    """Torch's loss with these options. Raises InputError for a loss that is none of the reference's own.

    A subclass is another loss: whatever it overrides would be left out.
    """
    make = CRITERIA.get(type(loss))
    if make is None:
        known = ", ".join(kind.__name__ for kind in CRITERIA)
        raise InputError("loss", f"one of {known}, or a criterion of torch beside your own", type(loss).__name__)
    return make(loss)


def _squared_error(loss: SquaredError) -> Criterion:
    squared_error, scale = nn.MSELoss(reduction=loss.reduction), loss.scale
    return squared_error if scale == 1 else lambda y, t: scale * squared_error(y, t)


def _cross_entropy(loss: CrossEntropy) -> Criterion:
    cross_entropy = nn.CrossEntropyLoss(reduction=loss.reduction, label_smoothing=loss.label_smoothing)

    def criterion(y: Tensor, t: Tensor) -> Tensor:
        """y: (..., classes), all in front being samples: torch wants them in one row. Labels it takes as int64."""
        rows = t.reshape(-1, y.shape[-1]) if t.is_floating_point() else t.reshape(-1).long()
        return cross_entropy(y.reshape(-1, y.shape[-1]), rows)

    return criterion


CRITERIA: Mapping[type, Callable[[Any], Criterion]] = {
    SquaredError: _squared_error,
    AbsoluteError: lambda loss: nn.L1Loss(reduction=loss.reduction),
    Huber: lambda loss: nn.HuberLoss(reduction=loss.reduction, delta=loss.delta),
    SmoothL1: lambda loss: nn.SmoothL1Loss(reduction=loss.reduction, beta=loss.beta),
    CrossEntropy: _cross_entropy,
    BinaryCrossEntropy: lambda loss: nn.BCELoss(reduction=loss.reduction),
    BinaryCrossEntropyWithLogits: lambda loss: nn.BCEWithLogitsLoss(reduction=loss.reduction),
}
"""By the exact type of the reference's loss."""
