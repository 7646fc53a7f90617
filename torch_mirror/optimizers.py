"""The reference's optimizers from torch.optim."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from reference.optimizers.sgd import SGD


def optimizer_of(optimizer: Any, parameters: Mapping[str, nn.Parameter]) -> torch.optim.Optimizer:
    assert isinstance(optimizer, SGD)
    lr = optimizer.lr if isinstance(optimizer.lr, float) else next(iter(optimizer.lr), 0.0)
    return torch.optim.SGD(parameters.values(), lr, *optimizer[1:5], maximize=optimizer.maximize)


def states_of(optimizer: Any) -> dict[str, str]:
    return {"v": "momentum_buffer"}


def set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of a schedule's next step, as torch.optim.lr_scheduler does."""
    for group in optimizer.param_groups:
        group["lr"] = lr
