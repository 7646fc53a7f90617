"""NumPy's own run is bound to its equations at every step: a fault of one moment is found wherever it happens."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import reference
from reference import experiments
from reference.arrays import Array, Sow, keep
from reference.claim.batches import Batches
from reference.claim.experiment import Experiment
from reference.claim.tree import zip_with
from reference.claim.update import Own
from reference.losses import SquaredError
from reference.networks import two_layer_relu
from reference.networks.two_layer_relu import TwoLayerReLU
from reference.optimizers.adagrad import Adagrad
from reference.optimizers.sgd import SGD
from reference.traces import training
from reference.traces.trace import Trace
from tests.unruled import unruled
from torch_mirror.doors import strategies
from torch_mirror.doors.verify import verify
from torch_mirror.judge import hearing
from torch_mirror.judge.checks.own_run import judge_own_run, jumps, suspects
from torch_mirror.judge.verdict import Certificate
from torch_mirror.training.session import session

STEPS = 24  # 16 of which are sampled

Plant = Callable[[str, Array], Array]


@pytest.fixture(autouse=True)
def _divergence_is_judged_not_warned_of() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


def at_one_call(tensor: str, call: int, wrong: Callable[[Array], Array]) -> Plant:
    """A sow that makes one value of a run wrong, and no other."""
    calls = iter(range(10**6))

    def plant(name: str, value: Array) -> Array:
        return wrong(value) if name == tensor and next(calls) == call else value

    return plant


def verified(patch: pytest.MonkeyPatch, e: Experiment, plant: Plant) -> Certificate:
    """The certificate of two runs, of which NumPy's has the fault."""
    honest = training.segments
    patch.setattr(training, "segments", lambda e, record, size, rooms: honest(e, record, size, plant, rooms=rooms))
    try:
        return verify(e)
    finally:
        patch.setattr(training, "segments", honest)


