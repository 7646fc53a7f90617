"""Where the judge claims that an operation is exact, it demands equality: so the claim is checked exactly."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.affine import affine
from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.tree import named
from reference.losses import SquaredError
from tests.attack.adversary import F32, F64, centre_of, hostile, nearest, rational
from tests.attack.evaluations import product_in_order
from tests.attack.strategies import formats, kinds, precisions, seeds
from tests.steps import step_of
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.exactness import NO_BIT, exact_product, exact_sum, fits_grid, lowest_bit
from torch_mirror.balls.format import Format, format_of
from torch_mirror.balls.rules.products import product_grid
from torch_mirror.doors import strategies

dyadic_shapes = st.tuples(st.integers(1, 5), st.integers(1, 40), st.integers(1, 5), st.sampled_from([(), (1,), (3,)]))


def dyadic(shape: tuple[int, ...], fmt: Format, rng: np.random.Generator) -> Array:
    """Eighths from -2 to 2."""
    return (rng.integers(-16, 17, shape) / 8).astype(fmt.dtype)


def _duck(value: Array, fmt: Format) -> Any:
    """An exact ball, which the reference's equations take for an array."""
    return Ball(value, 0, fmt)


@given(formats, kinds, kinds, seeds, precisions)
def test_sums_and_products_claimed_exact_are(fmt: Format, one: str, other: str, seed: int, precision: str) -> None:
    rng = np.random.default_rng(seed)
    centre = centre_of(fmt, precision)
    a, b = (hostile(kind, (50,), fmt, rng).astype(centre) for kind in (one, other))
    with np.errstate(all="ignore"):
        for claim, result, operation in ((exact_sum, a + b, "+"), (exact_product, a * b, "*")):
            for i in np.flatnonzero(claim(a, b, result, fmt)):
                x, y = Fraction(*a[i].as_integer_ratio()), Fraction(*b[i].as_integer_ratio())
                truth: Fraction = x + y if operation == "+" else x * y
                assert truth == rational(result[i])[()]
                # and the format under test holds it, as a normal number: no evaluation can give another
                assert Fraction(float(nearest(truth, fmt))) == truth
                assert truth == 0 or abs(truth) >= Fraction(fmt.tiny)


@given(formats, st.lists(st.integers(-255, 255), min_size=2, max_size=2), st.integers(-20, 20))
def test_what_is_exact_far_from_the_format_s_ends_is_claimed(fmt: Format, pair: list[int], power: int) -> None:
    a, b = (np.array([n * 2.0**power], fmt.dtype) for n in pair)
    assert exact_sum(a, b, a + b, fmt).all()
    assert exact_product(a, b, a * b, fmt).all()


@given(formats, kinds, seeds)
def test_lowest_bit(fmt: Format, kind: str, seed: int) -> None:
    a = hostile(kind, (50,), fmt, np.random.default_rng(seed))
    for value, exponent in zip(rational(a), lowest_bit(a, fmt), strict=True):
        if value == 0:
            assert exponent == NO_BIT
            continue
        odd = value / Fraction(2) ** int(exponent)
        assert odd.denominator == 1
        assert odd.numerator % 2 == 1


def test_the_lowest_bit_of_a_longdouble_is_beyond_an_int64() -> None:
    """Of 64 bits the sign is the first. Found by the attack on adjoints: sums were claimed exact that were not."""
    one, u = np.longdouble(1), np.finfo(np.longdouble).eps
    numbers = np.array([one + u, -(one + u), one - u / 2, 3 * one, one + 2**32 * u, 0 * one])
    bits = np.finfo(np.longdouble).nmant
    expected = [-bits, -bits, -bits - 1, 0, 32 - bits, NO_BIT]
    assert lowest_bit(numbers, format_of(np.dtype(np.longdouble))).tolist() == expected


def test_bounds_of_longdouble_are_python_numbers_that_neither_vanish_nor_overflow() -> None:
    fmt = format_of(np.dtype(np.longdouble))
    assert 0 < fmt.tiny < 1 < fmt.huge < np.inf
    assert fmt.grid == np.finfo(np.float64).minexp
    x: Any = Ball(np.array([3, 4], np.longdouble))
    assert np.isfinite((np.hypot(x, x) + x**-2).radius).all()



