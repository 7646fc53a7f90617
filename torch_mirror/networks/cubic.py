"""A polynomial of the third degree: nn.Linear on the powers of x. Equations: reference/networks/cubic.py."""

import torch
from torch import Tensor, nn

from reference.networks import cubic
from torch_mirror.affine import linear
from torch_mirror.networks import Sow, keep


def parameters(_network: cubic.Cubic) -> dict[str, str]:
    return {"W": "layer1.weight", "bias": "layer1.bias"}


class Cubic(nn.Module):
    def __init__(self, _network: cubic.Cubic, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer1 = linear(3, 1, dtype)

    def features(self, x: Tensor, sow: Sow = keep) -> Tensor:
        return sow("powers", torch.cat([x, x**2, x**3], dim=-1))  # (batch, 3)

    def forward(self, powers: Tensor, sow: Sow = keep) -> Tensor:
        return sow("y", self.layer1(powers))                      # (batch, 1)
