"""Holes planted in the bound, one at a time: the attack of test_ball.py must find each of them."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from reference.affine import affine
from tests.attack.adversary import F32, F64, Operand, Rule, attack, operand, rational, worst
from tests.attack.evaluations import fused_update, product_in_order
from torch_mirror.balls.ball import Ball
from torch_mirror.balls.format import Format
from torch_mirror.balls.number import Number, OpenSum
from torch_mirror.balls.rules import elementwise, sums
from torch_mirror.balls.table import TABLE, Row

in_order = product_in_order(range, fused=False, bias_first=True)
AFFINE = Rule(((1, 20), (1, 20), (1,)), affine, (in_order,))


def exact_operands(*arrays: Any, fmt: Format = F64) -> list[Operand]:
    return [operand(a, None, fmt, fmt.dtype, np.random.default_rng(0)) for a in arrays]


def sound_then_holed(
    monkeypatch: pytest.MonkeyPatch, rule: Rule, operands: Sequence[Operand], where: Any, name: str, hole: Any
) -> None:
    """The attack passes as the bound stands, and finds the hole."""
    assert attack(rule, operands) <= 1
    monkeypatch.setattr(where, name, hole)
    assert attack(rule, operands) > 1


def test_bias_outside_the_accumulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large bias that starts the accumulator is rounded at every term, and not once."""
    rng = np.random.default_rng(1)
    x, W, b = rng.random((1, 20)), rng.random((1, 20)), np.array([1e16])
    sound_then_holed(monkeypatch, AFFINE, exact_operands(x, W, b), sums, "joined", lambda s, _: OpenSum(
        s.terms, lambda gamma: s.bound(gamma) + F64.u * abs(b + (x @ W.T)[0])
    ))  # fmt: skip


def test_one_term_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two products and their sum can be rounded down by very nearly u each time: 2 u together, and u is claimed."""
    rng = np.random.default_rng(0)
    x, w = (1 + F32.u * 2 * rng.integers(2800, 2990, (200_000, 2)) for _ in range(2))  # products just above 1
    x32, w32 = x.astype(np.float32), w.astype(np.float32)
    error = x[:, 0] * w[:, 0] + x[:, 1] * w[:, 1] - (x32[:, 0] * w32[:, 0] + x32[:, 1] * w32[:, 1])
    i = int(np.argmax(np.abs(error)))  # float64 holds all of this exactly
    rule = Rule(((1, 2), (2, 1)), lambda a, b: a @ b, (lambda a, b: (a * b.T)[:, :1] + (a * b.T)[:, 1:],))
    operands = exact_operands(x32[i : i + 1], w32[i : i + 1].T.copy(), fmt=F32)
    gamma = Format.gamma
    sound_then_holed(monkeypatch, rule, operands, Format, "gamma", lambda self, k: gamma(self, k - 1))


@pytest.mark.parametrize("ufunc", [np.matmul, np.multiply, np.add])
def test_propagation_dropped(monkeypatch: pytest.MonkeyPatch, ufunc: np.ufunc) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((3, 3)), rng.random((3, 3))
    operands = [operand(v, 1e-3 * v, F64, F64.dtype, rng) for v in (x, y)]
    rule, sound = Rule(((3, 3), (3, 3)), ufunc, ()), TABLE[ufunc].radius
    assert attack(rule, operands) <= 1

    def forgetful(like: Number, a: Number, b: Number) -> Any:
        return sound(like, Number(a.value), Number(b.value))

    monkeypatch.setitem(TABLE, ufunc, Row(forgetful))
    assert attack(rule, operands) > 1


@pytest.mark.parametrize("claim", ["exact_sum", "exact_product", "fits_grid"])
def test_exactness_claimed_too_early(monkeypatch: pytest.MonkeyPatch, claim: str) -> None:
    x = np.array([[1.0, 1 + 2.0**-30]])  # 61 bits squared, and few enough of its own for a grid to be looked at
    rule, operands = {
        "exact_sum": (Rule((), lambda a, b: a + b, ()), exact_operands(x, 0.1 * x)),
        "exact_product": (Rule((), lambda a, b: a * b, ()), exact_operands(x, x)),
        "fits_grid": (Rule((), lambda a, b: a @ b, ()), exact_operands(x, x.T)),
    }[claim]
    where = sums if claim == "fits_grid" else elementwise
    sound_then_holed(monkeypatch, rule, operands, where, claim, lambda *_: np.asarray(True))


def test_the_term_for_underflow_dropped() -> None:
    x, w = np.array([[3e-200, 1.0]]), np.array([[5e-200], [1e-320]])
    for tiny, found in ((F64.tiny, False), (0.0, True)):
        fmt = F64._replace(tiny=tiny, grid=F64.grid - 60 if found else F64.grid)
        product = Ball(x, 0, fmt) @ Ball(w, 0, fmt)
        assert (worst(product, rational(x) @ rational(w), []) > 1) is found


def test_the_fused_case_forgotten() -> None:
    """A bound that takes the product's rounding for everybody's: separate evaluations pass, a fused one does not."""
    w, g = np.array([0.1 * 3]), np.array([3.0])  # w - 0.1 g cancels but for the rounding of the product
    product = 0.1 * g
    update = Rule(((1,), (1,)), lambda w, g, lr: w - lr * g, (fused_update,), (0.1,))
    assert attack(update, exact_operands(w, g)) <= 1
    unfused = Ball(w) - Ball(product)  # radius 0, by Sterbenz, about a product that is not exact
    separate = rational(w - product)
    assert worst(unfused, separate, [w - product]) <= 1
    assert worst(unfused, separate, [fused_update(w, g, 0.1)]) > 1


def test_one_radius_for_two_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The centre may be on one side of the exact number and the other evaluation on the other side of it."""
    ball = Ball(np.array([1.0]), np.array([0.125]))
    apart = Operand(ball, np.array([Fraction(9, 8)]), np.array([1.25]))
    sound_then_holed(monkeypatch, Rule(((1,),), lambda x: 2 * x, ()), [apart], Number, "slack", 1.0)
