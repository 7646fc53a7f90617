"""A convolution, a ReLU, a max-pooling and an affine layer. Equations: reference/networks/conv.py."""

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from reference.networks import conv
from torch_mirror.affine import linear
from torch_mirror.networks import Sow, keep


def parameters(_network: conv.Conv) -> dict[str, str]:
    return {"W1": "layer1.weight", "b1": "layer1.bias", "W2": "layer2.weight", "b2": "layer2.bias"}


class Conv(nn.Module):
    def __init__(self, network: conv.Conv, dtype: torch.dtype) -> None:
        super().__init__()
        C, q = network.channels, network.inputs // 2 - 1
        self.layer1 = skip_init(nn.Conv2d, 1, C, 3, dtype=dtype, device="cpu")  # type: ignore[no-untyped-call]  # untyped in torch
        self.relu = nn.ReLU()
        self.max_pool = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.layer2 = linear(C * q * q, network.outputs, dtype)

    def forward(self, x: Tensor, sow: Sow = keep) -> Tensor:
        z1 = sow("z1", self.layer1(x[:, None]))               # (batch, C, side - 2, side - 2)
        a1 = sow("a1", self.relu(z1))                         # (batch, C, side - 2, side - 2)
        p1 = sow("p1", self.max_pool(a1))                     # (batch, C, q, q)
        rows = self.flatten(p1)                               # (batch, C q q)
        return sow("y", self.layer2(rows))                    # (batch, out)
