"""Every network of the reference: its own backward pass is the derivative of its forward pass, by the tape."""

from typing import Any

import numpy as np
import pytest

from reference import experiments
from reference.claim.tree import named, rebuild
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.recording import recording
from torch_mirror.tape.conventions import as_taken, conventions
from torch_mirror.tape.replay import Plan, replay
from torch_mirror.tape.segments import segments
from torch_mirror.tape.sweep import leaf

SAMPLES = 6


def as_ball(a: Any) -> Any:
    """Some samples of data, as an exact ball; whole numbers as they are."""
    some = np.asarray(a)[:SAMPLES]
    return Ball(some) if some.dtype.kind == "f" else some


def run(name: str, times: float = 1.0) -> Any:
    """The tape, the variables, the loss, and the gradients of the network's own backward, from ``times`` dy."""
    e = experiments.load(name)
    with recording() as tape, np.errstate(all="ignore"):
        leaves = {k: leaf(v, k) for k, v in named(e.parameters).items()}
        p, x, t = rebuild(e.parameters, leaves), as_ball(e.x), as_ball(e.t)
        if hasattr(e.network, "features"):
            x = e.network.features(x, lambda _name, v: v)
        y, cache = e.network.forward(p, x)
        loss, dy = e.loss.value(y, t), e.loss.gradient(y, t)
        gradients = named(e.network.backward(p, cache, dy * times if times != 1 else dy))
    return tape, leaves, loss, {k: gradients.get(k, gradients.get(f"d{k}")) for k in leaves}


def ratios(d: Any, own: dict[str, Any], leaves: dict[str, Ball]) -> dict[str, float]:
    found = {}
    for k, x in leaves.items():
        by, b = d.by(x), own[k]
        with np.errstate(all="ignore"):
            each = np.where(by.value == b.value, 0, np.abs(by.value - b.value) / (by.radius + b.radius))
        found[k] = float(np.max(each))
    return found


@pytest.mark.parametrize("name", experiments.names())
def test_its_own_backward_is_the_derivative(name: str) -> None:
    tape, leaves, loss, gradients = run(name)
    again = replay(tape.values, Plan(outcome=as_taken))
    own = {k: again.at(g) for k, g in gradients.items()}
    seen = [ratios(d, own, leaves) for d in conventions(loss)]
    assert min(max(r.values()) for r in seen) <= 1, seen


@pytest.mark.parametrize("name", experiments.names())
def test_a_millionth_more_is_not(name: str) -> None:
    tape, leaves, loss, gradients = run(name, 1 + 1e-6)
    again = replay(tape.values, Plan(outcome=as_taken))
    own = {k: again.at(g) for k, g in gradients.items()}
    for d in conventions(loss):
        assert max(ratios(d, own, leaves).values()) > 1


@pytest.mark.parametrize("name", ["conv-digits", "char-rnn", "attention", "digits-softmax"])
def test_in_segments_it_is_right_too_and_narrow(name: str) -> None:
    tape, leaves, loss, gradients = run(name)
    found = segments(tape, loss)
    own = {k: found.own(g) for k, g in gradients.items()}
    assert max(ratios(found.derivatives, own, leaves).values()) <= 1
    assert all(cut.right for cut in found.cuts)
    assert found.cuts
    for k, x in leaves.items():
        room = (found.derivatives.by(x).radius + own[k].radius).max()
        largest = np.abs(own[k].value).max()
        assert room <= 1e-10 * largest or largest < 1e-15, k
