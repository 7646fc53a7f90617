"""The oracle, judged by fractions and by mpmath: what it says is so, and it says so of the last bit."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import flint
import mpmath  # type: ignore[import-untyped]  # it ships no stubs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attack.adversary import F32, F64, FORMATS, hostile, nearest, rational, worst
from tests.attack.draws import Plan, drawn
from tests.attack.einsums import EINSUMS
from tests.attack.evaluations import fused_multiply_add
from tests.attack.in_place import IN_PLACE
from tests.attack.moves import MOVES
from tests.attack.operations import OPERATIONS
from tests.attack.oracle import LADDER, choose, compare, enclosed, exactly, largest, least, truth, workprec
from tests.attack.strategies import formats, kinds, plans, seeds
from tests.attack.strike import exact_numbers
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import Format

every = np.frompyfunc(lambda x, q: x.contains(flint.fmpq(q.numerator, q.denominator)), 2, 1)


def holds(numbers: Any, fractions: Any) -> bool:
    """Every enclosure contains its fraction."""
    with workprec(20_000):  # in which the fraction is enclosed, too
        return bool(every(enclosed(numbers), fractions).all())


@given(formats, kinds, seeds, st.booleans())
def test_numbers_are_taken_as_they_are(fmt: Format, kind: str, seed: int, wide: bool) -> None:  # noqa: FBT001 - drawn
    a = hostile(kind, (50,), fmt, np.random.default_rng(seed))
    if wide:
        a = a.astype(np.longdouble) * np.longdouble(1) / 3
    numbers = exactly(a)
    assert all(x.is_exact() for x in numbers)
    assert holds(numbers, rational(a))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_what_is_not_finite_is_not_exact_either(dtype: Any) -> None:
    a = exactly(np.array([np.inf, -np.inf, np.nan], dtype))
    assert not any(x.is_finite() for x in a)


@given(formats, st.tuples(kinds, kinds, kinds), seeds, st.sampled_from(LADDER))
def test_rational_operations_hold_the_fractions(fmt: Format, names: tuple[str, ...], seed: int, bits: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, c = (hostile(kind, (4, 4), fmt, rng) for kind in names)
    c = np.where(c == 0, fmt.dtype.type(1), c)
    p, q, r = rational(a), rational(b), rational(c)
    with workprec(bits):
        x, y, z = exactly(a), exactly(b), exactly(c)
        assert holds(x @ y + z, p @ q + r)
        assert holds((x - y) / z, (p - q) / r)
        assert holds(abs(x * y * z), abs(p * q * r))
        assert holds(largest(x, y), np.maximum(p, q))
        assert holds(least(x, y), np.minimum(p, q))
        assert holds(choose(x - y, x, y, z), np.where(p < q, p, np.where(p == q, q, r)))
        if bits == LADDER[-1]:
            assert all(v.is_exact() for v in (x @ y).ravel())


@pytest.mark.parametrize(("function", "by_mpmath"), [
    (np.exp, mpmath.exp), (np.tanh, mpmath.tanh), (np.log, mpmath.log), (np.sqrt, mpmath.sqrt),
])  # fmt: skip
@given(formats, seeds)
def test_functions_agree_with_mpmath(function: Any, by_mpmath: Callable[[Any], Any], fmt: Format, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = np.exp2(rng.uniform(-30, 6, 20)).astype(fmt.dtype) * rng.choice([1, -1] if by_mpmath in SIGNED else [1], 20)
    with workprec(300), mpmath.workprec(400):
        for number, v in zip(function(exactly(a)), a, strict=True):
            theirs = Fraction(*map(int, mpmath.libmp.to_rational(by_mpmath(mpmath.mpf(float(v)))._mpf_)))
            off = abs(number - flint.fmpq(theirs.numerator, theirs.denominator))
            assert off <= abs(number) * flint.arb(2) ** -280
            assert number.rel_accuracy_bits() > 280


SIGNED = (mpmath.exp, mpmath.tanh)


RATIONAL = [name for name, o in {**EINSUMS, **MOVES, **IN_PLACE}.items() if o.alone and not o.fractions]


@pytest.mark.parametrize("name", RATIONAL)
@given(formats, plans)
def test_arb_and_fractions_give_an_equation_the_same_result(name: str, fmt: Format, plan: Plan) -> None:
    operation = OPERATIONS[name]
    draw = drawn(operation, fmt, plan._replace(moved=True))
    by_arb = exact_numbers(operation, draw, LADDER[-1])
    by_fractions = exact_numbers(operation._replace(fractions=True), draw, LADDER[-1])
    with workprec(LADDER[-1]):
        assert all(x.is_exact() and x == y for x, y in zip(by_arb.flat, by_fractions.flat, strict=True))


def test_the_exact_numbers_are_numpy_s_own() -> None:
    """NumPy's products and einsum of fractions are what an attack takes for the truth."""
    x, y = rational(np.array([[0.1, 0.2]])), rational(np.array([0.3, 0.7]))
    assert np.einsum("ij,j->i", x, y)[0] == Fraction(0.1) * Fraction(0.3) + Fraction(0.2) * Fraction(0.7)
    assert x.prod() == Fraction(0.1) * Fraction(0.2)
    assert worst(Ball(np.array([1.0])), np.array([Fraction(2)]), []) == np.inf


