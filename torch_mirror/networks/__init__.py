"""The reference's networks once more, from torch's own modules: the same files, names and line order.

Each file has one nn.Module and ``parameters(network)``, which maps the reference's parameter names to
names in the module's state dict; shapes are identical. ``mirror_of`` finds them for a network.
Importing this package does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from reference.claim.objective import Silent
from reference.errors import InputError
from reference.networks.attention import Attention
from reference.networks.char_rnn import CharRNN
from reference.networks.conv import Conv
from reference.networks.cubic import Cubic
from reference.networks.linear_regression import LinearRegression
from reference.networks.mlp import MLP
from reference.networks.two_layer_linear import TwoLayerLinear
from reference.networks.two_layer_relu import TwoLayerReLU

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from reference.claim.objective import Network

MIRRORS: dict[type, str] = {
    Cubic: "cubic",
    LinearRegression: "linear_regression",
    MLP: "mlp",
    TwoLayerLinear: "two_layer_linear",
    TwoLayerReLU: "two_layer_relu",
    Conv: "conv",
    CharRNN: "char_rnn",
    Attention: "attention",
}
"""The file of each network's mirror; the class in it has the network's own name."""


class Sow(Protocol):
    """The one hook, as in ``reference.arrays``, for torch's tensors."""

    def __call__(self, name: str, value: Tensor, /) -> Tensor: ...


def keep(_name: str, value: Tensor, /) -> Tensor:
    """Sow nothing: go on with the value as it is."""
    return value


class Mirror(NamedTuple):
    """``Module(network, dtype)`` is the mirror, its weights not set; ``parameters(network)`` names them."""

    Module: Callable[..., nn.Module]
    parameters: Callable[[Any], dict[str, str]]


def mirror_of(network: Network) -> Mirror:
    """The torch mirror of a network, or of the network that it is a variant (a subclass) of.

    Raises InputError for a network that has none.
    """
    network = network.network if isinstance(network, Silent) else network
    for kind in type(network).__mro__:
        if kind in MIRRORS:
            file = import_module(f"torch_mirror.networks.{MIRRORS[kind]}")
            return Mirror(getattr(file, kind.__name__), file.parameters)
    known = ", ".join(kind.__name__ for kind in MIRRORS)
    expected = f"one that has a torch mirror ({known}), or your own module: using=lambda e: session(e, module, names)"
    raise InputError("network", expected, type(network).__name__)
