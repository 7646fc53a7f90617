"""Torch's losses lie within the radius of the reference's, value and gradient; wrong ones do not."""

from collections.abc import Callable
from typing import Any, NamedTuple

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
from torch_mirror.balls.ball import Ball
from torch_mirror.judge.compare import allowed
from torch_mirror.losses import Criterion, criterion_of

SEEDS = range(12)
SHAPES = ((1, 1), (5, 3), (16, 10), (4, 7, 3))
LOSSES: list[Any] = [
    loss
    for reduction in ("sum", "mean")
    for loss in (
        SquaredError(reduction),
        SquaredError(reduction, 0.3),
        AbsoluteError(reduction),
        Huber(reduction),
        Huber(reduction, 0.3),
        SmoothL1(reduction),
        SmoothL1(reduction, 0.3),
        CrossEntropy(reduction),
        CrossEntropy(reduction, 0.1),
        BinaryCrossEntropy(reduction),
        BinaryCrossEntropyWithLogits(reduction),
    )
]


class Data(NamedTuple):
    """What a loss sees."""

    y: Array
    t: Array


def data(loss: Any, seed: int, dtype: str, shape: tuple[int, ...], *, probabilities: bool = False) -> Data:
    """Numbers of all sizes that the loss takes; ties of y and t among them. probabilities: no labels."""
    rng = np.random.default_rng(seed)
    size = (0.1, 1.0, 30.0)[seed % 3]
    y = (size * rng.normal(size=shape)).astype(dtype)
    t = rng.normal(size=shape).astype(dtype)
    if isinstance(loss, CrossEntropy):
        if not probabilities:
            return Data(y, rng.integers(0, shape[-1], shape[:-1]).astype(("int64", "uint8", "int32")[seed % 3]))
        return Data(y, rng.dirichlet(np.ones(shape[-1]), shape[:-1]).astype(dtype))
    if isinstance(loss, BinaryCrossEntropy):
        y = (1 / (1 + np.exp(-np.clip(y, -12, 12)))).astype(dtype)  # of neither 0 nor 1
    if isinstance(loss, (BinaryCrossEntropy, BinaryCrossEntropyWithLogits)):
        return Data(y, rng.random(shape).astype(dtype) if probabilities else rng.integers(0, 2, shape).astype(dtype))
    return Data(y, np.where(rng.random(shape) < 0.2, y, t))


def of_torch(criterion: Criterion, given: Data) -> tuple[Array, Array]:
    """The loss and its gradient by autograd."""
    y = torch.tensor(given.y, requires_grad=True)
    loss = criterion(y, torch.tensor(given.t))
    (dy,) = torch.autograd.grad(loss, y)
    return loss.detach().numpy(), dy.numpy()


def balls(loss: Any, given: Data) -> tuple[Any, Any]:
    """The reference's value and gradient, from exact operands; labels stay an array."""
    y, t = Ball(given.y), Ball(given.t) if given.t.dtype.kind == "f" else given.t
    return loss.value(y, t), loss.gradient(y, t)


def inside(seen: Array, ball: Any) -> bool:
    """Whether every element lies within a radius that is finite."""
    with np.errstate(all="ignore"):
        bound = allowed(ball)
    assert seen.shape == ball.shape
    assert seen.dtype == ball.dtype
    return bool(np.isfinite(bound).all() and (np.abs(seen - ball.value) <= bound).all())


# --- what is right ------------------------------------------------------------------------------------


@pytest.mark.parametrize("probabilities", [False, True], ids=["labels", "probabilities"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_torch_and_numpy_lie_within_the_radius(loss: Any, dtype: str, *, probabilities: bool) -> None:
    for seed in SEEDS:
        for shape in SHAPES:
            given = data(loss, seed, dtype, shape, probabilities=probabilities)
            value, gradient = balls(loss, given)
            for seen in (of_torch(criterion_of(loss), given), (loss.value(*given), loss.gradient(*given))):
                assert inside(np.asarray(seen[0]), value), (seed, shape)
                assert inside(seen[1], gradient), (seed, shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_radii_are_small(loss: Any, dtype: str) -> None:
    """A radius that is wide passes everything: those of 16 x 10 elements are below 1e-4 (1e-13) of the largest."""
    given = data(loss, 1, dtype, (16, 10))
    with np.errstate(all="ignore"):
        for ball in balls(loss, given):
            assert allowed(ball).max() <= (1e-4 if dtype == "float32" else 1e-13) * np.abs(ball.value).max()


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


def scaled(factor: float) -> Callable[[Any], Criterion]:
    return lambda loss: lambda y, t: factor * criterion_of(loss)(y, t)


def other(**changes: Any) -> Callable[[Any], Criterion]:
    return lambda loss: criterion_of(loss._replace(**changes))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("factor", [2.0, -1.0, 1.01, 0.999])
@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_a_factor_is_outside(loss: Any, factor: float, dtype: str) -> None:
    given = data(loss, 1, dtype, (16, 10))
    value, gradient = balls(loss, given)
    seen = of_torch(scaled(factor)(loss), given)
    assert not inside(seen[0], value)
    assert not inside(seen[1], gradient)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_a_sum_for_a_mean_is_outside(loss: Any) -> None:
    given = data(loss, 1, "float64", (16, 10))
    reduction = "sum" if loss.reduction == "mean" else "mean"
    seen = of_torch(other(reduction=reduction)(loss), given)
    assert not any(inside(s, ball) for s, ball in zip(seen, balls(loss, given), strict=True))


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_one_wrong_element_is_outside(loss: Any) -> None:
    given = data(loss, 1, "float64", (16, 10))
    _, gradient = balls(loss, given)
    dy = of_torch(criterion_of(loss), given)[1]
    assert inside(dy, gradient)
    dy.flat[np.argmax(np.abs(dy))] *= 1 + 1e-6
    assert not inside(dy, gradient)


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
    given = data(loss, 1, dtype, (16, 10))
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


def test_every_loss_of_the_reference_has_a_mirror() -> None:
    import reference.losses
    from torch_mirror.losses import CRITERIA

    assert {kind.__name__ for kind in CRITERIA} == set(reference.losses.__all__)
