"""A batch in parts: certified as a loop of torch's does it, and refuted where that loop is written wrong."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from torch import Tensor

import reference
from reference import Adam, Batches, Experiment, experiments
from reference.errors import InputError
from tests.unruled import unruled
from torch_mirror import Session, session, verify


def in_parts(parts: int, dtype: str = "float64", batches: Batches | None = None) -> Experiment:
    e = experiments.load("digits-softmax", dtype)
    return replace(e, x=e.x[:12], t=e.t[:12], steps=4, batches=batches, optimizer=Adam(0.01), accumulate=parts)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("batches", [None, Batches(8, seed=0)], ids=str)
@pytest.mark.parametrize("parts", [2, 3])
def test_a_step_in_parts_is_certified(parts: int, batches: Batches | None, dtype: str) -> None:
    certificate = verify(in_parts(parts, dtype, batches))
    assert certificate.verdict == "certified", certificate.refutations
    judged = {row.tensor for row in certificate.rows if row.check == "local" and row.side == "torch"}
    assert {"z1@0", "y@1", "dz1@1", "loss", "dW1", "m.W1"} <= judged


def test_two_equal_parts_of_a_mean_have_the_gradient_of_the_whole() -> None:
    whole, parts = (reference.train(replace(in_parts(n), steps=1), ("dW1",))["dW1"][0] for n in (1, 2))
    apart = np.abs(whole - parts).max()
    assert 0 < apart < np.abs(whole).max() * 2.0**-45  # the same but for the order of the sum


def undivided(e: Experiment) -> Session:
    """The loss of each part is not divided by their number."""
    usual = session(e)
    return usual._replace(criterion=lambda y, t: 2 * usual.criterion(y, t))


def last_part_alone(e: Experiment) -> Session:
    """The gradients are cleared before each part instead of each step."""
    usual = session(e)

    def criterion(y: Tensor, t: Tensor) -> Tensor:
        usual.optimizer.zero_grad()
        return usual.criterion(y, t)

    return usual._replace(criterion=criterion)


@pytest.mark.parametrize(
    ("using", "first"),
    [(undivided, {"dy@0", "loss"}), (last_part_alone, {"dW2", "dW1", "db1", "db2"})],
    ids=["undivided", "cleared"],
)
def test_a_wrong_loop_is_refuted(using: Callable[[Experiment], Session], first: set[str]) -> None:
    with unruled():
        certificate = verify(in_parts(2), using=using)
    assert certificate.first is not None
    assert certificate.first.step == 0
    assert certificate.first.tensor in first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"accumulate": 0}, "accumulate: expected a whole number, 1 or more, got 0"),
        ({"accumulate": 13}, "accumulate: expected 12 parts at most, as a batch has so many samples, got 13"),
        ({"batches": Batches(5), "accumulate": 3}, "accumulate: expected 2 parts at most"),
        ({"penalty": reference.L2(0.1)}, "accumulate: expected 1 for a function, and with a penalty, got '?2"),
    ],
)
def test_parts_that_cannot_be_are_told(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(in_parts(2), **change)
