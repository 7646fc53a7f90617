"""torch's affine layer, its weights not set: a mirror's weights are the experiment's."""

import torch
from torch import nn
from torch.nn.utils import skip_init


def linear(inputs: int, outputs: int, dtype: torch.dtype, *, bias: bool = True) -> nn.Linear:
    """An nn.Linear that draws no start weights, and so leaves torch's random generator alone."""
    layer: nn.Linear = skip_init(nn.Linear, inputs, outputs, bias=bias, dtype=dtype, device="cpu")  # type: ignore[no-untyped-call]  # untyped in torch
    return layer
