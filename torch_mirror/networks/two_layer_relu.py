"""Two layers with a ReLU between them and no biases. Equations: reference/networks/two_layer_relu.py."""

import torch
from torch import Tensor, nn

from reference.networks import two_layer_relu
from torch_mirror.affine import linear
from torch_mirror.networks import Sow, keep


def parameters(_network: two_layer_relu.TwoLayerReLU) -> dict[str, str]:
    return {"W1": "layer1.weight", "W2": "layer2.weight"}


class TwoLayerReLU(nn.Module):
    def __init__(self, network: two_layer_relu.TwoLayerReLU, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer1 = linear(network.inputs, network.hidden, dtype, bias=False)
        self.relu = nn.ReLU()
        self.layer2 = linear(network.hidden, network.outputs, dtype, bias=False)

    def forward(self, x: Tensor, sow: Sow = keep) -> Tensor:
        z1 = sow("z1", self.layer1(x))         # (batch, hidden)
        a1 = sow("a1", self.relu(z1))          # (batch, hidden)
        return sow("y", self.layer2(a1))       # (batch, out)
