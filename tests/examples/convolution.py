"""A convolution by im2col with np.add.at, a ReLU, max pooling by reshape, an affine layer and a squared error."""

from typing import Any

import numpy as np


def indices(shape: tuple[int, ...], fh: int, fw: int, pad: int) -> tuple[Any, Any, Any]:
    _, C, H, W = shape
    out_h, out_w = H + 2 * pad - fh + 1, W + 2 * pad - fw + 1
    i0 = np.tile(np.repeat(np.arange(fh), fw), C)
    j0 = np.tile(np.arange(fw), fh * C)
    i1, j1 = np.repeat(np.arange(out_h), out_w), np.tile(np.arange(out_w), out_h)
    i, j = i0.reshape(-1, 1) + i1.reshape(1, -1), j0.reshape(-1, 1) + j1.reshape(1, -1)
    k = np.repeat(np.arange(C), fh * fw).reshape(-1, 1)
    return k, i, j


def im2col(x: Any, fh: int, fw: int, pad: int) -> Any:
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="constant")
    k, i, j = indices(x.shape, fh, fw, pad)
    cols = padded[:, k, i, j]
    return cols.transpose(1, 2, 0).reshape(fh * fw * x.shape[1], -1)


def col2im(cols: Any, shape: tuple[int, ...], fh: int, fw: int, pad: int) -> Any:
    N, C, H, W = shape
    padded = np.zeros((N, C, H + 2 * pad, W + 2 * pad))
    k, i, j = indices(shape, fh, fw, pad)
    reshaped = cols.reshape(C * fh * fw, -1, N).transpose(2, 0, 1)
    np.add.at(padded, (slice(None), k, i, j), reshaped)  # type: ignore[arg-type]  # a slice is an index as well
    return padded[:, :, pad:-pad, pad:-pad]


def conv_forward(x: Any, w: Any, b: Any) -> Any:
    F, _, fh, fw = w.shape
    cols = im2col(x, fh, fw, 1)
    out = w.reshape(F, -1) @ cols + b.reshape(-1, 1)
    return out.reshape(F, x.shape[2], x.shape[3], x.shape[0]).transpose(3, 0, 1, 2), cols


def conv_backward(dout: Any, x: Any, w: Any, cols: Any) -> Any:
    F, _, fh, fw = w.shape
    db = np.sum(dout, axis=(0, 2, 3))
    flat = dout.transpose(1, 2, 3, 0).reshape(F, -1)
    dw = (flat @ cols.T).reshape(w.shape)
    dcols = w.reshape(F, -1).T @ flat
    return col2im(dcols, x.shape, fh, fw, 1), dw, db


def init(draws: np.random.Generator) -> dict[str, Any]:
    return {
        "K1": 0.5 * draws.standard_normal((2, 1, 3, 3)),
        "c1": 0.5 * draws.standard_normal(2),
        "K2": 0.5 * draws.standard_normal((2, 2, 3, 3)),
        "c2": 0.5 * draws.standard_normal(2),
        "W": draws.standard_normal((8, 2)),
        "b": draws.standard_normal(2),
    }


def loss(p: dict[str, Any], x: Any, t: Any) -> tuple[Any, dict[str, Any]]:
    """x: (N, 1, 4, 4), t: (N, 2)."""
    N = x.shape[0]
    z1, cols1 = conv_forward(x, p["K1"], p["c1"])
    a1 = np.maximum(z1, 0)
    z2, cols2 = conv_forward(a1, p["K2"], p["c2"])
    windows = z2.reshape(N, 2, 2, 2, 2, 2)
    pooled = windows.max(axis=3).max(axis=4)
    h = pooled.reshape(N, -1)
    y = h @ p["W"] + p["b"]
    value = 0.5 * np.sum((y - t) ** 2) / N

    dy = (y - t) / N
    dW = h.T @ dy
    db = dy.sum(axis=0)
    dpooled = (dy @ p["W"].T).reshape(pooled.shape)
    mask = windows == pooled[:, :, :, None, :, None]
    dz2 = (mask * dpooled[:, :, :, None, :, None]).reshape(z2.shape)
    da1, dK2, dc2 = conv_backward(dz2, a1, p["K2"], cols2)
    dz1 = da1 * (z1 > 0)
    _, dK1, dc1 = conv_backward(dz1, x, p["K1"], cols1)
    return value, {"K1": dK1, "c1": dc1, "K2": dK2, "c2": dc2, "W": dW, "b": db}
