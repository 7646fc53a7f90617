"""Norms are rounded, too: a distance that grew by no more than that says nothing, and one that grew by more does."""

from dataclasses import replace

import numpy as np
import pytest

import reference
from reference import experiments
from torch_mirror.judge.checks.trajectory import Distances, _rounding_of_norms, _unexplained, grown
from torch_mirror.judge.replay import Part, judge_givens, parts


@pytest.fixture(scope="module")
def part() -> Part:
    e = replace(experiments.load("linear-neuron", "float64"), steps=4)
    trace = reference.train(e)
    _, givens = judge_givens(e, trace, "numpy")
    (whole,) = parts(e, trace, givens)
    return whole


def test_what_a_distance_grew_by_is_told_beyond_the_rounding_of_the_norms(part: Part) -> None:
    """d[t+1] against a[t] d[t] + r[t] = 1, and against d[t] + r[t] = 1: more by 3/2, 3, less by 3, 3/2 roundings."""
    rounding = _rounding_of_norms(part)
    assert 0 < rounding < 1e-12
    beside = 1 + rounding * np.array([1.5, 3.0, -3.0, -1.5])
    distances = Distances(beside, np.full(4, 0.25), np.full(4, 0.75), np.full(4, 0.25))
    assert _unexplained(distances, part).tolist() == [False, True, False, False]
    assert grown(part, distances) == [0, 1, 3]  # what may have grown is looked at
    unknown = distances._replace(radius=np.array([np.nan, np.inf, np.nan, 0.75]))
    assert not _unexplained(unknown, part).any()
    assert grown(part, unknown) == [0, 1, 2, 3]
    assert grown(part, distances._replace(distance=np.zeros(4))) == []
