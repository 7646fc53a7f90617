"""The networks of the table with all their options, one row each, and the experiments that the checks take of a row."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from reference import experiments
from reference.arrays import Array
from reference.claim.batches import Batches
from reference.claim.experiment import Experiment
from reference.losses import SquaredError
from reference.optimizers.sgd import SGD
from tests.conformance.cases import DTypeName
from torch_mirror import networks
from torch_mirror.doors.strategies import of_own_type

Draws = np.random.Generator
STEPS = 3


def drawn(network: Any, draws: Draws, samples: int) -> Array:
    """x of so many samples, standard normal numbers or whole ones."""
    shape, below = networks.input_of(network, samples)
    return draws.standard_normal(shape) if below is None else draws.integers(0, below, shape)


class Row(NamedTuple):
    """A network, how x is drawn for it, and of how many samples; t is (samples, outputs)."""

    network: Any
    x: Callable[[Any, Draws, int], Array] = drawn
    samples: int = 5


NETWORKS: dict[str, Row] = {
    repr(network): Row(network, samples=row.samples)
    for file, row in networks.NETWORKS.items()
    for network in networks.examples(file)
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
    p, loss, sgd = of_own_type(network, values), SquaredError("mean"), SGD(0.05, momentum=0.9)
    return experiments.rounded(Experiment(network, p, x, t, loss, sgd, steps, batches=batches), dtype)
