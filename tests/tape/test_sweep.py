"""The sweep: right derivatives, with radii that hold them and no more than they need."""

import time
from typing import Any

import numpy as np
import pytest

from tests.tape.networks import softmax_network, taped
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.recording import recording
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


def test_an_array_is_no_loss() -> None:
    with recording():
        x = leaf(np.ones(2))
        y = x * 2
    with pytest.raises(ValueError, match=r"expected a loss of one element, got an array of shape \(2,\)"):
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


def seconds(slices: int, size: int) -> float:
    """Of a sweep through a loop over slices of one large array."""
    with recording():
        x = leaf(np.ones((slices, size)))
        total: Any = 0.0
        for i in range(slices):
            total = total + np.sum(x[i] * 2.0)
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        derivative(total)
        best = min(best, time.perf_counter() - start)
    return best


def test_a_loop_over_slices_costs_the_array_once_and_not_once_a_slice() -> None:
    """Of the same number of slices: each that cost the whole array would make ten times the array ten times as slow."""
    assert seconds(200, 5000) < 200 * 2 * _cost_of_an_array(200 * 5000)


def _cost_of_an_array(size: int) -> float:
    """Seconds of adding as many elements as the whole array has, which a slice must not cost."""
    a, best = np.ones(size), float("inf")
    for _ in range(5):
        start = time.perf_counter()
        a = a + 1.0
        best = min(best, time.perf_counter() - start)
    return best
