"""Stacking is tried and not believed: what would take one step's numbers for another's is judged one step at a time."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from torch import nn

import reference
from reference import SGD, Batches, Experiment, Own, SquaredError
from reference.arrays import keep
from torch_mirror import Session, certify, session, verify
from torch_mirror.judge.stacking import _trials, stacking_flaw

RATE, DECAY = 0.1, 2.0**-4


def mine(p: Any, x: Any, t: Any) -> Any:
    """Two layers that stack: a ReLU between them, biases that start at 0, the mean of squares."""
    z = x @ p["W1"].mT + p["b1"][..., None, :]
    h = np.maximum(z, 0)
    d = h @ p["W2"].mT + p["b2"][..., None, :] - t
    dy = d * 2 / 12
    dz = np.where(z <= 0, 0, dy @ p["W2"])
    gradients = {"W1": dz.mT @ x, "b1": dz.sum(axis=-2), "W2": dy.mT @ h, "b2": dy.sum(axis=-2)}
    return (d * d).sum(axis=(-2, -1)) / 12, gradients


def experiment(**changes: Any) -> Experiment:
    draw = np.random.default_rng(0)
    start = {"W1": draw.normal(size=(4, 3)), "b1": np.zeros(4), "W2": draw.normal(size=(2, 4)), "b2": np.zeros(2)}
    x, t = draw.normal(size=(6, 3)), draw.normal(size=(6, 2))
    return replace(Experiment(mine, start, x, t, None, SGD(RATE), 4), **changes)


def decays_matrices(p: Any, g: Any) -> Any:
    """No decay on biases, told by the number of axes: stacked biases have two."""
    return {k: w * (1 - RATE * DECAY) - RATE * g[k] if w.ndim > 1 else w - RATE * g[k] for k, w in p.items()}


def with_penalty(of: Callable[[Any], Any]) -> Callable[..., Any]:
    """The network with the squares of a bias in its loss, summed as ``of`` does it."""

    def penalised(p: Any, x: Any, t: Any) -> Any:
        loss, gradients = mine(p, x, t)
        return loss + of(p["b2"] ** 2), gradients | {"b2": gradients["b2"] + 2 * p["b2"]}

    return penalised


def less_the_largest(p: Any, x: Any, t: Any, sow: Any = keep) -> Any:
    """A softmax between the layers that takes away the largest element of all steps: right, but for its last digits."""
    z = x @ p["W1"].mT + p["b1"][..., None, :]
    s = np.exp(z - np.max(z))
    h = sow("h", s / s.sum(axis=-1, keepdims=True))
    d = h @ p["W2"].mT + p["b2"][..., None, :] - t
    dy = d * 2 / 12
    dh = dy @ p["W2"]
    dz = h * (dh - (dh * h).sum(axis=-1, keepdims=True))
    gradients = {"W1": dz.mT @ x, "b1": dz.sum(axis=-2), "W2": dy.mT @ h, "b2": dy.sum(axis=-2)}
    return (d * d).sum(axis=(-2, -1)) / 12, gradients


def test_what_stacks_is_stacked() -> None:
    assert stacking_flaw(experiment()) is None
    assert stacking_flaw(experiment(network=with_penalty(lambda squares: squares.sum(axis=-1)))) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": Own(decays_matrices)},
        {"network": with_penalty(np.sum)},
        {"network": less_the_largest},
    ],
    ids=["axes counted in the update", "a penalty of all steps", "the largest of all steps"],
)
def test_what_does_not_is_found_and_right_code_certified(changes: dict[str, Any]) -> None:
    e = experiment(**changes)
    assert stacking_flaw(e) is not None
    certificate = certify(e, reference.train(e), "numpy")
    assert certificate.verdict == "certified", certificate.refutations
    assert "judged one step at a time" in certificate.notes[0]


class Turned:
    """A tanh layer whose weights are turned by .T, which turns all axes: it does not stack."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def forward(self, p: Any, x: Any) -> tuple[Any, Any]:
        a = np.tanh(x.dot(p["W1"].T) + p["b1"])
        return a.dot(p["W2"].T), (x, a)

    def backward(self, p: Any, cache: Any, dy: Any) -> Any:
        x, a = cache
        dz = dy.dot(p["W2"]) * (1 - a**2)
        return {"W1": self.factor * dz.T.dot(x), "b1": dz.sum(axis=0), "W2": dy.T.dot(a)}


def turned(inputs: int, hidden: int, factor: float = 1.0) -> Experiment:
    draw = np.random.default_rng(0).normal
    p = {"W1": draw(size=(hidden, inputs)) / 10, "b1": draw(size=hidden), "W2": draw(size=(2, hidden))}
    return Experiment(
        Turned(factor), p, draw(size=(7, inputs)), draw(size=(7, 2)), SquaredError("mean"), SGD(RATE), steps=2
    )


