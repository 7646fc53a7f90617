"""Holes in what rounding may do: exactness claimed, terms and underflow forgotten, one evaluation taken for all."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tests.attack.adversary import F32, F64, Operand, rational, worst
from tests.attack.draws import given
from tests.attack.einsums import summed
from tests.attack.evaluations import flushed, fused_update, with_torch
from tests.attack.holes import (
    SOON,
    Hole,
    always,
    as_exact,
    found,
    found_after,
    found_in_bulk,
    in_bulk,
    of_numbers,
    of_ordinary,
    planted,
)
from tests.attack.operation import Operation, alone
from tests.attack.operations import OPERATIONS
from tests.attack.oracle import exactly
from tests.attack.strike import struck
from torch_mirror.balls import number
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.exactness import lowest_bit
from torch_mirror.balls.format import Format
from torch_mirror.balls.number import Number, OpenSum
from torch_mirror.balls.rules import einsum, elementwise, products, sums
from torch_mirror.balls.table import TABLE

# --- exactness ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("operation", "module", "claim"), [
    ("add", elementwise, "exact_sum"), ("subtract", elementwise, "exact_sum"), ("update", elementwise, "exact_sum"),
    ("multiply", elementwise, "exact_product"), ("square", elementwise, "exact_product"),
    ("outer", elementwise, "exact_product"), ("sum of 2", sums, "fits_grid"), ("sum of 4", sums, "fits_grid"),
    ("matmul", sums, "fits_grid"), ("affine of 5", sums, "fits_grid"), ("scale", elementwise, "_is_power_of_two"),
    ("divide by a number", elementwise, "_is_power_of_two"), ("einsum", sums, "fits_grid"),
    ("einsum, both alone", sums, "fits_grid"), ("vecdot", sums, "fits_grid"), ("tensordot", sums, "fits_grid"),
    ("trace", sums, "fits_grid"), ("cumsum", sums, "fits_grid"),
])  # fmt: skip
def test_exactness_claimed_too_early(operation: str, module: Any, claim: str) -> None:
    found_in_bulk(operation, Hole(module, claim, always(lambda *_: np.asarray(True))))


@pytest.mark.parametrize(("operation", "name", "hole"), [
    ("matmul", "_product_grid", lambda x, w: products.product_grid(x.value, w.value, x.format)),
    ("sum of 2", "_lowest_bits", lambda x: lowest_bit(x.value, x.format)),
    ("affine of 1", "_lowest_bits", lambda x: lowest_bit(x.value, x.format)),
    ("trace", "_lowest_bits", lambda x: lowest_bit(x.value, x.format)),
])  # fmt: skip
def test_exactness_claimed_of_what_is_computed(operation: str, name: str, hole: Any) -> None:
    """The centre's bits are few enough, but another evaluation has others."""
    found_in_bulk(operation, Hole(sums, name, always(hole)))


def test_a_number_that_is_filled_in_is_not_rounded() -> None:
    found_in_bulk("made up", Hole(number, "rounding_of", always(lambda *_: 0)))


def test_exactness_claimed_from_one_operand() -> None:
    draw = given(np.array([[1.0, 1 + 2.0**-30]]), np.array([1.0, 1 + 2.0**-31]), fmt=F64)
    found(of_numbers(summed("ij,j->i", (1, 2), (2,)), draw), Hole(
        einsum, "lowest_bit", lambda sound: lambda a, fmt: sound(a, fmt) if a.ndim == 2 else np.zeros(2, int)
    ))  # fmt: skip


def sum_times_sum(x: Any, y: Any) -> Any:
    return x.sum() * y.sum()


def alone_and_flushed(terms: int) -> Operation:
    """A sum of two times a sum, each taken alone, with subnormal results flushed."""
    return summed("ij,k->", (1, 2), (terms,), flushed=flushed(with_torch(sum_times_sum)))


def test_exactness_claimed_of_a_sum_taken_alone() -> None:
    """Its products are all on the grid of normal numbers, and its own terms are not."""
    draw = given(np.array([[F64.tiny * 1.5, -F64.tiny]]), np.array([2.0**60, *[0.0] * 31]), fmt=F64)

    def early(sound: Callable[..., Any]) -> Callable[..., Any]:
        return lambda values, labels, _alone, fmt: sound(values, labels, [False, False], fmt)

    found(of_numbers(alone_and_flushed(32), draw), Hole(einsum, "_grid", early))


# --- the terms of a sum or a product --------------------------------------------------------------------------

RNG = np.random.default_rng(1)
LARGE_BIAS = RNG.random((1, 20)), RNG.random((1, 20)), np.array([1e16])
"""Of x W^T + b. Such a bias, where it starts the accumulator, is rounded at every term and not once."""


