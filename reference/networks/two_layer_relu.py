"""Two layers with a ReLU between them and no biases.

    z1 = x W1^T            a1 = max(z1, 0)            y = a1 W2^T

    dW2 = dy^T a1          da1 = dy W2
    dz1 = da1 where z1 > 0, else 0                    dW1 = dz1^T x

Source: seed documents 003 and 004 (64 x 1000 -> 100 -> 10). Not differentiable where z1 = 0: there
the gradient is 0, as in torch; the documents' ``grad_h[h < 0] = 0`` lets it pass.
"""

from dataclasses import dataclass
from typing import NamedTuple

from reference.activations import relu, relu_backward
from reference.affine import affine
from reference.arrays import Array, Shapes, Sow, keep
from reference.options import make_whole


class Parameters(NamedTuple):
    W1: Array  # (hidden, in)
    W2: Array  # (out, hidden)


class Cache(NamedTuple):
    x: Array   # (..., batch, in)
    z1: Array  # (..., batch, hidden)
    a1: Array  # (..., batch, hidden)


@dataclass(frozen=True)
class TwoLayerReLU:
    inputs: int
    hidden: int
    outputs: int

    def __post_init__(self) -> None:
        make_whole(self, "inputs", "hidden", "outputs")

    def shapes(self) -> Shapes:
        return {"W1": (self.hidden, self.inputs), "W2": (self.outputs, self.hidden)}

    def forward(self, p: Parameters, x: Array, sow: Sow = keep) -> tuple[Array, Cache]:
        z1 = sow("z1", affine(x, p.W1))                     # (..., batch, hidden)
        a1 = sow("a1", relu(z1))                            # (..., batch, hidden)
        y = sow("y", affine(a1, p.W2))                      # (..., batch, out)
        return y, Cache(x, z1, a1)

    def backward(self, p: Parameters, c: Cache, dy: Array, sow: Sow = keep) -> Parameters:
        dW2 = sow("dW2", dy.mT @ c.a1)                      # (..., out, hidden)
        da1 = sow("da1", dy @ p.W2)                         # (..., batch, hidden)
        dz1 = sow("dz1", relu_backward(da1, c.z1, c.a1))    # (..., batch, hidden)
        dW1 = sow("dW1", dz1.mT @ c.x)                      # (..., hidden, in)
        return Parameters(dW1, dW2)
