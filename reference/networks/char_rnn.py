"""A recurrent network that says after every character which one may come next, unrolled over T characters.

    x_t = the t-th character as one of V rows of the identity        h_0 = 0
    z_t = x_t Wxh^T + bh + h_(t-1) Whh^T        h_t = tanh(z_t)      y_t = h_t Why^T + by

    dWhy = sum over t of dy_t^T h_t             dby = sum over t of dy_t
    dh_t = dy_t Why + dz_(t+1) Whh              dz_t = dh_t * (1 - h_t^2)                dz_(T+1) = 0
    dWxh = sum over t of dz_t^T x_t             dWhh = sum over t of dz_t^T h_(t-1)      dbh = sum over t of dz_t

h_t reaches the loss by two ways, by y_t and by z_(t+1): dh_t has a term of each, and so is computed from the last t
to the first (backpropagation through time). Every z_t and h_t is a batch of one row. The rows of the identity
are of bool: in a product True and False are 1 and 0 in the precision of the weights.
Source: Goodfellow, Bengio and Courville, Deep Learning, sections 10.2 and 10.2.2. Differentiable everywhere.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from reference.activations import tanh, tanh_backward
from reference.affine import affine
from reference.arrays import Array, Shapes, Sow, keep
from reference.options import make_whole


class Parameters(NamedTuple):
    Wxh: Array  # (hidden, V)
    bh: Array   # (hidden,)
    Whh: Array  # (hidden, hidden)
    Why: Array  # (V, hidden)
    by: Array   # (V,)


class Cache(NamedTuple):
    x: Array              # (..., T, V)
    z: tuple[Array, ...]  # z1 ... zT: (..., 1, hidden)
    h: tuple[Array, ...]  # h0 ... hT: (..., 1, hidden)


@dataclass(frozen=True)
class CharRNN:
    alphabet: int  # V: how many characters there are
    hidden: int

    def __post_init__(self) -> None:
        make_whole(self, "alphabet", "hidden")

    @property
    def inputs(self) -> int:
        return self.alphabet

    @property
    def outputs(self) -> int:
        return self.alphabet

    def shapes(self) -> Shapes:
        V, H = self.alphabet, self.hidden
        return {"Wxh": (H, V), "bh": (H,), "Whh": (H, H), "Why": (V, H), "by": (V,)}

    def features(self, x: Array, sow: Sow = keep) -> Array:
        """x (..., T), whole numbers from 0 to V - 1, as rows of the identity."""
        return sow("onehot", np.eye(self.alphabet, dtype=bool)[x])              # (..., T, V)

    def forward(self, p: Parameters, x: Array, sow: Sow = keep) -> tuple[Array, Cache]:
        z, h = [], [np.zeros_like(p.bh)[..., None, :]]                          # h0: (..., 1, hidden)
        for t in range(1, x.shape[-2] + 1):
            xt = x[..., t - 1 : t, :]                                           # (..., 1, V)
            z.append(sow(f"z{t}", affine(xt, p.Wxh, p.bh) + h[-1] @ p.Whh.mT))  # (..., 1, hidden)
            h.append(sow(f"h{t}", tanh(z[-1])))                                 # (..., 1, hidden)
        y = sow("y", affine(np.concatenate(h[1:], axis=-2), p.Why, p.by))       # (..., T, V)
        return y, Cache(x, tuple(z), tuple(h))

    def backward(self, p: Parameters, c: Cache, dy: Array, sow: Sow = keep) -> Parameters:
        dWhy = sow("dWhy", dy.mT @ np.concatenate(c.h[1:], axis=-2))            # (..., V, hidden)
        dby = sow("dby", dy.sum(axis=-2))                                       # (..., V)
        dz: list[Array] = []                                                    # of the last t first
        for t in range(len(c.z), 0, -1):
            dh = dy[..., t - 1 : t, :] @ p.Why                                  # (..., 1, hidden)
            dh = sow(f"dh{t}", dh + dz[-1] @ p.Whh if dz else dh)               # (..., 1, hidden)
            dz.append(sow(f"dz{t}", tanh_backward(dh, c.z[t - 1], c.h[t])))     # (..., 1, hidden)
        dZ = np.concatenate(dz[::-1], axis=-2)                                  # (..., T, hidden)
        dWxh = sow("dWxh", dZ.mT @ c.x)                                         # (..., hidden, V)
        dbh = sow("dbh", dZ.sum(axis=-2))                                       # (..., hidden)
        dWhh = sow("dWhh", dZ.mT @ np.concatenate(c.h[:-1], axis=-2))           # (..., hidden, hidden)
        return Parameters(dWxh, dbh, dWhh, dWhy, dby)
