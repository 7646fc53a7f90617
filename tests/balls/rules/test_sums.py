"""Sums and products of matrices: bounds that are tight, do not underflow, and may overflow."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from reference.arrays import Array
from tests.attack.adversary import F32, F64, rational, worst
from tests.attack.evaluations import product_in_order
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.rules import products, sums


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


ONCE = F32._replace(inside=2.0**-49)
"""Sums in float64, whose result is rounded to float32."""


def float32(rng: np.random.Generator, *shape: int) -> Array:
    return rng.normal(size=shape).astype("f4").astype(float)


@pytest.mark.parametrize("terms", [2, 7, 300, 20_000])
@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_a_sum_that_is_rounded_once_holds_its_exact_value_rounded_and_every_order_in_float64(
    terms: int, shift: float
) -> None:
    rng = np.random.default_rng(terms)
    x = float32(rng, 20, terms) + shift
    ball = Ball(x, 0, ONCE).sum(axis=-1)
    rounded = np.array([float(np.float32(math.fsum(row))) for row in x.tolist()])
    one_by_one = np.cumsum(x[:, ::-1], axis=-1)[:, -1]
    for other in (rounded, one_by_one):
        assert (np.abs(other - ball.value) <= ball.radius).all()
    short = ball.radius - F32.u * np.abs(ball.value)
    assert (np.abs(rounded - ball.value) > short).any()  # the rounding of the result is needed
    assert terms < 300 or (ball.radius < Ball(x, 0, F32).sum(axis=-1).radius / 30).all()


def test_the_inside_of_a_sum_that_cancels_is_allowed_for() -> None:
    """Where nothing is left of the sum, its result's rounding is nothing, and what float64 brings is allowed for."""
    x = np.random.default_rng(0).normal(size=(50, 1000))
    x = np.concatenate([x, -x], axis=-1)
    ball = Ball(x, 0, ONCE).sum(axis=-1)
    other = np.cumsum(np.random.default_rng(1).permuted(x, axis=-1), axis=-1)[:, -1]
    assert (np.abs(other - ball.value) <= ball.radius).all()
    assert (np.abs(other - ball.value) > F32.u * np.abs(ball.value) + F32.tiny).any()


def test_a_bias_joins_the_sum_and_operands_bring_what_they_have() -> None:
    rng = np.random.default_rng(0)
    x, w, b = float32(rng, 5, 40), float32(rng, 40, 3), float32(rng, 3)
    z = Ball(x, 0, ONCE) @ Ball(w, 0, ONCE) + Ball(b, 0, ONCE)
    within = ONCE.within(41) * (np.abs(x) @ np.abs(w) + np.abs(b)) * (1 + 4 * ONCE.within(41))
    least, most = F32.u * np.abs(z.value) + within, F32.u * np.abs(z.value) + within * 1.001 + 1e-35
    assert ((least <= z.radius) & (z.radius <= most)).all()
    wide = Ball(x, np.full(x.shape, 1e-3), ONCE) @ Ball(w, 0, ONCE)
    assert (wide.radius >= 1e-3 * np.abs(w).sum(axis=0)).all()


def test_operands_of_more_bits_than_the_format_are_never_taken_to_be_exact() -> None:
    """0.1 of float64, twice, has few bits when it is rounded to float32 first: its sum is not exact for that."""
    x = np.full((2, 64), 0.5 + 2.0**-40)
    assert (Ball(x, 0, ONCE).sum(axis=-1).radius > 0).all()
    assert (Ball(x, 0, F32).sum(axis=-1).radius == 0).all()  # so it must not be asked of bits


def test_a_sum_that_is_rounded_once_may_overflow() -> None:
    with np.errstate(all="ignore"):
        radius = Ball(np.array([[3e38, 3e38], [1.0, 1.0]]), 0, ONCE).sum(axis=-1).radius
    assert np.isinf(radius).tolist() == [True, False]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("inexact", ["", "x", "w", "xw"])
def test_the_radius_at_some_elements_is_that_of_all_there(dtype: Any, inexact: str) -> None:
    """Of a thousand terms, so that the second order in gamma shows; and where all underflows."""
    draw = np.random.default_rng(0)
    x, w = draw.normal(size=(6, 1000)).astype(dtype), draw.normal(size=(1000, 5)).astype(dtype)
    at = (np.array([0, 5, 2]), np.array([4, 0, 3]))
    for scale in (1.0, 1e-30):
        parts = {"x": x * dtype(scale), "w": w * dtype(scale**8 if dtype is np.float64 else scale)}
        a, b = (Ball(v, np.abs(v) * dtype(2.0**-18) if name in inexact else 0) for name, v in parts.items())
        y = (a @ b).settled()
        found = sums.radius_at(y.open, y.format, at)
        assert found is not None
        room = 16 * y.format.u  # for the order in which magnitudes are summed; 4 gamma is 4,000 u
        assert (np.abs(found - y.radius[at]) <= room * y.radius[at]).all()
        assert not inexact or (y.radius <= sums.most(y.open, y.format)).all()


def test_what_no_radius_exceeds_is_unknown_where_the_sum_may_overflow() -> None:
    """From a quarter of the largest number on; above all of it the norms overflow by themselves."""
    x: Any = Ball(np.full((2, 100), 1e130), np.full((2, 100), 1.3e139))
    for scale, known in ((1.0, True), (1.2e153, False), (1e154, False)):
        y = (x @ Ball(np.full((100, 2), scale))).settled()
        assert np.isfinite(sums.most(y.open, y.format)) == known


@pytest.mark.parametrize("terms", [1, 9, 300])
def test_so_many_deviations_of_a_sum_are_its_formula(terms: int) -> None:
    """lambda u sqrt((K + 1) / 3) / 2, times the sum of magnitudes and of the magnitude of the sum."""
    x, w = np.random.default_rng(terms).normal(size=(2, 4, terms))
    for deviations in (1.0, 2.0):
        fmt = F64._replace(spread=deviations)
        y: Any = Ball(x, 0, fmt) @ Ball(w.T, 0, fmt)
        half = deviations * F64.u * ((terms + 1) / 3) ** 0.5 / 2
        expected = half * (np.abs(x) @ np.abs(w.T) + np.abs(x @ w.T))
        assert (np.abs(y.radius - expected) <= 1e-12 * expected).all()


@pytest.mark.parametrize("inexact", ["", "x", "b", "c", "xbc"])
@pytest.mark.parametrize("sign", [1, -1])
def test_and_so_it_is_of_a_product_with_a_bias_and_of_two_products(inexact: str, sign: int) -> None:
    """Each of the terms has its part in it: of c, a hundred times as large as the others, most."""
    draw = np.random.default_rng(5)
    parts = {"x": draw.normal(size=(6, 40)), "b": draw.normal(size=5), "c": 100 * draw.normal(size=(6, 8))}
    x, b, c = (Ball(v, np.abs(v) * 2.0**-18 if name in inexact else 0) for name, v in parts.items())
    w, v = Ball(draw.normal(size=(40, 5))), Ball(draw.normal(size=(8, 5)))
    at = (np.array([0, 5, 2]), np.array([4, 0, 3]))
    one: Any = x @ w
    other: Any = c @ v
    for total in (one + b, one + sign * other, other + sign * one, one + sign * other + b):
        y = total.settled()
        found = sums.radius_at(y.open, y.format, at)
        assert found is not None
        assert (np.abs(found - y.radius[at]) <= 16 * y.format.u * y.radius[at]).all()
