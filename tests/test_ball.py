"""The judge's radii are a theorem: here every rule is attacked with exact arithmetic.

A ball promises that the exact result lies within its radius of every admissible evaluation, the centre
among them. So each rule is evaluated exactly (fractions.Fraction; mpmath for exp and tanh) on inputs chosen
to hurt, with operands that are exact and with operands moved about inside their own balls, and the exact
result is held against NumPy, torch and every other order, blocking and fusing of the same sum.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reference.activations import relu, relu_backward, sigmoid
from reference.affine import affine
from reference.arrays import Array
from reference.losses import SquaredError
from torch_mirror.judge import ball as rules
from torch_mirror.judge import products
from torch_mirror.judge.ball import Ball
from torch_mirror.judge.compare import DEEPEST, Where, compare
from torch_mirror.judge.format import Format, format_of

F32, F64 = (format_of(np.dtype(d)) for d in (np.float32, np.float64))
FORMATS = (F32, F64)
HERE = Where("v", "torch", "local", stacked=False)
LR = 0.1  # float32 cannot hold it, so it brings a rounding of its own

Evaluation = Callable[..., Array]


class Rule(NamedTuple):
    """An equation, and the ways to evaluate it that the ball must cover besides NumPy's own."""

    shapes: tuple[tuple[int, ...], ...]
    equation: Callable[..., Any]
    others: tuple[Evaluation, ...]
    constants: tuple[float, ...] = ()  # numbers of the equation that are not operands: exact in exact arithmetic


# --- inputs that hurt ----------------------------------------------------------------------------

KINDS = ("integers", "decimals", "dyadic", "normal", "huge", "tiny", "subnormal", "mixed", "cancelling", "sparse", "near max")


def hostile(kind: str, shape: tuple[int, ...], fmt: Format, rng: np.random.Generator) -> Array:
    """Finite numbers of one kind, some of them 0 and -0.0."""
    normal = rng.normal(size=shape)
    top = np.log2(fmt.huge)
    reach = top * rng.uniform(0.1, 0.95)  # 1e+-30 in float32, 1e+-300 in float64 and anything below
    power = {
        "huge": reach, "tiny": -reach, "subnormal": fmt.grid - rng.integers(0, fmt.precision, shape),
        "mixed": rng.uniform(-reach, reach, shape), "near max": top - rng.uniform(0, 3, shape),
    }.get(kind, 0.0)  # fmt: skip
    with np.errstate(all="ignore"):
        values = {
            "integers": np.round(3 * normal), "decimals": np.round(normal, 1), "dyadic": np.round(16 * normal) / 8,
            "cancelling": np.where(rng.random(shape) < 0.5, 1, -1) * (1 + fmt.u * rng.integers(0, 9, shape)),
            "sparse": np.where(rng.random(shape) < 0.7, 0, normal),
        }.get(kind, np.clip(normal, -1, 1)) * np.exp2(power)  # fmt: skip
        values = np.where(rng.random(shape) < 0.05, rng.choice([0.0, -0.0], shape), values)
        return np.clip(values, -fmt.huge, fmt.huge).astype(fmt.dtype)


def rational(a: Any) -> Array:
    """An array's own numbers, as fractions."""
    return np.vectorize(lambda v: Fraction(*v.as_integer_ratio()), otypes=[object])(a) if np.size(a) else a


def nearest(q: Fraction, fmt: Format) -> Any:
    """A fraction, rounded once: what a fused operation gives."""
    if abs(q) > Fraction(fmt.huge):
        return fmt.dtype.type(np.inf if q > 0 else -np.inf)
    guess = fmt.dtype.type(float(q))  # float32 by way of float64 is rounded twice, hence its neighbours
    around = [guess, *(np.nextafter(guess, fmt.dtype.type(to)) for to in (-np.inf, np.inf))]
    return min((a for a in around if np.isfinite(a)), key=lambda a: abs(Fraction(float(a)) - q))


# --- the attack ------------------------------------------------------------------------------------


class Operand(NamedTuple):
    """A ball, the exact number that it is about, and what another evaluation has in its place."""

    ball: Ball
    exact: Array
    other: Array