@pytest.mark.parametrize("operation", ["affine, large bias", "affine of 16", "einsum, large bias"])
def test_bias_outside_the_accumulator(operation: str) -> None:
    """A product is no sum that may still take a term: bounded, and then the bias added with one rounding."""

    def closed(rule: Callable[..., Number]) -> Callable[..., Number]:
        def holed(like: Number, value: Any, total: OpenSum) -> Number:
            return like.derived(value, rule(like, value, total).e)

        return holed

    found_in_bulk(operation, Hole(sums, "open_sum", closed))


@pytest.mark.parametrize("operation", ["affine of 5", "affine in place", "affine in two rows", "einsum and bias",
                                       "einsum bi,oi->bo and bias"])  # fmt: skip
def test_a_large_bias_outside_the_accumulator(operation: str) -> None:
    x, W, b = LARGE_BIAS
    if operation in ("affine in place", "affine in two rows"):
        x, W, b = (np.concatenate([a, a]) for a in (x, W, b))
    never_open = Hole(Number, "open", always(property(lambda _: None, lambda *_: None)))
    found(of_numbers(OPERATIONS[operation], given(x, W, b, fmt=F64)), never_open)


def test_a_bias_joined_with_one_rounding() -> None:
    x, W, b = LARGE_BIAS
    found(of_numbers(OPERATIONS["affine of 5"], given(x, W, b, fmt=F64)), Hole(sums, "joined", always(
        lambda s, _: OpenSum(s.terms, lambda gamma: s.bound(gamma) + F64.u * abs(b + (x @ W.T)[0]))
    )))  # fmt: skip


def test_an_einsum_whose_sum_is_bounded_before_its_bias() -> None:
    def closed(sound: Callable[..., Number]) -> Callable[..., Number]:
        return lambda like, value, total: Number(value, sound(like, value, total).radius, like.format)

    operation = OPERATIONS["einsum bi,oi->bo and bias"]
    found(of_numbers(operation, given(*LARGE_BIAS, fmt=F64)), Hole(sums, "open_sum", closed))


def test_fewer_terms_than_products() -> None:
    operation = OPERATIONS["einsum bi,oi->bo and bias"]
    found(of_numbers(operation, given(*LARGE_BIAS, fmt=F64)), Hole(einsum, "prod", always(lambda _: 1)))


def test_terms_of_an_axis_that_is_broadcast() -> None:
    """20 products of the one number with 20 others, summed in order on to a large bias."""
    operation = alone(((1, 1), (20,), (1,)), lambda x, w, b: np.einsum("ij,j->i", x, w) + b, None, {
        "bias first": lambda x, w, b: np.cumsum(np.concatenate([b, x[0] * w]))[-1:],
    })  # fmt: skip
    draw = given(np.array([[1 / 3]]), LARGE_BIAS[1][0], np.array([1e16]), fmt=F64)
    found(of_numbers(operation, draw), Hole(einsum, "prod", always(lambda _: 1)))


def test_one_term_too_few() -> None:
    """A product and a bias: two roundings, and one is bounded."""
    found_in_bulk("affine of 1", Hole(sums, "joined", lambda rule: lambda s, t: rule(s, t)._replace(terms=s.terms)))


def test_one_rounding_too_few() -> None:
    """Two products and their sum can be rounded down by very nearly u each time: 2 u together, and u is claimed."""
    rng = np.random.default_rng(0)
    x, w = (1 + F32.u * 2 * rng.integers(2800, 2990, (200_000, 2)) for _ in range(2))  # products just above 1
    x32, w32 = x.astype(np.float32), w.astype(np.float32)
    error = x[:, 0] * w[:, 0] + x[:, 1] * w[:, 1] - (x32[:, 0] * w32[:, 0] + x32[:, 1] * w32[:, 1])
    i = int(np.argmax(np.abs(error)))  # float64 holds all of this exactly
    draw = given(x32[i : i + 1], w32[i : i + 1].T.copy(), fmt=F32)
    one_less = Hole(Format, "gamma", lambda gamma: lambda self, k: gamma(self, k - 1))
    found(of_numbers(OPERATIONS["matmul"], draw), one_less)


def test_one_rounding_for_a_product_of_many() -> None:
    x = np.random.default_rng(0).normal(size=(12, 400))
    operation = alone(((12, 400),), lambda a: a.prod(axis=0))
    found(of_numbers(operation, given(x, fmt=F64)), Hole(Format, "gamma", always(lambda self, _: self.u)))


def test_one_term_for_each_partial_sum() -> None:
    x = np.concatenate([[1e16], np.random.default_rng(0).random(20)])[:, None]
    found(of_numbers(OPERATIONS["cumsum of rows"], given(x, fmt=F64)),
          Hole(sums, "OpenSum", lambda sound: lambda _, *rest: sound(1, *rest)))  # fmt: skip


