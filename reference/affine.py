"""The affine map of a layer.

Forward     z  = x W^T + b
Backward    dW = dz^T x         db = sum of dz over the batch         dx = dz W

Weights are stored as torch.nn.Linear stores them, (out, in). The backward equations are so short
that each network writes them out: ``dz.mT @ x``, ``dz.sum(axis=-2)``, ``dz @ W``.
"""

from reference.arrays import Array


def affine(x: Array, W: Array, b: Array | None = None) -> Array:
    """x (..., batch, in), W (..., out, in), b (..., out) or None; returns (..., batch, out)."""
    z = x @ W.mT
    return z if b is None else z + b[..., None, :]