@pytest.mark.parametrize(("inputs", "hidden"), [(3, 4), (90, 100), (150, 100)])
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "certified"), (2.0, "refuted")])
def test_a_network_of_any_size_that_does_not_stack_is_judged(
    inputs: int, hidden: int, factor: float, verdict: str
) -> None:
    """Above 20,000 numbers a step some steps are judged by themselves, and such a step does not stack either."""

    def using(e: Experiment) -> Session:
        module = nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, 2, bias=False)).double()
        return session(e, module, {"W1": "0.weight", "b1": "0.bias", "W2": "2.weight"})

    certificate = verify(turned(inputs, hidden, factor), using=using, explain=False)
    assert certificate.verdict == verdict
    assert certificate.first is None or certificate.first.tensor == "dW1"


@pytest.mark.parametrize("error", [AssertionError, RuntimeError, KeyError, NotImplementedError, ZeroDivisionError])
def test_what_the_user_s_own_checks_raise_of_stacked_arrays_is_no_error(error: type[Exception]) -> None:
    def checked(p: Any, x: Any, t: Any) -> Any:
        if p["W1"].ndim != 2:
            raise error("W1 must be a matrix")
        return mine(p, x, t)

    flaw = stacking_flaw(experiment(network=checked))
    assert flaw is not None
    assert "W1 must be a matrix" in flaw


MEANS: dict[str, Callable[[Any], Any]] = {
    "len": len,
    "shape[0]": lambda d: d.shape[0],
    "size": lambda d: d.size / 2,
}


def counted(count: str, batches: Batches | None, factor: float) -> Experiment:
    """A mean of squares; its gradient times the factor."""

    def mean(p: Any, x: Any, t: Any) -> Any:
        d = x @ p["W"].T - t
        n = MEANS[count](d)
        return (d * d).sum() / n, {"W": factor * (2 * d / n).T @ x}

    draw = np.random.default_rng(1).normal
    x, t = draw(size=(6, 3)), draw(size=(6, 2))
    return Experiment(mean, {"W": draw(size=(2, 3))}, x, t, None, SGD(RATE), 4, batches=batches)


@pytest.mark.parametrize("count", MEANS)
@pytest.mark.parametrize("batches", [None, Batches(3)], ids=["whole", "batches"])
def test_a_count_of_the_samples_is_one_step_s(count: str, batches: Batches | None) -> None:
    """len(z) of stacked arrays is the number of steps: the loss would be divided by it."""
    right = reference.train(counted(count, batches, 1.0))
    assert certify(counted(count, batches, 1.0), right, "numpy").verdict == "certified"
    assert certify(counted(count, batches, 2.0), right, "numpy", explain=False).verdict == "refuted"


class Images:
    """Samples of three axes, made by ``features``, which do not stack where they are laid out flat by len(x)."""

    def features(self, x: Any) -> Any:
        return x.reshape(*x.shape[:-1], 3, 4)

    def forward(self, p: Any, x: Any, sow: Any) -> tuple[Any, Any]:
        return sow("y", x.reshape(len(x), -1) @ p["W"].T), x

    def backward(self, _: Any, x: Any, dy: Any, sow: Any) -> Any:
        return {"W": sow("dW", dy.T @ x.reshape(len(x), -1))}


@pytest.mark.parametrize("batches", [None, Batches(2)], ids=["whole", "batches"])
def test_samples_of_several_axes_may_not_stack(batches: Batches | None) -> None:
    draw = np.random.default_rng(2).normal
    x, t = draw(size=(5, 12)), draw(size=(5, 2))
    e = Experiment(Images(), {"W": draw(size=(2, 12))}, x, t, SquaredError("mean"), SGD(RATE), 4, batches=batches)
    assert stacking_flaw(e) is not None
    assert certify(e, reference.train(e), "numpy").verdict == "certified"


@pytest.mark.parametrize("start", [-1.0, 0.0, 2.0])
def test_no_trial_starts_from_a_state_of_zeros_which_would_hide_what_is_done_to_them(start: float) -> None:
    e = experiment()
    own = SimpleNamespace(init=lambda p: {"v": {name: np.full_like(w, start) for name, w in p.items()}})
    given: Any = SimpleNamespace(
        parameters=e.parameters, optimizer=own, objective=e.objective, data=e.data, batches=None, steps=e.steps
    )
    for trial in _trials(given, (3,)):
        assert all(a.all() for tree in (trial.p, trial.state["v"]) for a in tree.values())
