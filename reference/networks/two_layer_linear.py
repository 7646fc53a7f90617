"""Two linear layers, with or without biases.

    h = x W1^T + b1        y = h W2^T + b2

    dW2 = dy^T h           db2 = sum of dy over the batch         dh = dy W2
    dW1 = dh^T x           db1 = sum of dh over the batch

Source: seed document 002 (1-1-1, y = 2x without and y = 2x + 3 with biases). Differentiable everywhere.
"""

from dataclasses import dataclass
from typing import NamedTuple

from reference.affine import affine
from reference.arrays import Array, Shapes, Sow, keep
from reference.options import make_whole


class Parameters(NamedTuple):
    W1: Array         # (hidden, in)
    b1: Array | None  # (hidden,)
    W2: Array         # (out, hidden)
    b2: Array | None  # (out,)


class Cache(NamedTuple):
    x: Array  # (..., batch, in)
    h: Array  # (..., batch, hidden)


@dataclass(frozen=True)
class TwoLayerLinear:
    inputs: int
    hidden: int
    outputs: int
    bias: bool = False

    def __post_init__(self) -> None:
        make_whole(self, "inputs", "hidden", "outputs")

    def shapes(self) -> Shapes:
        W1, W2 = (self.hidden, self.inputs), (self.outputs, self.hidden)
        return {"W1": W1, "b1": W1[:1], "W2": W2, "b2": W2[:1]} if self.bias else {"W1": W1, "W2": W2}

    def forward(self, p: Parameters, x: Array, sow: Sow = keep) -> tuple[Array, Cache]:
        h = sow("h", affine(x, p.W1, p.b1))                         # (..., batch, hidden)
        y = sow("y", affine(h, p.W2, p.b2))                         # (..., batch, out)
        return y, Cache(x, h)

    def backward(self, p: Parameters, c: Cache, dy: Array, sow: Sow = keep) -> Parameters:
        dW2 = sow("dW2", dy.mT @ c.h)                               # (..., out, hidden)
        db2 = None if p.b2 is None else sow("db2", dy.sum(axis=-2))  # (..., out)
        dh = sow("dh", dy @ p.W2)                                   # (..., batch, hidden)
        dW1 = sow("dW1", dh.mT @ c.x)                               # (..., hidden, in)
        db1 = None if p.b1 is None else sow("db1", dh.sum(axis=-2))  # (..., hidden)
        return Parameters(dW1, db1, dW2, db2)
