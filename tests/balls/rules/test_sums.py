"""Sums and products of matrices: bounds that are tight, do not underflow, and may overflow."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from reference.arrays import Array
from tests.attack.adversary import F64, rational, worst
from tests.attack.evaluations import product_in_order
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.rules import products


@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e300])
@pytest.mark.parametrize("rows", [1.0, 1e-9, 1e-35, 1e-60])
def test_a_large_product_s_bound_is_an_upper_bound_and_hardly_more(scale: float, rows: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 128)) * scale * rows ** rng.integers(0, 2, (64, 1))
    w = rng.normal(size=(128, 64)) / scale
    assert products.large(x, w)
    bound = (Ball(x) @ Ball(w)).radius - (2 * 128 + 1) * F64.tiny
    for i, j in rng.integers(0, 64, (20, 2)):
        exact = Fraction(F64.gamma(128)) * sum(abs(rational(x[i]) * rational(w[:, j])))
        assert exact <= rational(bound[i, j])[()]
        ordinary = rows == 1 or np.abs(x[i]).max() == np.abs(x).max()
        assert not ordinary or rational(bound[i, j])[()] <= exact * Fraction(1001, 1000)


@pytest.mark.parametrize("x", [np.full((64, 64), 1e-310), np.full((64, 64), 5e-324), np.full((64, 64), 1e-300)])
@pytest.mark.parametrize("w", [np.full((64, 64), 1e300), np.full((64, 64), 1.5), np.eye(64)])
def test_a_bound_does_not_underflow_with_one_of_its_factors(x: Array, w: Array) -> None:
    with np.errstate(all="ignore"):
        ball = Ball(x) @ Ball(w)
        radius = ball.radius
    exact = (rational(x[:2]) @ rational(w[:, :2])) * Fraction(F64.gamma(64))
    zero_or_enough = [e == 0 or rational(e)[()] >= q for e, q in zip(radius[:2, :2].flat, exact.flat, strict=True)]
    assert np.isfinite(radius).all()
    assert all(zero_or_enough)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 1e308])
@pytest.mark.parametrize("size", [1, 3, 64])
def test_what_may_overflow_has_an_infinite_radius(bad: float, size: int) -> None:
    x, w = np.ones((size, size)), np.full((size, size), 10.0)
    x[0, 0] = bad
    with np.errstate(all="ignore"):
        radius = (Ball(x) @ Ball(w)).radius
        others = (Ball(x) * Ball(w), Ball(x) @ Ball(w) + Ball(w), np.square(Ball(x)))
        other = [ball.radius[0, 0] for ball in others]
    assert not np.isfinite(radius[0]).any()
    assert not np.isfinite(other).any()


def test_the_mean_of_a_power_of_two_terms_on_the_grid_is_exact() -> None:
    assert Ball(np.array([0.5, 1.25, 3.0, -8.0])).mean().radius == 0


def test_the_view_of_a_product_still_takes_its_bias_into_the_accumulator() -> None:
    rng = np.random.default_rng(1)
    x, w, b = rng.random(20), rng.random((1, 20)), np.array([1e16])
    balls: list[Any] = [Ball(a) for a in (x, w, b)]
    ball = np.dot(balls[1], balls[0]) + balls[2]
    in_order = product_in_order(range, fused=False, bias_first=True)(x[None], w, b)[0]
    error = abs(rational(in_order) - (rational(w) @ rational(x) + rational(b)))[0]
    assert error > Fraction(2 * F64.u) * 10**16  # more than a product, rounded, and one addition explain
    assert worst(ball, rational(w) @ rational(x) + rational(b), [in_order]) <= 1


def test_sums_along_an_axis_on_the_grid_are_exact() -> None:
    x: Any = Ball(np.array([1.0, 2.5, -8.0, 0.1]))
    assert (x.cumsum().radius > 0).tolist() == [False, False, False, True]
    assert np.cumsum(x[:0]).shape == (0,)
    assert x[:0].prod().value == 1
