"""Layer normalisation and one head of self-attention over S tokens, their mean, and an affine layer.

    e = x We^T + be
    n = gain * ehat + shift           ehat = (e - mean e) r      r = 1 / sqrt(mean of (e - mean e)^2 + eps)
    q = n Wq^T + bq                   k = n Wk^T                 v = n Wv^T + bv
    s = q k^T / sqrt(head)            w = softmax s              o = w v
    u = e + o Wo^T + bo               m = mean of u over S       y = m Wy^T + by

Means of e and the softmax are over the last axis, a token at a time. From the last line to the first:

    dWy = dy^T m, dby = sum of dy     dm = dy Wy                 du = dm / S, the same for every token
    dWo = sum of du^T o               dbo = sum of du            do = du Wo
    dw = do v^T                       dv = w^T do                ds = w * (dw - sum of dw * w over the last axis)
    dq = (ds / sqrt(head)) k          dk = (ds / sqrt(head))^T q
    dWq = sum of dq^T n, dbq = sum of dq, and so for v           dWk = sum of dk^T n
    dn = dq Wq + dk Wk + dv Wv        dshift = sum of dn         dgain = sum of dn * ehat
    de = du + r (dehat - mean dehat - ehat * mean of (dehat * ehat))                 dehat = dn * gain
    dWe = sum of de^T x               dbe = sum of de

Sums without an axis are over the batch and the tokens. k has no bias: it would add one number to a whole row of s,
which the softmax does not see, so that its gradient is 0 and, as computed, nothing but rounding.

Softmax: w_i = exp(s_i) / sum of exp(s_j) has the derivative dw_i/ds_j = w_i ([i = j] - w_j), so that
ds_j = sum over i of dw_i w_i ([i = j] - w_j) = w_j (dw_j - sum over i of dw_i w_i).

Layer norm: with D numbers in a token, d(mean e)/de_j = 1 / D and dr/de_j = -r^3 (e_j - mean e) / D = -r^2 ehat_j / D,
hence d ehat_i/de_j = r ([i = j] - 1 / D) - (e_i - mean e) r^2 ehat_j / D = r ([i = j] - 1 / D - ehat_i ehat_j / D).
That times dehat_i, summed over i, is the line above: its second term is the mean's, its third the variance's.
torch computes it in e itself, which rounds more where the mean is large. So do the equations below, term by term:

    ehat = r e - r mean e             de = du + r dehat + B e + C
    B = (sum dehat * mean e - sum of dehat * e) r^3 / D          C = -B mean e - r sum dehat / D

Mean and r are not sown, as nn.LayerNorm shows neither: n follows from e. torch has them by updates, number by number
(Welford) and block by block (Chan et al.), and rounds at each; a plain sum may be exact, and then its radius is 0. So
the last numbers of a token are put together with the first ones as torch puts together its blocks:

    mean = mean1 + (mean2 - mean1) j / D       sum of (e - mean)^2 = squares1 + squares2 + (mean2 - mean1)^2 i j / D

of the first i and the last j = 1, 2 or 3. i is a multiple of 3, so that mean1 is rounded, as one by updates is. What is
left: tokens of few bits, or of 4 numbers, whose parts have exact sums that all but cancel. Their mean is then known
better here than torch's updates know it, and torch's n may be outside.

Source: Vaswani et al., Attention Is All You Need (2017), section 3.2.1; Ba, Kiros and Hinton, Layer Normalization
(2016); torch.nn.LayerNorm and torch's layer_norm_kernel.cpp and moments_utils.h; Chan, Golub and LeVeque, Updating
Formulae and a Pairwise Algorithm for Computing Sample Variances (1979), section 2. Differentiable everywhere.
"""

from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import numpy as np

from reference.affine import affine
from reference.arrays import Array, Shapes, Sow, keep
from reference.errors import InputError
from reference.options import make_whole

EPS = 1e-5
"""nn.LayerNorm's own."""