def operand(value: Array, radius: Array | None, fmt: Format, centre: Any, rng: np.random.Generator) -> Operand:
    """The centre and the other evaluation are moved to either side of the exact number, to the rim if they can."""
    if radius is None:
        return Operand(Ball(value.astype(centre), 0, fmt), rational(value), value)
    ball = Ball(value.astype(centre), radius.astype(centre), fmt)
    share = Fraction(ball.slack) - 1  # of the radius, how far a centre of this precision may be off
    v, e, side = rational(value), rational(radius), np.vectorize(Fraction, otypes=[object])(rng.choice([-1, 0, 1], value.shape))
    exact = v + side * e * share
    with np.errstate(all="ignore"):
        moved = (value + (rng.choice([-1, 1], value.shape) * radius) * ball.slack).astype(value.dtype)
    inside = np.isfinite(moved) & (abs(rational(np.where(np.isfinite(moved), moved, value)) - exact) <= e)
    return Operand(ball, exact, np.where(inside, moved, np.where(abs(v - exact) <= e, value, moved)))


def worst(ball: Ball, exact: Array, evaluations: Sequence[Array]) -> float:
    """The largest distance from the exact numbers over the radius; above 1 the theorem is wrong."""
    fmt, largest = ball.format, Fraction(0)
    room = 1 + DEEPEST * Fraction(fmt.u)  # what compare() itself leaves for the radius's own roundings
    exact, radius = np.broadcast_to(exact, ball.shape), ball.radius
    for index in np.ndindex(ball.shape):
        if not np.isfinite(radius[index]):
            continue  # vacuous, and counted as that: test_compare.py
        allowed = rational(radius[index])[()] * room
        for a in (ball.value, *evaluations):
            if not np.isfinite(a[index]):
                return float("inf")
            error = abs(rational(a[index])[()] - exact[index])
            if error > allowed == 0:
                return float("inf")
            largest = max(largest, error / allowed if allowed else Fraction(0))
    return float(min(largest, Fraction(F64.huge)))


def attack(rule: Rule, operands: Sequence[Operand]) -> float:
    """The worst error / radius; at most 1, and no evaluation refuted, if the theorem holds."""
    fmt, centre = operands[0].ball.format, operands[0].ball.value.dtype
    with np.errstate(all="ignore"):
        ball = rule.equation(*(o.ball for o in operands), *rule.constants)
        exact = rule.equation(*(o.exact for o in operands), *(Fraction(c) for c in rule.constants))
        moved = [o.other for o in operands]
        evaluations = [np.asarray(f(*moved, *rule.constants), fmt.dtype) for f in (rule.equation, *rule.others)]
        ratio = worst(ball, exact, evaluations)
        refuted = any(compare(a.astype(centre), ball, HERE).refutations for a in evaluations)
    return float("inf") if refuted else ratio


# --- evaluations -----------------------------------------------------------------------------------


def with_torch(f: Callable[..., Any]) -> Evaluation:
    def evaluate(*operands: Any) -> Array:
        result: Array = f(*(torch.tensor(a) if isinstance(a, np.ndarray) else a for a in operands)).numpy()
        return result

    return evaluate


def flushed(f: Evaluation) -> Evaluation:
    """The same with subnormal numbers flushed to zero, where the processor can."""

    def evaluate(*operands: Any) -> Array:
        with np.errstate(all="ignore"):
            torch.set_flush_denormal(True)
            try:
                return f(*operands)
            finally:
                torch.set_flush_denormal(False)

    return evaluate


def in_two_threads(f: Evaluation) -> Evaluation:
    def evaluate(*operands: Any) -> Array:
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            return f(*operands)
        finally:
            torch.set_num_threads(before)

    return evaluate


