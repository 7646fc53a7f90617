"""Runs and traces that are unusual but right, and faults that shortcuts might hide."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import reference
from reference import SGD, Experiment, SquaredError, Trace, experiments
from reference.errors import InputError, UnknownNameError
from reference.networks import linear_regression, two_layer_relu
from reference.traces import training as reference_training
from reference.traces.training import numbers_a_step
from torch_mirror import certify, train, verify
from torch_mirror.training.session import Session, session


def mlp(steps: int = 20) -> Experiment:
    return replace(experiments.load("mlp-relu"), steps=steps)


def with_optimizer(make: Callable[[Any, float], torch.optim.Optimizer]) -> Callable[[Experiment], Session]:
    def using(e: Experiment) -> Session:
        usual = session(e)
        return usual._replace(optimizer=make(usual.module.parameters(), e.optimizer.lr))

    return using


# --- right, and certified ------------------------------------------------------------------------


class ZeroesInPlace(torch.optim.SGD):
    def zero_grad(self, set_to_none: bool = True) -> None:  # noqa: FBT001, FBT002 - torch's own signature
        super().zero_grad(set_to_none=False)


class ClearsInStep(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        super().step(closure)
        for group in self.param_groups:
            for p in group["params"]:
                p.grad.zero_()


@pytest.mark.parametrize("optimizer", [ZeroesInPlace, ClearsInStep])
def test_an_optimizer_may_write_to_its_gradients(optimizer: Any) -> None:
    assert verify(mlp(), using=with_optimizer(lambda p, lr: optimizer(p, lr=lr))).verdict == "certified"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("number", [np.float64, np.float32, np.longdouble])
def test_numbers_of_a_numpy_type_decide_no_dtype(number: Any, dtype: str) -> None:
    e = replace(experiments.load("linear-batch", dtype), steps=5)
    e = replace(e, optimizer=SGD(number(0.01)), loss=SquaredError("mean", number(0.3)))
    assert reference.train(e)["W"].dtype == dtype
    assert verify(e).verdict == "certified"


@pytest.mark.parametrize("array", [np.flip, lambda a: a.T.copy().T, lambda a: np.broadcast_to(a[:1], a.shape)])
def test_data_of_any_layout(array: Any) -> None:
    e = mlp(5)
    x = array(e.x)
    x.flags.writeable = False
    assert verify(replace(e, x=x)).verdict == "certified"


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_in_any_mode_of_the_caller(mode: Any) -> None:
    with mode():
        assert verify(mlp(5)).verdict == "certified"
        assert not torch.is_grad_enabled()


@pytest.mark.parametrize(("dtype", "tiny"), [("float32", 1e-38), ("float64", 1e-306)])
def test_a_gradient_that_underflows_before_it_is_scaled(dtype: Any, tiny: float) -> None:
    """torch multiplies by 2 / N first, and by the scale last."""
    draw = np.random.default_rng(0)
    p = linear_regression.Parameters(tiny * draw.normal(size=(2, 3)), np.zeros(2))
    p = linear_regression.Parameters(*(a.astype(dtype) for a in p))
    x, t = draw.normal(size=(500, 3)).astype(dtype), (tiny * draw.normal(size=(500, 2))).astype(dtype)
    e = Experiment(linear_regression.LinearRegression(3, 2), p, x, t, SquaredError("mean", 1e20), SGD(0.1), 2)
    assert verify(e).refutations == ()


def test_a_run_that_overflows_at_once_warns_of_nothing() -> None:
    e = mlp(3)
    assert verify(replace(e, loss=SquaredError("sum", 1e308))).verdict == "vacuous"


@pytest.mark.parametrize("size", [1, 3, 19, 20, 21])
def test_the_verdict_does_not_depend_on_segments(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    e = mlp()
    whole = verify(e)
    bytes_a_step = numbers_a_step(e) * 8
    monkeypatch.setattr(reference_training, "SEGMENT_BYTES", size * bytes_a_step)
    assert reference_training.segment_steps(e) == size
    parts = verify(e)
    assert (parts.verdict, parts.judged, parts.tensors) == (whole.verdict, whole.judged, whole.tensors)
    # Of a step that fills a segment NumPy's own sample is told as one radius at most: judge/checks/same.py.
    told = [row.worst for row in whole.rows if row.worst is not None and (size > 1 or row.side == "torch")]
    assert parts.worst == max(told, key=lambda worst: worst.ratio)


def test_no_step_is_vacuous() -> None:
    certificate = verify(mlp(0))
    assert (certificate.verdict, certificate.refutations) == ("vacuous", ())


# --- wrong, and refuted --------------------------------------------------------------------------


def test_a_later_step_that_explodes_hides_nothing() -> None:
    """Magnitudes are bounded in float32, scaled: by rows, so that one step's do not drown another's."""
    draw = np.random.default_rng(1)
    p = two_layer_relu.Parameters(0.1 * draw.standard_normal((100, 100)), 0.1 * draw.standard_normal((10, 100)))
    x, t = draw.standard_normal((64, 100)), draw.standard_normal((64, 10))
    e = Experiment(two_layer_relu.TwoLayerReLU(100, 100, 10), p, x, t, SquaredError("sum"), SGD(0.1), 5)
    seen: list[str] = []

    def plant(name: str, value: Any) -> Any:
        seen.append(name)
        return value * 1.001 if name == "z1" and seen.count("z1") == 1 else value

    with np.errstate(all="ignore"):
        first = certify(e, reference.train(e, plant=plant), "numpy").first
    assert first is not None
    assert (first.tensor, first.step) == ("z1", 0)


def test_a_value_overwritten_in_place_is_told() -> None:
    def using(e: Experiment) -> Session:
        usual = session(e)
        for module in usual.module.modules():
            if isinstance(module, torch.nn.ReLU):
                module.inplace = True
        return usual

    with pytest.raises(InputError, match=r"tensor z1: expected a value that stays as it was sown"):
        verify(mlp(2), using=using)


def test_the_worst_element_of_the_first_step_is_named() -> None:
    e = mlp(3)
    trace = train(e)
    trace.tensors["z1"][1] *= 1.0000001
    trace.tensors["z1"][1, 2, 4] *= 3
    first = certify(e, trace).first
    assert first is not None
    assert (first.tensor, first.step, first.index) == ("z1", 1, (2, 4))


# --- traces that do not hold what they say -------------------------------------------------------


def test_a_part_of_a_trace_is_judged_as_a_part() -> None:
    e = mlp()
    for steps in (slice(0, 3), slice(5, 10)):
        part = train(e).at(steps)
        certificate = certify(e, part)
        assert (certificate.verdict, certificate.steps) == ("certified", part.steps)


def test_a_trace_of_parameters_alone_is_judged() -> None:
    e = mlp()
    assert certify(e, train(e, record=["W1", "b1", "W2", "b2"])).verdict == "certified"


def damaged(change: Callable[[dict[str, Any]], None], group: str, steps: int = 20) -> Trace:
    trace = train(mlp())
    groups = {"constants": trace.constants, "parameters": trace.parameters, "tensors": trace.tensors}
    groups[group] = values = dict(groups[group])
    change(values)
    return Trace(steps, groups["constants"], groups["parameters"], groups["tensors"])


def put(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda values: values.__setitem__(name, value)


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        (lambda: damaged(put("dw1", np.zeros((20, 5, 3))), "tensors"), r"unknown tensor.*'dw1'.*known are .*dW1"),
        (lambda: damaged(put("z1", np.zeros((20, 3, 5), int)), "tensors"), r"tensor z1.*float64, got int64"),
        (lambda: damaged(put("z1", [1.0]), "tensors"), r"tensor z1.*float64, got list"),
        (lambda: damaged(put("z1", np.zeros((20, 3, 4))), "tensors"), r"tensor z1.*shape \(20, 3, 5\)"),
        (lambda: damaged(lambda _: None, "tensors", 10), r"tensor W1.*11 rows for 10 steps, got \(21,\)"),
        (lambda: damaged(lambda values: values.pop("x"), "constants"), r"trace: expected to hold x"),
        (lambda: damaged(lambda values: values.pop("W2"), "parameters"), r"trace: expected to hold W2"),
    ],
)
def test_a_trace_that_does_not_fit_is_told(trace: Callable[[], Trace], message: str) -> None:
    with pytest.raises((InputError, UnknownNameError), match=message):
        certify(mlp(), trace())


@pytest.mark.parametrize(("samples", "scale"), [(10, 5.0), (6, 3.0), (7, 7.0), (28, 7.0)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_scale_that_makes_a_power_of_two_of_the_mean_s_number(samples: int, scale: float, dtype: str) -> None:
    """N / (2 scale) is 1, 0.5 or 2; torch multiplies by 2 / N and by the scale, neither of which is a power of two."""
    e = experiments.load("two-layer-linear", dtype)
    draw = np.random.default_rng(0)
    x, t = (draw.normal(size=(samples, 1)).astype(dtype) for _ in range(2))
    assert verify(replace(e, x=x, t=t, loss=SquaredError("mean", scale), steps=20)).verdict == "certified"


class Restless(torch.optim.SGD):
    """Drops the gradients at first, and zeroes them in place from the third step on; or scales them after the step."""

    calls = 0
    after = 1.0

    def zero_grad(self, set_to_none: bool = True) -> None:  # noqa: FBT001, FBT002 - torch's own signature
        self.calls += 1
        super().zero_grad(set_to_none=set_to_none and self.calls <= 2)

    def step(self, closure: Any = None) -> Any:
        super().step(closure)
        for group in self.param_groups:
            for w in group["params"]:
                w.grad.mul_(self.after if self.calls > 2 else 1.0)


@pytest.mark.parametrize("after", [1.0, 0.0])
def test_gradients_that_somebody_writes_to_later_are_those_of_their_step(after: float) -> None:
    def using(e: Experiment) -> Any:
        usual = session(e)
        optimizer = Restless(usual.module.parameters(), e.optimizer.lr)
        optimizer.after = after
        return usual._replace(optimizer=optimizer)

    assert verify(replace(experiments.load("mlp-relu"), steps=6), using=using).verdict == "certified"
