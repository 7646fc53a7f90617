"""Faults in updates where the user's own code makes them: a side is asked for only where it can be told."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn, optim

from reference import SGD, Experiment, Own
from torch_mirror import session
from torch_mirror.doors.selftest import updates
from torch_mirror.doors.selftest.run import ELEMENTWISE, selftest
from torch_mirror.doors.selftest.steps import STEPS
from torch_mirror.doors.selftest.told import SelfTest, Trial
from torch_mirror.reports.selftest import line, summary

draw = np.random.default_rng(0)
FORGOTTEN = next(step for step in STEPS if step.name == "a parameter forgotten")
LR = next(step for step in STEPS if step.name == "lr twice as large")


def mine(p: Any, x: Any, t: Any) -> Any:
    error = x @ p["W"] + p["b"] - t
    return np.mean(error**2), {"W": 2 * x.T @ error / error.size, "b": 2 * error.sum(axis=0) / error.size}


def update(p: Any, g: Any) -> Any:
    return {name: p[name] - 0.1 * g[name] for name in p}


def experiment(optimizer: Any) -> Experiment:
    p = {"W": draw.normal(size=(3, 2)), "b": draw.normal(size=2)}
    return Experiment(mine, p, draw.normal(size=(4, 3)), draw.normal(size=(4, 2)), None, optimizer, steps=2)


def by_torch(e: Experiment, *, by_hand: bool = False) -> Any:
    net = nn.Linear(3, 2).double()
    sgd = optim.SGD(net.parameters(), lr=0.1)

    def train_step(x: Any, t: Any) -> Any:
        sgd.zero_grad()
        loss = nn.functional.mse_loss(net(x), t)
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        if by_hand:
            with torch.no_grad():
                for w in net.parameters():
                    w.sub_(w.grad, alpha=0.1)  # type: ignore[arg-type]  # backward has made it
        else:
            sgd.step()
        return loss

    return session(e, net, {"W": "weight.T", "b": "bias"}, optimizer=sgd, train_step=train_step)


def by_hand(e: Experiment) -> Any:
    return by_torch(e, by_hand=True)


@pytest.mark.parametrize("elementwise", [False, True])
def test_of_an_update_of_one_s_own_torch_s_side_is_never_told_and_none_is_missing(elementwise: bool) -> None:  # noqa: FBT001 - a parameter of the test
    e = experiment(Own(update, elementwise=elementwise))
    found = list(updates.trials({"float64": e}, FORGOTTEN, by_torch))
    assert [t.side for t in found] == ["numpy", "torch"]
    assert all(t.refuted and t.located and t.found for t in found), found
    assert [(t.sided, t.right_side) for t in found] == [(elementwise, elementwise), (False, False)]
    assert found[1].said == ("updates differ" if elementwise else "no ruling")
    words = [line(t).split()[0] for t in found]
    assert words == ["ok", "ok"]
    told = summary([SelfTest("mine", {"float64": "certified"}, tuple(found))])[0]
    assert f"all with the side right (of {int(elementwise)} where it can be told)" in told


def test_the_note_names_the_way_out() -> None:
    whole = selftest(experiment(Own(update)), dtypes=("float64",), using=by_torch, limit=0.0)
    assert whole.certified
    assert any(not t.sided for t in whole.trials)
    assert sum(note.endswith(ELEMENTWISE) for note in whole.notes) == 1


def test_a_wrong_side_is_none_where_one_could_be_told() -> None:
    found = next(updates.trials({"float64": experiment(Own(update, elementwise=True))}, FORGOTTEN, by_torch))
    assert not found._replace(right_side=False).found
    assert line(found._replace(right_side=False)).split()[0] == "SIDE?"


def test_nothing_is_planted_where_a_loop_does_not_call_its_optimizer() -> None:
    """A fault in an optimizer's step that nobody calls would be missed by right."""
    e = experiment(SGD(0.1))

    def of_torch(using: Any) -> Trial:
        return next(t for t in updates.trials({"float64": e}, LR, using) if t.side == "torch")

    assert of_torch(by_torch).refuted
    left = of_torch(by_hand)
    assert (left.changes, left.said) == (False, "the loop does not call its optimizer's step, where it is planted")


def test_the_honest_loops_are_certified() -> None:
    from torch_mirror import verify

    for using in (by_torch, by_hand):
        assert verify(replace(experiment(SGD(0.1)), steps=2), using=using).verdict == "certified"
