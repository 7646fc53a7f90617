"""Torch's losses at their edges, and beside others; what holds for each of them: tests/conformance."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reference.arrays import Array
from reference.errors import InputError
from reference.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    BinaryCrossEntropyWithLogits,
    CrossEntropy,
    Huber,
    SmoothL1,
    SquaredError,
)
from tests.conformance.losses import Data, balls, data, inside, of_torch, row_of
from torch_mirror.balls.cell import Ball
from torch_mirror.losses import Criterion, criterion_of

# --- what is right ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("kind", [SquaredError, AbsoluteError, Huber, SmoothL1])
def test_where_nothing_rounds_they_are_equal(kind: Any, reduction: Any, dtype: str) -> None:
    loss = kind(reduction) if kind is AbsoluteError else kind(reduction, 0.5)
    rng = np.random.default_rng(0)
    y, t = (rng.integers(-16, 17, (8, 4)).astype(dtype) / 8 for _ in "yt")
    given = Data(y, t)
    for ball, seen in zip(balls(loss, given), of_torch(criterion_of(loss), given), strict=True):
        assert not ball.radius.any()
        np.testing.assert_array_equal(seen, ball.value)


def test_the_edges_are_torchs() -> None:
    """Ties, |d| = delta, and a binary cross-entropy at its bounds: as torch does, to the bit."""
    d = np.array([[0.0, -0.0, 0.5, -0.5, 2.0]])
    straight: list[Any] = [AbsoluteError("sum"), Huber("sum", 0.5), SmoothL1("sum", 0.5)]
    for loss in straight:
        value, gradient = of_torch(criterion_of(loss), Data(d, np.zeros_like(d)))
        np.testing.assert_array_equal(loss.gradient(d, np.zeros_like(d)), gradient)
        np.testing.assert_array_equal(loss.value(d, np.zeros_like(d)), value)
    y, t = np.array([[0.0, 1.0, 0.0, 1.0, 1e-50]]), np.array([[1.0, 0.0, 0.0, 1.0, 1.0]])
    binary = BinaryCrossEntropy("sum")
    value, gradient = of_torch(criterion_of(binary), Data(y, t))
    assert value == binary.value(y, t) == 300  # three logarithms at their bound
    np.testing.assert_array_equal(binary.gradient(y, t), gradient)
    assert gradient[0, 0] == -1 / float(np.float32(1e-12)) != -1e12


@pytest.mark.parametrize("logit", [1e4, -1e4])
def test_large_logits_do_not_overflow(logit: float) -> None:
    y, t = np.array([[logit, 0.0, -logit]], np.float32), np.array([[0, 1, 1]], np.float32)
    for loss, target in ((BinaryCrossEntropyWithLogits("sum"), t), (CrossEntropy("sum"), np.array([1]))):
        given = Data(y, target)
        for ball, seen in zip(balls(loss, given), of_torch(criterion_of(loss), given), strict=True):
            assert np.isfinite(ball.value).all()
            assert inside(seen, ball)


# --- what is wrong ------------------------------------------------------------------------------------


def other(**changes: Any) -> Callable[[Any], Criterion]:
    return lambda loss: criterion_of(loss._replace(**changes))


def by_all_elements(y: Tensor, t: Tensor) -> Tensor:
    return nn.functional.cross_entropy(y, t, reduction="sum") / y.numel()


def next_class(y: Tensor, t: Tensor) -> Tensor:
    return nn.functional.cross_entropy(y, (t + 1) % y.shape[-1])


def of_probabilities(y: Tensor, t: Tensor) -> Tensor:
    return nn.functional.cross_entropy(torch.softmax(y, -1), t)  # softmax twice


def without_bound(y: Tensor, t: Tensor) -> Tensor:
    return -(t * y.log() + (1 - t) * torch.log1p(-y)).mean()


WRONG: dict[str, tuple[Any, Callable[[Any], Criterion]]] = {
    "the mean of a cross-entropy over batch * classes": (CrossEntropy(), lambda _: by_all_elements),
    "the next class": (CrossEntropy(), lambda _: next_class),
    "softmax twice": (CrossEntropy(), lambda _: of_probabilities),
    "no smoothing": (CrossEntropy("mean", 0.1), other(label_smoothing=0.0)),
    "smoothing moved by 1 %": (CrossEntropy("mean", 0.1), other(label_smoothing=0.101)),
    "delta moved by 1 %": (Huber("mean", 0.3), other(delta=0.303)),
    "beta moved by 1 %": (SmoothL1("mean", 0.3), other(beta=0.303)),
    "SmoothL1 for Huber": (Huber("mean", 0.3), lambda loss: criterion_of(SmoothL1("mean", loss.delta))),
    "the square for Huber": (Huber("mean", 0.3), lambda _: criterion_of(SquaredError("mean", 0.5))),
    "probabilities for logits": (
        BinaryCrossEntropyWithLogits(), lambda _: lambda y, t: nn.functional.binary_cross_entropy(y.clamp(0, 1), t),
    ),
    "1 - t for t": (BinaryCrossEntropyWithLogits(), lambda loss: lambda y, t: criterion_of(loss)(y, 1 - t)),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", WRONG)
def test_another_loss_is_outside(name: str, dtype: str) -> None:
    loss, wrong = WRONG[name]
    given = data(row_of(loss), 1, dtype, (16, 10))
    seen = of_torch(wrong(loss), given)
    assert not any(inside(s, ball) for s, ball in zip(seen, balls(loss, given), strict=True))


def test_a_gradient_at_a_tie_is_outside_unless_it_is_0() -> None:
    y = np.ones((2, 2))
    gradient = AbsoluteError("sum").gradient(Ball(y), Ball(y))  # type: ignore[arg-type]  # a duck array
    assert inside(np.zeros((2, 2)), gradient)
    for wrong in (1.0, -1.0, 1e-300):
        assert not inside(np.full((2, 2), wrong), gradient)


def test_without_its_bounds_the_binary_cross_entropy_is_outside() -> None:
    y, t = np.array([[1e-50, 1e-13, 0.5]]), np.ones((1, 3))  # float64: log 1e-50 is -115
    given = Data(y, t)
    value, gradient = balls(BinaryCrossEntropy(), given)
    right, wrong = of_torch(criterion_of(BinaryCrossEntropy()), given), of_torch(without_bound, given)
    assert inside(right[0], value)
    assert inside(right[1], gradient)
    assert not inside(wrong[0], value)
    assert not inside(wrong[1], gradient)


# --- the table ----------------------------------------------------------------------------------------


class DoubledSquare(SquaredError):  # noqa: N818 - an error of another kind
    """A subclass with a value of its own."""

    def value(self, y: Array, t: Array) -> Array:
        return 2 * super().value(y, t)


@pytest.mark.parametrize("loss", [DoubledSquare(), None, nn.MSELoss(), SquaredError], ids=str)
def test_a_loss_that_is_not_known_is_refused(loss: Any) -> None:
    with pytest.raises(InputError, match="loss: expected one of SquaredError, "):
        criterion_of(loss)
