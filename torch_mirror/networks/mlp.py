"""A multi-layer perceptron of any widths and depth. Equations: reference/networks/mlp.py."""

import torch
from torch import Tensor, nn

from reference.networks import mlp
from torch_mirror.affine import linear
from torch_mirror.networks import Sow, keep

ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}


def parameters(network: mlp.MLP) -> dict[str, str]:
    W = {f"W{l}": f"layer{l}.weight" for l, _ in network.layers}
    return W | {f"b{l}": f"layer{l}.bias" for l, _ in network.layers} if network.bias else W


class MLP(nn.Module):
    def __init__(self, network: mlp.MLP, dtype: torch.dtype) -> None:
        super().__init__()
        self.depth = len(network.widths) - 1
        for l, act in network.layers:
            below, width = network.widths[l - 1 : l + 1]
            self.add_module(f"layer{l}", linear(below, width, dtype, bias=network.bias))
            self.add_module(f"activation{l}", None if act == "identity" else ACTIVATIONS[act]())

    def forward(self, x: Tensor, sow: Sow = keep) -> Tensor:
        a = x
        for l in range(1, self.depth + 1):
            layer, activation = self.get_submodule(f"layer{l}"), self._modules[f"activation{l}"]
            name = "y" if l == self.depth else f"a{l}"
            if activation is None:
                a = sow("y" if name == "y" else f"z{l}", layer(a))
            else:
                z = sow(f"z{l}", layer(a))          # (batch, width l)
                a = sow(name, activation(z))        # (batch, width l)
        return a
