"""What a network is: two pure functions over named parameters.

Any object with these members will do: a module of functions, a NamedTuple, a frozen dataclass. The
networks of this package are frozen dataclasses whose fields are the sizes and options. A network whose
functions do not take ``sow`` offers no intermediate values (``Silent``): it is judged end to end.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from reference.arrays import Array, Shapes, Sow, keep
from reference.claim.tree import zip_with
from reference.errors import InputError

Parameters = Any
"""A NamedTuple of arrays; see ``reference.claim.tree``."""


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
        """The shape of each parameter, by name, in the order of ``reference.claim.tree.named``."""

    def forward(self, p: Parameters, x: Array, sow: Sow = keep) -> tuple[Array, Any]:
        """x (..., batch, in) to y (..., batch, out), and the cache that backward needs."""

    def backward(self, p: Parameters, c: Any, dy: Array, sow: Sow = keep) -> Parameters:
        """The gradient of each parameter from the upstream gradient dy (..., batch, out)."""


@dataclass(frozen=True)
class Silent:
    """A network whose forward and backward take no ``sow``: what they return is sown for them, and nothing else."""

    network: Any

    inputs = property(lambda self: self.network.inputs)
    outputs = property(lambda self: self.network.outputs)

    def shapes(self) -> Shapes:
        shapes: Shapes = self.network.shapes()
        return shapes

    def forward(self, p: Parameters, x: Array, sow: Sow = keep) -> tuple[Array, Any]:
        y, cache = checked_output(self.network.forward(p, x))
        return sow("y", y), cache

    def backward(self, p: Parameters, c: Any, dy: Array, sow: Sow = keep) -> Parameters:
        return zip_with(lambda name, dw: sow(f"d{name}", dw), checked_gradients(self.network.backward(p, c, dy), p))


def checked_output(result: Any) -> tuple[Array, Any]:
    """What forward returned. Raises InputError for anything but a pair."""
    if not isinstance(result, tuple) or len(result) != 2:
        raise InputError("forward of the network", "to return (y, cache)", type(result).__name__)
    return result


def checked_gradients(dp: Any, p: Parameters) -> Parameters:
    """What backward returned. Raises InputError for anything but the type of the parameters."""
    if type(dp) is not type(p):
        raise InputError("gradients", f"a {type(p).__name__}, as the parameters are", type(dp).__name__)
    return dp


def takes_sow(function: Callable[..., Any]) -> bool:
    """True if the function has a parameter ``sow``, or takes any."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # no signature is known: it is called as the protocol says
        return True
    return any(p.name == "sow" or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)


def with_sow(network: Any) -> Network:
    """The network, or its ``Silent`` form if its functions take no ``sow``."""
    silent = not (takes_sow(network.forward) and takes_sow(network.backward))
    return Silent(network) if silent else network


def features(network: Network, x: Array, sow: Sow = keep) -> Array:
    """What ``network.forward`` takes: the network's features of x, or x itself."""
    own = getattr(network.network if isinstance(network, Silent) else network, "features", None)
    if own is None:
        return x
    return own(x, sow) if takes_sow(own) else own(x)


def predict(network: Network, parameters: Parameters, x: Array) -> Array:
    """The network's output. x (..., batch, in); returns (..., batch, out). Raises InputError for another shape."""
    x = np.asarray(x)
    if x.ndim < 2 or x.shape[-1] != network.inputs:
        raise InputError("tensor x", f"shape (..., batch, {network.inputs})", f"shape {x.shape}")
    y, _ = network.forward(parameters, features(network, x), keep)
    return y
