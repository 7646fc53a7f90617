"""What a sample knows of a tensor: how much of its radius is rounding of sums, and how much all else."""

from typing import Any

import numpy as np
import pytest

import reference
from reference import SGD, Experiment, SquaredError
from reference.claim.tree import zip_with
from reference.networks import two_layer_linear
from reference.networks.two_layer_linear import TwoLayerLinear
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.judge.checks.doubtful import _alike, _samples, one_step
from torch_mirror.judge.replay import Part

U = 2.0**-24
K, HIDDEN = 40, 3


def experiment() -> Experiment:
    draw = np.random.default_rng(2)
    W1, W2 = draw.normal(size=(HIDDEN, K)).astype("f4"), draw.normal(size=(2, HIDDEN)).astype("f4")
    x, t = draw.normal(size=(5, K)).astype("f4"), draw.normal(size=(5, 2)).astype("f4")
    start = two_layer_linear.Parameters(W1=W1, b1=None, W2=W2, b2=None)
    return Experiment(TwoLayerLinear(K, HIDDEN, 2, bias=False), start, x, t, SquaredError("sum"), SGD(1e-3), 2)


def the_part(e: Experiment) -> Part:
    (part,) = _alike(e, [one_step(reference.train(e), 1)], np.dtype(np.float64), stacks=False)
    return part


def test_of_a_sum_of_exact_operands_all_is_deviation_and_of_another_tensor_nothing() -> None:
    """One deviation of h = x W1^T, and of its own form: u sqrt((K + 1) / 3) / 2 times (|x| |W1|^T + |h|)."""
    e = experiment()
    part = the_part(e)
    sample = _samples(e, [part], ["h"])["h"]
    x, W1 = e.x.astype(float), np.asarray(part.p.W1.value).reshape(HIDDEN, K)
    expected = U * ((K + 1) / 3) ** 0.5 / 2 * (np.abs(x) @ np.abs(W1.T) + np.abs(x @ W1.T)).reshape(-1)
    assert (np.abs(sample.deviation - expected) <= 1e-6 * expected).all()
    assert (sample.drift <= 1e-6 * expected).all()
    other = _samples(e, [part], ["loss"])["loss"]
    assert (other.drift > 0).all()


@pytest.mark.parametrize("radius", [0.0, 2.0**-10])
def test_the_radius_of_an_operand_is_drift(radius: float) -> None:
    """Of h = x W1^T it is at least that radius times the sum of |W1|, where x has it, and less than that where not."""
    e = experiment()
    part = the_part(e)
    fmt = format_of(np.dtype(np.float32))

    def wide(_: str, a: Any) -> Any:
        value = np.asarray(getattr(a, "value", a), float)
        return Ball(value, radius if radius == 0 else np.full(value.shape, radius), fmt)

    moved = part._replace(data=(zip_with(wide, part.data[0]), *part.data[1:]))
    drift = _samples(e, [moved], ["h"])["h"].drift.reshape(5, HIDDEN)
    brought = radius * np.abs(np.asarray(part.p.W1.value).reshape(HIDDEN, K)).sum(axis=1)
    if radius:
        assert ((brought <= drift * (1 + 1e-6)) & (drift <= 1.01 * brought)).all()
    else:
        assert (drift <= 1e-9).all()
