"""Exact numbers and the derivative by difference quotients: against what is known, and with errors planted."""

import operator
from fractions import Fraction
from typing import Any

import mpmath  # type: ignore[import-untyped]  # it ships no stubs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.activations import ACTIVATIONS
from reference.arrays import Array
from torch_mirror.balls.exact import Exact, IrrationalError, Number, TooManyError, UndecidedError
from torch_mirror.judge.quotients import STEP, Derivative, Value, differentiate

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
WHOLE = st.integers(-9, 9)
OPERATIONS = (operator.add, operator.sub, operator.mul, operator.truediv)


def fractions(a: Array) -> Array:
    """The values of an array of numbers, among which maximum and where may have left a plain 0."""
    return np.vectorize(lambda number: number.value, otypes=[object])(Exact().array(a))


# --- numbers -------------------------------------------------------------------------------------


@given(FLOATS, FLOATS, st.sampled_from(OPERATIONS))
def test_floats_of_either_side_keep_their_own_value(a: float, b: float, operation: Any) -> None:
    number = Exact().number
    if operation is operator.truediv and not (a and b):
        with pytest.raises(ZeroDivisionError):
            number(1) / number(0)
        return
    expected = operation(Fraction(a), Fraction(b))
    assert operation(number(a), b).value == expected
    assert operation(a, number(b)).value == expected
    assert operation(np.float64(a), number(b)).value == expected
    assert fractions(operation(Exact().array([a]), b))[0] == expected
    assert fractions(operation(a, Exact().array([b])))[0] == expected


@given(st.lists(st.lists(FLOATS, min_size=3, max_size=3), min_size=2, max_size=2), st.integers(0, 4))
def test_arrays_of_them_are_numpy_s_own(rows: list[list[float]], n: int) -> None:
    by = Exact()
    a, q = by.array(rows), np.vectorize(Fraction, otypes=[object])(rows)
    for equation in (
        lambda v: v @ v.mT, lambda v: v.sum(axis=-2), lambda v: v.mean(axis=0), lambda v: np.maximum(v, 0) + v,
        lambda v: np.where(v <= 0, 0, v) * 2, abs, lambda v: v**n, lambda v: (v > 0) * v, np.square, lambda v: -v,
    ):  # fmt: skip
        assert (fractions(equation(a)) == equation(q)).all()


def test_a_sum_over_all_axes_is_indexed_as_a_numpy_scalar_is() -> None:
    total = Exact().array([[0.5, 1.0]]).sum()
    assert total[()].value == Fraction(3, 2)
    assert fractions(total[..., None] * np.ones(2)).tolist() == [Fraction(3, 2)] * 2
    assert Exact().array([total, total]).shape == (2,)


def real(arb: Any) -> Any:
    """An exact arb as mpmath's number."""
    mantissa, exponent = arb.man_exp()
    return mpmath.mpf(int(mantissa)) * mpmath.mpf(2) ** int(exponent)


FUNCTIONS = {name: name for name in ("exp", "log", "sqrt", "tanh", "expm1", "log1p", "sin", "cos", "sinh", "cosh")}
FUNCTIONS |= {"arctan": "atan", "arcsinh": "asinh"}
"""NumPy's names, and mpmath's."""


@pytest.mark.parametrize("name", FUNCTIONS)
@given(st.floats(1e-3, 50), st.integers(2, 100))
def test_enclosures_enclose(name: str, x: float, n: int) -> None:
    """By mpmath, at twice the precision; and they are narrow."""
    by = Exact(bits=200)
    with by.precision(), mpmath.workprec(400):
        enclosure = getattr(np, name)(by.array([Fraction(x) / n]))[0].value
        true = getattr(mpmath, FUNCTIONS[name])(mpmath.mpf(x) / n)
        middle, radius = real(enclosure.mid()), real(enclosure.rad())
        assert abs(true - middle) <= radius
        assert radius <= mpmath.mpf(2) ** -180 * max(abs(true), 1)


def test_a_fraction_has_no_exponential() -> None:
    for name in FUNCTIONS:
        with pytest.raises(IrrationalError):
            getattr(np, name)(Exact().array([1.0]))
    with pytest.raises(IrrationalError):
        Exact().array([2.0]) ** 0.5


def test_an_open_comparison_is_not_guessed() -> None:
    by = Exact(bits=64)
    with by.precision():
        third = by.number(1) / 3
        for comparison in (operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge):
            with pytest.raises(UndecidedError):
                comparison(third - third, 0)
        with pytest.raises(UndecidedError):
            np.maximum(by.array([third - third]), 0)
        assert third > 0
        assert by.number(0) == 0.0
        assert not (third - third).certainly_exceeds(0)
    assert by.signs == [1, 0]


def test_operations_are_counted() -> None:
    by = Exact(operations=10)
    a = by.array([1.0, 2.0, 3.0])
    assert (a + a)[2].value == 6
    assert by.left == 4
    with pytest.raises(TooManyError):
        by.array(np.zeros(5))
    with pytest.raises(TooManyError):
        a @ a


