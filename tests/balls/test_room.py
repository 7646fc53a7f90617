"""Room for the roundings of a bound itself and for underflow, which ordinary numbers do not need."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tests.attack.adversary import F32, F64, rational
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.exactness import exact_product
from torch_mirror.balls.format import Format
from torch_mirror.balls.rules import products, sums
from torch_mirror.balls.rules.elementwise import FUNCTION_ROUNDINGS
from torch_mirror.judge.compare import DEEPEST, allowed


@pytest.mark.parametrize("fmt", [F32, F64], ids=["float32", "float64"])
def test_a_product_whose_lowest_bits_are_below_the_smallest_number_is_not_exact(fmt: Format) -> None:
    """(1 + 2 u)^2 has a bit at 4 u^2, which TwoProduct sees only where that is a number: far enough above tiny."""
    k = np.arange(2 * fmt.precision + 8)
    a = np.full(len(k), 1 + 2 * fmt.u, fmt.dtype)
    b = np.ldexp(a, fmt.grid + k)
    assert not exact_product(a, b, a * b, fmt).any()
    assert exact_product(a, np.ones_like(a), a, fmt).all()


def test_a_product_of_matrices_in_float32_s_digits_has_room_for_what_vanishes_there() -> None:
    """The two products are 2^-200 of the largest of their row and column, and 0 in float32."""
    x, w = np.array([[1.0, 2.0**-200]]), np.array([[2.0**-200], [1.0]])
    rows, columns = products.scaled(x, -1), products.scaled(w, -2)
    assert rows is not None
    assert columns is not None
    bound = products.large_magnitude(rows, columns, 1.0)
    assert bound is not None
    assert rational(bound)[0, 0] >= Fraction(2) ** -199


RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(8, 64)), RNG.normal(size=(64, 8))


def test_the_radius_of_a_sum_is_no_less_than_its_formula_in_exact_numbers() -> None:
    """gamma_K times the sum of magnitudes, which is itself rounded, as often down as up."""
    ball: Any = Ball(X) @ Ball(W)
    magnitudes = abs(rational(X)) @ abs(rational(W))
    least = Fraction(F64.gamma(64)) * magnitudes + (2 * 64 + 1) * Fraction(F64.tiny)
    at = sums.radius_at(ball.open, F64, tuple(np.indices(ball.shape)))
    assert at is not None
    for radius in (ball.radius, at):
        assert (rational(radius) >= least).all()
        assert (rational(radius) <= least * (1 + Fraction(2.0**-40))).all()


def test_what_the_judge_allows_is_no_less_than_the_formula_and_hardly_more() -> None:
    """R times the radius of a product of two balls. Its five roundings go either way; the room is DEEPEST of them."""
    x, y, ex, ey = RNG.normal(size=(4, 500))
    ex, ey = np.abs(ex) * 1e-9, np.abs(ey) * 1e-9
    ball: Any = Ball(x, ex) * Ball(y, ey)
    slack, u = Fraction(ball.slack), Fraction(F64.u)
    ax, ay = (abs(rational(a)) + slack * rational(e) for a, e in ((x, ex), (y, ey)))
    formula = slack * (rational(ex) * ay + ax * rational(ey) + u * ax * ay + Fraction(F64.tiny))
    assert (rational(allowed(ball)) >= formula).all()
    assert (rational(allowed(ball)) <= formula * (1 + (DEEPEST + 16) * u)).all()


def test_the_second_order_is_there() -> None:
    """u (|x + y| + R (e_x + e_y)): the last is lost in the room above, but for a large u."""
    fmt = F64._replace(u=2.0**-4)
    x, y, ex, ey = rational(np.abs(RNG.normal(size=(4, 100))))
    ball: Any = Ball(x.astype(float), ex.astype(float), fmt) + Ball(y.astype(float), ey.astype(float), fmt)
    u, slack = Fraction(fmt.u), Fraction(ball.slack)
    formula = ex + ey + u * (x + y + slack * (ex + ey)) + Fraction(fmt.tiny)
    assert (rational(ball.radius) >= formula * (1 - Fraction(2.0**-40))).all()
    assert (rational(ball.radius) <= formula * (1 + Fraction(2.0**-40))).all()


def test_a_difference_below_the_normal_numbers_may_be_flushed() -> None:
    """1.5 tiny - tiny is tiny / 2 or 0, as the environment has it, though no bit is lost."""
    ball: Any = Ball(np.array([1.5 * F64.tiny])) - Ball(np.array([F64.tiny]))
    assert ball.radius[0] >= F64.tiny / 2 == ball.value[0]


def test_the_radius_of_a_sign_is_2_where_it_is_open_and_0_elsewhere() -> None:
    x: Any = Ball(np.array([3.0, 0.5, -1.0, 0.0, 5.0]), np.array([1.0, 1.0, 0.0, 0.0, np.inf]))
    assert np.sign(x).radius.tolist() == [0.0, 2.0, 0.0, 0.0, np.inf]


def test_the_radius_of_a_root_is_what_two_arguments_that_far_apart_make_of_it() -> None:
    """Nowhere more than at the lowest two within reach, l and l + e, beside the rounding of 2 u."""
    x, e = np.array([1.0, 1.0, 1e-3, 1e6]), np.array([0.25, 1e-6, 1e-4, 1.0])
    ball: Any = np.sqrt(Ball(x, e))
    low = x - ball.slack * e
    apart = np.sqrt(low + e) - np.sqrt(low)
    rounding = 2 * F64.u * np.sqrt(x + ball.slack * e)
    assert (ball.radius >= apart).all()
    assert (ball.radius <= (apart + rounding) * (1 + 1e-9)).all()


@pytest.mark.parametrize("name", [name for name in FUNCTION_ROUNDINGS if name not in {"pow", "erf", "expit"}])
def test_of_an_exact_number_a_function_s_radius_is_its_roundings_at_any_size(name: str) -> None:
    """k u |f(x)|, near 0 and far from it: an attack in bulk asks for the largest error / radius of all alone."""
    x = np.array([1e-6, 1e-3, 0.1, 0.5, 0.9]) + (1 if name == "arccosh" else 0)
    ball: Any = getattr(np, name)(Ball(x))
    least = FUNCTION_ROUNDINGS[name] * F64.u * np.abs(ball.value)
    assert (ball.radius >= least).all()
    assert (ball.radius <= (least + F64.tiny) * (1 + 1e-12)).all()
