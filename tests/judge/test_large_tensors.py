"""One wrong element among more than 10,000: refuted where it is, as soon as it leaves its radius, and not before.

Tensors of that size are judged by short ways, in blocks (torch_mirror/judge/compare.py). A first run, in which the
element is off by far, tells its equation's value and radius; runs with an error of just less and just more
than that radius follow.
"""

from itertools import pairwise

import numpy as np
import pytest

import reference
from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.losses import SquaredError
from reference.networks import mlp
from reference.optimizers.sgd import SGD
from tests.unruled import unruled
from torch_mirror.doors.certify import certify
from torch_mirror.judge.findings import Row, Side

OUT, IN = 110, 120  # dW1 has 13,200 elements
STEP = 1            # the second of two


def wide(dtype: str) -> Experiment:
    """A network whose first weight matrix is large."""
    draw = np.random.default_rng(3)

    def normal(*shape: int) -> Array:
        return draw.normal(size=shape).astype(dtype)

    W = tuple(normal(o, i) / np.asarray(i**0.5, dtype) for i, o in pairwise((IN, OUT, 3)))
    network, start = mlp.MLP((IN, OUT, 3), activation="tanh"), mlp.Parameters(W, (normal(OUT), normal(3)))
    return Experiment(network, start, normal(16, IN), normal(16, 3), SquaredError("mean"), SGD(0.01), steps=2)


def judged(e: Experiment, side: Side, index: tuple[int, int], value: float | None) -> Row:
    """What is said of dW1 locally, where an element of it has that value in the second step; None: its own."""
    calls = 0

    def plant(name: str, array: Array) -> Array:
        nonlocal calls
        if name != "dW1" or value is None:
            return array
        calls += 1
        if calls - 1 != STEP:
            return array
        array = array.copy()
        array[index] = value
        return array

    with unruled():
        rows = certify(e, reference.train(e, plant=plant), side, explain=False).rows
    (row,) = (row for row in rows if (row.tensor, row.check) == ("dW1", "local"))
    return row


@pytest.mark.parametrize("index", [(0, 0), (OUT - 1, IN - 1), (68, 31), (34, 16)], ids=str)
@pytest.mark.parametrize("side", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_one_element_is_refuted_from_its_radius_on(dtype: str, side: Side, index: tuple[int, int]) -> None:
    e = wide(dtype)
    assert judged(e, side, index, None).first is None
    far = judged(e, side, index, 1e3).first
    assert far is not None
    assert (far.index, far.step, far.outside) == (index, STEP, 1)
    ulp = np.spacing(np.asarray(abs(far.expected) + far.radius, dtype))
    for sign in (1, -1):
        assert judged(e, side, index, far.expected + sign * (far.radius - 2 * ulp)).first is None
        near = judged(e, side, index, far.expected + sign * (far.radius + 2 * ulp)).first
        assert near is not None
        assert (near.index, near.step, near.outside) == (index, STEP, 1)
