"""Training code as people write it by hand in NumPy, unchanged, on balls: in place, with masks, methods and einsum.

Every program is one function of its arrays. It runs on fractions, which is the truth, on floats of
both formats, and on balls, which must hold both.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tests.attack.adversary import FORMATS, Operand, centre_of, hostile, operand, worst
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import Format
from torch_mirror.balls.number import Number
from torch_mirror.balls.table import TABLE

STEPS = 3


def two_layers(x: Any, y: Any, w1: Any, w2: Any, _b1: Any, _b2: Any, rate: Any) -> Any:
    """Columns are units: x.dot(w1). The gradient of ReLU by assignment, the weights updated in place."""
    losses = []
    for _ in range(STEPS):
        h = x.dot(w1)
        h_relu = np.maximum(h, 0)
        y_pred = h_relu.dot(w2)
        losses.append(np.square(y_pred - y).sum())

        grad_y_pred = 2 * (y_pred - y)
        grad_w2 = h_relu.T.dot(grad_y_pred)
        grad_h = grad_y_pred.dot(w2.T).copy()
        grad_h[h < 0] = 0
        grad_w1 = x.T.dot(grad_h)

        w1 -= rate * grad_w1
        w2 -= rate * grad_w2
    return [w1, w2, *losses]


def with_biases(x: Any, y: Any, w1: Any, w2: Any, b1: Any, b2: Any, rate: Any) -> Any:
    """Masks as factors, sums that keep their axes, the mean over a batch."""
    batch = len(x)
    for _ in range(STEPS):
        z = x @ w1
        z += b1
        a = z.clip(min=0)
        error = a @ w2 + b2 - y
        delta = error / batch
        db2 = delta.sum(axis=0, keepdims=True)
        dw2 = a.T @ delta
        dz = (delta @ w2.T) * (z > 0)
        b2 -= rate * db2.reshape(b2.shape)
        w2 -= rate * dw2
        b1 -= rate * dz.sum(axis=0)
        w1 -= rate * (x.T @ dz)
    return [w1, b1, w2, b2, (error ** 2).mean()]


def momentum(x: Any, y: Any, w1: Any, w2: Any, _b1: Any, _b2: Any, rate: Any) -> Any:
    """A list of layers, buffers from zeros_like, gradients written into arrays made beforehand."""
    weights = [w1, w2]
    velocity = [np.zeros_like(w) for w in weights]
    gradients = [np.empty_like(w) for w in weights]
    for _ in range(STEPS):
        layers = [x]
        for w in weights:
            layers.append(np.einsum("bi,io->bo", layers[-1], w))
        upstream = layers[-1] - y
        for i in reversed(range(len(weights))):
            gradients[i][...] = np.einsum("bi,bo->io", layers[i], upstream)
            upstream = np.einsum("bo,io->bi", upstream, weights[i])
        for i, w in enumerate(weights):
            velocity[i] *= rate
            velocity[i] += gradients[i]
            np.subtract(w, rate * velocity[i], out=w)
    return [*weights, *velocity]


def sample_by_sample(x: Any, y: Any, w1: Any, w2: Any, _b1: Any, _b2: Any, rate: Any) -> Any:
    """Loops over rows, gradients accumulated with outer products, a penalty and a clipped gradient."""
    for _ in range(STEPS):
        dw1, dw2 = np.zeros_like(w1), np.zeros_like(w2)
        for row, target in zip(x, y, strict=True):
            h = np.dot(row, w1)
            on = np.logical_and(h > 0, ~(h >= 8))
            h = np.where(on, h, 0)
            d = np.dot(h, w2) - target
            dw2 += np.outer(h, d)
            back = np.dot(w2, d)
            back[~on] = 0
            dw1 += np.outer(row, back)
        dw2 = np.clip(dw2, -3, 3)
        w1 -= rate * (dw1 + w1 / 4)
        w2 -= rate * dw2 / len(x)
    return [w1, w2]


PROGRAMS: tuple[Callable[..., Any], ...] = (two_layers, with_biases, momentum, sample_by_sample)
SHAPES = ((4, 3), (4, 2), (3, 5), (5, 2), (5,), (2,))  # x, y, w1, w2, b1, b2


def givens(fmt: Format, kind: str, precision: str, seed: int) -> list[Operand]:
    rng = np.random.default_rng(seed)
    return [operand(hostile(kind, s, fmt, rng) / 2, None, fmt, centre_of(fmt, precision), rng) for s in SHAPES]


def train(program: Callable[..., Any], fmt: Format, kind: str, precision: str, seed: int) -> tuple[float, list[Ball]]:
    """The worst error / radius over what a program returns, and its balls."""
    operands = givens(fmt, kind, precision, seed)
    rate = 0.1
    with np.errstate(all="ignore"):
        balls = program(*(o.ball.copy() for o in operands), rate)
        exact = program(*(o.exact.copy() for o in operands), Fraction(rate))
        floats = program(*(o.other.copy() for o in operands), rate)
    triples = zip(balls, exact, floats, strict=True)
    return max(worst(b, np.asarray(q, object), [np.asarray(a)]) for b, q, a in triples), balls


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("kind", ["integers", "decimals", "dyadic", "normal", "cancelling", "sparse"])
@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: str(fmt.dtype))
def test_an_unchanged_program_stays_inside(program: Callable[..., Any], kind: str, fmt: Format) -> None:
    for precision in ("tested", "wider"):
        ratio, balls = train(program, fmt, kind, precision, seed=0)
        assert ratio <= 1
        assert all(np.isfinite(ball.radius).all() for ball in balls)


@pytest.mark.parametrize("program", PROGRAMS)
def test_its_radii_say_something(program: Callable[..., Any]) -> None:
    """Far smaller than the weights themselves, after three steps."""
    _, balls = train(program, FORMATS[1], "normal", "tested", seed=0)
    assert all((ball.radius <= 2.0**-30 * (1 + np.abs(ball.value).max())).all() for ball in balls)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("ufunc", [np.subtract, np.multiply])
def test_a_hole_is_found(monkeypatch: pytest.MonkeyPatch, program: Callable[..., Any], ufunc: np.ufunc) -> None:
    def hole(like: Number, x: Any, y: Any) -> Number:
        return Number(ufunc(like.operand(x).value, like.operand(y).value), 0, like.format)

    monkeypatch.setitem(TABLE, ufunc, TABLE[ufunc]._replace(radius=hole))
    drawn = [(fmt, kind, seed) for fmt in FORMATS for kind in ("normal", "decimals") for seed in range(3)]
    assert any(train(program, fmt, kind, "tested", seed)[0] > 1 for fmt, kind, seed in drawn)


def test_a_branch_that_is_open_is_inside() -> None:
    """0.1 + 0.2 - 0.3 is not 0 in floating point: the exact unit is off, and the float's is on, or the other way."""
    x, w = np.array([[1.0, 1.0, 1.0]]), np.array([[0.1], [0.2], [-0.3]])
    arguments = [x, np.array([[1.0]]), w, np.array([[3.0]]), np.zeros(1), np.zeros(1)]
    operands = [operand(a, None, FORMATS[1], np.float64, np.random.default_rng(0)) for a in arguments]
    z = operands[0].ball @ operands[2].ball
    assert (z.radius > np.abs(z.value)).all()
    programs: tuple[Callable[..., Any], ...] = (two_layers, with_biases, sample_by_sample)
    for program in programs:
        balls = program(*(o.ball.copy() for o in operands), 0.1)
        exact = program(*(o.exact.copy() for o in operands), Fraction(0.1))
        for permuted in ([0, 1, 2], [2, 1, 0], [0, 2, 1]):
            given = [x, arguments[1], w[permuted].copy(), *(a.copy() for a in arguments[3:])]
            floats = program(*given, 0.1)
            floats[0] = floats[0][np.argsort(permuted)]
            for b, q, a in zip(balls, exact, floats, strict=True):
                assert worst(b, np.asarray(q, object), [np.asarray(a)]) <= 1
