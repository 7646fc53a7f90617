"""torch's affine layer, its weights not set: a mirror's weights are the experiment's."""

import torch
from torch import nn


class Linear(nn.Linear):
    """torch's own, but that it draws no start weights, and so leaves torch's random generator alone.

    torch.nn.utils.skip_init does that too, by drawing them on the meta device: a few ten times as long.
    """

    def reset_parameters(self) -> None:
        """What ``nn.Linear`` calls in the end to draw them."""


def linear(inputs: int, outputs: int, dtype: torch.dtype, *, bias: bool = True) -> nn.Linear:
    """An nn.Linear whose weights are to be set."""
    return Linear(inputs, outputs, bias, dtype=dtype, device="cpu")
