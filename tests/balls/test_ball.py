"""The judge's radii are a theorem: here every rule is attacked with exact arithmetic.

A ball promises that the exact result lies within its radius of every admissible evaluation, the centre
among them. So each rule is evaluated exactly (fractions.Fraction; mpmath for exp and tanh) on inputs chosen
to hurt, with operands that are exact and with operands moved about inside their own balls, and the exact
result is held against NumPy, torch and every other order, blocking and fusing of the same sum.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath  # type: ignore[import-untyped]  # it ships no stubs
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reference.activations import relu, relu_backward, sigmoid
from reference.affine import affine
from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.tree import zip_with
from reference.losses import SquaredError
from reference.networks import mlp
from reference.optimizers.sgd import SGD
from reference.traces.training import train as train_numpy
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
from tests.attack.evaluations import (
    flushed,
    fused_update,
    in_two_threads,
    mse,
    mse_gradient,
    product_in_order,
    updated,
    with_torch,
)
from tests.steps import step
from torch_mirror.balls.ball import Ball
from torch_mirror.balls.format import Format
from torch_mirror.balls.rules import products
from torch_mirror.training.loop import train as train_torch

LR = 0.1  # float32 cannot hold it, so it brings a rounding of its own
linear, mean = with_torch(torch.nn.functional.linear), SquaredError("mean", 1)
ORDERS = (range, lambda n: range(n)[::-1], lambda n: [*range(0, n, 2), *range(1, n, 2)])
def exactly(scale: float) -> SquaredError:
    """The mean squared error in exact arithmetic."""
    number: Any = Fraction(scale)
    return SquaredError("mean", number)


V, N = (3, 4), 3  # of N thirds, no format holds one
RULES: dict[str, Rule] = {
    "add": Rule((V, V), lambda x, y: x + y, (with_torch(torch.add),)),
    "subtract": Rule((V, V), lambda x, y: x - y, (with_torch(torch.sub),)),
    "multiply": Rule((V, V), lambda x, y: x * y, (with_torch(torch.mul),)),
    "divide": Rule((V,), lambda x: x / N, (lambda x: x * x.dtype.type(1 / N), with_torch(lambda x: x * (1 / N)))),
    "halve": Rule((V,), lambda x: x / 8, (lambda x: x * 0.125, flushed(with_torch(lambda x: x / 8)))),
    "scale": Rule((V,), lambda x, c: c * x, (with_torch(lambda x, c: c * x),), (0.3,)),
    "square": Rule((V,), np.square, (with_torch(torch.square),)),
    "cube": Rule((V,), lambda x: x**3, (lambda x: x * x * x, with_torch(lambda x: x**3))),
    "sum": Rule(((5, 3),), lambda x: x.sum(axis=-2), (
        lambda x: x[::-1].cumsum(axis=0)[-1], lambda x: (x[:2].sum(axis=0) + x[2:].sum(axis=0)),
        with_torch(lambda x: x.sum(dim=-2)), in_two_threads(with_torch(lambda x: x.sum(dim=-2))),
    )),
    "affine": Rule(((2, 5), (3, 5), (3,)), affine, (
        linear, in_two_threads(linear), with_torch(lambda x, W, b: torch.addmm(b, x, W.T)),
        *(product_in_order(o, fused=f, bias_first=b) for o in ORDERS for f in (False, True) for b in (False, True)),
    )),
    "one product": Rule(((2, 1), (3, 1), (3,)), affine, (linear, product_in_order(range, fused=True, bias_first=True))),
    "relu": Rule((V,), relu, (with_torch(torch.relu),)),
    "relu backward": Rule((V, V), lambda g, z: relu_backward(g, z, z), ()),
    "mask as a factor": Rule((V, V), lambda g, z: g * (z > 0), ()),
    "update": Rule((V, V), lambda w, g, lr: w - lr * g, (fused_update, with_torch(updated)), (LR,)),
    "loss": Rule(((1, *V), (1, *V)), mean.value, (with_torch(lambda y, t: mse(y, t)[None]),)),
    "loss gradient": Rule((V, V), mean.gradient, (
        lambda y, t: (y - t) * y.dtype.type(2 / y.size), lambda y, t: (y - t) / y.size * 2, with_torch(mse_gradient),
    ), exact=SquaredError("mean", Fraction(1)).gradient),  # type: ignore[arg-type]  # an exact scale
    "scaled gradient": Rule((V, V), SquaredError("mean", 0.3).gradient, (
        lambda y, t: y.dtype.type(2 / y.size) * (y - t) * y.dtype.type(0.3),
        with_torch(lambda y, t: mse_gradient(y, t, 0.3)),
    ), exact=SquaredError("mean", Fraction(0.3)).gradient),  # type: ignore[arg-type]  # the same
}  # fmt: skip


def logistic(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


FUNCTIONS: dict[str, Rule] = {
    "exp": Rule((V,), np.exp, (with_torch(torch.exp),), (), at_200_bits(mpmath.exp)),
    "tanh": Rule((V,), np.tanh, (with_torch(torch.tanh),), (), at_200_bits(mpmath.tanh)),
    "sigmoid": Rule((V,), sigmoid, (with_torch(torch.sigmoid),), (), at_200_bits(logistic)),
    "quotient": Rule((V, V), lambda x, y: x / y, (with_torch(torch.div),)),
}
REACH = {F32: 110.0, F64: 750.0}
"""Beyond it exp has overflowed or is 0."""

formats, kinds, seeds = st.sampled_from(FORMATS), st.sampled_from(KINDS), st.integers(0, 2**32)
precisions = st.sampled_from(["tested", "wider"])


# --- laws --------------------------------------------------------------------------------------------


def strike(name: str, fmt: Format, kinds: Sequence[str], seed: int, precision: str, *, moved: bool) -> float:
    """One attack: the worst error / radius of a rule on operands of these kinds."""
    rng = np.random.default_rng(seed)
    rule = RULES.get(name) or FUNCTIONS[name]
    values = [hostile(kind, shape, fmt, rng) for kind, shape in zip(kinds, rule.shapes, strict=False)]
    if name in ("exp", "tanh", "sigmoid"):
        values = [np.clip(v, -REACH[fmt], REACH[fmt]) for v in values]
    if name == "quotient":
        values[1] = np.where(values[1] == 0, fmt.dtype.type(1), values[1])
    centre = centre_of(fmt, precision)
    # from a rounding to nearly as large as the number, and 0 for some: a part of a ball may be exact
    radii = [np.abs(v) * rng.choice(np.array([0, fmt.u, 2.0**-10, 0.3], fmt.dtype), v.shape) for v in values]
    pairs = zip(values, radii, strict=True)
    return attack(rule, [operand(v, e if moved else None, fmt, centre, rng) for v, e in pairs])


@pytest.mark.parametrize("name", [*RULES, *FUNCTIONS])
@given(formats, st.tuples(kinds, kinds, kinds), seeds, precisions)
def test_every_evaluation_lies_within_the_radius(
    name: str, fmt: Format, kinds: tuple[str, ...], seed: int, precision: str
) -> None:
    assert strike(name, fmt, kinds, seed, precision, moved=False) <= 1


@pytest.mark.parametrize("name", [*RULES, *FUNCTIONS])
@given(formats, st.tuples(kinds, kinds, kinds), seeds, precisions)
def test_operands_may_lie_anywhere_in_their_balls(
    name: str, fmt: Format, kinds: tuple[str, ...], seed: int, precision: str
) -> None:
    assert strike(name, fmt, kinds, seed, precision, moved=True) <= 1


@given(formats, st.tuples(kinds, kinds, kinds), seeds)
def test_flushing_subnormal_results_stays_within_the_radius(fmt: Format, kinds: tuple[str, ...], seed: int) -> None:
    """Operands are normal or 0: the model flushes results, and what was flushed is no operand any more."""
    rng = np.random.default_rng(seed)
    x, W, b = (
        np.where(np.abs(v) < fmt.tiny, 0, v)
        for v in (hostile(k, s, fmt, rng) for k, s in zip(kinds, ((2, 5), (3, 5), (3,)), strict=True))
    )
    for rule, arrays in ((RULES["affine"], (x, W, b)), (RULES["multiply"], (x, W[:2])), (RULES["update"], (x, W[:2]))):
        exact = [operand(a, None, fmt, fmt.dtype, rng) for a in arrays]
        assert attack(rule._replace(others=tuple(flushed(f) for f in rule.others)), exact) <= 1


def test_a_decided_radius_is_that_of_the_branch_and_an_open_one_spans_both() -> None:
    z: Any = Ball(np.array([2.0, -2.0, 0.5, 0.0]), np.array([0.5, 0.5, 0.5, 0.0]))
    g: Any = Ball(np.full(4, 8.0), np.full(4, 1.0))
    a: Any = relu(z)
    dz: Any = relu_backward(g, z, z)
    assert a.radius.tolist() == [0.5, 0.0, 0.5, 0.0]
    # undecided: 0 on one side; on the other, the centre's 8 is one radius from the exact 9, that one from 10
    assert dz.radius.tolist() == [1.0, 0.0, 10.0, 0.0]


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


# --- from end to end ----------------------------------------------------------------------------------


@given(formats, kinds, st.sampled_from(["integers", "decimals", "normal", "cancelling", "sparse"]), seeds, precisions)
def test_a_whole_step_with_radii_that_propagate(
    fmt: Format, kind: str, weights: str, seed: int, precision: str
) -> None:
    """Two layers, an undecided ReLU at times, backward, SGD: torch, NumPy and the exact step, every tensor."""
    rng = np.random.default_rng(seed)
    x, t = hostile(kind, (3, 2), fmt, rng), hostile(weights, (3, 2), fmt, rng)
    widths = (2, 3, 2)
    W = tuple(hostile(weights, (n, m), fmt, rng) for m, n in pairwise(widths))
    b = tuple(hostile(weights, (n,), fmt, rng) for n in widths[1:])
    assert end_to_end(Experiment(mlp.MLP(widths), mlp.Parameters(W, b), x, t, mean, SGD(LR), 1), precision) <= 1


def test_an_undecided_branch_is_inside() -> None:
    """0.1 + 0.2 - 0.3 is 0 in no order that floating point knows, and exactly neither of the two it gives."""
    W = (np.array([[0.1, 0.2], [0.2, 0.1]]), np.array([[3.0, -7.0]]))
    b = (np.array([-0.3, -0.3]), np.array([0.5]))
    e = Experiment(mlp.MLP((2, 2, 1)), mlp.Parameters(W, b), np.ones((1, 2)), np.ones((1, 1)), mean, SGD(LR), 1)
    z = Ball(e.x) @ Ball(W[0]).mT + Ball(b[0])[None]
    assert (z.radius > np.abs(z.value)).all()
    assert end_to_end(e, "tested") <= 1
    assert end_to_end(e, "wider") <= 1


def end_to_end(e: Experiment, precision: str) -> float:
    """The worst error / radius over every tensor of a step, nothing known of what lies between."""
    fmt = next(f for f in FORMATS if f.dtype == e.dtype)
    centre = centre_of(fmt, precision)

    def run(number: Callable[[Array], Any], lr: Any) -> dict[str, Any]:
        values: dict[str, Any] = {}

        def sow(name: str, value: Any) -> Any:
            values[name] = value
            return value

        p = zip_with(lambda _, a: number(a), e.parameters)
        loss = e.loss._replace(scale=type(lr)(e.loss.scale))
        step(e.network, p, number(e.x), number(e.t), loss, SGD(lr), sow=sow)
        return values

    with np.errstate(all="ignore"):
        balls, exact = run(lambda a: Ball(a.astype(centre), 0, fmt), LR), run(rational, Fraction(LR))
        traces = [train_torch(e), train_numpy(e)]
        seen = {name: [t[name][-1] for t in traces] for name in balls}
        return max(worst(ball, exact[name], seen[name]) for name, ball in balls.items())
