"""The start weights of the documents.

Each function draws from a generator, in float64, the weights of one layer: returned as (out, in), as
torch.nn.Linear stores them, but drawn as the documents draw them, (in, out), and then turned, so that
a document's seed gives the document's numbers. ``Draws`` is a numpy.random.Generator, or the legacy
numpy.random.RandomState that ``numpy.random.seed`` stands for.

Source: seed documents 000, 003, 004 (normal), 001 (normal times 0.01, He, zeros), 002 (uniform times
0.01). He et al., Delving Deep into Rectifiers (2015), equation 10, for the variance 2 / in.
"""

from typing import TypeAlias

import numpy as np

from reference.arrays import Array

Draws: TypeAlias = np.random.Generator | np.random.RandomState

SMALL = 0.01
"""The factor by which the documents make their starts small."""


def normal(draws: Draws, inputs: int, outputs: int) -> Array:
    """Standard normal. Returns (out, in)."""
    return turned(draws.standard_normal((inputs, outputs)))


def small_normal(draws: Draws, inputs: int, outputs: int) -> Array:
    """Normal times 0.01. Returns (out, in)."""
    return turned(draws.standard_normal((inputs, outputs)) * SMALL)


def small_uniform(draws: Draws, inputs: int, outputs: int) -> Array:
    """Uniform on [0, 1) times 0.01. Returns (out, in)."""
    return turned(draws.random((inputs, outputs)) * SMALL)


def he(draws: Draws, inputs: int, outputs: int) -> Array:
    """Normal with variance 2 / in, which keeps a ReLU layer's second moments. Returns (out, in)."""
    return turned(draws.standard_normal((inputs, outputs)) * np.sqrt(2 / inputs))


def zeros(inputs: int, outputs: int) -> Array:
    """All zeros. Returns (out, in)."""
    return np.zeros((outputs, inputs))


def turned(weights: Array) -> Array:
    """A document's (in, out) weights as a contiguous (out, in) array."""
    return np.ascontiguousarray(weights.mT)
