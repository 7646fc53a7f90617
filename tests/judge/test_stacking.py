"""Stacking is tried and not believed: what would take one step's numbers for another's is judged one step at a time."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import reference
from reference import SGD, Experiment, Own
from reference.arrays import keep
from torch_mirror import certify
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


@pytest.mark.parametrize("start", [-1.0, 0.0, 2.0])
def test_no_trial_starts_from_a_state_of_zeros_which_would_hide_what_is_done_to_them(start: float) -> None:
    e = experiment()
    own = SimpleNamespace(init=lambda p: {"v": {name: np.full_like(w, start) for name, w in p.items()}})
    given: Any = SimpleNamespace(
        parameters=e.parameters, optimizer=own, objective=e.objective, data=e.data, batches=None, steps=e.steps
    )
    for trial in _trials(given, (3,)):
        assert all(a.all() for tree in (trial.p, trial.state["v"]) for a in tree.values())
