"""Every option of torch.optim.SGD, schedules and mini-batches: certified as they are, refuted where they are wrong."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import reference
import torch_mirror
from reference.arrays import Array
from reference.claim.batches import Batches
from reference.claim.experiment import Experiment
from reference.claim.tree import named
from reference.losses import SquaredError
from reference.networks import two_layer_relu
from reference.optimizers.sgd import SGD
from reference.traces.trace import Trace
from torch_mirror import certify, verify
from torch_mirror.doors import strategies
from torch_mirror.judge.hearing import SMALL
from torch_mirror.training.session import Session, session

OPTIONS = [
    SGD(0.1, momentum, dampening, decay, nesterov, maximize)
    for momentum in (0.0, 0.9)
    for dampening in (0.0, 0.3)
    for decay in (0.0, 0.01)
    for nesterov in (False, True)
    for maximize in (False, True)
    if not nesterov or (momentum and not dampening)
]


def experiment(sgd: SGD, samples: int = 7, batches: Batches | None = None, steps: int = 6, seed: int = 0) -> Experiment:
    rng = np.random.default_rng(seed)
    p = two_layer_relu.Parameters(rng.normal(size=(4, 3)) / 4, rng.normal(size=(2, 4)) / 4)
    x, t = rng.normal(size=(samples, 3)), rng.normal(size=(samples, 2))
    return Experiment(two_layer_relu.TwoLayerReLU(3, 4, 2), p, x, t, SquaredError("mean"), sgd, steps, batches=batches)


# --- the equations ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sgd", OPTIONS, ids=str)
@pytest.mark.parametrize(
    "batches", [None, pytest.param(Batches(3), marks=pytest.mark.thorough), Batches(3, seed=5)], ids=str
)
def test_all_options_together_are_certified(sgd: SGD, batches: Batches | None) -> None:
    certificate = verify(experiment(sgd, batches=batches))
    assert certificate.verdict == "certified", certificate.refutations
    held = 2 * (1 + (2 if sgd.momentum else 0))  # parameters and buffers of either side, at each of six steps
    assert certificate.tensors > 6 * held


@given(strategies.sgds(), st.integers(0, 99))
def test_one_parameter_by_hand(sgd: SGD, seed: int) -> None:
    """The algorithm of torch's documentation, line by line on numbers, three steps long."""
    w, v = 1.0, 0.0
    p = two_layer_relu.Parameters(np.array([[w]]), np.array([[w]]))
    state = sgd.init(p)
    for step, gradient in enumerate(np.random.default_rng(seed).normal(size=3).tolist()):
        g = -gradient if sgd.maximize else gradient
        if sgd.weight_decay != 0:
            g = g + sgd.weight_decay * w
        if sgd.momentum != 0:
            v = sgd.momentum * v + (1 - sgd.dampening) * g if step > 0 else g
            g = g + sgd.momentum * v if sgd.nesterov else v
        w = w - sgd.lr * g
        both = two_layer_relu.Parameters(np.array([[gradient]]), np.array([[gradient]]))
        p, state = sgd.step(p, both, state, step)
        assert p.W1.item() == p.W2.item() == w
        assert (state == {}) is (sgd.momentum == 0)
        assert state == {} or state["v"].W1.item() == v


def test_a_trace_holds_the_buffers_which_are_0_before_the_first_step() -> None:
    e = experiment(SGD(0.1, 0.5, 0.25))
    for trace in (reference.train(e), torch_mirror.train(e)):
        assert list(trace.states) == ["v.W1", "v.W2"]
        assert (trace["v.W1"][0] == 0).all()
        assert (trace["v.W1"][1] == trace["dW1"][0]).all()  # not dampened
        assert trace["v.W1"].shape == (7, 4, 3)


@pytest.mark.parametrize("record", [["v.W1"], ["loss", "W2", "v.W2"]])
def test_buffers_can_be_recorded_alone(record: list[str]) -> None:
    e = experiment(SGD(0.1, 0.5))
    whole = reference.train(e)
    for trace in (reference.train(e, record), torch_mirror.train(e, record)):
        assert sorted({*trace} - {"x", "t"}) == sorted(record)
    np.testing.assert_array_equal(reference.train(e, record)[record[-1]], whole[record[-1]])


def test_segments_hand_the_buffers_on() -> None:
    e = experiment(SGD((0.1, 0.2, 0.3, 0.1, 0.1, 0.1), 0.9), batches=Batches(3))
    from reference.traces.training import segments

    whole, pieces = reference.train(e), list_of(segments(e, size=2))
    for piece in pieces:
        for name in ("v.W1", "W2"):
            here = slice(piece.first, piece.first + piece.steps + 1)
            np.testing.assert_array_equal(piece[name], whole[name][here])


