"""MARGIN: the roundings that a constant may have gone through without a doubt, and the probability beyond them."""

from collections.abc import Callable
from itertools import pairwise
from math import comb, factorial, floor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reference import SGD, Experiment
from tests.doors.test_formulas import judged
from torch_mirror import Session, session
from torch_mirror.judge.checks.formula import MARGIN
from torch_mirror.judge.checks.formula import __doc__ as derivation

HALF = 2.0**-24
"""Half a unit in the last place of float32, of a number in [1, 2): the most that one rounding does."""


def beyond(roundings: int) -> float:
    """P(K): that a sum of K numbers uniform in [-1, 1] is beyond MARGIN."""
    x, k = (roundings - MARGIN) / 2, roundings
    tail = sum((-1) ** j * comb(k, j) * (x - j) ** k for j in range(floor(max(x, 0)) + 1)) / factorial(k)
    return 2 * tail if x > 0 else 0.0


def test_the_probabilities_are_those_of_the_derivation() -> None:
    assert beyond(int(MARGIN)) == 0
    assert derivation is not None
    told = {k: f"{beyond(k):.2g}" for k in (5, 6, 8, 12)}
    assert f"{told[5]} for K = 5, {told[6]} for 6, {told[8]} for 8, {told[12]} for 12" in derivation


@pytest.mark.parametrize("roundings", [5, 6, 8, 12])
def test_they_are_met_by_numbers_that_are_drawn_and_several_constants_are_no_worse(roundings: int) -> None:
    """n draws of a probability p stray from n p by 5 sqrt(n p) in one of a million such tests (Chernoff)."""
    n, draw = 200_000, np.random.default_rng(roundings)
    p, counts = beyond(roundings), []
    for weights in (np.array([1.0]), np.array([0.9, 0.1]), np.array([0.5, 0.5]), np.full(4, 0.25)):
        s = draw.uniform(-1, 1, (n, len(weights), roundings)).sum(axis=2)
        counts.append(int((np.abs(s @ weights) > MARGIN).sum()))
    assert abs(counts[0] - n * p) < 5 * np.sqrt(n * p) + 5
    assert all(after <= before + 5 * np.sqrt(n * p) + 5 for before, after in pairwise(counts))


def run(c: float, off: int, rows: int) -> tuple[Experiment, Callable[[Experiment], Session]]:
    """A linear layer of x c. off: by how many halves of a unit torch's c is away from the one that NumPy has."""
    draw = np.random.default_rng(rows)
    x, t = ((draw.normal(size=(rows, n)) + 3).astype("f4") for n in (3, 2))
    single = float(np.float32(c))

    def mine(p: Any, x: Any, t: Any) -> Any:
        h = x * single
        d = h @ p["W"] - t
        return np.mean(d**2), {"W": h.T @ (2 * d / d.size)}

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2, 3))
            self.c = nn.Buffer(torch.tensor(single + off * HALF))

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(x * self.c, self.weight)

    def using(e: Experiment) -> Session:
        net = Scaled()
        return session(e, net, {"W": "weight.T"}, nn.MSELoss(), torch.optim.SGD(net.parameters(), lr=0.1))

    W = (0.3 * draw.normal(size=(3, 2))).astype("f4")
    return Experiment(mine, {"W": W}, x, t, None, SGD(0.1), steps=1), using


@pytest.mark.parametrize("rows", [40, 10_000, 50_000])
@pytest.mark.parametrize("c", [1.1, 1.9])
def test_a_constant_of_that_many_roundings_has_no_doubt_and_one_of_many_more_has(c: float, rows: int) -> None:
    for off in (-4, -2, 0, 2, 4):
        assert abs(off) <= MARGIN
        certificate, found = judged(*run(c, off, rows), explain=False)
        assert (certificate.verdict, {*found.outside}, found.notes) == ("certified", set(), ())
    for off in (-40, 40):
        assert judged(*run(c, off, rows), explain=False)[1].outside
