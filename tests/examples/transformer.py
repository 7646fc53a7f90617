"""A transformer's block, inference only, with the weights of a torch module, as one ports a model."""

from typing import Any

import numpy as np

HEADS = 2

NAMES = {
    "qkv_W": "self_attn.in_proj_weight.T", "qkv_b": "self_attn.in_proj_bias",
    "out_W": "self_attn.out_proj.weight.T", "out_b": "self_attn.out_proj.bias",
    "up_W": "linear1.weight.T", "up_b": "linear1.bias", "down_W": "linear2.weight.T", "down_b": "linear2.bias",
    "g1": "norm1.weight", "s1": "norm1.bias", "g2": "norm2.weight", "s2": "norm2.bias",
}  # fmt: skip


def layer_norm(x: Any, g: Any, s: Any) -> Any:
    centred = x - x.mean(axis=-1, keepdims=True)
    return g * centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5) + s


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def block(p: dict[str, Any], x: Any) -> Any:
    """x: (N, T, d), d a multiple of HEADS."""
    N, T, d = x.shape
    qkv = layer_norm(x, p["g1"], p["s1"]) @ p["qkv_W"] + p["qkv_b"]               # (N, T, 3 d)
    q, k, v = (a.reshape(N, T, HEADS, -1).transpose(0, 2, 1, 3) for a in np.split(qkv, 3, axis=-1))
    attention = softmax(q @ k.transpose(0, 1, 3, 2) / np.sqrt(d // HEADS))        # (N, heads, T, T)
    mixed = (attention @ v).transpose(0, 2, 1, 3).reshape(N, T, d)
    x = x + mixed @ p["out_W"] + p["out_b"]
    up = np.maximum(layer_norm(x, p["g2"], p["s2"]) @ p["up_W"] + p["up_b"], 0)
    return x + up @ p["down_W"] + p["down_b"]
