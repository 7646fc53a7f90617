"""Layer norm and a head of self-attention, from nn.Linear, nn.LayerNorm. Equations: reference/networks/attention.py."""

from math import sqrt

import torch
from torch import Tensor, nn

from reference.networks import attention
from torch_mirror.affine import linear
from torch_mirror.networks import Sow, keep


def parameters(_network: attention.Attention) -> dict[str, str]:
    return {
        "We": "layer_e.weight", "be": "layer_e.bias", "gain": "norm.weight", "shift": "norm.bias",
        "Wq": "layer_q.weight", "bq": "layer_q.bias", "Wk": "layer_k.weight",
        "Wv": "layer_v.weight", "bv": "layer_v.bias", "Wo": "layer_o.weight", "bo": "layer_o.bias",
        "Wy": "layer_y.weight", "by": "layer_y.bias",
    }  # fmt: skip


class Attention(nn.Module):
    def __init__(self, network: attention.Attention, dtype: torch.dtype) -> None:
        super().__init__()
        D, d = network.width, network.head
        self.head = d
        self.layer_e = linear(network.inputs, D, dtype)
        self.norm = nn.LayerNorm(D, eps=attention.EPS, dtype=dtype)
        self.layer_q = linear(D, d, dtype)
        self.layer_k = linear(D, d, dtype, bias=False)
        self.layer_v = linear(D, d, dtype)
        self.layer_o = linear(d, D, dtype)
        self.layer_y = linear(D, network.outputs, dtype)

    def forward(self, x: Tensor, sow: Sow = keep) -> Tensor:
        e = sow("e", self.layer_e(x))                     # (batch, S, width)
        n = sow("n", self.norm(e))                        # (batch, S, width)
        q = sow("q", self.layer_q(n))                     # (batch, S, head)
        k = sow("k", self.layer_k(n))                     # (batch, S, head)
        v = sow("v", self.layer_v(n))                     # (batch, S, head)
        s = sow("s", q @ k.mT / sqrt(self.head))          # (batch, S, S)
        w = sow("w", torch.softmax(s, dim=-1))            # (batch, S, S)
        o = sow("o", w @ v)                               # (batch, S, head)
        u = sow("u", e + self.layer_o(o))                 # (batch, S, width)
        m = sow("m", u.mean(dim=-2))                      # (batch, width)
        return sow("y", self.layer_y(m))                  # (batch, out)
