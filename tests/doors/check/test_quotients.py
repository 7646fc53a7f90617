"""Difference quotients: where they look, how far off they say that they may be, and what they take for rounding."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from torch_mirror.doors.check.quotients import ELEMENTS, _is_rough, _picked, _quotient, _row

START = {"W": np.array([[0.3, -1.7], [2.5, 0.011]])}


@pytest.mark.parametrize("f", [np.exp, np.sin, np.tanh, lambda w: 1e6 * w * w, lambda w: 1 / w])
def test_a_quotient_is_within_its_room_of_the_derivative_and_the_room_is_small(f: Callable[[Any], Any]) -> None:
    """Against the derivative by a complex step, Im f(x + 1e-30 i) / 1e-30, from which nothing is subtracted."""
    for at, x in enumerate(START["W"].flat):
        q = _quotient("W", at, START, lambda p: f(p["W"]).sum())
        exact = f(complex(x, 1e-30)).imag / 1e-30
        assert abs(q.value - exact) <= q.room <= 2e-2 * max(abs(exact), 1.0)
        assert not q.kink


@pytest.mark.parametrize("x", [0.0, 1e-7])
def test_a_kink_at_the_element_is_seen(x: float) -> None:
    """As it is between the nearest points, where it is not at the element itself."""
    q = _quotient("W", 0, {"W": np.array([x])}, lambda p: np.abs(p["W"]).sum())
    assert q.kink or abs(q.value - 1) <= q.room


def test_half_of_what_is_looked_at_is_the_largest_and_the_others_are_drawn() -> None:
    g = np.arange(100.0).reshape(4, 25) * (-1.0) ** np.arange(25)
    picked = _picked(g)
    assert picked[: ELEMENTS // 2] == [99, 98, 97]
    assert len(set(picked)) == ELEMENTS
    assert min(picked) < 90
    assert _picked(g[:1, :ELEMENTS]) == list(range(ELEMENTS))


def test_a_gradient_of_zeros_has_no_resolution() -> None:
    row = _row("dW", "W", np.zeros((2, 2)), START, lambda p: 0 * p["W"].sum())
    assert (row.word, row.outside, row.resolution) == ("consistent", 0, None)
    wrong = _row("dW", "W", np.zeros((2, 2)), START, lambda p: p["W"].sum())
    assert (wrong.word, wrong.outside, wrong.resolution) == ("WRONG", 4, None)


def test_a_row_tells_the_finest_element_and_the_worst() -> None:
    right = np.exp(START["W"])
    row = _row("dW", "W", right, START, lambda p: np.exp(p["W"]).sum())
    assert (row.word, row.outside) == ("consistent", 0)
    assert 0 < (row.resolution or 0) < 1e-6
    wrong = right.copy()
    wrong[1, 0] *= 1.001
    row = _row("dW", "W", wrong, START, lambda p: np.exp(p["W"]).sum())
    assert (row.word, row.outside, row.index) == ("WRONG", 1, (1, 0))


@pytest.mark.parametrize(
    ("loss", "rough"),
    [
        (lambda w: np.sin(w).sum(), False), (lambda w: np.log(np.abs(w)).sum(), False),
        (lambda w: np.float64(np.float32(np.sin(w).sum())), True),
        (lambda w: np.sin(w).astype(np.float32).sum(dtype=float), True), (lambda w: np.where(w, np.nan, w).sum(), True),
    ],
)  # fmt: skip
def test_a_loss_that_is_rounded_to_float32_is_rough(loss: Callable[[Any], Any], rough: Any) -> None:
    """The logarithm is smooth where the parameters are, and not where they are 0."""
    with np.errstate(all="ignore"):
        assert _is_rough(START, lambda p: loss(p["W"])) is rough