class Parameters(NamedTuple):
    We: Array     # (width, in)
    be: Array     # (width,)
    gain: Array   # (width,)
    shift: Array  # (width,)
    Wq: Array     # (head, width)
    bq: Array     # (head,)
    Wk: Array     # (head, width)
    Wv: Array     # (head, width)
    bv: Array     # (head,)
    Wo: Array     # (width, head)
    bo: Array     # (width,)
    Wy: Array     # (out, width)
    by: Array     # (out,)


class Cache(NamedTuple):
    x: Array     # (..., batch, S, in)
    e: Array     # (..., batch, S, width)
    mean: Array  # (..., batch, S, 1)
    r: Array     # (..., batch, S, 1)
    n: Array     # (..., batch, S, width)
    q: Array     # (..., batch, S, head), and so k, v and o
    k: Array
    v: Array
    w: Array     # (..., batch, S, S)
    o: Array
    m: Array     # (..., batch, width)


@dataclass(frozen=True)
class Attention:
    inputs: int
    width: int
    head: int
    outputs: int

    def __post_init__(self) -> None:
        make_whole(self, "inputs", "width", "head", "outputs")
        if self.width < 2:
            raise InputError("width", "2 or more, as one number has no variance", self.width)

    def shapes(self) -> Shapes:
        D, d = (self.width,), (self.head,)
        norm: Shapes = {"We": (*D, self.inputs), "be": D, "gain": D, "shift": D}
        heads: Shapes = {"Wq": d + D, "bq": d, "Wk": d + D, "Wv": d + D, "bv": d}
        return norm | heads | {"Wo": D + d, "bo": D, "Wy": (self.outputs, *D), "by": (self.outputs,)}

    def forward(self, p: Parameters, x: Array, sow: Sow = keep) -> tuple[Array, Cache]:
        e = sow("e", of_tokens(x, p.We, p.be))                             # (..., batch, S, width)
        mean, r = moments(e)                                               # (..., batch, S, 1)
        n = sow("n", (e - mean) * r * each(p.gain) + each(p.shift))        # (..., batch, S, width)
        q = sow("q", of_tokens(n, p.Wq, p.bq))                             # (..., batch, S, head)
        k = sow("k", of_tokens(n, p.Wk))                                   # (..., batch, S, head)
        v = sow("v", of_tokens(n, p.Wv, p.bv))                             # (..., batch, S, head)
        s = sow("s", q @ k.mT / sqrt(self.head))                           # (..., batch, S, S)
        w = sow("w", softmax(s))                                           # (..., batch, S, S)
        o = sow("o", w @ v)                                                # (..., batch, S, head)
        u = sow("u", e + of_tokens(o, p.Wo, p.bo))                         # (..., batch, S, width)
        m = sow("m", u.mean(axis=-2))                                      # (..., batch, width)
        y = sow("y", affine(m, p.Wy, p.by))                                # (..., batch, out)
        return y, Cache(x, e, mean, r, n, q, k, v, w, o, m)

    def backward(self, p: Parameters, c: Cache, dy: Array, sow: Sow = keep) -> Parameters:
        dWy = sow("dWy", dy.mT @ c.m)                                      # (..., out, width)
        dby = sow("dby", dy.sum(axis=-2))                                  # (..., out)
        dm, S = sow("dm", dy @ p.Wy), c.w.shape[-1]                        # (..., batch, width)
        du = sow("du", np.repeat(dm[..., None, :] / S, S, axis=-2))        # (..., batch, S, width)
        dWo = sow("dWo", rows(du).mT @ rows(c.o))                          # (..., width, head)
        dbo = sow("dbo", rows(du).sum(axis=-2))                            # (..., width)
        do = sow("do", du @ p.Wo[..., None, :, :])                         # (..., batch, S, head)
        dw = sow("dw", do @ c.v.mT)                                        # (..., batch, S, S)
        dv = sow("dv", c.w.mT @ do)                                        # (..., batch, S, head)
        ds = sow("ds", softmax_backward(dw, c.w))                          # (..., batch, S, S)
        dqk = ds / sqrt(self.head)                                         # (..., batch, S, S)
        dq = sow("dq", dqk @ c.k)                                          # (..., batch, S, head)
        dk = sow("dk", dqk.mT @ c.q)                                       # (..., batch, S, head)
        dWq, dbq = sow("dWq", rows(dq).mT @ rows(c.n)), sow("dbq", rows(dq).sum(axis=-2))
        dWk = sow("dWk", rows(dk).mT @ rows(c.n))                          # (..., head, width)
        dWv, dbv = sow("dWv", rows(dv).mT @ rows(c.n)), sow("dbv", rows(dv).sum(axis=-2))
        Wq, Wk, Wv = (W[..., None, :, :] for W in (p.Wq, p.Wk, p.Wv))      # (..., 1, head, width)
        dn = sow("dn", dq @ Wq + dk @ Wk + dv @ Wv)                        # (..., batch, S, width)
        dgain = sow("dgain", rows(dn * (c.r * c.e - c.r * c.mean)).sum(axis=-2))  # (..., width)
        dshift = sow("dshift", rows(dn).sum(axis=-2))                      # (..., width)
        de = sow("de", du + layer_norm_backward(dn, each(p.gain), c))      # (..., batch, S, width)
        dWe = sow("dWe", rows(de).mT @ rows(c.x))                          # (..., width, in)
        dbe = sow("dbe", rows(de).sum(axis=-2))                            # (..., width)
        return Parameters(dWe, dbe, dgain, dshift, dWq, dbq, dWk, dWv, dbv, dWo, dbo, dWy, dby)


