"""Linear regression, with an identity, ReLU or sigmoid output.

    z = x W^T + b          y = act(z)

    dz = dy * act'(z)      dW = dz^T x          db = sum of dz over the batch

Source: seed document 001 (one neuron; a batch; the diabetes data, without and with a ReLU). With the
identity there is no z apart from y. With a ReLU, not differentiable where z = 0: the gradient is 0 there.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from reference.activations import ACTIVATIONS, check_activation
from reference.affine import affine
from reference.arrays import Array, Shapes, Sow, keep
from reference.options import make_whole


class Parameters(NamedTuple):
    W: Array  # (out, in)
    b: Array  # (out,)


class Cache(NamedTuple):
    x: Array  # (..., batch, in)
    z: Array  # (..., batch, out)
    y: Array  # (..., batch, out)


@dataclass(frozen=True)
class LinearRegression:
    inputs: int
    outputs: int = 1
    output: Literal["identity", "relu", "sigmoid"] = "identity"

    def __post_init__(self) -> None:
        make_whole(self, "inputs", "outputs")
        check_activation("output", self.output, ("identity", "relu", "sigmoid"))

    def shapes(self) -> Shapes:
        return {"W": (self.outputs, self.inputs), "b": (self.outputs,)}

    def forward(self, p: Parameters, x: Array, sow: Sow = keep) -> tuple[Array, Cache]:
        if self.output == "identity":
            y = sow("y", affine(x, p.W, p.b))                                   # (..., batch, out)
            return y, Cache(x, y, y)
        z = sow("z", affine(x, p.W, p.b))                                       # (..., batch, out)
        y = sow("y", ACTIVATIONS[self.output].forward(z))                       # (..., batch, out)
        return y, Cache(x, z, y)

    def backward(self, p: Parameters, c: Cache, dy: Array, sow: Sow = keep) -> Parameters:
        dz = dy
        if self.output != "identity":
            dz = sow("dz", ACTIVATIONS[self.output].backward(dy, c.z, c.y))     # (..., batch, out)
        dW = sow("dW", dz.mT @ c.x)                                             # (..., out, in)
        db = sow("db", dz.sum(axis=-2))                                         # (..., out)
        return Parameters(dW, db)
