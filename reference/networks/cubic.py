"""A polynomial of the third degree.

    y = a + b x + c x^2 + d x^3  =  powers W^T + bias

with powers = (x, x^2, x^3), W = (b, c, d) and bias = (a). The powers do not depend on the parameters,
so they are computed once, before the first step.

    dW = dy^T powers       dbias = sum of dy over the batch

Source: seed document 000 (2000 points of the sine). Differentiable everywhere.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from reference.affine import affine
from reference.arrays import Array, Shapes, Sow, keep


class Parameters(NamedTuple):
    W: Array     # (1, 3): b, c, d
    bias: Array  # (1,):   a


class Cache(NamedTuple):
    powers: Array  # (..., batch, 3)


@dataclass(frozen=True)
class Cubic:
    inputs: ClassVar[int] = 1
    outputs: ClassVar[int] = 1

    def shapes(self) -> Shapes:
        return {"W": (1, 3), "bias": (1,)}

    def features(self, x: Array, sow: Sow = keep) -> Array:
        return sow("powers", np.concatenate([x, x * x, x * x * x], axis=-1))  # (..., batch, 3)

    def forward(self, p: Parameters, powers: Array, sow: Sow = keep) -> tuple[Array, Cache]:
        y = sow("y", affine(powers, p.W, p.bias))                       # (..., batch, 1)
        return y, Cache(powers)

    def backward(self, p: Parameters, c: Cache, dy: Array, sow: Sow = keep) -> Parameters:
        dW = sow("dW", dy.mT @ c.powers)                                # (..., 1, 3)
        dbias = sow("dbias", dy.sum(axis=-2))                           # (..., 1)
        return Parameters(dW, dbias)