def list_of(segments: Any) -> list[Trace]:
    """Copies, as a segment's arrays are overwritten by the next one's."""
    return [
        Trace(
            s.steps,
            s.constants,
            {name: a.copy() for name, a in s.parameters.items()},
            {name: a.copy() for name, a in s.tensors.items()},
            s.first,
            {name: a.copy() for name, a in s.states.items()},
        )
        for s in segments
    ]


# --- mini-batches and schedules -----------------------------------------------------------------------


@given(st.integers(1, 12), st.integers(1, 14), st.one_of(st.none(), st.integers(0, 99)), st.integers(0, 5))
def test_an_epoch_sees_every_sample_once(samples: int, size: int, seed: int | None, epoch: int) -> None:
    batches = Batches(size, seed)
    count = -(-samples // size)
    rows = [np.arange(samples)[batches.rows(step, samples)] for step in range(epoch * count, (epoch + 1) * count)]
    assert sorted(np.concatenate(rows).tolist()) == list(range(samples))
    assert [len(r) for r in rows] == [batches.length(step, samples) for step in range(count)]
    assert all(len(r) == min(size, samples) for r in rows[:-1])
    if seed is None:
        assert np.concatenate(rows).tolist() == list(range(samples))


def test_epochs_are_shuffled_by_the_seed_and_each_anew() -> None:
    orders = {tuple(np.arange(50)[Batches(50, seed).rows(epoch, 50)]) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4
    np.testing.assert_array_equal(Batches(8, 3).rows(17, 50), Batches(8, 3).rows(17, 50))


@pytest.mark.parametrize("seed", [None, 4])
def test_what_a_smaller_last_batch_lacks_is_nan(seed: int | None) -> None:
    e = experiment(SGD(0.1), batches=Batches(3, seed))
    for trace in (reference.train(e), torch_mirror.train(e)):
        assert trace["z1"].shape == (6, 3, 4)
        assert np.isnan(trace["z1"]).any(axis=-1).tolist() == 2 * [[False] * 3, [False] * 3, [False, True, True]]
        assert not np.isnan(trace["dW1"]).any()
        assert not np.isnan(trace["loss"]).any()


def test_a_step_of_a_mini_batch_is_the_step_of_its_samples_alone() -> None:
    e = experiment(SGD(0.1), batches=Batches(3, seed=1))
    trace = reference.train(e)
    for i in range(e.steps):
        p = e.parameters._replace(W1=trace["W1"][i], W2=trace["W2"][i])
        alone = replace(e, x=e.x[e.rows(i)], t=e.t[e.rows(i)], parameters=p, steps=1, batches=None)
        np.testing.assert_array_equal(reference.train(alone)["W1"][1], trace["W1"][i + 1])


def test_a_large_network_is_certified_with_all_of_it() -> None:
    rng = np.random.default_rng(0)
    p = two_layer_relu.Parameters(rng.normal(size=(150, 200)) / 15, rng.normal(size=(10, 150)) / 15)
    x, t = rng.normal(size=(40, 200)), rng.normal(size=(40, 10))
    network, sgd = two_layer_relu.TwoLayerReLU(200, 150, 10), SGD((0.01, 0.02) * 3, 0.9, weight_decay=0.01)
    e = Experiment(network, p, x, t, SquaredError("mean"), sgd, 6, batches=Batches(16, 0))
    from reference.traces.training import numbers_a_step

    assert numbers_a_step(e) > SMALL
    assert verify(e).verdict == "certified"


def test_a_trace_in_a_file_keeps_its_buffers(tmp_path: Any) -> None:
    e = experiment(SGD((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), 0.9, nesterov=True), batches=Batches(3))
    torch_mirror.train(e).save(tmp_path / "run.npz")
    assert certify(e, Trace.load(tmp_path / "run.npz")).verdict == "certified"


# --- what is wrong is found ------------------------------------------------------------------------------


def with_optimizer(make: Callable[[Experiment, Any], torch.optim.Optimizer]) -> Callable[[Experiment], Session]:
    def using(e: Experiment) -> Session:
        own = session(e)
        return own._replace(optimizer=make(e, own.module.parameters()))

    return using


class Forgetful(torch.optim.SGD):
    """Its buffers are lost before the fourth step, as by a load of the weights alone."""

    taken = 0

    def step(self, closure: Any = None) -> Any:
        self.taken += 1
        if self.taken == 4:
            self.state.clear()
        return super().step(closure)


class KeepsItsRate(torch.optim.SGD):
    """A schedule that nobody applies."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            group["lr"] = 0.1
        return super().step(closure)


def sgd_of(e: Experiment, **changes: Any) -> dict[str, Any]:
    options = e.optimizer._replace(**changes)._asdict()
    return options | {"lr": 0.1}


RATES = (0.1, 0.1, 0.2, 0.1, 0.1, 0.1)
WRONG: dict[str, tuple[SGD, Callable[[Experiment, Any], torch.optim.Optimizer], str, int]] = {
    "momentum forgotten": (SGD(0.1, 0.9), lambda e, w: torch.optim.SGD(w, **sgd_of(e, momentum=0.0)), "v.W1", 0),
    "dampening forgotten": (
        SGD(0.1, 0.9, 0.5), lambda e, w: torch.optim.SGD(w, **sgd_of(e, dampening=0.0)), "v.W1", 1,
    ),
    "weight decay forgotten": (
        SGD(0.1, 0.0, 0.0, 0.1), lambda e, w: torch.optim.SGD(w, **sgd_of(e, weight_decay=0.0)), "W1", 0,
    ),
    "Nesterov forgotten": (
        SGD(0.1, 0.9, nesterov=True), lambda e, w: torch.optim.SGD(w, **sgd_of(e, nesterov=False)), "W1", 0,
    ),
    "maximize forgotten": (
        SGD(0.1, 0.9, maximize=True), lambda e, w: torch.optim.SGD(w, **sgd_of(e, maximize=False)), "v.W1", 0,
    ),
    "momentum of float32": (
        SGD(0.1, 0.9), lambda e, w: torch.optim.SGD(w, **sgd_of(e, momentum=float(np.float32(0.9)))), "v.W1", 1,
    ),
    "buffers lost": (SGD(0.1, 0.9), lambda e, w: Forgetful(w, **sgd_of(e)), "v.W1", 3),
    "a schedule that nobody applies": (SGD(RATES), lambda e, w: KeepsItsRate(w, **sgd_of(e)), "W1", 2),
}  # fmt: skip


@pytest.mark.parametrize("batches", [None, Batches(3, seed=1)], ids=str)
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_option_is_located(name: str, batches: Batches | None) -> None:
    sgd, make, tensor, step = WRONG[name]
    e = experiment(sgd, batches=batches)
    first = verify(e, using=with_optimizer(make)).first
    assert first is not None
    assert (first.tensor, first.step, first.side, first.check) == (tensor, step, "torch", "local")


OTHER_BATCHES = {
    "another seed": (Batches(3, 1), Batches(3, 2), "z1", 0),
    "not shuffled": (Batches(3, 1), Batches(3), "z1", 0),
    "the first epoch's order again": (Batches(7, 1), None, "z1", 1),
}


@pytest.mark.parametrize("name", OTHER_BATCHES)
def test_other_batches_are_located(name: str) -> None:
    right, wrong, tensor, step = OTHER_BATCHES[name]
    e = experiment(SGD(0.1), batches=right)
    if wrong is None:  # the rows of step 0, every time
        rows = e.rows(0)
        other = replace(e, x=e.x[rows], t=e.t[rows], batches=None)
    else:
        other = replace(e, batches=wrong)
    trace = torch_mirror.train(other)
    foreign = Trace(trace.steps, {"x": e.x, "t": e.t}, trace.parameters, trace.tensors)
    first = certify(e, foreign).first
    assert first is not None
    assert (first.tensor, first.step) == (tensor, step)


def test_a_mean_over_the_usual_size_of_a_smaller_batch_is_located() -> None:
    e = experiment(SGD(0.1), batches=Batches(3))

    def criterion(y: Any, t: Any) -> Any:
        return ((y - t) ** 2).sum() / 6

    first = verify(e, using=lambda e: session(e)._replace(criterion=criterion)).first
    assert first is not None
    assert (first.tensor, first.step) == ("loss", 2)
    certificate = verify(replace(e, steps=2), using=lambda e: session(e)._replace(criterion=criterion))
    assert certificate.verdict == "certified"


def test_a_wrong_number_in_what_numpy_carries_on_is_located() -> None:
    e = experiment(SGD(0.1, 0.9))
    trace = reference.train(e)

    def off(name: str, step: int) -> Array:
        wrong = named_array(trace, name).copy()
        wrong[step] *= 1 + 1e-9
        return wrong

    for name, step in (("v.W2", 2), ("W1", 5)):
        parameters, buffers = dict(trace.parameters), dict(trace.states)
        (buffers if name in buffers else parameters)[name] = off(name, step)
        changed = replace(trace, parameters=parameters, states=buffers)
        first = certify(e, changed, "numpy").first
        assert first is not None
        assert (first.tensor, first.step) == (name, step - 1)


def named_array(trace: Trace, name: str) -> Array:
    return {**trace.parameters, **trace.states}[name]


def test_parameters_and_options_of_an_experiment_are_plain_numbers() -> None:
    e = experiment(SGD([np.float64(0.1)] * 6, np.float32(0.5), np.float64(0), 0, np.bool_(True), False))  # type: ignore[arg-type]  # on purpose
    assert [type(option) for option in e.optimizer] == [tuple, float, float, float, bool, bool]
    assert all(type(rate) is float for rate in e.optimizer.lr)
    assert list(named(e.parameters)) == ["W1", "W2"]
