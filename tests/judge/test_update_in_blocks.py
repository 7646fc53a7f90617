"""The update of a sampled step of a large network, made a block at a time: the same distances, findings and memory."""

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import reference
from reference.claim.experiment import Experiment
from reference.losses import SquaredError
from reference.networks import two_layer_relu
from reference.networks.two_layer_relu import TwoLayerReLU
from reference.optimizers.adam import Adam
from reference.optimizers.groups import Groups
from reference.optimizers.sgd import SGD
from reference.traces.trace import Trace
from torch_mirror import train
from torch_mirror.balls.format import format_of
from torch_mirror.balls.rules import products
from torch_mirror.judge.checks import trajectory
from torch_mirror.judge.checks.trajectory import Distances, judge_free_run
from torch_mirror.judge.findings import Findings
from torch_mirror.judge.replay import judge_givens, parts

OPTIMIZERS = {
    "SGD": SGD(0.01),
    "with a buffer and decay": SGD(0.01, momentum=0.9, weight_decay=0.01),
    "a rate of each step": SGD((0.01, 0.02, 0.03, 0.04)),
    "Adam": Adam(0.01),
    "groups by name": Groups(((("W1",), Adam(0.01)), (("W2",), Adam(0.02)))),
}


def experiment(optimizer: Any = OPTIMIZERS["SGD"], width: int = 150) -> Experiment:
    """Its first weight is no whole number of blocks."""
    draw = np.random.default_rng(0)
    p = two_layer_relu.Parameters(draw.normal(size=(width, 250)) / 8, draw.normal(size=(5, width)) / 12)
    x, t = draw.normal(size=(20, 250)), draw.normal(size=(20, 5))
    assert p.W1.size > 2 * trajectory.BLOCK
    assert p.W1.size % trajectory.BLOCK
    return Experiment(TwoLayerReLU(250, width, 5), p, x, t, SquaredError("mean"), optimizer, 4)


def judged(e: Experiment, torch: Trace, *, stacks: bool = False) -> tuple[list[Findings], list[Distances]]:
    _, givens = judge_givens(e, torch, "torch")
    numpy = reference.train(e)
    found = [judge_free_run(e, part, numpy, [2], closely=False) for part in parts(e, torch, givens, stacks=stacks)]
    return [f for f, _ in found], [d for _, d in found]


@pytest.mark.parametrize("stacks", [True, False])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_in_blocks_or_as_a_whole(optimizer: str, monkeypatch: pytest.MonkeyPatch, *, stacks: bool) -> None:
    e = experiment(OPTIMIZERS[optimizer])
    torch = train(e)
    found, whole = judged(e, torch, stacks=stacks)
    monkeypatch.setattr(trajectory, "LARGE", 1)
    again, in_blocks = judged(e, torch, stacks=stacks)
    assert found == again
    rounding = 4 * format_of(np.dtype(np.float64)).gamma(150 * 255)  # of the norms, which are summed in another order
    for a, b in zip(whole, in_blocks, strict=True):
        for one, other in zip(a, b, strict=True):
            some = np.isfinite(one)
            assert (some == np.isfinite(other)).all()
            assert (np.abs(one[some] - other[some]) <= rounding * np.abs(one[some])).all()
    radius, amplified = (np.concatenate([getattr(d, name) for d in in_blocks]) for name in ("radius", "amplified"))
    assert radius[2] > 0
    assert np.isfinite(amplified).tolist() == [False, False, True, False]


def test_a_wrong_gradient_is_told_as_without_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    e = experiment()
    torch = train(e)
    dW1 = torch.tensors["dW1"].copy()
    dW1[2, 7, 5] += 1e-9
    wrong = replace(torch, tensors={**torch.tensors, "dW1": dW1})
    found, whole = judged(e, wrong)
    monkeypatch.setattr(trajectory, "LARGE", 1)
    again, in_blocks = judged(e, wrong)
    assert found == again
    assert [f.index for part in again for f in part.refutations if f.tensor == "dW1"] == [(7, 5)]
    assert whole[2].radius == in_blocks[2].radius


def test_neither_the_update_nor_a_second_bound_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """In numbers of the first weight's size, beside what the traces have."""
    e = experiment(width=1200)
    torch, numpy = train(e), reference.train(e)
    _, givens = judge_givens(e, torch, "torch")
    part = list(parts(e, torch, givens, stacks=False))[2]
    size = e.parameters.W1.nbytes

    def peak() -> float:
        tracemalloc.start()
        judge_free_run(e, part, numpy, [2], closely=False)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most / size

    whole = peak()
    monkeypatch.setattr(trajectory, "LARGE", 1)
    monkeypatch.setattr(products, "MEMORY", 1 << 12)
    assert peak() < 4 < whole - 2


def test_a_product_is_added_in_its_own_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    a, b, total = draw.random((2, 700, 5)), draw.random((5, 30)), draw.random((2, 700, 30))
    whole, in_rows = total.copy(), total.copy()
    products.add_magnitude(whole, a, b)
    monkeypatch.setattr(products, "MEMORY", 1)
    products.add_magnitude(in_rows, a, b)
    assert (np.abs(whole - in_rows) <= format_of(np.dtype(np.float64)).gamma(2 * 6) * whole).all()
    assert (in_rows > total).all()