def looked_at(e: Experiment) -> list[int]:
    """Every step of the quickest run; else the first, and some that are not sampled."""
    sampled = hearing.plan_of(e).sample.tolist()
    others = [t for t in range(e.steps) if t not in sampled]
    return list(range(e.steps)) if e.name == "two-layer-linear" else [0, *others[:: max(1, len(others) // 3)]]


def small(name: str, dtype: str = "float64", **changes: Any) -> Experiment:
    return replace(experiments.load(name, dtype), steps=STEPS, **changes)


def large(optimizer: Any) -> Experiment:
    """More numbers a step than have radii at every step."""
    draw = np.random.default_rng(0)
    p = two_layer_relu.Parameters(draw.normal(size=(150, 60)) / 8, draw.normal(size=(5, 150)) / 12)
    x, t = draw.normal(size=(20, 60)), draw.normal(size=(20, 5))
    return Experiment(TwoLayerReLU(60, 150, 5), p, x, t, SquaredError("mean"), optimizer, 6)


MOMENTUM = SGD(0.01, 0.9)

FAULTS: dict[str, tuple[Callable[[], Experiment], str, float]] = {
    "output": (lambda: small("mlp-relu"), "y", 1.5),
    "output, float32": (lambda: small("mlp-relu", "float32"), "y", 1.5),
    "gradient": (lambda: small("two-layer-linear"), "dW2", -1.0),
    "parameter": (lambda: small("mlp-relu"), "W1", 1.01),
    "parameter, hardly": (lambda: small("two-layer-linear"), "W1", 1 + 1e-12),
    "batches, the last one smaller": (lambda: small("mlp-relu", batches=Batches(3, seed=1)), "W1", 1.01),
    "state": (lambda: small("mlp-relu", optimizer=MOMENTUM), "v.W1", 1.01),
    "large, output": (lambda: large(SGD(0.01)), "y", 1.5),
    "large, parameter": (lambda: large(MOMENTUM), "W2", 1 + 1e-9),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_one_moment_is_found_at_every_step(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, tensor, factor = FAULTS[fault]
    e = make()
    if "large" in fault:  # of which NumPy's trace has all tensors only in the segment of the sampled step, the last
        monkeypatch.setattr(hearing, "segment_steps", lambda _: 2)
    assert verify(e).verdict == "certified"
    for i, call in enumerate(looked_at(e)):
        with nullcontext() if i == 1 else unruled():  # one that is not the first tells what is ruled
            certificate = verified(monkeypatch, e, at_one_call(tensor, call, lambda a: a * a.dtype.type(factor)))
        first = certificate.first
        assert first is not None, f"step {call}"
        assert (first.step, first.side, first.check) == (call, "numpy", "local")
        if "large" not in fault:
            assert first.tensor == tensor
            assert certificate.ruling is not None
            assert certificate.ruling.verdict == ("the reference strays" if i == 1 else "no ruling")


def test_what_turns_into_nan_for_one_moment_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    e = small("mlp-relu")
    for call in (1, 10, 22):
        with unruled():
            first = verified(monkeypatch, e, at_one_call("W1", call, lambda a: a * np.nan)).first
        assert first is not None
        assert (first.tensor, first.step, first.side) == ("W1", call, "numpy")


@dataclass(frozen=True)
class Slipping:
    """SGD that hands on another momentum buffer than it updated with, at one step, while NumPy trains and not again."""

    sgd: SGD
    at: int
    training: list[bool]  # whether it does now
    elementwise = True

    def init(self, p: Any) -> Any:
        return self.sgd.init(p)

    def step(self, p: Any, g: Any, state: Any, t: Any, sow: Sow = keep) -> Any:
        p, state = self.sgd.step(p, g, state, t, keep)
        slips = bool(self.training) and t == self.at
        state = zip_with(lambda name, v: sow(name, v * 1.01 if slips else v), state)
        return zip_with(sow, p), state


@pytest.mark.parametrize("size", [5, 1000])
def test_a_state_that_goes_wrong_behind_the_update_is_found(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows in the parameters a step later, in whatever segment that is."""
    e, now, honest = small("mlp-relu", optimizer=MOMENTUM), list[bool](), training.segments

    def segments(e: Experiment, record: Any, size: int, rooms: int) -> Iterator[Any]:
        run = honest(e, record, size, rooms=rooms)
        while True:
            now.append(True)
            segment = next(run, None)
            now.clear()
            if segment is None:
                return
            yield segment

    monkeypatch.setattr(training, "segments", segments)
    monkeypatch.setattr(hearing, "segment_steps", lambda _: size)
    monkeypatch.setattr(hearing, "SAMPLES", 1)
    for at in (0, 4, 5, 11, STEPS - 2):
        wrong = replace(e, optimizer=Slipping(MOMENTUM, at, now))
        with unruled():
            first = verify(wrong, using=lambda _: session(e)).first
        assert first is not None, f"step {at}"
        assert (first.tensor, first.step, first.side, first.check) == ("v.W1", at, "numpy", "local")


@pytest.mark.parametrize("wrong", [1.0, 1e-2])
def test_a_state_that_goes_wrong_long_before_it_is_used_is_found(wrong: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its element has no gradient then: the parameters are right until it has one again."""
    e = large(Adagrad(0.01))
    x = e.x.copy()  # (20, 60)
    x[:, 5] = 0
    x[7, 5] = 1
    e = replace(e, x=x, batches=Batches(2, seed=1), steps=30)
    active = np.flatnonzero(reference.train(e).tensors["dW1"][:, :, 5].any(axis=-1))
    silent = next(t for t in range(2, e.steps) if not {t - 1, t, t + 1} & set(active.tolist()) and t < active[-1])

    def slip(s: Array) -> Array:
        s = s.copy()
        s[3, 5] += wrong
        return s

    monkeypatch.setattr(hearing, "segment_steps", lambda _: 100)
    assert verify(e).verdict == "certified"
    first = verified(monkeypatch, e, at_one_call("s.W1", silent, slip)).first
    assert first is not None
    assert (first.tensor, first.step, first.side, first.check) == ("s.W1", silent, "numpy", "local")


# --- right runs -------------------------------------------------------------------------------------


@given(e=strategies.experiments(), data=st.data())
def test_no_step_of_a_right_run_is_refuted(e: Experiment, data: st.DataObject) -> None:
    """Whatever steps are looked at, and whether its other tensors are known or not."""
    trace = reference.train(e)
    some = sorted(data.draw(st.sets(st.integers(0, e.steps - 1)))) if e.steps else []
    for held in (trace, replace(trace, tensors={})):
        assert judge_own_run(e, held, some, stacks=True).refutations == ()
        assert judge_own_run(e, held, some, stacks=False).rows == ()  # evaluated as the run was: the same bits


def test_which_steps_are_looked_at() -> None:
    e = small("mlp-relu")
    plain, momentum = (reference.train(replace(e, optimizer=o)).at(slice(8, 20)) for o in (SGD(0.01), MOMENTUM))
    assert suspects(plain, [8, 11]) == [8, 11]
    assert suspects(plain, []) == []
    assert suspects(momentum, [8, 11]) == [8, 10, 11, 19]
    assert suspects(momentum, []) == [19]
    assert suspects(momentum.at(slice(0, 0)), []) == []


def of_state(*s: list[float]) -> Trace:
    """A trace of one state, (steps + 1, elements)."""
    return Trace(len(s) - 1, {}, {}, {}, 0, {"s": np.array(s)})


def test_where_the_distance_of_the_states_jumps() -> None:
    right = of_state([1, 1], [1, 1], [1, 1], [1, 1])
    assert jumps(right, right, {}) == ([], {})
    assert jumps(right, of_state([1, 1], [1, 1 + 2**-10], [1, 1], [1, 1 + 2**-10]), {}) == ([0], {"s": 2**-10})
    later = of_state([1, 1], [1 + 2**-10, 1], [1 + 2**-10 + 2**-9, 1], [1 + 2**-10 + 2**-9, 1 + 2**-8])
    assert jumps(right, later, {}) == ([0, 2], {"s": 2**-8})  # of 2 ** -9 no more than twice what was looked at
    assert jumps(right, later, {"s": 2**-8}) == ([], {"s": 2**-8})
    assert jumps(right, of_state([1, 1], [1, 1 + 2**-52], [1, 1], [1, 1]), {}) == ([], {})  # a rounding
    assert jumps(right, of_state([1, 1], [np.nan, 1], [np.nan, 2], [1, 1]), {}) == ([0], {"s": np.inf})
    both = of_state([1, 1], [np.inf, 1], [np.inf, 1], [np.inf, 1])
    assert jumps(both, both, {}) == ([], {})
    assert jumps(right, both, {}) == ([0], {"s": np.inf})


def test_the_rows_stand_in_the_order_of_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large network most steps are known by their parameters alone; a later one is by all its tensors."""
    e = large(SGD(0.01))
    monkeypatch.setattr(hearing, "segment_steps", lambda _: 2)
    certificate = verified(monkeypatch, e, at_one_call("W1", 0, lambda a: a * 1.01))
    ours = [row.tensor for row in certificate.rows if (row.side, row.check) == ("numpy", "local")]
    assert ours.index("z1") < ours.index("y") < ours.index("dW1") < ours.index("W1")


@pytest.mark.parametrize("rate", [0.2, 0.1])
def test_an_update_by_the_parameter_s_place_is_ruled_on_with_all_in_their_places(rate: float) -> None:
    """W1 is the first of them: with the others left out another one would be."""
    names = ("W2", "W1")

    def update(p: Any, g: Any) -> Any:
        return {name: p[name] - 0.1 * (1 + names.index(name)) * len(p) * g[name] for name in p}

    draws = np.random.default_rng(0)
    p = {name: draws.normal(size=(3, 3)) for name in names}

    def mine(p: Any, x: Any, t: Any) -> Any:
        h = x @ p["W1"]
        d = h @ p["W2"] - t
        return (d**2).sum(), {"W1": x.T @ (2 * d @ p["W2"].T), "W2": h.T @ (2 * d)}

    x, t = draws.normal(size=(4, 3)) / 9, draws.normal(size=(4, 3))
    e = Experiment(mine, p, x, t, None, Own(update, elementwise=True), 2)

    def by_torch(e: Experiment) -> Any:
        module = Product().double()
        groups = [{"params": [module.W2], "lr": 0.2}, {"params": [module.W1], "lr": rate * 2}]
        return session(e, module, {name: name for name in names}, SUM, torch.optim.SGD(groups, lr=1.0))

    c = verify(e, using=by_torch)
    if rate == 0.2:
        assert c.verdict == "certified"
        return
    assert c.first is not None
    assert c.ruling is not None
    assert (c.first.tensor, c.ruling.verdict) == ("W1", "updates differ")


class Product(torch.nn.Module):
    """x W1 W2."""

    def __init__(self) -> None:
        super().__init__()
        self.W1, self.W2 = (torch.nn.Parameter(torch.zeros(3, 3)) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.W1 @ self.W2


SUM = torch.nn.MSELoss(reduction="sum")
