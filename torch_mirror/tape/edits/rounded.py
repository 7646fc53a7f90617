"""A value rounded to a narrower format: float32, float16, bfloat16, TF32.

bfloat16 and TF32 have float32's exponents and 8 and 11 bits of precision; both round to nearest, ties to even, here on
the bits of a float32. Rounding keeps the order of numbers: what lies between v - r and v + r is rounded to a number
between those of the two, which is the ball's new radius.
Source: NVIDIA A100 Tensor Core GPU Architecture (white paper, 2020), the formats; IEEE 754, section 4.3.1.
"""

from typing import Any

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number

FORMATS = ("float32", "bfloat16", "float16", "TF32")

TELLS = {"float32": 13, "bfloat16": 3, "float16": 3, "TF32": 3}
"""Bits by which an element tells a cast to the format from one to another. A number on a grid of p bits is on one of q
bits, too, with a chance of 2^(q - p), whatever the radius: the next narrower or wider grid has 24 - 11 = 13 bits less
than float32, and 11 - 8 = 3 bits more or less than the others. float16 and TF32 have one grid but for small numbers.
"""
_BITS_DROPPED = {"bfloat16": 16, "TF32": 13}


def rounded(x: Any, to: str) -> Any:
    """An array, or a ball, on the format's grid."""
    if not hasattr(x, "settled"):
        return _array(x, to)
    n = x.settled()
    value, radius = _array(n.value, to), n.radius
    reach = np.maximum(_array(n.value + radius, to) - value, value - _array(n.value - radius, to))
    reach = np.where(np.isnan(reach), np.inf, reach)
    return Ball(Number(value, reach if reach.any() else 0, n.format))


def _array(v: Array, to: str) -> Array:
    v = np.asarray(v)
    with np.errstate(over="ignore", invalid="ignore"):
        if to == "float16":
            return v.astype(np.float16).astype(v.dtype)
        single = np.ascontiguousarray(v.astype(np.float32))
    if to == "float32":
        return single.astype(v.dtype).reshape(v.shape)
    drop = _BITS_DROPPED[to]
    bits = single.view(np.uint32).astype(np.uint64)
    even = (bits >> drop) & 1
    kept = ((bits + (1 << (drop - 1)) - 1 + even) >> drop) << drop
    finite = np.where(np.isfinite(single), kept.astype(np.uint32).view(np.float32), single)
    return finite.astype(v.dtype).reshape(v.shape)
