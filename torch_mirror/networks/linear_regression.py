"""Linear regression, with an identity, ReLU or sigmoid output.

Equations: reference/networks/linear_regression.py.
"""

import torch
from torch import Tensor, nn

from reference.networks import linear_regression
from torch_mirror.affine import linear
from torch_mirror.networks import Sow, keep

ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}


def parameters(_network: linear_regression.LinearRegression) -> dict[str, str]:
    return {"W": "layer1.weight", "b": "layer1.bias"}


class LinearRegression(nn.Module):
    def __init__(self, network: linear_regression.LinearRegression, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer1 = linear(network.inputs, network.outputs, dtype)
        self.output = None if network.output == "identity" else ACTIVATIONS[network.output]()

    def forward(self, x: Tensor, sow: Sow = keep) -> Tensor:
        if self.output is None:
            return sow("y", self.layer1(x))  # (batch, out)
        z = sow("z", self.layer1(x))        # (batch, out)
        return sow("y", self.output(z))     # (batch, out)
