"""A convolution, a ReLU, a max-pooling and an affine layer, on square images with one channel.

    z1[n,c,i,j] = b1[c] + sum over u, v of x[n,i+u,j+v] W1[c,0,u,v]        u, v = 0, 1, 2: no padding
    a1 = max(z1, 0)
    p1[n,c,i,j] = the largest of the block a1[n,c,2i:2i+2,2j:2j+2]         y = p1 W2^T + b2, p1 in rows (batch, C q q)

    dW2 = dy^T p1          db2 = sum of dy over the batch                  dp1 = dy W2
    da1 = dp1 at the first maximum of its block in the order (0,0) (0,1) (1,0) (1,1), else 0
    dz1 = da1 where z1 > 0, else 0
    dW1[c,0,u,v] = sum over n, i, j of dz1[n,c,i,j] x[n,i+u,j+v]           db1[c] = sum over n, i, j of dz1[n,c,i,j]

The convolution is written in two ways, and both are the same function: "im2col" puts every 3 x 3 window of every image
in a row, and so makes it an affine map of rows; "einsum" is the formula above. Like torch's, it is a
correlation: the kernel is not flipped. Not differentiable where z1 = 0 and where a block has two maxima:
there the gradient is torch's (nn.ReLU: 0; nn.MaxPool2d: the first one takes all). Where a NaN is in a block,
every candidate takes the gradient, so that the NaN is not lost.

Source: Goodfellow, Bengio and Courville, Deep Learning, section 9.1 (equation 9.6); torch.nn.Conv2d and
torch.nn.MaxPool2d; im2col: Chellapilla, Puri and Simard, High Performance Convolutional Neural Networks (2006).
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from reference.activations import relu, relu_backward
from reference.affine import affine
from reference.arrays import Array, Shapes, Sow, keep
from reference.errors import InputError, UnknownNameError
from reference.options import make_whole


class Parameters(NamedTuple):
    W1: Array  # (C, 1, 3, 3)
    b1: Array  # (C,)
    W2: Array  # (out, C q q): q = (side - 2) / 2
    b2: Array  # (out,)


class Cache(NamedTuple):
    windows: Array  # (..., batch, side - 2, side - 2, 3, 3)
    z1: Array       # (..., batch, C, side - 2, side - 2)
    a1: Array       # (..., batch, C, side - 2, side - 2)
    rows: Array     # (..., batch, C q q): p1, a row for each image


@dataclass(frozen=True)
class Conv:
    channels: int
    inputs: int = 8  # the side of an image: x is (batch, inputs, inputs)
    outputs: int = 10
    by: Literal["im2col", "einsum"] = "im2col"

    def __post_init__(self) -> None:
        make_whole(self, "channels", "inputs", "outputs")
        if self.inputs < 4 or self.inputs % 2:
            raise InputError("inputs", "the side of an image: an even number, 4 or more", self.inputs)
        if not isinstance(self.by, str) or self.by not in ("im2col", "einsum"):
            raise UnknownNameError("by", self.by, ("im2col", "einsum"))

    def shapes(self) -> Shapes:
        C, features, out = self.channels, self.channels * (self.inputs // 2 - 1) ** 2, self.outputs
        return {"W1": (C, 1, 3, 3), "b1": (C,), "W2": (out, features), "b2": (out,)}

    def forward(self, p: Parameters, x: Array, sow: Sow = keep) -> tuple[Array, Cache]:
        windows = windows_of(x)                                            # (..., batch, side - 2, side - 2, 3, 3)
        z1 = sow("z1", CONVOLUTIONS[self.by](windows, p.W1, p.b1))         # (..., batch, C, side - 2, side - 2)
        a1 = sow("a1", relu(z1))                                           # (..., batch, C, side - 2, side - 2)
        p1 = sow("p1", max_pool(a1))                                       # (..., batch, C, q, q)
        rows = p1.reshape(*p1.shape[:-3], -1)                              # (..., batch, C q q)
        y = sow("y", affine(rows, p.W2, p.b2))                             # (..., batch, out)
        return y, Cache(windows, z1, a1, rows)

    def backward(self, p: Parameters, c: Cache, dy: Array, sow: Sow = keep) -> Parameters:
        dW2 = sow("dW2", dy.mT @ c.rows)                                   # (..., out, C q q)
        db2 = sow("db2", dy.sum(axis=-2))                                  # (..., out)
        q = self.inputs // 2 - 1
        drows = dy @ p.W2                                                  # (..., batch, C q q)
        dp1 = sow("dp1", drows.reshape(*drows.shape[:-1], -1, q, q))       # (..., batch, C, q, q)
        da1 = sow("da1", max_pool_backward(dp1, c.a1))                     # (..., batch, C, side - 2, side - 2)
        dz1 = sow("dz1", relu_backward(da1, c.z1, c.a1))                   # (..., batch, C, side - 2, side - 2)
        dW1 = sow("dW1", KERNEL_GRADIENTS[self.by](dz1, c.windows))        # (..., C, 1, 3, 3)
        db1 = sow("db1", dz1.sum(axis=(-4, -2, -1)))                       # (..., C)
        return Parameters(dW1, db1, dW2, db2)


def windows_of(x: Array) -> Array:
    """Every 3 x 3 window: x (..., n, m) to w (..., n - 2, m - 2, 3, 3), w[..., i, j, u, v] = x[..., i + u, j + v]."""
    i, j, k = np.arange(x.shape[-2] - 2), np.arange(x.shape[-1] - 2), np.arange(3)
    return x[..., (i[:, None] + k)[:, None, :, None], (j[:, None] + k)[:, None, :]]


def by_im2col(windows: Array, W: Array, b: Array) -> Array:
    """The convolution as an affine map of rows, a row for each window. Returns (..., batch, C, n, m)."""
    rows = windows.reshape(*windows.shape[:-5], -1, 9)                     # (..., batch n m, 9)
    z = affine(rows, W.reshape(*W.shape[:-3], 9), b)                       # (..., batch n m, C)
    z = z.reshape(*z.shape[:-2], *windows.shape[-5:-2], z.shape[-1])       # (..., batch, n, m, C)
    return np.moveaxis(z, -1, -3)


def by_im2col_backward(dz: Array, windows: Array) -> Array:
    """dW (..., C, 1, 3, 3) from dz (..., batch, C, n, m), as that of an affine map."""
    dz = np.moveaxis(dz, -3, -1)                                           # (..., batch, n, m, C)
    dz = dz.reshape(*dz.shape[:-4], -1, dz.shape[-1])                      # (..., batch n m, C)
    dW = dz.mT @ windows.reshape(*windows.shape[:-5], -1, 9)               # (..., C, 9)
    return dW.reshape(*dW.shape[:-1], 1, 3, 3)


def by_einsum(windows: Array, W: Array, b: Array) -> Array:
    """The convolution as a sum of products. Returns (..., batch, C, n, m)."""
    return np.einsum("...bijuv,...cuv->...bcij", windows, W[..., 0, :, :]) + b[..., None, :, None, None]


def by_einsum_backward(dz: Array, windows: Array) -> Array:
    """dW (..., C, 1, 3, 3) from dz (..., batch, C, n, m), as a sum of products."""
    return np.einsum("...bcij,...bijuv->...cuv", dz, windows)[..., None, :, :]


CONVOLUTIONS = {"im2col": by_im2col, "einsum": by_einsum}
KERNEL_GRADIENTS = {"im2col": by_im2col_backward, "einsum": by_einsum_backward}


def corners(a: Array) -> list[Array]:
    """The elements of every 2 x 2 block in row-major order: a (..., 2 n, 2 m) to four of (..., n, m)."""
    return [a[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]


def max_pool(a: Array) -> Array:
    """The largest element of every 2 x 2 block: a (..., 2 n, 2 m) to (..., n, m)."""
    upper_left, upper_right, lower_left, lower_right = corners(a)
    return np.maximum(np.maximum(upper_left, upper_right), np.maximum(lower_left, lower_right))


def max_pool_backward(dp: Array, a: Array) -> Array:
    """da from dp (..., n, m): a corner takes it, unless one before it is as large or one after it larger."""
    block = corners(a)
    dblock = []
    for k, corner in enumerate(block):
        beaten = [corner <= other for other in block[:k]] + [corner < other for other in block[k + 1 :]]
        dblock.append(np.where(beaten[0] | beaten[1] | beaten[2], 0, dp))
    upper, lower = np.stack(dblock[:2], axis=-1), np.stack(dblock[2:], axis=-1)  # (..., n, m, 2)
    da = np.stack([upper, lower], axis=-3)                                 # (..., n, 2, m, 2)
    return da.reshape(*da.shape[:-4], 2 * da.shape[-4], 2 * da.shape[-2])
