"""Radii that are evaluated one from the other: as deep as a loop of a thousand turns, and the same as if at once."""

from typing import Any

import numpy as np
import pytest

from torch_mirror import check
from torch_mirror.balls import number
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.balls.number import Number

draw = np.random.default_rng(0).normal
X, W, B = draw(size=(3, 4)), draw(size=(4, 4)) / 2, draw(size=4)


def alternating(x: Any, turns: int) -> Any:
    for k in range(turns):
        x = np.tanh(x @ Ball(W)) + Ball(B) * x if k % 2 else -x[:, ::-1] * np.float64(0.5)
    return x


def summed(x: Any, turns: int) -> Any:
    """A sum that stays open: each product enters the accumulator."""
    total = x @ Ball(W)
    for k in range(turns):
        total = total + (x + Ball(np.full(4, 0.1 * k))) @ Ball(W)
    return total


@pytest.mark.parametrize("f", [alternating, summed])
@pytest.mark.parametrize("turns", [1, 31, 32, 33, 2000])
def test_a_radius_of_any_depth_is_evaluated(f: Any, turns: int) -> None:
    assert np.isfinite(f(Ball(X), turns).radius).all()


@pytest.mark.parametrize("f", [alternating, summed])
def test_it_is_no_smaller_than_what_is_evaluated_at_once_and_hardly_larger(
    f: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for turns in range(1, 45):
        here = f(Ball(X), turns).radius
        with monkeypatch.context() as patch:
            patch.setattr(number, "DEEP", 10**6)
            at_once = f(Ball(X), turns).radius
        assert (here >= at_once * (1 - 1e-12)).all()
        assert (here <= at_once * (1 + 2.0**-20)).all()


def samples(p: Any, x: Any, t: Any, share: float = 1.0) -> Any:
    """A loop over samples, as it is first written."""
    loss, dw = 0.0, np.zeros(3)
    for xi, ti in zip(x, t, strict=True):
        e = xi @ p["w"] - ti
        loss += e * e
        dw += 2 * share * e * xi
    return loss, {"w": dw}


def test_a_loop_over_a_thousand_samples_is_judged() -> None:
    p, x, t = {"w": draw(size=3)}, draw(size=(1000, 3)), draw(size=1000)
    assert check(samples, p, x, t).certified


def test_what_is_widened_is_one_deeper_so_that_no_chain_is_longer_than_it_may_be() -> None:
    x = Number(np.ones(3, np.float32), 0.25)
    for _ in range(number.DEEP - 1):
        x = (Ball(x) * np.float32(0.5)).settled()
    assert x.depth == number.DEEP - 1
    wide = x.widened(format_of(np.dtype(np.float64)))
    assert wide.depth == number.DEEP
    assert wide.widened(wide.format) is wide
    deeper = (Ball(wide) * 0.5).settled()
    assert deeper.depth < number.DEEP  # what is below is evaluated by now
    least = 0.25 * 0.5**number.DEEP
    assert ((least <= deeper.radius) & (deeper.radius <= 1.001 * least)).all()
