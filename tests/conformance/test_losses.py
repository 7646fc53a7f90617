"""Every loss keeps these, with every reduction, and what does not is refused by the check that stands for it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from reference import experiments
from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.errors import InputError
from reference.losses import Huber
from reference.networks.mlp import MLP
from reference.optimizers.sgd import SGD
from tests.conformance import planted
from tests.conformance.cases import DTypeName, cases
from tests.conformance.losses import EACH, Row, balls, data, inside, of_torch
from tests.unruled import unruled
from torch_mirror.doors.strategies import of_own_type
from torch_mirror.doors.verify import verify
from torch_mirror.judge.compare import allowed
from torch_mirror.losses import Criterion, criterion_of
from torch_mirror.training.session import Session, session

Check = Callable[[Row, DTypeName], None]
SEEDS = range(settings().max_examples // 2)
SHAPES = ((1, 1), (5, 3), (16, 10), (4, 7, 3))


def scaled(factor: float) -> Callable[[Any], Criterion]:
    return lambda loss: lambda y, t: factor * criterion_of(loss)(y, t)


def other_reduction(loss: Any) -> Criterion:
    return criterion_of(loss._replace(reduction="sum" if loss.reduction == "mean" else "mean"))


def transposed(loss: Any) -> Criterion:
    """The target of another sample and output; of labels, that of the next sample."""
    return lambda y, t: criterion_of(loss)(y, t.mT if t.ndim > 1 else t.roll(1))


def with_criterion(wrong: Callable[[Any], Criterion]) -> Callable[[Experiment], Session]:
    return lambda e: session(e)._replace(criterion=wrong(e.loss))


# --- the checks -----------------------------------------------------------------------------------------


def torch_and_numpy_lie_within_the_radius(row: Row, dtype: DTypeName) -> None:
    """Value and gradient, of every kind of target and at every size."""
    for kind in range(len(row.targets)):
        for seed in SEEDS:
            for shape in SHAPES:
                given = data(row, seed, dtype, shape, kind)
                value, gradient = balls(row.loss, given)
                ours = row.loss.value(*given), row.loss.gradient(*given)
                for seen in (of_torch(criterion_of(row.loss), given), ours):
                    assert inside(np.asarray(seen[0]), value), (seed, shape)
                    assert inside(seen[1], gradient), (seed, shape)


def radii_are_small(row: Row, dtype: DTypeName) -> None:
    """A radius that is wide passes everything: those of 16 x 10 elements are below 1e-4 (1e-13) of the largest."""
    given = data(row, 1, dtype, (16, 10))
    with np.errstate(all="ignore"):
        for ball in balls(row.loss, given):
            assert allowed(ball).max() <= (1e-4 if dtype == "float32" else 1e-13) * np.abs(ball.value).max()


def a_factor_is_outside(row: Row, dtype: DTypeName) -> None:
    given = data(row, 1, dtype, (16, 10))
    for factor in (2.0, -1.0, 1.01, 0.999):
        seen = of_torch(scaled(factor)(row.loss), given)
        assert not any(inside(s, ball) for s, ball in zip(seen, balls(row.loss, given), strict=True))


def a_sum_for_a_mean_is_outside(row: Row, dtype: DTypeName) -> None:
    given = data(row, 1, dtype, (16, 10))
    seen = of_torch(other_reduction(row.loss), given)
    assert not any(inside(s, ball) for s, ball in zip(seen, balls(row.loss, given), strict=True))


def one_wrong_element_is_outside(row: Row, dtype: DTypeName) -> None:
    """Off by a millionth in float64, by a thousandth in float32."""
    given = data(row, 1, dtype, (16, 10))
    _, gradient = balls(row.loss, given)
    dy = of_torch(criterion_of(row.loss), given)[1]
    assert inside(dy, gradient)
    dy.flat[np.argmax(np.abs(dy))] *= 1 + (1e-6 if dtype == "float64" else 1e-3)
    assert not inside(dy, gradient)


def run(row: Row, dtype: DTypeName, kind: int = 0) -> Experiment:
    """A small perceptron that descends the loss; as many samples as outputs, so that t may be transposed."""
    draws = np.random.default_rng(5)
    network = MLP((4, 5, 3), "tanh", "sigmoid" if row.of_probabilities else "identity")
    p = of_own_type(network, {name: draws.normal(size=shape) / 2 for name, shape in network.shapes().items()})
    x, t = draws.normal(size=(3, 4)), row.targets[kind](draws, np.zeros((3, 3)))
    return experiments.rounded(Experiment(network, p, x, t, row.loss, SGD(0.1), 3), dtype)


def a_run_is_certified(row: Row, dtype: DTypeName) -> None:
    for kind in range(len(row.targets)):
        judged = verify(run(row, dtype, kind))
        assert (judged.verdict, judged.refutations, judged.notes) == ("certified", (), ())
        assert {"loss", "dy"} <= {r.tensor for r in judged.rows if r.check == "local" and r.judged}


def a_run_with_another_loss_is_refuted(row: Row, dtype: DTypeName) -> None:
    """At the loss, at the first step: all the wrong ones on targets of the first kind, one on those of each other."""
    for kind in range(len(row.targets)):
        e = run(row, dtype, kind)
        assert (e.t != (e.t.T if e.t.ndim > 1 else np.roll(e.t, 1))).any()
        wrongs = (scaled(2.0), other_reduction, transposed)
        for wrong in wrongs if kind == 0 else wrongs[kind % 3 :][:1]:
            with unruled():
                first = verify(e, using=with_criterion(wrong)).first
            assert first is not None
            assert (first.tensor, first.step, first.side, first.check) == ("loss", 0, "torch", "local")


def bad_targets_are_told(row: Row, dtype: DTypeName) -> None:
    """Each of the bad ones, by what is asked before anything is trained."""
    given = data(row, 1, dtype, (6, 4))
    for bad in row.bad:
        with pytest.raises(InputError, match="tensor t: expected"):
            row.loss.checked(bad(given.t), given.y.shape)


def good_targets_are_taken(row: Row, dtype: DTypeName) -> None:
    for kind in range(len(row.targets)):
        given = data(row, 1, dtype, (6, 4), kind)
        assert row.loss.checked(given.t, given.y.shape) == row.loss


CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        torch_and_numpy_lie_within_the_radius,
        radii_are_small,
        a_factor_is_outside,
        a_sum_for_a_mean_is_outside,
        one_wrong_element_is_outside,
        a_run_is_certified,
        a_run_with_another_loss_is_refuted,
        bad_targets_are_told,
        good_targets_are_taken,
    )
}


@pytest.mark.parametrize("loss", EACH)
@cases(CHECKS, ("a_run_with_another_loss_is_refuted",))
def test_losses(check: str, loss: str, dtype: DTypeName) -> None:
    CHECKS[check](EACH[loss], dtype)


# --- what each check must refuse -------------------------------------------------------------------------


class Moved(Huber):
    """A gradient with a factor too much."""

    def gradient(self, y: Array, t: Array) -> Array:
        return super().gradient(y, t) * (1 + 2.0**-20)


class Vague(Huber):
    """The right numbers, as far as any bits are left of them: y and t are rounded to hundreds."""

    def value(self, y: Array, t: Array) -> Array:
        return super().value((y + 1e18) - 1e18, t)

    def gradient(self, y: Array, t: Array) -> Array:
        return super().gradient((y + 1e18) - 1e18, t)


class Careless(Huber):
    """Any target will do."""

    def checked(self, t: Array, y_shape: tuple[int, ...]) -> "Careless":
        return self


class Fussy(Huber):
    """None will."""

    def checked(self, t: Array, y_shape: tuple[int, ...]) -> "Fussy":
        raise InputError("tensor t", "another one", t.shape)


FAULTY: dict[str, Any] = {
    "torch_and_numpy_lie_within_the_radius": Moved(),
    "radii_are_small": Vague(),
    "a_factor_is_outside": Vague(),
    "a_sum_for_a_mean_is_outside": Vague(),
    "one_wrong_element_is_outside": Vague(),
    "a_run_is_certified": Moved(),
    "a_run_with_another_loss_is_refuted": Vague(),
    "bad_targets_are_told": Careless(),
    "good_targets_are_taken": Fussy(),
}


class Same(Huber):
    """The right loss once more, as a subclass like the faulty ones."""


@pytest.mark.parametrize("check", CHECKS)
def test_a_loss_with_a_fault_is_refused(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # whose mirror is the right one, for a check to tell them apart
    mirrors = planted.mirrored_as("huber", Same, type(FAULTY[check]))
    monkeypatch.setattr("torch_mirror.losses.file_of", mirrors)
    CHECKS[check](Row(Same()), "float64")
    with planted.refused():
        CHECKS[check](Row(FAULTY[check]), "float64")
