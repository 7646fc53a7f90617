"""Torch's own losses for those of the reference: (y, t) to the loss, a tensor of one number.

LOSSES is the one table: torch's loss, and what the strategies and the conformance suite draw of it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from torch import Tensor, nn

from reference.errors import InputError
from reference.losses.cross_entropy import CrossEntropy
from reference.losses.squared_error import SquaredError
from torch_mirror.by_name import class_of, file_of

HOME = "reference.losses"
Criterion: TypeAlias = Callable[[Tensor, Tensor], Tensor]
Targets: TypeAlias = Literal["numbers", "classes", "binary"]
"""What t may be. numbers: any, of y's shape. classes: labels, or a probability a class. binary: 0 to 1."""


def criterion_of(loss: Any) -> Criterion:
    """Torch's loss with these options. Raises InputError for a loss that is none of the reference's own.

    A subclass is another loss: whatever it overrides would be left out.
    """
    file = file_of(HOME, type(loss))
    if file not in LOSSES:
        known = ", ".join(class_of(HOME, file).__name__ for file in LOSSES)
        raise InputError("loss", f"one of {known}, or a criterion of torch beside your own", type(loss).__name__)
    return LOSSES[file].torch(loss)


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


class Row(NamedTuple):
    """Torch's loss of the reference's, and what is drawn: options beside the reduction, and what t and y are."""

    torch: Callable[[Any], Criterion]
    options: Mapping[str, tuple[Any, ...]] = {}  # of both sorts, powers of two and decimals; the default stands first
    targets: Targets = "numbers"
    of_probabilities: bool = False               # whether y is one


WIDTHS = (1.0, 0.5, 0.3)

LOSSES: Mapping[str, Row] = {
    "squared_error": Row(_squared_error, {"scale": WIDTHS}),
    "absolute_error": Row(lambda loss: nn.L1Loss(reduction=loss.reduction)),
    "huber": Row(lambda loss: nn.HuberLoss(reduction=loss.reduction, delta=loss.delta), {"delta": WIDTHS}),
    "smooth_l1": Row(lambda loss: nn.SmoothL1Loss(reduction=loss.reduction, beta=loss.beta), {"beta": WIDTHS}),
    "cross_entropy": Row(_cross_entropy, {"label_smoothing": (0.0, 0.25, 0.1)}, "classes"),
    "binary_cross_entropy": Row(lambda loss: nn.BCELoss(reduction=loss.reduction), {}, "binary", of_probabilities=True),
    "binary_cross_entropy_with_logits": Row(lambda loss: nn.BCEWithLogitsLoss(reduction=loss.reduction), {}, "binary"),
}
"""By the file of the reference's loss, which has a class of its name."""


def row_of(loss: Any) -> Row | None:
    """The row of a loss, or of the one that it is a variant (a subclass) of; None for any other."""
    files = [file_of(HOME, kind) for kind in type(loss).__mro__]
    return next((LOSSES[file] for file in files if file in LOSSES), None)
