"""The run of any row is told as Python, which makes the same run again."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from reference.claim.experiment import Experiment
from reference.claim.tree import named
from tests.conformance import networks, optimizers
from tests.conformance.losses import EACH
from tests.conformance.test_losses import run
from torch_mirror.doors.source import source_of


def runs() -> Iterator[Any]:
    for name, row in networks.NETWORKS.items():
        yield pytest.param(networks.experiment(row, "float32"), id=name)
    for name, loss in EACH.items():
        for kind in range(len(loss.targets)):
            yield pytest.param(run(loss, "float64", kind), id=f"{name}, {kind}")
    for name, optimizer in optimizers.OPTIMIZERS.items():
        yield pytest.param(optimizers.run(optimizer, "float32"), id=name)


def same(one: Experiment, other: Experiment) -> bool:
    """Whether all is equal: parts by their own ==, and numbers to the bit."""
    parts = ("network", "loss", "optimizer", "steps", "batches", "penalty")
    arrays, others = ({**e.named_data, **named(e.parameters)} for e in (one, other))
    return all(getattr(one, part) == getattr(other, part) for part in parts) and all(
        a.dtype == others[name].dtype and np.array_equal(a, others[name]) for name, a in arrays.items()
    )


@pytest.mark.parametrize("e", list(runs()))
def test_it_makes_the_same_run(e: Experiment) -> None:
    told: dict[str, Any] = {}
    exec(source_of(e, "again"), told)  # noqa: S102 - that it runs is what is tested
    assert same(told["again"], e)
    assert not same(told["again"], optimizers.run(optimizers.ADAMS[0], "float64", seed=1))
