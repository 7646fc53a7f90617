"""Narrower formats: on the grid, to nearest, and with a radius that holds what lies between."""

import math
from fractions import Fraction

import numpy as np
import pytest

from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.tape.edits.rounded import FORMATS, rounded

BITS = {"float32": 24, "bfloat16": 8, "TF32": 11, "float16": 11}


@pytest.mark.parametrize("to", FORMATS)
def test_a_rounded_number_is_the_nearest_of_so_many_bits(to: str) -> None:
    x = np.random.default_rng(0).uniform(0.01, 2, 2000) * np.tile([1, -1], 1000)
    y = rounded(x, to)
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        spacing = Fraction(2) ** (math.frexp(a)[1] - BITS[to])
        assert (Fraction(b) / spacing).denominator == 1
        assert abs(Fraction(a) - Fraction(b)) <= spacing / 2 + Fraction(2) ** -26  # twice rounded, by way of float32


@pytest.mark.parametrize("to", ["bfloat16", "TF32"])
def test_a_tie_goes_to_the_even_one(to: str) -> None:
    u = 2.0 ** (1 - BITS[to])
    assert rounded(np.array([1 + u / 2, 1 + 3 * u / 2]), to).tolist() == [1.0, 1 + 2 * u]


@pytest.mark.parametrize("to", FORMATS)
def test_infinity_nan_zero_and_the_shape_are_kept(to: str) -> None:
    y = rounded(np.array([[np.inf, -np.inf], [np.nan, 0.0]]), to)
    assert y.shape == (2, 2)
    assert y[0].tolist() == [np.inf, -np.inf]
    assert np.isnan(y[1, 0])
    assert rounded(np.float64(1 / 3), to).shape == ()


@pytest.mark.parametrize("to", FORMATS)
def test_the_radius_holds_every_number_that_is_rounded(to: str) -> None:
    r = np.random.default_rng(1)
    v, e = r.uniform(-2, 2, 500), 10.0 ** r.uniform(-12, -1, 500)
    ball = rounded(Ball(Number(v, e)), to)
    for share in (-1.0, -0.5, 0.1, 0.9, 1.0):
        assert (np.abs(rounded(v + share * e, to) - ball.value) <= ball.radius).all()


def test_a_radius_of_half_the_size_is_caught() -> None:
    """The attack above is one: at the ends of the ball half the radius is too little."""
    v, e = np.full(1, 1.0), np.full(1, 0.25)
    ball = rounded(Ball(Number(v, e)), "bfloat16")
    assert np.abs(rounded(v + e, "bfloat16") - ball.value) > ball.radius / 2