def test_half_a_rounding_for_a_root() -> None:
    """Even a correctly rounded one is outside."""
    found(of_ordinary(OPERATIONS["sqrt"], moved=False), Hole(elementwise, "FUNCTION_ROUNDINGS", always({"sqrt": 0.5})))


# --- one evaluation taken for all -----------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["update", "SGD"])
def test_the_fused_case_forgotten(operation: str) -> None:
    """lr g bounded as if every evaluation rounded it as the centre does, and then subtracted the same number."""

    def everybodys(rule: Callable[..., Number]) -> Callable[..., Number]:
        def holed(like: Number, *operands: Any) -> Any:
            product = rule(like, *operands)
            return product if all(like.operand(x).number is None for x in operands) else as_exact(product)

        return holed

    found_in_bulk(operation, Hole(TABLE, np.multiply, everybodys))


def test_a_product_s_rounding_taken_for_everybody_s() -> None:
    """Separate evaluations pass, a fused one does not."""
    w, g = np.array([0.1 * 3]), np.array([3.0])  # w - 0.1 g cancels but for the rounding of the product
    product = 0.1 * g
    assert struck(OPERATIONS["update"], given(w, g, fmt=F64)._replace(constants=(0.1,))).worst <= 1
    unfused = Ball(w) - Ball(product)  # radius 0, by Sterbenz, about a product that is not exact
    separate = rational(w - product)
    assert worst(unfused, separate, [w - product]) <= 1
    assert worst(unfused, separate, [fused_update(w, g, 0.1)]) > 1


@pytest.mark.parametrize("operation", ["add", "multiply", "abs", "sum of 4", "affine of 2", "relu backward"])
def test_one_radius_for_two_evaluations(operation: str) -> None:
    """The centre on one side of the exact number, another evaluation on the other."""
    found_in_bulk(operation, Hole(Number, "slack", always(1.0)))


def test_one_radius_for_a_number_twice() -> None:
    apart = Operand(Ball(np.array([1.0]), np.array([0.125])), exactly(np.array([9 / 8])), np.array([1.25]))
    operation = OPERATIONS["scale"]
    found(of_numbers(operation, given(apart, fmt=F64)._replace(constants=(2.0,))), Hole(Number, "slack", always(1.0)))


# --- underflow ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", [
    "multiply", "divide", "affine of 2", "SGD", "exp", "einsum", "einsum, summed alone", "vecdot", "prod",
])  # fmt: skip
def test_the_term_for_underflow_dropped(operation: str) -> None:
    """Exactness is decided as it was, so that nothing else is missing."""

    def as_it_was(sound: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *a: sound(*a[:-1], a[-1]._replace(tiny=F64.tiny))

    claims = [
        Hole(module, claim, as_it_was) for module in (elementwise, sums)
        for claim in ("exact_product", "exact_sum", "fits_grid") if hasattr(module, claim)
    ]  # fmt: skip
    with planted(*claims):
        elements, draws = found_after(operation, (F64._replace(tiny=0.0),))
    assert elements < SOON
    assert not any(in_bulk(operation, F64, number).violations for _, number in draws)


def test_a_product_of_matrices_whose_underflow_is_forgotten() -> None:
    x, w = np.array([[3e-200, 1.0]]), np.array([[5e-200], [1e-320]])
    for tiny, outside in ((F64.tiny, False), (0.0, True)):
        fmt = F64._replace(tiny=tiny, grid=F64.grid - 60 if outside else F64.grid)
        product = Ball(x, 0, fmt) @ Ball(w, 0, fmt)
        assert (worst(product, rational(x) @ rational(w), []) > 1) is outside


def test_a_product_s_underflow_forgotten() -> None:
    """What is lost below tiny is multiplied by all that follows, so that a term of K tiny does not do either."""
    x = np.array([F64.tiny * 1.5, 1.3 * 2.0**-40, 2.0**40, 2.0**40])
    exact = rational(x).prod()
    for tiny, outside in ((F64.tiny, False), (0.0, True)):
        product = Ball(x, 0, F64._replace(tiny=tiny)).prod()
        assert (worst(product, np.asarray(exact), []) > 1) is outside
    error = abs(Fraction(float(x.prod())) - exact)
    assert error > Fraction(F64.gamma(4)) * exact + 4 * Fraction(F64.tiny)


def test_what_a_factor_loses_when_it_is_summed_alone() -> None:
    """A sum that underflows and is multiplied by a large number afterwards."""
    found_in_bulk("einsum, summed alone", Hole(einsum, "_alone", always(lambda *_: False)))


def test_a_sum_taken_alone_may_flush_before_its_product() -> None:
    draw = given(np.array([[1.5 * F64.tiny, -F64.tiny]]), np.array([2.0**60, 3 * 2.0**58]), fmt=F64)
    found(of_numbers(alone_and_flushed(2), draw), Hole(einsum, "_alone", always(lambda *_: False)))
