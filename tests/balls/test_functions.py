"""More of NumPy on balls: every rule attacked as test_ball.py attacks the reference's own operations.

Fractions are the exact arithmetic, and mpmath at 200 bits that of sqrt and log.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import wraps
from typing import Any

import mpmath  # type: ignore[import-untyped]  # it ships no stubs
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import torch_mirror
from tests.attack.adversary import (
    F32,
    F64,
    FORMATS,
    KINDS,
    Rule,
    at_200_bits,
    attack,
    centre_of,
    hostile,
    operand,
    rational,
    worst,
)
from tests.attack.evaluations import flushed, product_in_order, with_torch
from torch_mirror.balls import masks, table
from torch_mirror.balls.ball import Ball
from torch_mirror.balls.format import Format
from torch_mirror.balls.rules import choices, elementwise

V, W = (3, 4), (4, 2)
BALL: Any = Ball(np.ones((2, 2)), np.full((2, 2), 0.5))
backwards = product_in_order(lambda n: range(n)[::-1], fused=False, bias_first=True)
fused = product_in_order(range, fused=True, bias_first=True)


def vector_affine(x: Any, w: Any, b: Any) -> Any:
    return np.dot(w, x) + b


RULES: dict[str, Rule] = {
    "sqrt": Rule((V,), np.sqrt, (with_torch(torch.sqrt),), (), at_200_bits(mpmath.sqrt)),
    "log": Rule((V,), np.log, (with_torch(torch.log),), (), at_200_bits(mpmath.log)),
    "reciprocal": Rule((V,), np.reciprocal, (with_torch(torch.reciprocal),), (), lambda x: 1 / x),
    "sign": Rule((V,), np.sign, (with_torch(torch.sign),)),
    "minimum": Rule((V, V), np.minimum, (with_torch(torch.minimum),)),
    "maximum": Rule((V, V), np.maximum, (with_torch(torch.maximum),)),
    "clip": Rule((V,), np.clip, (with_torch(torch.clamp),), (-0.1, 0.7)),
    "clip between": Rule((V, V), lambda x, y: np.clip(x, None, y), (with_torch(lambda x, y: torch.clamp(x, max=y)),)),
    "equal": Rule((V, V), lambda x, y: np.where(x == y, x, -y), ()),
    "not equal": Rule((V, V), lambda x, y: np.where(x != y, x, -y), ()),
    "mask": Rule((V, V), lambda x, y: (x > y) * y, (with_torch(lambda x, y: (x > y) * y),)),
    "max": Rule((V,), lambda x: np.max(x, axis=0), (with_torch(lambda x: torch.amax(x, 0)),)),
    "min": Rule((V,), lambda x: np.min(x, axis=-1, keepdims=True), (with_torch(lambda x: torch.amin(x, -1, True)),)),
    "max method": Rule((V,), lambda x: x.max(axis=1), ()),
    "mean": Rule((V,), lambda x: np.mean(x, axis=0), (
        lambda x: x[::-1].cumsum(axis=0)[-1] * x.dtype.type(1 / 3), with_torch(lambda x: x.mean(0)),
    )),
    "mean method": Rule((V,), lambda x: x.mean(axis=1, keepdims=True), (
        with_torch(lambda x: x.mean(1, keepdim=True)), flushed(with_torch(lambda x: x.sum(1, keepdim=True) / 4)),
    )),
    "sum": Rule((V,), lambda x: np.sum(x, axis=(0, 1), keepdims=True), (
        lambda x: x.ravel()[::-1].cumsum()[-1].reshape(1, 1), with_torch(lambda x: x.sum((0, 1), keepdim=True)),
    )),
    "add.reduce": Rule((V,), np.add.reduce, (lambda x: x[::-1].cumsum(axis=0)[-1],)),
    "dot": Rule(((5,), (5,)), np.dot, (with_torch(torch.dot), lambda x, y: np.cumsum((x * y)[::-1])[-1])),
    "dot 2-D": Rule((V, W), np.dot, (with_torch(torch.mm),)),
    "matrix vector": Rule(((4,), V, (3,)), vector_affine, (
        *(lambda x, w, b, f=f: f(x[None], w, b)[0] for f in (backwards, fused)),
        with_torch(lambda x, w, b: torch.addmv(b, w, x)),
    )),
    "outer": Rule(((3,), V), np.outer, (with_torch(lambda x, y: torch.outer(x, y.ravel())),)),
    "views": Rule((V, V, V), lambda x, y, z: np.stack([
        np.swapaxes(x * y, 0, 1).T, np.expand_dims(np.squeeze((x * y).reshape(1, 12)).reshape((3, 4)), 0)[0],
        np.transpose(np.transpose(x * y)), np.broadcast_to(np.ravel(x * y)[:4], (3, 4)),
        np.full_like(z, 1) * (z - np.zeros_like(z) * np.ones_like(z)),
    ], axis=1), ()),
}  # fmt: skip

formats, kinds, seeds = st.sampled_from(FORMATS), st.sampled_from(KINDS), st.integers(0, 2**32)
precisions = st.sampled_from(["tested", "wider"])


def strike(name: str, fmt: Format, kinds: tuple[str, ...], seed: int, precision: str, *, moved: bool) -> float:
    """One attack: the worst error / radius of a rule on operands of these kinds."""
    rng = np.random.default_rng(seed)
    rule = RULES[name]
    values = [hostile(kind, shape, fmt, rng) for kind, shape in zip(kinds, rule.shapes, strict=False)]
    if name in ("equal", "not equal"):
        values[1] = np.where(rng.random(V) < 0.5, values[0], values[1])
    if name in ("sqrt", "log"):
        values = [np.abs(v) for v in values]
    if name in ("log", "reciprocal"):
        values = [np.where(v == 0, fmt.dtype.type(1), v) for v in values]
    radii = [np.abs(v) * rng.choice(np.array([0, fmt.u, 2.0**-10, 0.3], fmt.dtype), v.shape) for v in values]
    if name == "sign":  # which a third of a number cannot turn
        values, radii = [v / 4 for v in values], [e / 4 * 3 for e in radii]
    pairs = zip(values, radii, strict=True)
    return attack(rule, [operand(v, e if moved else None, fmt, centre_of(fmt, precision), rng) for v, e in pairs])


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("name", RULES)
@given(formats, st.tuples(kinds, kinds, kinds), seeds, precisions)
def test_every_evaluation_lies_within_the_radius(
    name: str, moved: bool, fmt: Format, kinds: tuple[str, ...], seed: int, precision: str  # noqa: FBT001 - pytest fills it
) -> None:
    assert strike(name, fmt, kinds, seed, precision, moved=moved) <= 1


@pytest.mark.parametrize("name", RULES)
def test_no_rule_is_vacuous(name: str) -> None:
    """Ordinary numbers give an error / radius that the bound can nearly attain, and no infinite radius."""
    seen = [strike(name, f, ("normal",) * 3, n, "tested", moved=True) for n in range(20) for f in FORMATS]
    assert 0.2 < max(seen) <= 1


# --- each at its edge ---------------------------------------------------------------------------------


def test_a_root_of_what_may_be_negative_or_a_logarithm_of_what_may_be_0_is_unbounded() -> None:
    x: Any = Ball(np.array([1.0, 1.0, 0.0, 4.0]), np.array([0.75, 0.5, 0.0, 0.0]))
    with np.errstate(all="ignore"):
        assert np.isfinite(np.sqrt(x).radius).tolist() == [False, False, True, True]  # 1 - R / 2, rounded down
        assert np.isfinite(np.log(x).radius).tolist() == [False, False, False, True]
        assert np.isinf(np.sqrt(Ball(np.array([-1.0]))).radius).all()


def test_no_root_is_taken_to_be_exact_but_that_of_0() -> None:
    """Not every library rounds correctly."""
    assert (np.sqrt(Ball(np.array([0.0, 2.25, 9.0]))).radius > 0).tolist() == [False, True, True]


def test_the_mean_of_a_power_of_two_terms_on_the_grid_is_exact() -> None:
    assert Ball(np.array([0.5, 1.25, 3.0, -8.0])).mean().radius == 0


@pytest.mark.parametrize("x", [0.0, 1e-3, -1e-3])
def test_a_sign_that_the_radius_leaves_open_spans_both(x: float) -> None:
    s = np.sign(Ball(np.array([x]), np.array([1e-2])))
    assert worst(s, np.array([Fraction(1)]), [np.array([-1.0])]) <= 1


def test_an_operand_is_left_out_only_if_it_is_below_in_every_evaluation() -> None:
    """1 plus a radius that its own rounding swallows still exceeds 1: the larger is not decided."""
    x: Any = Ball(np.array([1.0]), np.array([2.0**-60]))
    y: Any = Ball(np.array([1.0]))
    both = np.concatenate([x, y])
    for ball in (np.maximum(x, y), np.maximum(y, x), np.minimum(x, y), both.max()[None], both.min()[None]):
        assert ball.radius.tolist() == [2.0**-60]
    assert np.maximum(x, 2 * y).radius.tolist() == [0.0]
    assert np.concatenate([x, 2 * y]).max().radius == 0.0


def test_equality_is_decided_where_operands_are_exact_or_apart() -> None:
    x, y = Ball(np.array([1.0, 1.0, 1.0]), np.array([0, 0.1, 0.1])), Ball(np.array([1.0, 1.0, 2.0]))
    for mask, outcome in ((x == y, [True, True, False]), (x != y, [False, False, True])):
        assert isinstance(mask, masks.Mask)
        assert mask.undecided is not None
        assert mask.value.tolist() == outcome
        assert mask.undecided().tolist() == [False, True, False]
    assert (y == y[::-1]).tolist() == [False, True, False]


def test_the_view_of_a_product_still_takes_its_bias_into_the_accumulator() -> None:
    rng = np.random.default_rng(1)
    x, w, b = rng.random(20), rng.random((1, 20)), np.array([1e16])
    ball: Any = vector_affine(Ball(x), Ball(w), Ball(b))
    in_order = product_in_order(range, fused=False, bias_first=True)(x[None], w, b)[0]
    error = abs(rational(in_order) - (rational(w) @ rational(x) + rational(b)))[0]
    assert error > Fraction(2 * F64.u) * 10**16  # more than a product, rounded, and one addition explain
    assert worst(ball, rational(w) @ rational(x) + rational(b), [in_order]) <= 1


def test_a_number_that_the_format_cannot_hold_fills_with_its_rounding() -> None:
    like: Any = Ball(np.zeros(2, np.float32))
    assert (np.full_like(like, 0.1).radius > 0).all()
    assert np.full_like(like, 0.5).exact
    assert np.zeros_like(BALL).exact


# --- planted holes, each found --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "where", "attribute", "hole"),
    [
        ("sqrt", elementwise, "_least", lambda x, take: take(x.value)),
        ("log", elementwise, "_least", lambda x, take: take(x.value)),
        ("sqrt", elementwise, "FUNCTION_ROUNDINGS", {"sqrt": 0.5}),  # even a correctly rounded root is outside
        ("mask", masks.Mask, "number", lambda mask: mask.like.operand(mask.value)),
        ("clip between", choices, "minimum", lambda x, y: Ball(np.minimum(x.value, y.value), 0, x.format)),
    ],
)
def test_a_hole_is_found(monkeypatch: pytest.MonkeyPatch, name: str, where: Any, attribute: str, hole: Any) -> None:
    def most() -> float:
        moved = attribute != "FUNCTION_ROUNDINGS"
        drawn = ((fmt, kind, seed) for fmt in (F32, F64) for kind in ("normal", "cancelling") for seed in range(30))
        return max(strike(name, fmt, (kind,) * 3, seed, "tested", moved=moved) for fmt, kind, seed in drawn)

    assert most() <= 1
    monkeypatch.setattr(where, attribute, hole)
    assert most() > 1


@pytest.mark.parametrize(("table", "function", "name"), [
    (table.UFUNCS, np.reciprocal, "reciprocal"), (table.UFUNCS, np.sign, "sign"),
    (table.FUNCTIONS, np.max, "max"), (table.FUNCTIONS, np.mean, "mean"), (table.FUNCTIONS, np.dot, "dot"),
    (table.FUNCTIONS, np.outer, "outer"),
    (table.FUNCTIONS, np.stack, "views"), (table.FUNCTIONS, np.clip, "clip"),
])  # fmt: skip
def test_a_dropped_radius_is_found(monkeypatch: pytest.MonkeyPatch, table: Any, function: Any, name: str) -> None:
    sound: Callable[..., Ball] = table[function]

    def most() -> float:
        return max(strike(name, F64, ("normal",) * 3, seed, "tested", moved=True) for seed in range(30))

    @wraps(sound)
    def holed(*arguments: Any, **keywords: Any) -> Ball:
        result = sound(*arguments, **keywords)
        return Ball(result.value, 0, result.format)

    assert most() <= 1
    monkeypatch.setitem(table, function, holed)
    assert most() > 1


# --- rules that are not there ---------------------------------------------------------------------------

@pytest.mark.parametrize(("call", "name"), [
    (lambda: np.deg2rad(BALL), "deg2rad"), (lambda: np.trapezoid(BALL), "trapezoid"),
    (lambda: np.fft.fft(BALL), r"fft\.fft"),
])  # fmt: skip
def test_a_function_without_a_rule_says_its_name_and_how_to_register_one(call: Callable[[], Any], name: str) -> None:
    with pytest.raises(TypeError, match=rf"no radius is known for numpy\.{name}; @Ball\.rule\(numpy\.{name}\)"):
        call()


@pytest.mark.parametrize(("call", "message"), [
    (lambda: np.sum(BALL, dtype=np.float32), r"to a narrower one: expected float64 or wider, got float32"),
    (lambda: np.add(BALL, 1, signature="dd->d"), r"numpy\.add with signature"),
    (lambda: np.subtract.reduce(BALL), r"numpy\.subtract\.reduce"),
    (lambda: np.divide.at(BALL, 0, 1), r"numpy\.divide\.at, only for add"),
    (lambda: np.add.reduceat(BALL, [0, 1]), r"numpy\.add\.reduceat; the function of each part"),
    (lambda: np.dot(BALL, BALL[None]), r"numpy\.dot of 2 and 3 dimensions"),
])  # fmt: skip
def test_an_argument_without_a_rule_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize("function", [np.deg2rad, np.sinc])
def test_a_rule_can_be_registered_and_dropped(function: Any) -> None:
    @Ball.rule(function)
    def rule(like: Ball, *_: Any) -> Ball:
        value = function(like.value)
        return like.derived(value, lambda take: take(np.ones_like(value)))

    try:
        assert function(BALL).radius.tolist() == [[1, 1], [1, 1]]
        with pytest.raises(ValueError, match="has a rule"):
            Ball.rule(function)
    finally:
        Ball.drop_rule(function)
    with pytest.raises(TypeError, match="no radius is known"):
        function(BALL)


@pytest.mark.parametrize("function", [np.add, np.sum])
def test_a_rule_that_is_proven_is_not_replaced_or_dropped(function: Any) -> None:
    with pytest.raises(ValueError, match="has a rule"):
        Ball.rule(function)
    with pytest.raises(KeyError):
        Ball.drop_rule(function)


def test_the_ball_is_public() -> None:
    assert torch_mirror.Ball is Ball
