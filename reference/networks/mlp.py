"""A multi-layer perceptron of any widths and depth.

    a0 = x;   zl = a(l-1) Wl^T + bl,   al = act(zl)   for l = 1 ... L - 1
    zL = a(L-1) WL^T + bL,             y = out(zL)

    dzL = dy * out'(zL);   dWl = dzl^T a(l-1)         dbl = sum of dzl over the batch
                           da(l-1) = dzl Wl           dz(l-1) = da(l-1) * act'(z(l-1))

Where the activation is the identity there is no al apart from zl (and no zL apart from y).
Source: seed document 001 (3-3-2-1 linear; 3-5-1 with a ReLU; the derivation with a sigmoid output). With
ReLU, not differentiable where a z is 0: the gradient is 0 there.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from reference.activations import ACTIVATIONS, check_activation
from reference.affine import affine
from reference.arrays import Array, Shapes, Sow, keep
from reference.errors import InputError
from reference.options import whole


class Parameters(NamedTuple):
    W: tuple[Array, ...]         # Wl: (width l, width l - 1)
    b: tuple[Array | None, ...]  # bl: (width l,)


class Cache(NamedTuple):
    a: tuple[Array, ...]  # a0 = x ... aL = y: (..., batch, width l)
    z: tuple[Array, ...]  # z1 ... zL:         (..., batch, width l)


@dataclass(frozen=True)
class MLP:
    widths: tuple[int, ...]
    activation: Literal["identity", "relu", "sigmoid", "tanh"] = "relu"
    output: Literal["identity", "sigmoid"] = "identity"
    bias: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.widths, (tuple, list)) or len(self.widths) < 2:
            raise InputError("widths", "those of x, of y and of any layers between them", self.widths)
        object.__setattr__(self, "widths", tuple(whole("widths", width, 1) for width in self.widths))
        check_activation("activation", self.activation, ("identity", *ACTIVATIONS))
        check_activation("output", self.output, ("identity", "sigmoid"))

    @property
    def inputs(self) -> int:
        return self.widths[0]

    @property
    def outputs(self) -> int:
        return self.widths[-1]

    @cached_property
    def layers(self) -> list[tuple[int, str]]:
        """(l, activation of layer l), from the first layer to the last."""
        depth = len(self.widths) - 1
        return [(l, self.activation if l < depth else self.output) for l in range(1, depth + 1)]

    def shapes(self) -> Shapes:
        W: Shapes = {f"W{l}": (self.widths[l], self.widths[l - 1]) for l, _ in self.layers}
        return W | {f"b{l}": (self.widths[l],) for l, _ in self.layers} if self.bias else W

    def forward(self, p: Parameters, x: Array, sow: Sow = keep) -> tuple[Array, Cache]:
        a, z = [x], []
        for (l, act), W, b in zip(self.layers, p.W, p.b, strict=True):
            name = "y" if l == len(p.W) else f"a{l}"
            if act == "identity":
                z.append(sow("y" if name == "y" else f"z{l}", affine(a[-1], W, b)))
                a.append(z[-1])
            else:
                z.append(sow(f"z{l}", affine(a[-1], W, b)))                 # (..., batch, width l)
                a.append(sow(name, ACTIVATIONS[act].forward(z[-1])))        # (..., batch, width l)
        return a[-1], Cache(tuple(a), tuple(z))

    def backward(self, p: Parameters, c: Cache, dy: Array, sow: Sow = keep) -> Parameters:
        dW, db, da = [], [], dy
        for l, act in reversed(self.layers):
            dz = da
            if act != "identity":
                dz = sow(f"dz{l}", ACTIVATIONS[act].backward(da, c.z[l - 1], c.a[l]))
            dW.append(sow(f"dW{l}", dz.mT @ c.a[l - 1]))                    # (..., width l, width l - 1)
            db.append(sow(f"db{l}", dz.sum(axis=-2)) if self.bias else None)  # (..., width l)
            if l > 1:
                below = "a" if self.activation != "identity" else "z"
                da = sow(f"d{below}{l - 1}", dz @ p.W[l - 1])               # (..., batch, width l - 1)
        return Parameters(tuple(reversed(dW)), tuple(reversed(db)))
