"""Samples in columns: mini-batches along the last axis, on both sides, for one run and for many."""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import reference
from reference import SGD, Batches, Ensemble, Experiment, InputError, SquaredError
from reference.arrays import Array, Sow, keep
from reference.networks.linear_regression import LinearRegression
from reference.networks.linear_regression import Parameters as Rows
from torch_mirror import Session, session, verify, verify_ensemble

IN, OUT, SAMPLES = 3, 2, 7
BATCHES = (Batches(3, axis=-1), Batches(3, seed=5, axis=-1), Batches(7, axis=-1), Batches(2, seed=0, axis=-1))


class Parameters(NamedTuple):
    W: Array  # (out, in)
    b: Array  # (out, 1)


class Columns:
    """Y = W X + b."""

    def forward(self, p: Parameters, X: Array, sow: Sow = keep) -> tuple[Array, Array]:
        return sow("y", p.W @ X + p.b), X                       # (..., out, batch)

    def backward(self, p: Parameters, X: Array, dY: Array, sow: Sow = keep) -> Parameters:
        dW = sow("dW", dY @ X.mT)                               # (..., out, in)
        return Parameters(dW, sow("db", dY.sum(axis=-1, keepdims=True)))


class Turned(nn.Module):
    """nn.Linear on columns."""

    def __init__(self) -> None:
        super().__init__()
        self.W, self.b = (nn.Parameter(torch.zeros(OUT, n, dtype=torch.float64)) for n in (IN, 1))

    def forward(self, X: Tensor) -> Tensor:
        return self.W @ X + self.b


NETWORK = Columns()


def using(e: Experiment) -> Session:
    return session(e, Turned())


def run(batches: Batches | None = BATCHES[0], seed: int = 0) -> Experiment:
    draws = np.random.default_rng(seed)
    p = Parameters(draws.standard_normal((OUT, IN)), draws.standard_normal((OUT, 1)))
    X, T = draws.standard_normal((IN, SAMPLES)), draws.standard_normal((OUT, SAMPLES))
    return Experiment(NETWORK, p, X, T, SquaredError("mean"), SGD(0.1, 0.9), 5, batches=batches)


@pytest.mark.parametrize("batches", BATCHES, ids=str)
def test_they_are_the_columns_of_the_same_samples_that_rows_would_be(batches: Batches) -> None:
    """In the same order, and as many of them at each step."""
    e = run(batches)
    turned = Experiment(
        LinearRegression(IN, OUT), Rows(e.parameters.W, e.parameters.b[:, 0]), np.ascontiguousarray(e.x.T),
        np.ascontiguousarray(e.t.T), e.loss, e.optimizer, e.steps, batches=batches._replace(axis=0),
    )  # fmt: skip
    for step in range(e.steps):
        for one, other in zip(e.seen(e.data, step), turned.seen(turned.data, step), strict=True):
            np.testing.assert_array_equal(one, other.T)
        assert e.batch_length(step) == turned.batch_length(step) == e.seen(e.data, step)[0].shape[-1]
    assert e.samples == turned.samples == SAMPLES


@pytest.mark.parametrize("batches", [None, *BATCHES], ids=str)
def test_a_run_is_certified_and_a_fault_is_not(batches: Batches | None) -> None:
    e = run(batches)
    certificate = verify(e, using=using)
    assert (certificate.verdict, certificate.notes) == ("certified", ())
    assert {row.comparisons for row in certificate.rows if (row.tensor, row.check) == ("dW", "local")} == {e.steps}
    if batches is not None:
        wrong = [replace(e, x=np.roll(e.x, 1, axis=-1)), replace(e, batches=batches._replace(seed=9))]
        for other in wrong[: 1 if batches.size == SAMPLES else 2]:  # a whole batch has one order as good as another
            first = verify(e, using=partial(seeing, other)).first
            assert first is not None
            assert first.step == 0


def seeing(other: Experiment, _right: Experiment) -> Session:
    """The other's samples in the right one's place."""
    one = using(other)
    step = iter(range(other.steps))

    def train_step(_x: Tensor, _t: Tensor) -> Tensor:
        one.optimizer.zero_grad()
        X, T = (torch.from_numpy(np.array(a)) for a in other.seen(other.data, next(step)))
        loss: Tensor = one.criterion(one.module(X), T)
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        one.optimizer.step()
        return loss

    return one._replace(train_step=train_step)


@pytest.mark.parametrize("batches", BATCHES, ids=str)
def test_many_runs_are_certified(batches: Batches) -> None:
    members = Ensemble.of([run(batches, seed) for seed in range(3)])
    assert verify_ensemble(members, using=using).verdict == "certified"
    wrong = verify_ensemble(members, using=lambda e: using(replace(e, loss=SquaredError("mean", 1 + 2.0**-20))))
    assert wrong.verdict == "refuted"


def test_what_does_not_fit_is_told() -> None:
    e = run()
    rows = {"x": np.ascontiguousarray(e.x.T), "t": np.ascontiguousarray(e.t)}
    changes: list[tuple[dict[str, Any], str]] = [
        (rows, "tensor t: expected 3 samples along its last axis, got shape"),
        ({"batches": Batches(3)}, r"tensor t: expected 3 samples along its first axis: Batches\(size, axis=-1\) takes"),
        ({"batches": Batches(3, axis=1)}, r"axis of the batches: expected 0, where samples are rows, or -1, .* got 1"),
        ({"batches": Batches(3, axis=True)}, "axis of the batches: expected 0, .* got True"),
        ({"accumulate": 2}, "accumulate: expected 1 where samples are columns, as its parts are of rows, got 2"),
    ]
    for change, told in changes:
        with pytest.raises(InputError, match=told):
            replace(e, **change)


def test_numpy_trains_on_columns() -> None:
    """The last batch of an epoch is smaller, and so is what it sows."""
    trace = reference.train(run())
    lengths = np.isfinite(trace["y"]).all(axis=1).sum(axis=-1)
    assert lengths.tolist() == [3, 3, 1, 3, 3]
