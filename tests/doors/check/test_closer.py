"""Which rows are looked at more closely."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from torch_mirror.doors.check.closer import BLIND, _by_rungs, _is_0, is_open
from torch_mirror.tape.compared import TINY
from torch_mirror.tape.ladder import Pair
from torch_mirror.tape.told import Row


@pytest.mark.parametrize(
    ("row", "yes"),
    [
        (Row("dW", "ok", 4, resolution=1e-15), False), (Row("dW", "ok", 4, resolution=0.5), True),
        (Row("dW", "ok", 4, resolution=None), True), (Row("dW", "ok", 4, resolution=2 * BLIND), True),
        (Row("dW", "ok", 4, resolution=1e-15, unjudged=1), True), (Row("dW", "undecided", 4, worst=0.5), True),
        (Row("dW", "undecided", 4, worst=2.0), False), (Row("dW", "WRONG", 4, worst=9.0, resolution=0.5), False),
    ],
)  # fmt: skip
def test_what_is_undecided_coarse_or_0_is_looked_at_again(row: Row, *, yes: bool) -> None:
    """But not what is outside of its radius: no smaller one would make it right."""
    assert is_open(row) is yes


@pytest.mark.parametrize(
    ("derivative", "own", "room", "yes"),
    [([0.0, 0.0], [0.0, 0.0], [0.0, 0.0], True), ([0.0, 1e-300], [-1e-300, 0.0], [1e-299, TINY], True),
     ([0.0, 0.0], [0.0, 0.0], [0.0, 2 * TINY], False), ([0.0, TINY], [0.0, 0.0], [0.0, TINY / 2], False),
     ([0.0, 0.0], [0.0, -TINY], [0.0, TINY / 2], False), ([1.0, 0.0], [1.0, 0.0], [2.0, 0.0], False)],
)  # fmt: skip
def test_both_are_0_where_what_is_left_is_that_of_0(derivative: Any, own: Any, room: Any, *, yes: bool) -> None:
    arrays = [np.array(a) for a in (derivative, own, room)]
    assert _is_0(Pair(arrays[0], np.abs(arrays[0] - arrays[1]), arrays[2], arrays[1])) is yes


@pytest.mark.parametrize(
    ("row", "why"),
    [(Row("dW", "ok", 2, resolution=2 * BLIND), "tried: float64, arb"), (Row("dW", "ok", 2, resolution=1e-15), ""),
     (Row("dW", "undecided", 2, why="wide"), "wide; tried: float64, arb")],
)  # fmt: skip
def test_what_was_tried_is_told_where_it_tells_nothing(row: Row, why: str) -> None:
    ones = np.ones(2)
    rungs: Any = [
        SimpleNamespace(name=name, why="", tried=True, pairs={"W": Pair(ones, 0 * ones, ones, ones)})
        for name in ("float64", "arb")
    ]
    assert _by_rungs(row, rungs, "W").why == why