@given(formats, st.integers(1, 60), st.integers(-1200, 1000), seeds)
def test_a_sum_that_fits_the_grid_is_exact_in_every_order(fmt: Format, bits: int, power: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    terms = [int(n) * Fraction(2) ** power for n in rng.integers(-(2**bits), 2**bits, 6)]
    grid, magnitude = np.array(power), np.array(float(min(sum(map(abs, terms)), Fraction(F64.huge))))
    with np.errstate(over="ignore"):
        fits = fits_grid(magnitude, grid, fmt)
    if not fits:
        return
    for order in (terms, terms[::-1], sorted(terms), sorted(terms, key=abs)):
        partial = Fraction(0)
        for term in order:
            partial += term
            assert Fraction(float(nearest(partial, fmt))) == partial
            assert partial == 0 or abs(partial) >= Fraction(fmt.tiny)


@given(formats, kinds, kinds, seeds, st.sampled_from([(), (1,), (2,), (0,)]), st.integers(0, 1))
def test_the_grid_of_a_product_divides_every_term(
    fmt: Format, one: str, other: str, seed: int, lead: tuple[int, ...], stacked: int
) -> None:
    rng = np.random.default_rng(seed)
    batch, terms, out = (int(n) for n in rng.integers(1, 7, 3))
    x = hostile(one, (*(lead if stacked else ()), batch, terms), fmt, rng)
    w = hostile(other, (*lead, terms, out), fmt, rng)
    grid = product_grid(x, w, fmt)
    assert grid is None or grid.shape == (*lead, batch, out)
    if grid is None or not grid.size:
        return
    first, x, w = grid[(0,) * len(lead)], x[(0,) * (x.ndim - 2)], w[(0,) * len(lead)]
    for i, j in np.ndindex(batch, out):
        products = rational(x[i]) * rational(w[:, j])
        assert all((p / Fraction(2) ** min(int(first[i, j]), 2000)).denominator == 1 for p in products)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_infinities_and_nan_are_never_exact(bad: float) -> None:
    x = np.full((2, 2), bad)
    with np.errstate(all="ignore"):
        b = Ball(x)
        for ball in (b @ Ball(np.eye(2)), b.sum(axis=-1), b + b, b * b, b / 2):
            assert not np.isfinite(ball.radius).any()


@given(formats, dyadic_shapes, seeds, precisions)
def test_dyadic_data_is_compared_to_the_last_bit(
    fmt: Format, sizes: tuple[int, int, int, tuple[int, ...]], seed: int, precision: str
) -> None:
    """Affine map, sum, gradients, SGD and loss, a row or a column, stacked or not: every radius is 0."""
    batch, inputs, out, lead = sizes
    rng = np.random.default_rng(seed)
    centre = centre_of(fmt, precision)
    shapes = ((batch, inputs), (*lead, out, inputs), (*lead, out), (*lead, batch, out), (8, out))
    x, W, b, t, square = (_duck(dyadic(shape, fmt, rng).astype(centre), fmt) for shape in shapes)
    z = affine(x, W, b)
    dz = _duck(t.value, fmt)
    loss = SquaredError("mean")
    results: dict[str, Any] = {
        "z": z, "dW": dz.mT @ x, "db": dz.sum(axis=-2), "dx": dz @ W, "d": z - t, "W": W - 0.5 * W, "half": x / 8,
        "sum": SquaredError("sum").value(dz, t), "dy": SquaredError("sum").gradient(dz, t),
    }  # fmt: skip
    if out & (out - 1) == 0:  # the mean over 8 times a power of two
        results |= {"mean": loss.value(square, square / 2), "mean gradient": loss.gradient(square, square / 2)}
    largest = {name: float(np.max(ball.radius, initial=0)) for name, ball in results.items()}
    assert largest == dict.fromkeys(results, 0.0)


@given(formats, dyadic_shapes, seeds)
def test_every_order_gives_dyadic_data_the_same_bits(fmt: Format, sizes: tuple[int, int, int, Any], seed: int) -> None:
    batch, inputs, out, _ = sizes
    rng = np.random.default_rng(seed)
    x, W, b = (dyadic(shape, fmt, rng) for shape in ((batch, inputs), (out, inputs), (out,)))
    exact = (rational(x) @ rational(W.T) + rational(b)).astype(fmt.dtype)
    for fused in (False, True):
        assert np.array_equal(product_in_order(lambda n: range(n)[::-1], fused=fused, bias_first=True)(x, W, b), exact)
    ball: Any = affine(_duck(x, fmt), _duck(W, fmt), _duck(b, fmt))
    assert np.array_equal(ball.value, exact)


def test_large_dyadic_products_are_exact_and_zero_rows_too() -> None:
    """From the size on where magnitudes are bounded in float32."""
    rng = np.random.default_rng(0)
    x, w = dyadic((64, 128), F64, rng), dyadic((128, 64), F64, rng)
    x[5] = 0
    w[:, 7] = 0
    assert (Ball(x) @ Ball(w)).radius.max() == 0


def test_exactness_is_no_shelter_from_overflow() -> None:
    """A wide centre holds 2^128 exactly; float32 does not hold it at all."""
    x = Ball(np.array([[2.0]]), 0, F32) @ Ball(np.array([[2.0**127]]), 0, F32)
    assert x.radius.tolist() == [[np.inf]]


@pytest.mark.parametrize("scale", [1e-310, 1e-300, 1e-160, 1e160])
def test_bounds_that_underflow_fake_no_exactness(scale: float) -> None:
    """Decimals are not exact at any magnitude, their products being normal numbers."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(3, 5)) * scale, rng.normal(size=(5, 3)) * min(1 / scale, 1e300)
    assert ((Ball(x) @ Ball(w)).radius > 0).all()


def test_what_was_found_exact_is_so_as_an_operand() -> None:
    """A product of products, by its rows and columns: all of them dyadic, then one row and one column not."""
    rng = np.random.default_rng(0)
    x, w, v = dyadic((4, 3), F64, rng), dyadic((3, 5), F64, rng), dyadic((5, 2), F64, rng)
    assert ((Ball(x) @ Ball(w)) @ Ball(v)).radius.max() == 0
    x[2] += 0.1
    radius = ((Ball(x) @ Ball(w)) @ Ball(v)).radius
    assert ((radius > 0) == (np.arange(4) == 2)[:, None]).all()
    radius = (Ball(np.ones((2, 4))) @ (Ball(x) @ Ball(w))).radius
    assert (radius > 0).all()  # each element has a term of the row that is not exact


# --- whole steps of networks ------------------------------------------------------------------------------


@given(strategies.exact_experiments())
def test_a_whole_step_of_every_network_is_exact_on_dyadic_numbers(e: Experiment) -> None:
    """Every radius is 0, from end to end, and rightly so: NumPy's bits are those of exact arithmetic."""
    balls = step_of(e, lambda a: _duck(a, format_of(a.dtype)), float)
    exact = step_of(e, rational, Fraction)
    seen = step_of(e, lambda a: a, float)
    assert {name: float(np.max(ball.radius, initial=0)) for name, ball in balls.items()} == dict.fromkeys(balls, 0.0)
    assert {*named(e.parameters), "y", "dy", "loss"} <= {*balls}
    for name, values in seen.items():
        assert np.array_equal(rational(values), exact[name])


@pytest.mark.parametrize("name", strategies.NETWORKS)
@given(st.data())
def test_what_is_not_dyadic_is_not_exact(name: str, data: Any) -> None:
    """A tenth more on every target: its bits are all in use, so that no square of a difference is exact."""
    e = data.draw(strategies.exact_experiments(names=(name,)))
    balls = step_of(replace(e, t=e.t + e.t.dtype.type(0.1)), lambda a: _duck(a, format_of(a.dtype)), float)
    assert balls["loss"].radius > 0
