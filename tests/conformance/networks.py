"""The networks, one row each, and the experiments that the checks take of a row."""

import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from reference import experiments
from reference.arrays import Array
from reference.claim.batches import Batches
from reference.claim.experiment import Experiment
from reference.losses import SquaredError
from reference.networks.attention import Attention
from reference.networks.char_rnn import CharRNN
from reference.networks.conv import Conv
from reference.networks.cubic import Cubic
from reference.networks.linear_regression import LinearRegression
from reference.networks.mlp import MLP
from reference.networks.two_layer_linear import TwoLayerLinear
from reference.networks.two_layer_relu import TwoLayerReLU
from reference.optimizers.sgd import SGD
from tests.conformance.cases import DTypeName

Draws = np.random.Generator
STEPS = 3


# --- the data that networks take: (network, draws, samples) to x --------------------------------------------


def vectors(network: Any, draws: Draws, samples: int) -> Array:
    """x: (samples, inputs)."""
    return draws.standard_normal((samples, network.inputs))


def images(network: Any, draws: Draws, samples: int) -> Array:
    """x: (samples, side, side)."""
    return draws.standard_normal((samples, network.inputs, network.inputs))


def characters(network: Any, draws: Draws, samples: int) -> Array:
    """x: (samples,) whole numbers, a text."""
    return draws.integers(0, network.alphabet, samples)


def tokens(network: Any, draws: Draws, samples: int) -> Array:
    """x: (samples, 2, inputs): two tokens a sample."""
    return draws.standard_normal((samples, 2, network.inputs))


class Row(NamedTuple):
    """A network, what x it takes, and of how many samples; t is (samples, outputs)."""

    network: Any
    x: Callable[[Any, Draws, int], Array] = vectors
    samples: int = 5  # of which the last of two mini-batches of 3 has 2


NETWORKS: dict[str, Row] = {
    "cubic": Row(Cubic()),
    "regression": Row(LinearRegression(4, 3)),
    "regression, relu": Row(LinearRegression(4, 3, "relu")),
    "regression, sigmoid": Row(LinearRegression(4, 3, "sigmoid")),
    "regression, square": Row(LinearRegression(3, 3)),
    "two linear layers": Row(TwoLayerLinear(4, 3, 2)),
    "two linear layers, bias": Row(TwoLayerLinear(4, 3, 2, bias=True)),
    "two layers, relu": Row(TwoLayerReLU(4, 5, 3)),
    "mlp of one layer": Row(MLP((4, 2))),
    "mlp, relu": Row(MLP((4, 5, 3))),
    "mlp, identity": Row(MLP((4, 3, 2), "identity")),
    "mlp, tanh, sigmoid output": Row(MLP((4, 5, 3), "tanh", "sigmoid")),
    "mlp, sigmoid, no bias": Row(MLP((4, 5, 3, 2), "sigmoid", bias=False)),
    "mlp, all layers square": Row(MLP((3, 3, 3, 3), "tanh")),
    "convolution, im2col": Row(Conv(2, inputs=6, outputs=3), images),
    "convolution, einsum": Row(Conv(2, inputs=6, outputs=3, by="einsum"), images),
    "recurrent": Row(CharRNN(4, 3), characters, samples=6),  # every batch unrolled over 3 characters
    "attention": Row(Attention(3, 6, 2, 4), tokens),
}

BATCHES: dict[str, Batches | None] = {"whole": None, "mini-batches": Batches(3), "shuffled": Batches(3, seed=1)}


def experiment(
    row: Row, dtype: DTypeName = "float64", batches: Batches | None = None, seed: int = 0, steps: int = STEPS
) -> Experiment:
    """A run from drawn numbers: weights of the size of a root of their fan-in, the others of size 1."""
    draws = np.random.default_rng(seed)
    network = row.network
    values = {
        name: draws.standard_normal(shape) / np.sqrt(np.prod(shape[1:])) for name, shape in network.shapes().items()
    }
    x, t = row.x(network, draws, row.samples), draws.standard_normal((row.samples, network.outputs))
    p, loss, sgd = parameters(network, values), SquaredError("mean"), SGD(0.05, momentum=0.9)
    return experiments.rounded(Experiment(network, p, x, t, loss, sgd, steps, batches=batches), dtype)


def parameters(network: Any, values: dict[str, Array]) -> Any:
    """The network's own Parameters tuple, or that of the one it is a variant of, from arrays by name."""
    modules = [sys.modules[base.__module__] for base in type(network).__mro__]
    kind = next(module.Parameters for module in modules if module.__name__.startswith("reference.networks."))
    if isinstance(network, MLP):
        depth = [l for l, _ in enumerate(pairwise(network.widths), 1)]
        return kind(tuple(values[f"W{l}"] for l in depth), tuple(values.get(f"b{l}") for l in depth))
    return kind(*(values.get(name) for name in kind._fields))