def product_in_order(order: Callable[[int], Any], fused: bool, bias_first: bool) -> Evaluation:
    """x W^T + b term by term: in another order, fused or not, from the bias or on to it."""

    def evaluate(x: Array, W: Array, b: Array) -> Array:
        fmt = format_of(x.dtype)

        def plus(total: Any, a: Any, c: Any) -> Any:
            finite = all(np.isfinite(v) for v in (total, a, c))
            if not fused or not finite:
                return total + a * c
            return nearest(Fraction(float(total)) + Fraction(float(a)) * Fraction(float(c)), fmt)

        z = np.zeros((len(x), len(W)), x.dtype)
        for i, j in np.ndindex(z.shape):
            z[i, j] = b[j] if bias_first else 0
            for k in order(x.shape[-1]):
                z[i, j] = plus(z[i, j], x[i, k], W[j, k])
            z[i, j] += 0 if bias_first else b[j]
        return z

    return evaluate


def fused_update(w: Array, g: Array, lr: float) -> Array:
    """w - lr g in one rounding."""
    fmt = format_of(w.dtype)
    rate = Fraction(float(fmt.dtype.type(lr)))
    exact = rational(w) - rate * rational(g)
    return np.vectorize(lambda q: nearest(q, fmt), otypes=[fmt.dtype])(exact)


def mse(y: Any, t: Any) -> Any:
    return torch.nn.functional.mse_loss(y, t)


def mse_gradient(y: Any, t: Any) -> Any:
    y.requires_grad_()
    mse(y, t).backward()
    return y.grad


def updated(w: Any, g: Any, lr: float) -> Any:
    w = torch.nn.Parameter(w)
    w.grad = g
    torch.optim.SGD([w], lr=lr).step()
    return w.detach()


linear, mean = with_torch(torch.nn.functional.linear), SquaredError("mean")
ORDERS = (range, lambda n: range(n)[::-1], lambda n: [*range(0, n, 2), *range(1, n, 2)])
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
        *(product_in_order(order, fused, first) for order in ORDERS for fused in (False, True) for first in (False, True)),
    )),
    "one product": Rule(((2, 1), (3, 1), (3,)), affine, (linear, product_in_order(range, True, True))),
    "relu": Rule((V,), relu, (with_torch(torch.relu),)),
    "relu backward": Rule((V, V), lambda g, z: relu_backward(g, z, z), ()),
    "update": Rule((V, V), lambda w, g, lr: w - lr * g, (fused_update, with_torch(updated)), (LR,)),
    "loss": Rule(((1, *V), (1, *V)), mean.value, (with_torch(lambda y, t: mse(y, t)[None]),)),
    "loss gradient": Rule((V, V), mean.gradient, (
        lambda y, t: (y - t) * y.dtype.type(2 / y.size), lambda y, t: (y - t) / y.size * 2, with_torch(mse_gradient),
    )),
}  # fmt: skip


# --- laws --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RULES)
@given(st.sampled_from(FORMATS), st.sampled_from(KINDS), st.sampled_from(KINDS), st.integers(0, 2**32), st.booleans())
def test_every_evaluation_lies_within_the_radius(name: str, fmt: Format, kind: str, other: str, seed: int, wide: bool):
    assert strike(name, fmt, (kind, other, kind), seed, wide, moved=False) <= 1


@pytest.mark.parametrize("name", RULES)
@given(st.sampled_from(FORMATS), st.sampled_from(KINDS), st.sampled_from(KINDS), st.integers(0, 2**32), st.booleans())
def test_operands_may_lie_anywhere_in_their_balls(name: str, fmt: Format, kind: str, other: str, seed: int, wide: bool):
    assert strike(name, fmt, (kind, other, kind), seed, wide, moved=True) <= 1


def strike(name: str, fmt: Format, kinds: Sequence[str], seed: int, wide: bool, moved: bool) -> float:
    rng = np.random.default_rng(seed)
    values = [hostile(kind, shape, fmt, rng) for kind, shape in zip(kinds, RULES[name].shapes, strict=False)]
    centre = (np.float64 if fmt is F32 else np.longdouble) if wide else fmt.dtype
    # anything from a rounding to as large as the number, and 0 for some: a part of a ball may be exact
    radii = [np.abs(v) * fmt.dtype.type(rng.choice([0, fmt.u, 2.0**-10, 0.3])) for v in values]
    return attack(
        RULES[name], [operand(v, e if moved else None, fmt, centre, rng) for v, e in zip(values, radii, strict=True)]
    )