def test_a_choice_that_is_open_holds_all_that_it_may_be() -> None:
    with workprec(100):
        third = flint.arb(1) / 3
        assert choose(third - third, -1, 0, 1).contains(flint.arb(-1))
        assert choose(third - third, -1, 0, 1).contains(flint.arb(1))
        assert choose(third - third, 5, 5, 5).is_exact()
        assert choose(third, -1, 0, 1) == 1
        assert choose(flint.arb.nan(), 5, 5, 5).is_nan()


# --- the comparison ------------------------------------------------------------------------------------


@given(formats, kinds, kinds, seeds, st.sampled_from([0, 1, 2, 3, 1000]))
def test_a_value_one_ulp_beyond_a_radius_is_outside_and_none_before(
    fmt: Format, one: str, other: str, seed: int, ulps: int
) -> None:
    """The radius is the distance of a value some ulp away, as near as it can be held: fractions say which side."""
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        x, y = hostile(one, (40,), fmt, rng).astype(float), hostile(other, (40,), fmt, rng).astype(float)
        value = (x * y).astype(fmt.dtype)
        step = np.spacing(value) * ulps
        seen, beyond = value + step, np.nextafter(value + step, fmt.dtype.type(np.inf))
    asked = np.isfinite(value) & np.isfinite(beyond) & np.isfinite(step)
    fractions = rational(np.where(asked, x, 0)) * rational(np.where(asked, y, 0))
    seen, beyond = (np.where(asked, a, fmt.dtype.type(0)) for a in (seen, beyond))
    with workprec(LADDER[-1]):
        exact = truth(exactly(np.where(asked, x, 0)) * exactly(np.where(asked, y, 0)))
    for a in (seen, beyond):
        for towards in (-np.inf, np.inf):  # the last bit of the radius
            distance = abs(rational(a) - fractions).astype(float).astype(np.float64)
            radius = np.nextafter(np.abs(distance), towards).clip(0)
            with workprec(LADDER[-1]):
                verdict = compare(a, exact, radius, asked)
            expected = asked & (abs(rational(a) - fractions) > rational(radius)).astype(bool)
            assert not verdict.undecided.any()
            assert np.array_equal(verdict.outside, expected)


@pytest.mark.parametrize("fmt", FORMATS)
def test_an_exact_number_has_no_neighbours(fmt: Format) -> None:
    a = np.array([1.0, 0.1, 3e-38, -7.0], fmt.dtype)
    nothing, asked = np.zeros(4), np.ones(4, bool)
    for towards in (-np.inf, np.inf):
        moved = np.nextafter(a, fmt.dtype.type(towards))
        assert compare(moved, truth(exactly(a)), nothing, asked).outside.all()
    assert not compare(a, truth(exactly(a)), nothing, asked).outside.any()


def test_what_is_not_finite_is_outside() -> None:
    a = np.array([np.nan, np.inf, -np.inf])
    assert compare(a, truth(exactly(np.ones(3))), np.full(3, 1e308), np.ones(3, bool)).outside.all()


def test_what_the_precision_leaves_open_is_undecided_and_not_guessed() -> None:
    """The tenth of ten thirds is within 2^-100 of a third at 100 bits, and nothing is known of what is nearer."""
    one = np.ones(1, bool)
    with workprec(20):
        third = truth(enclosed(exactly(np.ones(1)) / 3))
        assert compare(np.full(1, 1 / 3), third, np.full(1, 2.0**-50), one).undecided.all()
        assert not compare(np.full(1, 1 / 3), third, np.full(1, 2.0**-10), one).undecided.any()
        assert not compare(np.full(1, 1 / 4), third, np.full(1, 2.0**-10), one).undecided.any()
    with workprec(100):
        third = truth(enclosed(exactly(np.ones(1)) / 3))
        assert not compare(np.full(1, 1 / 3), third, np.full(1, 2.0**-50), one).undecided.any()


# --- the fused operation of the evaluations ----------------------------------------------------------------


@given(formats, st.tuples(kinds, kinds, kinds), seeds, st.booleans())
def test_a_fused_operation_rounds_once(fmt: Format, names: tuple[str, ...], seed: int, cancels: bool) -> None:  # noqa: FBT001 - drawn
    rng = np.random.default_rng(seed)
    a, b, c = (hostile(kind, (60,), fmt, rng) for kind in names)
    with np.errstate(all="ignore"):
        if cancels:
            c = np.where(np.isfinite(a * b), -(a * b), c)
        fused = fused_multiply_add(a, b, c)
        rounded_twice = a * b + c
    for i in np.flatnonzero(np.isfinite(a) & np.isfinite(b) & np.isfinite(c)):
        once = nearest(rational(a[i]).item() * rational(b[i]).item() + rational(c[i]).item(), fmt)
        assert fused[i] == once or (fmt is F64 and at_an_end(a[i], b[i], c[i]) and fused[i] == rounded_twice[i])


def at_an_end(a: Any, b: Any, c: Any) -> bool:
    """Where the emulation does not reach: very small and very large numbers of float64."""
    with np.errstate(all="ignore"):
        small = any(n and abs(n) <= 2.0**-800 for n in (c, a * b)) or bool(a and b and not a * b)
        return small or any(abs(n) >= 2.0**900 for n in (a, b, c, a * b))


def test_a_fused_operation_keeps_what_rounding_would_lose() -> None:
    for fmt in (F32, F64):
        x = fmt.dtype.type(1) + fmt.dtype.type(2 * fmt.u)
        assert fused_multiply_add(np.array([x]), np.array([x]), np.array([-(x * x)])) == fmt.dtype.type(4 * fmt.u**2)
