"""Segments: deep networks have narrow radii, right code is right, and a fault is refuted where it is."""

from typing import Any

import numpy as np
import pytest

from tests.tape.networks import Taped, by_tanh, softmax_network, tanh_network, taped
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import recording
from torch_mirror.tape import segments as module
from torch_mirror.tape.matching import Match, matches, plain_factor
from torch_mirror.tape.segments import Segments, segments
from torch_mirror.tape.sweep import derivative, leaf


def judged(run: Taped, found: Segments) -> dict[str, tuple[float, float]]:
    """By parameter: the distance by the two radii, and these by the largest derivative."""
    result = {}
    for name, x in run.p.items():
        d, own = found.derivatives.by(x), found.own(run.gradients[name])
        room = d.radius + own.radius
        with np.errstate(all="ignore"):
            ratio = np.where(d.value == own.value, 0, np.abs(d.value - own.value) / room)
        result[name] = float(ratio.max()), float(room.max() / np.abs(d.value).max())
    return result


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_twenty_layers_of_width_64_have_a_verdict(dtype: Any) -> None:
    run = taped(tanh_network(20, 64, 32, dtype))
    end_to_end = derivative(run.loss).by(run.p["W0"])
    assert not end_to_end.radius.max() < np.abs(end_to_end.value).max()  # without segments nothing is known
    found = segments(run.tape, run.loss)
    assert all(ratio <= 1 and width < 1e-12 for ratio, width in judged(run, found).values())
    assert len(found.cuts) == 61
    assert all(cut.right for cut in found.cuts)


def test_a_fault_in_the_middle_is_refuted_and_what_is_above_it_is_right() -> None:
    run = taped(tanh_network(12, 16, 8, fault=by_tanh(5, 1 + 1e-6)))
    result = judged(run, segments(run.tape, run.loss))
    assert {name for name, (ratio, _) in result.items() if ratio > 1} == {f"{v}{i}" for v in "Wb" for i in range(6)}
    assert all(width < 1e-12 for name, (_, width) in result.items() if int(name[1:]) >= 5)


def test_a_fault_as_small_as_to_be_proposed_for_right_makes_no_cut() -> None:
    run = taped(tanh_network(12, 16, 8, fault=by_tanh(5, 1 + 1e-10)))
    found = segments(run.tape, run.loss)
    wrong = [cut for cut in found.cuts if not cut.right]
    assert wrong
    assert all(cut.ratio > 1 for cut in wrong)
    assert max(ratio for ratio, _ in judged(run, found).values()) > 1


def test_another_form_of_the_right_formula_is_right() -> None:
    """The derivative of tanh from z again, by way of cosh, and the product once more, in the other order."""
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=(16, 16)) * 0.4 for _ in range(10)]
    with recording() as tape:
        p = {f"W{i}": leaf(w) for i, w in enumerate(weights)}
        a = [Ball(rng.normal(size=(8, 16)))]
        for i in range(10):
            a.append(np.tanh(a[-1] @ p[f"W{i}"].T))
        loss = (a[-1] ** 2).sum() / 2
        d, gradients = a[-1], {}
        for i in reversed(range(10)):
            z = (p[f"W{i}"] @ a[i].T).T
            dz = d / np.cosh(z) ** 2
            gradients[f"W{i}"] = (a[i].T @ dz).T
            d = dz @ p[f"W{i}"]
    run = Taped(tape, p, loss, gradients)
    found = segments(tape, loss)
    assert all(ratio <= 1 and width < 1e-11 for ratio, width in judged(run, found).values())
    assert all(cut.right for cut in found.cuts)
    assert max(cut.ratio for cut in found.cuts) > 0  # they do differ


def test_a_backward_whose_values_are_N_times_the_derivative() -> None:
    run = taped(tanh_network(8, 16, 8))
    found = segments(run.tape, run.loss)
    assert {cut.factor for cut in found.cuts} == {8.0}  # the division by N comes last


def test_a_relu_network_whose_decisions_end_to_end_would_be_open() -> None:
    run = taped(softmax_network(30, 20, 5, 8))
    assert all(ratio <= 1 and width < 1e-12 for ratio, width in judged(run, segments(run.tape, run.loss)).values())


