"""The sweep: right derivatives, with radii that hold them and no more than they need."""

import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from reference.errors import InputError
from tests.tape.networks import softmax_network, taped
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.recording import recording
from torch_mirror.tape.moves import Sum
from torch_mirror.tape.sweep import derivative, leaf


def test_a_network_s_gradients() -> None:
    net = softmax_network(20, 16, 5, 8)
    run = taped(net)
    _, plain = net.function(net.p, net.x, net.t)
    d = derivative(run.loss)
    for name, g in plain.items():
        by = d.by(run.p[name])
        assert (np.abs(by.value - g) <= by.radius + run.gradients[name].radius).all()
        assert 0 < by.radius.max() < 1e-12 * np.abs(by.value).max()


def test_half_the_regulariser_is_thousands_of_radii_away() -> None:
    run = taped(softmax_network(20, 16, 5, 8))
    by, own = derivative(run.loss).by(run.p["W1"]), run.gradients["W1"] - 0.5e-4 * run.p["W1"]
    assert (np.abs(by.value - own.value) / (by.radius + own.radius)).max() > 1e3


def test_by_a_value_on_the_way() -> None:
    with recording():
        x = leaf(np.array([1.0, 2.0]))
        y = x * 3.0
        loss = np.sum(y * y)
    d = derivative(loss)
    assert d.by(y).value.tolist() == [6.0, 12.0]
    assert d.by(loss).value == 1.0


def test_what_the_loss_does_not_depend_on_has_the_derivative_0() -> None:
    with recording():
        x, other = leaf(np.ones(2)), leaf(np.ones((3, 4)))
        loss = x.sum()
    by = derivative(loss).by(other)
    assert by.shape == (3, 4)
    assert not by.value.any()
    assert by.exact


def test_a_constant_has_none() -> None:
    data = Ball(np.ones(2))
    with recording():
        loss = np.sum(leaf(np.ones(2)) * data)
    with pytest.raises(KeyError, match="expected a value that was recorded"):
        derivative(loss).by(data)


def test_float32_parameters_and_float64_data_have_derivatives_in_float64() -> None:
    with recording():
        w = leaf(np.array([0.5, 0.25, 3.0], np.float32))
        mixed, cast = w * Ball(np.array([0.1, 0.2, 0.3])), w.astype(np.float64) * 0.1
        loss = np.sum(mixed) + np.sum(cast)
    by = derivative(loss).by(w)
    assert by.dtype == np.float64
    for value, radius, factor in zip(by.value.tolist(), by.radius.tolist(), [0.1, 0.2, 0.3], strict=True):
        assert abs(Fraction(value) - Fraction(factor) - Fraction(0.1)) <= Fraction(radius)
    assert by.radius.max() < 1e-15


def test_an_array_is_no_loss() -> None:
    with recording():
        x = leaf(np.ones(2))
        y = x * 2
    with pytest.raises(InputError, match=r"expected a loss of one element, got an array of shape \(2,\)"):
        derivative(y)


def test_the_sweep_notes_nothing() -> None:
    with recording() as tape:
        x = leaf(np.ones(2))
        loss = np.sum(np.exp(x))
        before = len(tape.values)
        derivative(loss)
    assert len(tape.values) == before


def test_thousands_of_operations_in_a_row_need_no_deep_recursion() -> None:
    with recording():
        x = leaf(np.array(1.0))
        y = x
        for _ in range(4000):
            y = y * 1.0001
    by = derivative(y).by(x)
    assert abs(by.value - 1.0001**4000) <= by.radius * 2
    assert by.radius < 1e-11


def test_thousands_of_uses_of_one_parameter() -> None:
    with recording():
        x = leaf(np.array([1.0, 2.0]))
        total: Any = 0.0
        for i in range(3000):
            total = total + (x * (0.1 * i)).sum()
    by = derivative(total).by(x)
    assert (np.abs(by.value - 0.1 * 3000 * 2999 / 2) <= 3000 * 3000 * 2999 / 2 * 1e-16).all()
    assert by.radius.min() > 0
    assert (by.radius < 1e-7).all()


