"""The reference's penalties on parameters, from torch's own tensors."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from reference.errors import InputError
from reference.penalties import L2


def penalty_of(penalty: Any, weights: Mapping[str, nn.Parameter]) -> Callable[[], Tensor]:
    """What is added to the loss, from the module's parameters by the reference's names.

    Raises InputError for a penalty that is none of the reference's own; a subclass is another one.
    """
    if type(penalty) is not L2:
        raise InputError("penalty", "L2, or a criterion of torch beside your own", type(penalty).__name__)
    penalised = [w for name, w in weights.items() if penalty.names is None or name in penalty.names]

    def value() -> Tensor:
        squares = [w.square().sum() for w in penalised]
        return penalty.strength * sum(squares[1:], start=squares[0])

    return value
