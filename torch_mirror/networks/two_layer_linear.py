"""Two linear layers, with or without biases. Equations: reference/networks/two_layer_linear.py."""

import torch
from torch import Tensor, nn

from reference.networks import two_layer_linear
from torch_mirror.affine import linear
from torch_mirror.networks import Sow, keep


def parameters(network: two_layer_linear.TwoLayerLinear) -> dict[str, str]:
    if not network.bias:
        return {"W1": "layer1.weight", "W2": "layer2.weight"}
    return {"W1": "layer1.weight", "b1": "layer1.bias", "W2": "layer2.weight", "b2": "layer2.bias"}


class TwoLayerLinear(nn.Module):
    def __init__(self, network: two_layer_linear.TwoLayerLinear, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer1 = linear(network.inputs, network.hidden, dtype, bias=network.bias)
        self.layer2 = linear(network.hidden, network.outputs, dtype, bias=network.bias)

    def forward(self, x: Tensor, sow: Sow = keep) -> Tensor:
        h = sow("h", self.layer1(x))           # (batch, hidden)
        return sow("y", self.layer2(h))        # (batch, out)