def of_tokens(x: Array, W: Array, b: Array | None = None) -> Array:
    """The affine map of every token: x (..., batch, S, in), W (..., out, in); returns (..., batch, S, out)."""
    return affine(x, W[..., None, :, :], None if b is None else b[..., None, :])


def each(g: Array) -> Array:
    """g (..., width) beside every token: (..., 1, 1, width)."""
    return g[..., None, None, :]


def rows(a: Array) -> Array:
    """All tokens of all samples, one below the other: a (..., batch, S, width) to (..., batch S, width)."""
    return a.reshape(*a.shape[:-3], -1, a.shape[-1])


def moments(e: Array) -> tuple[Array, Array]:
    """The mean of every token and r, one over its standard deviation, from two parts: (..., batch, S, 1) each."""
    D = e.shape[-1]
    i = (D - 1) // 3 * 3 or D - 1                                          # numbers in the first part
    (mean, squares), (other, more) = deviations(e[..., :i]), deviations(e[..., i:])
    apart = other - mean                                                   # (..., batch, S, 1)
    squares = squares + more + apart * apart * (i * (D - i)) / D           # (..., batch, S, 1)
    return mean + apart * (D - i) / D, 1 / np.sqrt(squares / D + EPS)


def deviations(e: Array) -> tuple[Array, Array]:
    """The mean and the sum of the squared deviations from it, over the last axis: (..., 1) each."""
    mean = e.mean(axis=-1, keepdims=True)
    d = e - mean
    return mean, (d * d).sum(axis=-1, keepdims=True)


def layer_norm_backward(dn: Array, gain: Array, c: Cache) -> Array:
    """What n passes on to e. Products in torch's order, from the left."""
    D = c.e.shape[-1]
    of_mean = (dn * gain).sum(axis=-1, keepdims=True)                      # (..., batch, S, 1)
    of_variance = (dn * c.e * gain).sum(axis=-1, keepdims=True)            # (..., batch, S, 1)
    B = (of_mean * c.mean - of_variance) * c.r * c.r * c.r / D             # (..., batch, S, 1)
    C = -B * c.mean - of_mean * c.r / D                                    # (..., batch, S, 1)
    return c.r * dn * gain + B * c.e + C


def softmax(s: Array) -> Array:
    """exp(s) over its sum along the last axis; the largest s is subtracted first, so that nothing overflows."""
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_backward(dw: Array, w: Array) -> Array:
    """ds from dw and w."""
    return w * (dw - (dw * w).sum(axis=-1, keepdims=True))
