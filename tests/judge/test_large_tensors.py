"""One wrong element among more than 10,000: refuted where it is, as soon as it leaves its radius, and not before.

Tensors of that size are judged by short ways, in blocks, once an element is known that used much of its radius
(torch_mirror/judge/compare.py): so one such is planted in the first step. A first run, in which the element is off
by far, tells its equation's value and radius; runs with an error of just less and just more than that radius follow.
"""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.losses import SquaredError
from reference.networks import mlp
from reference.optimizers.sgd import SGD
from reference.traces import training
from tests.unruled import unruled
from torch_mirror.doors.verify import verify
from torch_mirror.judge.findings import Finding, Row
from torch_mirror.training.session import Session, session

BATCH, OUT, IN = 16, 110, 120  # dW1 has 13,200 elements
STEPS = 6
STEP = STEPS - 1


def wide(dtype: str) -> Experiment:
    """A network whose first weight matrix is large."""
    draw = np.random.default_rng(3)

    def normal(*shape: int) -> Array:
        return draw.normal(size=shape).astype(dtype)

    W = tuple(normal(o, i) / np.asarray(i**0.5, dtype) for i, o in pairwise((IN, OUT, 3)))
    network, start = mlp.MLP((IN, OUT, 3), activation="tanh"), mlp.Parameters(W, (normal(OUT), normal(3)))
    return Experiment(network, start, normal(BATCH, IN), normal(BATCH, 3), SquaredError("mean"), SGD(0.01), STEPS)


Planted = dict[tuple[int, tuple[int, int]], float]
"""What an element of dW1 is, by step and index."""


def judged(e: Experiment, planted: Planted) -> Row:
    """What is said of torch's dW1 locally."""
    steps = iter(range(STEPS))

    def plant(gradient: torch.Tensor) -> torch.Tensor:
        here, gradient = next(steps), gradient.clone()
        for (step, index), value in planted.items():
            if step == here:
                gradient[index] = float(value)
        return gradient

    def using(e: Experiment) -> Session:
        made = session(e)
        next(made.module.parameters()).register_hook(plant)  # type: ignore[no-untyped-call]  # torch has no types for it
        return made

    with unruled():
        rows = verify(e, using=using, explain=False).rows
    (row,) = (row for row in rows if (row.tensor, row.check, row.side) == ("dW1", "local", "torch"))
    return row


def found(e: Experiment, planted: Planted) -> Finding:
    first = judged(e, planted).first
    assert first is not None
    return first


@cache
def early(dtype: str) -> Planted:
    """An element of the first step that uses 0.9 of its radius, in a run that is right without it."""
    e, at = wide(dtype), (0, (5, 5))
    assert judged(e, {}).first is None
    one = found(e, {at: 1e3})
    return {at: one.expected + 0.9 * one.radius}


@pytest.mark.parametrize(
    "index", [(0, 0), (OUT - 1, IN - 1), (68, 31), pytest.param((34, 16), marks=pytest.mark.thorough)], ids=str
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_one_element_is_refuted_from_its_radius_on(
    dtype: str, index: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    e = wide(dtype)
    monkeypatch.setattr(training, "SEGMENT_BYTES", e.dtype.itemsize << 17)
    assert training.segment_steps(e) == STEPS // 2  # so that the first and the last step are apart
    known = early(dtype)
    far = found(e, known | {(STEP, index): 1e3})
    assert (far.index, far.step, far.outside) == (index, STEP, 1)
    ulp = np.spacing(np.asarray(abs(far.expected) + far.radius, dtype))
    for sign in (1, -1):
        within, beyond = (far.expected + sign * (far.radius + room * ulp) for room in (-2, 2))
        assert judged(e, known | {(STEP, index): within}).first is None
        near = found(e, known | {(STEP, index): beyond})
        assert (near.index, near.step, near.outside) == (index, STEP, 1)
