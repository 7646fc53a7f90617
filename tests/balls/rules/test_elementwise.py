"""Rules of each element alone, at their edges."""

from fractions import Fraction
from typing import Any

import mpmath  # type: ignore[import-untyped]  # it ships no stubs
import numpy as np
import pytest

from tests.attack.adversary import F32, F64, at_200_bits, rational, worst
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import Format
from torch_mirror.balls.number import MANY
from torch_mirror.balls.rules import elementwise


def test_a_quotient_whose_divisor_may_nearly_vanish() -> None:
    """The centre's quotient, 1 / 1, says nothing of the exact one, 1 / 0.6; another evaluation may be 1 / 0.2."""
    quotient = Ball(np.array([1.0])) / Ball(np.array([1.0]), np.array([0.4]))
    assert worst(quotient, np.array([Fraction(5, 3)]), [np.array([5.0])]) <= 1


def test_a_quotient_s_radius_does_not_underflow_on_the_way() -> None:
    quotient = Ball(np.array([5e-324])) / Ball(np.array([1e-300]), np.array([1e-301]))
    assert worst(quotient, np.array([Fraction(5e-324) / Fraction(0.9e-300)]), [np.array([5e-324 / 0.8e-300])]) <= 1


def test_a_power_of_two_may_flush_an_evaluation_that_is_not_the_centre() -> None:
    tiny = F64.tiny
    half = Ball(np.array([4 * tiny]), np.array([1.5 * tiny])) / 2
    assert worst(half, np.array([Fraction(2.5 * tiny) / 2]), [np.array([0.0])]) <= 1  # half of tiny, flushed


def test_a_power_of_two_may_round_the_radius_itself() -> None:
    least = float(np.finfo(np.float32).smallest_subnormal)
    eighth = Ball(np.array([2.0**-100], np.float32), np.array([11 * least], np.float32)) / 8
    assert worst(eighth, np.array([(Fraction(2.0**-100) + 11 * Fraction(least)) / 8]), []) <= 1


def test_an_exponential_that_underflows_at_its_centre_only() -> None:
    y = np.exp(Ball(np.array([-110], np.float32), np.array([30], np.float32)))
    assert worst(y, at_200_bits(mpmath.exp)(np.array([Fraction(-80)])), [np.array([np.exp(-50.0)], np.float32)]) <= 1


def test_a_root_of_what_may_be_negative_or_a_logarithm_of_what_may_be_0_is_unbounded() -> None:
    x: Any = Ball(np.array([1.0, 1.0, 0.0, 4.0]), np.array([0.75, 0.5, 0.0, 0.0]))
    with np.errstate(all="ignore"):
        assert np.isfinite(np.sqrt(x).radius).tolist() == [False, False, True, True]  # 1 - R / 2, rounded down
        assert np.isfinite(np.log(x).radius).tolist() == [False, False, False, True]
        assert np.isinf(np.sqrt(Ball(np.array([-1.0]))).radius).all()


def test_no_root_is_taken_to_be_exact_but_that_of_0() -> None:
    """Not every library rounds correctly."""
    assert (np.sqrt(Ball(np.array([0.0, 2.25, 9.0]))).radius > 0).tolist() == [False, True, True]


@pytest.mark.parametrize("fmt", [F32, F64])
def test_a_product_may_underflow_on_its_way(fmt: Format) -> None:
    """tiny * tiny * huge * huge: 0 in one order, infinite in another, near 1 in a third."""
    x = np.array([[fmt.tiny, 0.1, fmt.tiny, 1 / fmt.tiny, 3.0]], fmt.dtype).T
    with np.errstate(all="ignore"):
        ball = Ball(x).prod(axis=0)
        orders = [x[list(o)].prod(axis=0) for o in ([0, 1, 2, 3, 4], [0, 2, 3, 1, 4], [3, 0, 1, 2, 4])]
        assert worst(ball, rational(x).prod(axis=0), orders) <= 1
        assert np.isinf(Ball(np.array([fmt.huge, 2, 0.1], fmt.dtype)).prod().radius)


def test_some_exact_products_among_many_are_found() -> None:
    """Of many a few are asked first; here all of those but the first are exact, and so is every other one."""
    size = 2 * elementwise.MANY
    x = np.where(np.arange(size) % 2, 0.1, 0.5)
    x[0] = 0.1
    radius = (Ball(x) * Ball(x.copy())).radius
    assert ((radius == 0) == (x == 0.5)).all()


def test_a_product_whose_evaluations_may_overflow_though_the_operand_s_do_not() -> None:
    """The operand may be 0.6 of the largest number, as two evaluations of it may lie R = 2 radii apart."""
    x = Ball(np.zeros(1), np.array([0.3 * F64.huge]))
    with np.errstate(over="ignore"):
        assert np.isinf((x * 2).radius).all()


@pytest.mark.parametrize("size", [3, MANY])
@pytest.mark.parametrize(
    ("magnitude", "e", "known"),
    [(1.0, 1.0, True), (0.49, 0.001, True), (0.51, 0.0, False), (-0.51, 0.0, False), (0.3, 0.15, False),
     (-0.3, 0.15, False), (0.0, 0.26, False), (0.0, np.inf, False), (np.nan, 0.0, False), (0.0, np.nan, False)],
)  # fmt: skip
def test_a_radius_is_known_up_to_half_of_the_largest_number(
    size: int, magnitude: float, e: float, *, known: bool
) -> None:
    """In units of it, but for the first; one element of few, and of many."""
    unit = 1.0 if (magnitude, e) == (1.0, 1.0) else F64.huge
    magnitudes, radii = np.zeros(size), np.full(size, 0.125)
    magnitudes[-1], radii[-1] = magnitude * unit, e * unit
    with np.errstate(all="ignore"):
        found = elementwise._overflow(radii, magnitudes, F64)
    assert found[:-1].tolist() == [0.125] * (size - 1)
    assert found[-1] == (radii[-1] if known else np.inf)
