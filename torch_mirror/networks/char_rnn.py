"""A recurrent network of characters, from nn.Linear. Equations: reference/networks/char_rnn.py."""

import torch
from torch import Tensor, nn

from reference.networks import char_rnn
from torch_mirror.affine import linear
from torch_mirror.networks import Sow, keep


def parameters(_network: char_rnn.CharRNN) -> dict[str, str]:
    return {
        "Wxh": "layer_xh.weight", "bh": "layer_xh.bias", "Whh": "layer_hh.weight",
        "Why": "layer_hy.weight", "by": "layer_hy.bias",
    }  # fmt: skip


class CharRNN(nn.Module):
    def __init__(self, network: char_rnn.CharRNN, dtype: torch.dtype) -> None:
        super().__init__()
        V, H = network.alphabet, network.hidden
        self.layer_xh = linear(V, H, dtype)
        self.layer_hh = linear(H, H, dtype, bias=False)
        self.tanh = nn.Tanh()
        self.layer_hy = linear(H, V, dtype)

    def features(self, x: Tensor, sow: Sow = keep) -> Tensor:
        rows = nn.functional.one_hot(x.long(), self.layer_xh.in_features)
        return sow("onehot", rows.to(self.layer_xh.weight.dtype))       # (T, V)

    def forward(self, x: Tensor, sow: Sow = keep) -> Tensor:
        h = [torch.zeros_like(self.layer_xh.bias)[None, :]]             # h0: (1, hidden)
        for t in range(1, x.shape[-2] + 1):
            xt = x[t - 1 : t]                                           # (1, V)
            z = sow(f"z{t}", self.layer_xh(xt) + self.layer_hh(h[-1]))  # (1, hidden)
            h.append(sow(f"h{t}", self.tanh(z)))                        # (1, hidden)
        return sow("y", self.layer_hy(torch.cat(h[1:], dim=-2)))        # (T, V)
