"""The reference's networks once more, from torch's own modules: the same files, names and line order.

Each file has one nn.Module of the network's own name and ``parameters(network)``, which maps the reference's parameter
names to names in the module's state dict; shapes are identical. ``mirror_of`` finds them for a network by the name of
its file. NETWORKS is the one table: what is drawn of each network, for the strategies and the conformance suite.
Importing this package imports neither torch nor a network.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from reference.claim.objective import Silent
from reference.errors import InputError
from torch_mirror.by_name import class_of, file_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from reference.claim.objective import Network

HOME = "reference.networks"


class Sow(Protocol):
    """The one hook, as in ``reference.arrays``, for torch's tensors."""

    def __call__(self, name: str, value: Tensor, /) -> Tensor: ...


def keep(_name: str, value: Tensor, /) -> Tensor:
    """Sow nothing: go on with the value as it is."""
    return value


# --- the table ------------------------------------------------------------------------------------------


class Input(NamedTuple):
    """What a network takes: floats of this shape, or whole numbers from 0 on that are ``below`` a bound."""

    shape: tuple[int, ...]
    below: int | None = None


def vectors(network: Any, samples: int) -> Input:
    """x: (samples, inputs)."""
    return Input((samples, network.inputs))


def images(network: Any, samples: int) -> Input:
    """x: (samples, side, side)."""
    return Input((samples, network.inputs, network.inputs))


def characters(network: Any, samples: int) -> Input:
    """x: (samples,), a text."""
    return Input((samples,), network.alphabet)


def tokens(network: Any, samples: int) -> Input:
    """x: (samples, 2, inputs): two tokens a sample."""
    return Input((samples, 2, network.inputs))


class Row(NamedTuple):
    """A network: small ones with every option, made by its class; what x they take, and of how many samples.

    Of 5 samples the last of two mini-batches of 3 has 2. t is (samples, outputs).
    """

    examples: Callable[[Any], tuple[Any, ...]]
    x: Callable[[Any, int], Input] = vectors
    samples: int = 5


NETWORKS: Mapping[str, Row] = {
    "cubic": Row(lambda Cubic: (Cubic(),)),
    "linear_regression": Row(lambda Linear: (
        Linear(4, 3), Linear(4, 3, "relu"), Linear(4, 3, "sigmoid"), Linear(3, 3),
    )),
    "two_layer_linear": Row(lambda Linear: (Linear(4, 3, 2), Linear(4, 3, 2, bias=True))),
    "two_layer_relu": Row(lambda ReLU: (ReLU(4, 5, 3),)),
    "mlp": Row(lambda MLP: (
        MLP((4, 2)), MLP((4, 5, 3)), MLP((4, 3, 2), "identity"), MLP((4, 5, 3), "tanh", "sigmoid"),
        MLP((4, 5, 3, 2), "sigmoid", bias=False), MLP((3, 3, 3, 3), "tanh"),
    )),
    "conv": Row(lambda Conv: (Conv(2, 6, 3), Conv(2, 6, 3, by="einsum")), images),
    "char_rnn": Row(lambda RNN: (RNN(4, 3),), characters, samples=6),  # every batch unrolled over 3 characters
    "attention": Row(lambda Attention: (Attention(3, 6, 2, 4),), tokens),
}  # fmt: skip
"""By the file, which reference/networks and this folder have alike."""


def examples(file: str) -> tuple[Any, ...]:
    """The small networks of a file, with every option."""
    return NETWORKS[file].examples(class_of(HOME, file))


def input_of(network: Any, samples: int) -> Input:
    """What x a network takes: as its row says, and for a network without one (batch, inputs)."""
    found = _kind_and_file(network)
    return (NETWORKS[found[1]].x if found else vectors)(network, samples)


# --- the mirror -----------------------------------------------------------------------------------------


class Mirror(NamedTuple):
    """``Module(network, dtype)`` is the mirror, its weights not set; ``parameters(network)`` names them."""

    Module: Callable[..., nn.Module]
    parameters: Callable[[Any], dict[str, str]]


def mirror_of(network: Network) -> Mirror:
    """The torch mirror of a network, or of the network that it is a variant (a subclass) of.

    Raises InputError for a network that has none.
    """
    found = _kind_and_file(network.network if isinstance(network, Silent) else network)
    if found is None:
        known = ", ".join(class_of(HOME, file).__name__ for file in NETWORKS)
        own = "or your own module: using=lambda e: session(e, module, names)"
        raise InputError("network", f"one that has a torch mirror ({known}), {own}", type(network).__name__)
    kind, file = found
    mirror = import_module(f"{__name__}.{file}")
    return Mirror(getattr(mirror, kind.__name__), mirror.parameters)


def _kind_and_file(network: object) -> tuple[type, str] | None:
    """The class of a network and its file; of a variant, those of the network that it is a subclass of."""
    for kind in type(network).__mro__:
        file = file_of(HOME, kind)
        if file in NETWORKS:
            return kind, file
    return None
