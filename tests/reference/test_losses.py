"""The losses by themselves: stacked steps, exact numbers, refusals. Beside torch: tests/test_mirrored_losses."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from reference.arrays import Array
from reference.errors import InputError
from reference.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    SmoothL1,
    SquaredError,
)
from tests.conformance import losses as conformance
from tests.conformance.losses import EACH, row_of
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.exact import Exact
from torch_mirror.judge.compare import allowed

RATIONAL: list[Any] = [
    loss
    for reduction in ("sum", "mean")
    for loss in (SquaredError(reduction), AbsoluteError(reduction), Huber(reduction, 0.5), SmoothL1(reduction, 0.5))
]
ALL: list[Any] = [row.loss for row in EACH.values()]


def data(loss: Any, shape: tuple[int, ...], dtype: str, *, labels: bool = True) -> tuple[Array, Array]:
    """y and t of that shape; t of the first or the second kind that the loss takes."""
    return conformance.data(row_of(loss), 7, dtype, shape, kind=0 if labels else 1)


# --- stacked steps ------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [(1,), (4,), (2, 3)])
@pytest.mark.parametrize("shared", [False, True], ids=["own t", "shared t"])
@pytest.mark.parametrize("labels", [True, False], ids=["labels", "probabilities"])
@pytest.mark.parametrize("loss", ALL, ids=str)
def test_stacked_steps_are_single_ones(loss: Any, lead: tuple[int, ...], *, shared: bool, labels: bool) -> None:
    """The gradient bit for bit where it has no function and no sum; all else within its radius, whatever the order."""
    for dtype in ("float32", "float64"):
        y, t = data(loss, (*lead, 6, 5), dtype, labels=labels)
        t = t[(0,) * len(lead)] if shared else t
        stacked = loss._replace(axes=2)
        value, gradient = stacked.value(y, t), stacked.gradient(y, t)
        assert value.shape == lead
        assert gradient.shape == y.shape
        assert value.dtype == gradient.dtype == y.dtype
        for step in np.ndindex(lead):
            own_t = t if shared else t[step]
            for single in (loss, stacked):
                if loss in RATIONAL:
                    np.testing.assert_array_equal(gradient[step], single.gradient(y[step], own_t))
                ball, target = Ball(y[step]), Ball(own_t) if own_t.dtype.kind == "f" else own_t
                for ours, equation in (
                    (value[step], single.value(ball, target)),
                    (gradient[step], single.gradient(ball, target)),
                ):
                    assert (np.abs(ours - equation.value) <= allowed(equation)).all()


@pytest.mark.parametrize("labels", [True, False], ids=["labels", "probabilities"])
@pytest.mark.parametrize("loss", ALL, ids=str)
def test_stacked_balls_are_stacked_arrays(loss: Any, *, labels: bool) -> None:
    y, t = data(loss, (3, 6, 5), "float64", labels=labels)
    stacked = loss._replace(axes=2)
    target: Any = Ball(t[0]) if t.dtype.kind == "f" else t[0]
    np.testing.assert_array_equal(stacked.value(Ball(y), target).value, stacked.value(y, t[0]))
    np.testing.assert_array_equal(stacked.gradient(Ball(y), target).value, stacked.gradient(y, t[0]))


@pytest.mark.parametrize("loss", ALL, ids=str)
def test_a_step_does_not_see_another(loss: Any) -> None:
    y, t = data(loss, (3, 6, 5), "float64")
    other = y.copy()
    other[1] = y[1] / 2
    one, two = (loss._replace(axes=2).gradient(z, t) for z in (y, other))
    np.testing.assert_array_equal(one[[0, 2]], two[[0, 2]])
    assert (one[1] != two[1]).any()
    whole = loss._replace(axes=3).value(y, t)  # all axes are one step's
    assert whole.shape == ()
    assert whole == loss.value(y, t)


# --- exact numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", RATIONAL, ids=str)
def test_the_gradient_is_the_derivative_in_exact_arithmetic(loss: Any) -> None:
    """Each piece of these losses has degree 2 at most, so that (L(y + h) - L(y - h)) / 2 h is the derivative."""
    by = Exact()
    y = by.array([[Fraction(n, 8) for n in row] for row in ((-9, -2, 1, 4), (3, 5, 40, 0))])
    t = by.array([[Fraction(n, 3) for n in row] for row in ((1, -1, 0, 1), (2, 1, 2, 1))])
    h = Fraction(1, 1000)
    dy = by.array(loss.gradient(y, t))
    for index in np.ndindex(y.shape):
        ends = []
        for step in (h, -h):
            moved = y.copy()
            moved[index] += step
            ends.append(loss.value(moved, t))
        assert (ends[0] - ends[1]) / (2 * h) == dy[index]


@pytest.mark.parametrize("labels", [True, False], ids=["labels", "probabilities"])
@pytest.mark.parametrize("loss", [loss for loss in ALL if type(loss) in (CrossEntropy, SquaredError, Huber)], ids=str)
def test_the_exact_loss_lies_in_the_ball(loss: Any, *, labels: bool) -> None:
    """The same equations on numbers of 200 bits: each is at most a radius from the centre, which a ball promises."""
    y, t = data(loss, (3, 4), "float32", labels=labels)
    by = Exact(200)
    with by.precision():
        are_labels = t.dtype.kind != "f"
        target: Any = t if are_labels else by.array(t)
        ball_of_t: Any = t if are_labels else Ball(t)
        for f in (loss.value, loss.gradient):
            ball = f(Ball(y), ball_of_t)
            exact, centre = by.array(f(by.array(y), target)), by.array(ball.value)
            assert np.all(np.abs(exact - centre) <= by.array(ball.radius * (1 + 2**-12)))  # it is rounded itself


# --- what is refused ----------------------------------------------------------------------------------

T = np.zeros((3, 2))
LABELS = np.array([0, 1, 1])
REFUSED: dict[str, tuple[Any, Any, str]] = {
    "another reduction": (AbsoluteError("none"), T, "loss reduction: expected 'sum' or 'mean', got 'none'"),  # type: ignore[arg-type]  # on purpose
    "t of another shape": (Huber(), T[:1], r"tensor t: expected shape \(3, 2\).*got shape \(1, 2\)"),
    "t is a list": (SmoothL1(), T.tolist(), "tensor t: expected a NumPy array, got list"),
    "t is of integers": (SquaredError(), T.astype(int), r"tensor t: .*t.astype\(y.dtype\).*got dtype int64"),
    "labels for a binary loss": (BinaryCrossEntropy(), T > 0, "tensor t: expected floating numbers.*got dtype bool"),
    "the scale is 0": (SquaredError(scale=0), T, "loss scale: expected a number other than 0"),
    "delta is 0": (Huber(delta=0), T, "loss delta: expected more than 0, as torch.nn.HuberLoss does, got 0"),
    "delta is no number": (Huber(delta="1"), T, "loss delta: expected a finite number, got '1'"),  # type: ignore[arg-type]  # on purpose
    "beta is 0": (SmoothL1(beta=0), T, "loss beta: expected more than 0: for 0 use AbsoluteError, got 0"),
    "smoothing above 1": (CrossEntropy(label_smoothing=1.5), LABELS, "label smoothing: .* between 0 and 1, got 1.5"),
    "smoothing is NaN": (CrossEntropy(label_smoothing=float("nan")), LABELS, "label smoothing: expected a finite"),
    "a label too many": (CrossEntropy(), np.zeros(4, int), r"tensor t: expected labels of shape \(3,\).*\(4,\)"),
    "labels in a column": (CrossEntropy(), np.zeros((3, 1), int), r"tensor t: expected labels of shape \(3,\)"),
    "a label out of range": (CrossEntropy(), np.array([0, 2, 1]), r"tensor t: .*from 0 to 1, got 2 at \(1,\)"),
    "torch's ignored label": (CrossEntropy(), np.array([0, -100, 1]), r"from 0 to 1, got -100 at \(1,\)"),
    "labels of bool": (CrossEntropy(), np.array([True, False, True]), "tensor t: .*got dtype bool"),
    "probabilities of one class": (CrossEntropy(), T[:, :1], r"tensor t: expected shape \(3, 2\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_named(name: str) -> None:
    loss, t, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        loss.checked(t, (3, 2))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "uint64"])
def test_labels_may_be_of_any_integer_dtype(dtype: str) -> None:
    y, t = data(CrossEntropy(), (6, 5), "float32")
    loss = CrossEntropy().checked(t.astype(dtype), y.shape)
    np.testing.assert_array_equal(loss.gradient(y, t.astype(dtype)), loss.gradient(y, t))
    assert loss.value(y, t.astype(dtype)) == loss.value(y, t)
    assert loss.gradient(y, t.astype(dtype)).dtype == np.float32


def test_checked_losses_have_plain_numbers() -> None:
    checked = SquaredError("mean", np.float64(0.5)).checked(T, (3, 2)), Huber(delta=np.float64(2)).checked(T, (3, 2))
    assert [type(n) for n in (checked[0].scale, checked[1].delta)] == [float, float]
