"""Activations, each with its backward beside it; all are elementwise, so every shape is kept.

``Activation.backward(da, z, a)`` returns dz from the upstream gradient da, the pre-activation z and
the activation a, whichever of the two its derivative is simplest in.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from reference.arrays import Array
from reference.errors import UnknownNameError


class Activation(NamedTuple):
    """a = forward(z) and dz = backward(da, z, a)."""

    forward: Callable[[Array], Array]
    backward: Callable[[Array, Array, Array], Array]


def relu(z: Array) -> Array:
    """a = max(z, 0). Not differentiable at 0."""
    return np.maximum(z, 0)


def relu_backward(da: Array, z: Array, _a: Array) -> Array:
    """dz = 0 where z <= 0, else da: torch's convention at exactly 0, and NaN passes as in torch."""
    return np.where(z <= 0, 0, da)


def sigmoid(z: Array) -> Array:
    """a = 1 / (1 + e^-z), written so that the exponential never overflows."""
    e = np.exp(-np.abs(z))
    return np.where(z < 0, e, 1) / (1 + e)


def sigmoid_backward(da: Array, _z: Array, a: Array) -> Array:
    """dz = da * sigma'(z), and sigma'(z) = (1 - a) a: multiplied from the left, as torch does.

    The order counts where (1 - a) a is exact, as for a = 0.625: from the left there are two roundings, else one.
    """
    return da * (1 - a) * a


def tanh(z: Array) -> Array:
    """a = tanh z."""
    return np.tanh(z)


def tanh_backward(da: Array, _z: Array, a: Array) -> Array:
    """dz = da * tanh'(z), and tanh'(z) = 1 - a^2."""
    return da * (1 - a * a)


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(relu, relu_backward),
    "sigmoid": Activation(sigmoid, sigmoid_backward),
    "tanh": Activation(tanh, tanh_backward),
}
"""By name. "identity" is not among them: a layer without an activation has a = z, and no tensor of its own."""


def check_activation(option: str, name: str, known: Sequence[str]) -> None:
    """Raise UnknownNameError for an activation that a network does not offer."""
    if name not in known:
        raise UnknownNameError(option, name, known)
