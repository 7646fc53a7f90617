"""The reference's losses from torch's own modules."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from reference.losses import SquaredError


def criterion_of(loss: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """(y, t) to the loss, by torch."""
    assert isinstance(loss, SquaredError)
    squared_error = nn.MSELoss(reduction=loss.reduction)
    scale = loss.scale
    return squared_error if scale == 1 else lambda y, t: scale * squared_error(y, t)