def fastest(f: Callable[[], Any]) -> float:
    """Seconds of the processor."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        f()
        best = min(best, time.process_time() - start)
    return best


def test_a_loop_over_slices_costs_the_array_once_and_not_once_a_slice() -> None:
    """If each slice cost one pass over the derivative's values and one over its radii, it would take more than this."""
    slices, size = 100, 30_000
    with recording():
        x = leaf(np.ones((slices, size)))
        total: Any = 0.0
        for i in range(slices):
            total = total + np.sum(x[i] * 2.0)
    whole = np.ones((slices, size))
    assert fastest(lambda: derivative(total)) < slices * 2 * fastest(lambda: whole + 1.0)


# --- assignment in a loop, which changes derivatives in place --------------------------------------------------------


def test_a_loop_of_assignments_is_no_more_than_its_elements() -> None:
    """Of each place that is written twice the last value counts, and what was read in between counts as it was."""
    with recording():
        x = leaf(np.arange(1.0, 7.0))
        out = np.zeros(6, like=x)
        for i in range(6):
            out[i] = x[i] * (i + 1.0)
        middle = out[2] * 100.0
        out[2] = x[0] * 7.0
        out[4:] = out[4:] * 2.0
        loss = np.sum(out) + middle
    assert derivative(loss).by(x).value.tolist() == [1 + 7, 2, 300, 4, 10, 12]
    assert derivative(loss).by(out).value.tolist() == [1.0] * 6


def test_an_array_between_two_assignments_is_not_taken_for_one_without_a_derivative() -> None:
    with recording() as tape:
        x = leaf(np.arange(3.0))
        out = np.zeros(3, like=x)
        out[0] = x[0]
        out[1] = x[1]
        loss = np.sum(out)
    between = next(v for v in tape.values if "at" in v.node.named)
    with pytest.raises(KeyError, match="between two assignments"):
        derivative(loss).by(between)


def test_what_is_known_of_an_array_that_was_read_stays_as_it_was() -> None:
    """The derivative by the array after the last assignment is no view of what goes on backwards."""
    with recording():
        x = leaf(np.arange(4.0))
        out = x * 1.0
        out[1] = x[0]
        out[2] = x[3]
        kept = out * 2.0
        loss = np.sum(kept)
    d = derivative(loss)
    assert d.by(out).value.tolist() == [2.0] * 4
    assert d.by(kept).value.tolist() == [1.0] * 4
    assert d.by(x).value.tolist() == [4.0, 0.0, 0.0, 4.0]


@pytest.mark.parametrize("index", [
    1, slice(0, 2), (slice(None), 1), (..., 0), (0, slice(None, None, -1)), (slice(0, 0),),
])  # fmt: skip
def test_any_basic_index(index: Any) -> None:
    weights = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    with recording():
        x, y = leaf(np.ones((2, 3))), leaf(np.array(2.0))
        a: Any = x.copy()
        a[index] = y
        loss = (a * weights).sum()
    d = derivative(loss)
    left = weights.copy()
    left[index] = 0
    assert d.by(x).value.tolist() == left.tolist()
    assert d.by(y).value == weights.sum() - left.sum()


def test_the_rest_that_is_not_put_to_0_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with recording():
        x = leaf(np.arange(3.0))
        a = x * 1.0
        a[1] = 0.0
        loss = np.sum(a)
    assert derivative(loss).by(x).value.tolist() == [1.0, 0.0, 1.0]
    of = Sum.of

    class Kept(np.ndarray[Any, Any]):
        def __setitem__(self, index: Any, value: Any) -> None:
            del index, value

    def hole(d: Any) -> Sum:
        total = of(d)
        total.v = total.v.view(Kept)
        return total

    monkeypatch.setattr(Sum, "of", hole)
    assert derivative(loss).by(x).value.tolist() != [1.0, 0.0, 1.0]