@pytest.mark.parametrize("x", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_has_no_exact_value(x: float) -> None:
    with pytest.raises(ValueError, match="is not a finite number"):
        Exact().number(x)


# --- derivatives ---------------------------------------------------------------------------------


def along(by: Exact, function: Any, x: Any) -> Any:
    """function(x + h) of h, for ``differentiate``."""

    def f(h: Fraction) -> Value:
        by.signs = []
        value = by.number(function(by.array([x]) + h)[0])
        return Value(value, by.signs)

    return f


def polynomial(coefficients: list[int], x: Fraction, step: Fraction = STEP) -> tuple[Derivative, Fraction]:
    """Its derivative by quotients and by the rule."""
    d = differentiate(along(Exact(), lambda v: sum(c * v**k for k, c in enumerate(coefficients)) + 0 * v, x), step)
    return d, sum((k * c * x ** (k - 1) for k, c in enumerate(coefficients) if k), Fraction(0))


@given(st.lists(WHOLE, min_size=1, max_size=7), st.fractions(-5, 5))
def test_polynomials(coefficients: list[int], x: Fraction) -> None:
    d, true = polynomial(coefficients, x)
    off = abs(d.value.value - true)
    assert off <= d.error.value
    assert off <= Fraction(10**9, 2**120)
    assert d.exists
    if len(coefficients) <= 3:
        assert off == 0
        assert d.left.value == d.right.value == true


def test_that_a_step_too_large_is_noticed() -> None:
    d, true = polynomial([0, 0, 0, 0, 1], Fraction(3), step=Fraction(1, 8))
    assert abs(d.value.value - true) > Fraction(10**9, 2**120)
    assert d.error.value > Fraction(10**9, 2**120)


def test_that_float_arithmetic_is_noticed() -> None:
    """At this step it sees nothing move, or far too much: fractions give the derivative itself."""
    by = Exact()
    d = differentiate(along(by, lambda v: by.array([float(v[0].value) ** 2]), Fraction(3)))
    assert d.value.value != 6
    assert differentiate(along(by, np.square, Fraction(3))).value.value == 6


@pytest.mark.parametrize(
    ("f", "left", "right"),
    [
        (lambda v: np.maximum(v, 0), 0, 1),
        (abs, -1, 1),
        (lambda v: np.where(v < 0, 3 * v, 5 * v + v * v), 3, 5),
        (lambda v: np.minimum(v, 2 * v), 2, 1),
        (lambda v: v * v + np.maximum(v, 0) / 1024, 0, Fraction(1, 1024)),
    ],
)
def test_kinks(f: Any, left: int, right: int) -> None:
    d = differentiate(along(Exact(), f, 0))
    assert (d.exists, d.left.value, d.right.value) == (False, left, right)


@pytest.mark.parametrize(
    ("f", "true"),
    [
        (lambda v: np.where(v < 0, v * v + v, v), 1),  # a bend, but no kink: f'' jumps
        (lambda v: np.maximum(v, 0) ** 2, 0),
        (lambda v: abs(v) * v * v + 2 * v, 2),
        (lambda v: np.where(v == 0, 0, v), 1),
        (lambda v: 0 * np.maximum(v, 0), 0),
        (lambda v: np.where(v < 0, 5 * v**3 - v, 7 * v**2 - v), -1),
    ],
)
def test_branches_that_meet_smoothly(f: Any, true: int) -> None:
    d = differentiate(along(Exact(), f, 0))
    assert d.exists
    assert abs(d.value.value - true) <= d.error.value


@given(st.integers(55, 2000), st.sampled_from([-1, 1]))
def test_a_kink_nearby_is_none_here(exponent: int, side: int) -> None:
    d = differentiate(along(Exact(), lambda v: np.maximum(v, 0), side * Fraction(1, 2**exponent)))
    assert (d.exists, d.value.value) == (True, max(side, 0))


@pytest.mark.parametrize("name", list(ACTIVATIONS))
@given(st.floats(-20, 20))
def test_activations(name: str, z: float) -> None:
    """Each forward's derivative is its backward; at 0 the stable sigmoid has a tie and no kink."""
    activation, by = ACTIVATIONS[name], Exact(bits=400)
    with by.precision():
        d = differentiate(along(by, activation.forward, z))
        at = by.array([z])
        backward = activation.backward(by.array([1.0]), at, activation.forward(at))[0]
        assert d.exists == (name != "relu" or z != 0)
        if d.exists:
            assert not (d.value - backward).magnitude().certainly_exceeds(d.error)
            assert not d.error.certainly_exceeds(Fraction(1, 2**110))


@pytest.mark.parametrize("z", [0.0, -0.0])
def test_the_sigmoid_at_0(z: float) -> None:
    by = Exact(bits=400)
    with by.precision():
        d = differentiate(along(by, ACTIVATIONS["sigmoid"].forward, z))
        assert d.exists
        assert abs(d.value.nearest() - 0.25) == 0


def test_a_number_shows_its_value() -> None:
    assert repr(Exact().number(0.5)) == "Number(1/2)"
    assert [Number(Fraction(s * 10**400), Exact()).nearest() for s in (1, -1)] == [np.inf, -np.inf]


def test_a_jump_has_no_derivative_and_takes_no_time() -> None:
    def f(h: Fraction) -> Value:
        return Value(Exact().number(h + (1 if h > 0 else -1)), [(h > 0) - (h < 0), 1 if h > 0 else -1])

    assert not differentiate(f).exists


def test_a_kink_without_a_comparison_is_seen() -> None:
    assert not differentiate(lambda h: Value(Exact().number(abs(h)), [])).exists
    assert differentiate(lambda h: Value(Exact().number(h * h + h), [])).exists


@pytest.mark.parametrize("power", [lambda v: v * v, lambda v: v**3])
def test_long_numbers_are_worth_many_operations(power: Any) -> None:
    """Raised again and again, a number has a million digits soon, and a hundred operations would take minutes."""

    def raise_again() -> None:
        value = Exact(operations=1000).array([0.1])
        for _ in range(40):
            value = power(value)

    with pytest.raises(TooManyError):
        raise_again()
