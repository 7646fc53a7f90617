"""What is measured of fixed tolerances and of the radius, against other ways to compute it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from torch import nn

import reference
import torch_mirror
from reference import SGD, Experiment, SquaredError, Trace
from reference.arrays import Array, Sow, keep
from reference.claim.batches import Batches
from reference.errors import InputError
from reference.networks import two_layer_relu
from torch_mirror.balls.format import format_of
from torch_mirror.figures.measure import RTOLS, Measured, measure, radii, relative
from torch_mirror.judge.checks.local import judge_locally
from torch_mirror.judge.replay import judge_givens, parts, remembering
from torch_mirror.judge.stacking import stacking_flaw
from torch_mirror.training.session import Session, session

NAMES_OF = {"W1": "0.weight", "W2": "2.weight"}
NAMES = ["z1", "a1", "y", "loss", "dy", "dW2", "da1", "dz1", "dW1", "W1", "W2"]


def experiment(dtype: str = "float64", steps: int = 12) -> Experiment:
    """A network with sums long enough for two libraries to round them differently."""
    rng = np.random.default_rng(3)

    def draw(*shape: int) -> Array:
        return rng.normal(size=shape).astype(dtype)

    network = two_layer_relu.TwoLayerReLU(40, 12, 5)
    start = two_layer_relu.Parameters(draw(12, 40) / 6, draw(5, 12) / 3)
    return Experiment(network, start, draw(9, 40), draw(9, 5), SquaredError("mean"), SGD(0.1), steps)


def off_by(share: float) -> Callable[[Experiment], Session]:
    """A session whose gradient of W1 is ``1 + share`` times what it should be."""

    def using(e: Experiment) -> Session:
        right = session(e)
        weight = right.module.get_parameter(right.names["W1"])
        weight.register_hook(lambda g: g * (1 + share))  # type: ignore[no-untyped-call]  # untyped in torch
        return right

    return using


def after(trace: Trace, name: str) -> Array:
    """A tensor as the equations of each step make it: of a parameter, what it is after the step."""
    return trace[name][1:] if name in trace.parameters else trace[name]


def worst_by_loop(a: Array, b: Array) -> float:
    """The largest |a - b| / |b| of elements that differ."""
    pairs = ((float(abs(v - w)), abs(float(w))) for v, w in zip(np.ravel(a), np.ravel(b), strict=True) if v != w)
    return max((error / value if value else np.inf for error, value in pairs), default=0.0)


# --- against other ways to compute it ----------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_error_of_free_runs_is_that_of_two_traces(dtype: str) -> None:
    e = experiment(dtype)
    found, numpy, torch = measure(e), reference.train(e), torch_mirror.train(e)
    assert list(found) == NAMES
    for name, m in found.items():
        for t, (a, b) in enumerate(zip(after(torch, name), after(numpy, name), strict=True)):
            assert m.elements[t] == a.size
            assert m.free.worst[t] == worst_by_loop(a, b)
            fails = [np.count_nonzero(~np.isclose(a, b, rtol=rtol, atol=0)) for rtol in RTOLS]
            assert m.free.failing[:, t].tolist() == fails
    assert any(m.free.worst.any() for m in found.values()), "two runs that are the same would show nothing"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_local_error_is_that_of_the_equation_on_torchs_own_operands(dtype: str) -> None:
    e = experiment(dtype)
    found, torch = measure(e, using=off_by(3e-6)), torch_mirror.train(e, using=off_by(3e-6)(e))
    lr, n = e.optimizer.lr, e.t.size
    equations = {  # each operation rounds once, so that there is one way to compute them
        "a1": np.maximum(torch["z1"], 0),
        "dy": (torch["y"] - e.t) / (n / 2),
        "dz1": np.where(torch["z1"] > 0, torch["da1"], 0),
        "W1": torch["W1"][:-1] - lr * torch["dW1"],
        "W2": torch["W2"][:-1] - lr * torch["dW2"],
    }
    for name, expected in equations.items():
        for t, (a, b) in enumerate(zip(after(torch, name), expected, strict=True)):
            assert found[name].local.worst[t] == worst_by_loop(a, b)
    assert found["dy"].local.worst.any() or found["W1"].local.worst.any()


def test_the_share_of_the_radius_is_the_judges_own() -> None:
    e = experiment()
    torch = torch_mirror.train(e)
    _, givens = judge_givens(e, torch, "torch")
    (part,) = parts(e, torch, givens)
    with remembering(part):
        worst = judge_locally(e, part, "torch").worst
    found = measure(e)
    assert worst is not None
    assert max(m.share.max() for m in found.values()) == worst.ratio
    assert found[worst.tensor].share[worst.step] == worst.ratio


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_radius_of_a_product_is_between_once_and_twice_what_the_theorem_says(dtype: str) -> None:
    e = experiment(dtype)
    z1, torch = measure(e)["z1"], torch_mirror.train(e)
    gamma = format_of(e.dtype).gamma(e.x.shape[1])
    for t, (W, z) in enumerate(zip(torch["W1"].astype(float)[:-1], torch["z1"].astype(float), strict=True)):
        of_value = gamma * (np.abs(e.x.astype(float)) @ np.abs(W).T) / np.abs(z)
        # two evaluations differ by two of them; torch's value and the equation's are not quite the same denominator
        assert np.median(of_value) < z1.radius_median[t] < 3 * np.median(of_value)


# --- what holds of every run --------------------------------------------------------------------------


def assert_ordered(found: dict[str, Measured], steps: int) -> None:
    for m in found.values():
        assert {a.shape for a in (m.share, m.local.worst, m.free.worst, m.radius_median, m.elements)} == {(steps,)}
        assert (m.share <= 1).all(), "a NaN would fail here, too"
        assert (m.local.worst <= m.radius_largest * (1 + 1024 * np.finfo(np.float64).eps)).all()
        assert (m.radius_median <= m.radius_largest).all()
        assert (m.local.failing[0] <= m.local.failing[1]).all(), "what fails the wider tolerance fails the narrower"
        assert (m.free.failing[1] <= m.elements).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_correct_code_is_within_its_radius(dtype: str) -> None:
    assert_ordered(measure(experiment(dtype)), 12)


def test_batches_and_momentum_fill_every_step() -> None:
    e = replace(experiment(), batches=Batches(4, seed=1), optimizer=SGD(0.1, momentum=0.9))
    found = measure(e)
    assert_ordered(found, e.steps)
    assert found["y"].elements.tolist() == 4 * [4 * 5, 4 * 5, 1 * 5], "of nine samples the last batch has one"
    assert {"v.W1", "v.W2"} <= set(found)


def test_a_module_that_tells_nothing_is_measured_by_what_is_known_of_it() -> None:
    e = experiment()

    def silent(e: Experiment) -> Session:
        right = session(e)
        layers = [nn.Linear(40, 12, bias=False), nn.ReLU(), nn.Linear(12, 5, bias=False)]
        return session(e, nn.Sequential(*layers).to(right.module.get_parameter(right.names["W1"]).dtype), NAMES_OF)

    found = measure(e, using=silent)
    assert list(found) == [name for name in NAMES if name not in ("z1", "a1", "da1", "dz1")]
    assert_ordered(found, e.steps)
    local = measure(e)
    assert (found["dW1"].radius_median > local["dW1"].radius_median).all(), "its radius is end to end"


def test_equations_that_do_not_stack_are_measured_step_by_step() -> None:
    class Textbook(two_layer_relu.TwoLayerReLU):
        def forward(self, p: Any, x: Array, sow: Sow = keep) -> Any:
            z1 = sow("z1", x.dot(p.W1.T))
            a1 = sow("a1", np.maximum(z1, 0))
            return sow("y", a1.dot(p.W2.T)), two_layer_relu.Cache(x, z1, a1)

    e = replace(experiment(), network=Textbook(40, 12, 5))
    assert stacking_flaw(e) is not None
    found = measure(e)
    assert list(found) == NAMES
    assert_ordered(found, e.steps)


def test_what_only_copies_must_be_equal_to_the_last_bit() -> None:
    found = measure(experiment("float32"))
    for name in ("a1", "dz1"):
        assert not found[name].radius_largest.any()
        assert not found[name].local.worst.any()
        assert radii(found[name], 1e-7) == np.inf
    assert radii(found["W1"], 1e-5) == 1e-5 / np.median(found["W1"].radius_median) < np.inf


def test_more_segments_than_one_are_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measure(experiment())
    monkeypatch.setattr("torch_mirror.figures.measure.segment_steps", lambda _: 5)
    done: list[int] = []
    cut = measure(experiment(), progress=done.append)
    assert done == [5, 5, 2]
    assert_ordered(cut, 12)
    for name, m in cut.items():  # the local errors may differ: NumPy rounds a product of more steps otherwise
        assert m.elements.tolist() == whole[name].elements.tolist()
        assert m.free.worst.tolist() == whole[name].free.worst.tolist()


# --- what it shows ------------------------------------------------------------------------------------


def test_a_wrong_gradient_passes_both_tolerances_and_is_far_outside_its_radius() -> None:
    m = measure(experiment(), using=off_by(1e-9))["dW1"]
    assert not m.local.failing.any()
    assert (m.share > 1000).all()


def test_each_tolerance_fails_exactly_the_elements_beyond_it() -> None:
    m = measure(experiment(), using=off_by(3e-6))["dW1"]
    assert not m.local.failing[0].any(), "3e-6 is within 1e-5"
    dead = m.elements - m.local.failing[1]  # gradients of units that are off on all samples are 0
    assert (m.local.failing[1] > 0).all()
    assert (dead % 40 == 0).all(), "a unit has 40 weights"


def test_an_error_where_the_value_is_0_is_infinite_and_none_is_0() -> None:
    distance, value = np.array([0, 1, 0, 1], np.float32), np.array([0, 0, 4, -4], np.float32)
    with np.errstate(all="ignore"):
        assert relative(distance, value).tolist() == [0, np.inf, 0, 0.25]


def test_elements_that_are_0_are_left_out_of_the_median() -> None:
    e = experiment(steps=1)
    on = np.arange(12)[:, None] < 4
    W1 = np.where(on, 1, -1) * np.abs(e.parameters.W1)
    dW1 = measure(replace(e, x=np.abs(e.x), parameters=e.parameters._replace(W1=W1)))["dW1"]
    assert 0 < dW1.radius_median < 1e-10, "of the four units that are on"


def test_a_run_without_steps_has_nothing_to_measure() -> None:
    with pytest.raises(InputError, match="steps: expected 1 or more"):
        measure(experiment(steps=0))
