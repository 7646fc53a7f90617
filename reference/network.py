"""What a network is: two pure functions over named parameters.

Any object with these members will do: a module of functions, a NamedTuple, a frozen dataclass. The
networks of this package are frozen dataclasses whose fields are the sizes and options.
"""

from typing import Any, Protocol

import numpy as np

from reference.arrays import Array, Shapes, Sow, keep
from reference.errors import InputError

Parameters = Any
"""A NamedTuple of arrays; see ``reference.parameters``."""


class Network(Protocol):
    """A forward pass and its hand-derived backward pass.

    A network may also have ``features(x, sow)``: what it computes from its input once, before the
    first step.
    """

    @property
    def inputs(self) -> int:
        """Number of columns of x."""

    @property
    def outputs(self) -> int:
        """Number of columns of y."""

    def shapes(self) -> Shapes:
        """The shape of each parameter, by name, in the order of ``reference.parameters.named``."""

    def forward(self, p: Parameters, x: Array, sow: Sow = keep) -> tuple[Array, Any]:
        """x (..., batch, in) to y (..., batch, out), and the cache that backward needs."""

    def backward(self, p: Parameters, c: Any, dy: Array, sow: Sow = keep) -> Parameters:
        """The gradient of each parameter from the upstream gradient dy (..., batch, out)."""


def features(network: Network, x: Array, sow: Sow = keep) -> Array:
    """What ``network.forward`` takes: the network's features of x, or x itself."""
    own = getattr(network, "features", None)
    return x if own is None else own(x, sow)


def predict(network: Network, parameters: Parameters, x: Array) -> Array:
    """The network's output. x (..., batch, in); returns (..., batch, out). Raises InputError for another shape."""
    x = np.asarray(x)
    if x.ndim < 2 or x.shape[-1] != network.inputs:
        raise InputError("tensor x", f"shape (..., batch, {network.inputs})", f"shape {x.shape}")
    y, _ = network.forward(parameters, features(network, x), keep)
    return y