def test_that_a_cut_without_a_comparison_would_hide_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: every proposal is taken for right. The fault of 1e-10 is then adopted, and nothing objects."""
    run = taped(tanh_network(6, 8, 4, fault=by_tanh(3, 1 + 1e-10)))
    assert max(ratio for ratio, _ in judged(run, segments(run.tape, run.loss)).values()) > 1
    monkeypatch.setattr(module.Cut, "right", property(lambda _: True))
    assert max(ratio for ratio, _ in judged(run, segments(run.tape, run.loss)).values()) <= 1


def test_values_that_are_paired_by_name_are_cuts_and_a_wrong_one_is_listed() -> None:
    rng = np.random.default_rng(0)
    with recording() as tape:
        w: Any = leaf(rng.normal(size=(4, 4)))
        x: Any = Ball(rng.normal(size=(3, 4)))
        z = x @ w
        a = np.tanh(z)
        loss = (a**2).sum() / 2
        dz = a * (1 - z**2)  # at z for a
        dw = x.T @ dz
    found = segments(tape, loss, pairs=[(z, dz), (a, a)])
    by_line = {cut.forward.operation: cut for cut in found.cuts}
    assert by_line["tanh"].right
    assert by_line["matmul"].ratio > 1e10
    assert by_line["matmul"].backward.place is not None
    assert by_line["matmul"].backward.place.source == "dz = a * (1 - z**2)  # at z for a"
    assert np.abs(found.derivatives.by(w).value - dw.value).max() > 0.1


# --- matching ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("c", "expected"), [
    (1.0, 1.0), (-1.0, -1.0), (64.0, 64.0), (1 / 64, 1 / 64), (-1 / 3, -1 / 3), (2.5, None), (0.7, None), (1e9, None),
    (3 * (1 + 1e-10), 3.0), (3 * (1 + 1e-5), None),
])  # fmt: skip
def test_a_plain_factor_is_a_whole_number_or_the_reciprocal_of_one(c: float, expected: float | None) -> None:
    assert plain_factor(c, 1e-8) == expected


def test_a_match_is_of_all_elements_and_a_factor_of_1_comes_first() -> None:
    with recording() as tape:
        x = leaf(np.array([1.0, 2.0, -4.0, 3.0, 0.5]))
        _ = x * np.array([2.0, 2.0, 2.0, 2.0, 2.1]), x * 2.0, x * 1.0, x * 0.3
    names = [v.node.number for v in tape.values]
    found = matches({99: x.settled()}, [v for v in tape.values if v.node.operation == "multiply"])
    assert found == {99: Match(names[3], 1.0)}
    assert matches({99: x.settled()}, [tape.values[2]]) == {99: Match(2, 2.0)}
    assert matches({99: x.settled()}, [tape.values[1], tape.values[4]]) == {}


def test_a_cut_is_as_far_off_as_its_worst_element_and_where_nothing_is_not_at_all() -> None:
    """6 = 3 x 2 exactly; 6 + 1/4 with radius 1/4 beside 3 x 2 with radius 1/12 is half of what both allow together."""
    node: Any = None
    user, g = Number(np.array([6.0, 6.0])), Number(np.array([2.0, 2.0]))
    assert module._compared(node, node, 3.0, user, g).ratio == 0
    user, g = Number(np.array([6.25, 6.0]), np.full(2, 0.25)), Number(np.array([2.0, 2.0]), np.full(2, 1 / 12))
    assert abs(module._compared(node, node, -3.0, user, Number(-g.value, g.radius)).ratio - 0.5) < 1e-12


def test_a_value_of_the_backward_pass_that_a_turned_comparison_has_come_into_is_no_cut() -> None:
    """The gate as numbers is the forward pass's own: turned round with it, it is not what the user's code had."""
    with recording() as tape:
        z = leaf(np.array([0.0, 1.0, -1.0]), "z")
        on = (z > 0) * 1.0
        h = z * on
        loss = (h * np.array([2.0, 3.0, 5.0])).sum()
        own = on * np.array([2.0, 3.0, 5.0])
        apart = (z >= 0) * np.array([2.0, 3.0, 5.0])
    (turned,) = (n for n, x in enumerate(tape.values) if x.node.operation == "greater")
    as_it_was, round_ = segments(tape, loss), segments(tape, loss, {turned: "last"})
    assert as_it_was.keeps(own)
    assert as_it_was.keeps(apart)
    assert not round_.keeps(own)
    assert round_.keeps(apart)
    assert round_.derivatives.by(z).value.tolist() == [2, 3, 0]
    assert as_it_was.derivatives.by(z).value.tolist() == [0, 3, 0]
