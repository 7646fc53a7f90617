"""Counterexamples of few and round numbers, as Python to paste."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import Phase, assume, event, given, note, seed, settings, target
from hypothesis import strategies as st

from reference.claim.batches import Batches
from reference.claim.ensemble import Ensemble
from reference.claim.experiment import Experiment
from reference.errors import InputError
from reference.losses import SquaredError
from reference.networks.mlp import MLP
from reference.networks.mlp import Parameters as Layers
from reference.networks.two_layer_relu import Parameters, TwoLayerReLU
from reference.optimizers.sgd import SGD
from tests.judge import faults
from tests.unruled import unruled
from torch_mirror.doors import strategies
from torch_mirror.doors.ensembles import verify_ensemble
from torch_mirror.doors.minimised import minimised
from torch_mirror.doors.shrink import numbers, smallest
from torch_mirror.doors.source import source_of
from torch_mirror.doors.verify import verify
from torch_mirror.training.session import Session


def experiment(dtype: str = "float64", seed: int = 0) -> Experiment:
    rng = np.random.default_rng(seed)
    W1, W2, x, t = (rng.normal(size=s).astype(dtype) for s in ((4, 3), (2, 4), (5, 3), (5, 2)))
    return Experiment(TwoLayerReLU(3, 4, 2), Parameters(W1, W2), x, t, SquaredError("mean"), SGD(0.1), 1)


def not_zero(e: Experiment | Ensemble) -> int:
    return sum(int(np.count_nonzero(a)) for a in numbers(e).values())


# --- smallest -----------------------------------------------------------------------------------


def test_what_always_fails_ends_in_zeros() -> None:
    assert not_zero(smallest(experiment(), lambda _: True)) == 0


def test_what_never_fails_again_stays_as_it_is() -> None:
    e = experiment()
    assert smallest(e, lambda _: False) is e


def test_everything_accepted_fails_and_the_given_arrays_stay() -> None:
    e = experiment()
    before = {name: a.tobytes() for name, a in numbers(e).items()}
    accepted = []

    def fails(candidate: Experiment) -> bool:
        failing = bool(candidate.x.sum() > 2)
        if failing:
            accepted.append(candidate)
        return failing

    assert smallest(replace(e, x=np.abs(e.x)), fails) is accepted[-1]
    assert {name: a.tobytes() for name, a in numbers(e).items()} == before


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zeros_then_ones_then_few_digits(dtype: str) -> None:
    e = experiment(dtype)
    i = np.unravel_index(np.argmax(np.abs(e.x)), e.x.shape)
    least, digits = np.abs(e.x[i]) - 0.01, e.parameters.W2[1, 2]

    def fails(c: Experiment) -> bool:
        return bool(abs(c.x[i]) > least and c.t[1, 1] and abs(c.parameters.W2[1, 2] - digits) < 0.001)

    small = smallest(e, fails)
    assert small.x.dtype == e.dtype
    assert not_zero(small) == 3
    assert small.t[1, 1] == 1
    assert abs(small.x[i]) - least < 0.6  # a whole number, or one of a decimal place
    assert float(str(small.parameters.W2[1, 2])) == round(float(digits), 3)


@given(st.integers(0, 60))
def test_the_number_of_evaluations_is_bounded(most: int) -> None:
    calls = 0

    def fails(candidate: Experiment) -> bool:
        nonlocal calls
        calls += 1
        return bool(np.abs(candidate.x).sum() > 1)

    small = smallest(experiment(), fails, most)
    assert calls <= most
    assert np.abs(small.x).sum() > 1


def test_few_of_many_numbers_take_few_evaluations() -> None:
    calls = 0

    def fails(candidate: Experiment) -> bool:
        nonlocal calls
        calls += 1
        return bool(candidate.x[2, 1] and candidate.parameters.W1[3, 0])

    assert not_zero(smallest(experiment(), fails)) == 2
    assert calls < 40  # of 45 numbers, one by one and several times


def test_of_an_ensemble_one_member_is_left() -> None:
    members = [experiment(seed=seed) for seed in range(13)]
    worst = max(range(13), key=lambda k: members[k].x.max())
    most = members[worst].x.max()
    small = smallest(Ensemble.of(members), lambda e: bool((np.round(e.x, 2) >= np.round(most, 2)).any()))
    assert small.members == 1
    assert not_zero(small) == 1
    assert small.x.max() == np.ceil(most) or small.x.max() >= np.round(most, 2)


def test_an_ensemble_that_fails_as_a_whole_stays_whole() -> None:
    e = Ensemble.of([experiment(seed=seed) for seed in range(5)])
    assert smallest(e, lambda c: c.members == 5).members == 5


# --- source_of ----------------------------------------------------------------------------------


def pasted(code: str, name: str) -> Any:
    values: dict[str, Any] = {}
    exec(code, values)  # noqa: S102 - it is what a reader of the note does
    return values[name]


def assert_same(one: Experiment | Ensemble, other: Experiment | Ensemble) -> None:
    assert type(one) is type(other)
    for what in ("network", "loss", "optimizer", "steps", "name", "seed", "batches"):
        assert getattr(one, what) == getattr(other, what), what
    for name, a in numbers(one).items():
        b = numbers(other)[name]
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), name


@given(strategies.experiments())
def test_pasted_experiments_are_the_same_to_the_bit(experiment: Experiment) -> None:
    assert_same(pasted(source_of(experiment), "experiment"), experiment)


@given(strategies.ensembles(members=(1, 3)))
def test_pasted_ensembles_are_the_same_to_the_bit(ensemble: Ensemble) -> None:
    assert_same(pasted(source_of(ensemble, "runs"), "runs"), ensemble)


def test_all_fields_and_odd_numbers_are_pasted() -> None:
    W = (np.array([[-0.0, 1e-320, 1 / 3]]),)
    e = Experiment(
        MLP((3, 1), bias=False), Layers(W, (None,)), np.zeros((2, 3)), np.array([[0.1], [1e300]]),
        SquaredError("sum", 0.3), SGD((0.1, 0.2), 0.9), 2, "mine", 7, Batches(1, 3),
    )  # fmt: skip
    assert_same(pasted(source_of(e), "experiment"), e)


# --- minimised ----------------------------------------------------------------------------------

QUICK = settings(
    max_examples=40, database=None, deadline=None, phases=[Phase.generate, Phase.shrink], report_multiple_bugs=False
)


def notes_of(law: Callable[..., None]) -> list[str]:
    """The notes that the property's failure has."""
    with pytest.raises(AssertionError) as caught:
        law()
    return [text for text in getattr(caught.value, "__notes__", []) if text.startswith("the same failure")]


def pasted_from(text: str, name: str = "experiment") -> Any:
    return pasted(text.split(":\n\n", 1)[1], name)


FEW: dict[str, tuple[Callable[..., Session], str, int]] = {  # fault, network, numbers that are not 0 at most
    "1/N missing": (faults.unaveraged, "linear_regression", 1),
    "bias over all axes": (faults.lumped1, "linear_regression", 2),
    "transposed square weight": (faults.misread, "two_layer_relu", 3),
    "transposed square weight, backward": (faults.backwards, "two_layer_relu", 2),
    "float32 cast": (faults.cast, "two_layer_relu", 3),  # of x W1; or ones, in its own backward
}


@pytest.mark.parametrize("fault", FEW)
def test_a_bug_is_told_in_few_numbers(fault: str) -> None:
    using, network, most = FEW[fault]
    networks = strategies.NETWORKS[network]
    if "transposed" in fault:  # otherwise torch complains of the shapes
        widths = st.integers(1, 4)
        networks = st.tuples(widths, widths).map(lambda w: TwoLayerReLU(w[0], w[1], w[1]))

    @minimised
    @seed(0)
    @QUICK
    @given(experiment=strategies.experiments(networks=networks, dtypes=["float64"]))
    def law(experiment: Experiment) -> None:
        with unruled():
            assert verify(experiment, using=using).refutations == ()

    (text,) = notes_of(law)
    told = re.match(r"the same failure with the simplest numbers \((\d+) of (\d+) are not 0; (\d+) calls\):", text)
    assert told is not None
    e = pasted_from(text)
    assert verify(e, using=using).verdict == "refuted"
    assert verify(e).refutations == ()
    assert not_zero(e) == int(told[1]) <= most
    assert sum(a.size for a in numbers(e).values()) == int(told[2])
    assert int(told[3]) < 100


def test_a_bug_of_one_member_in_many_is_told_alone() -> None:
    using = faults.hooked("layer1", lambda _e, _m, x, z: torch.where(x[0, 0] > 1, z * (1 + 2.0**-30), z))
    networks = st.just(TwoLayerReLU(2, 2, 1))

    @minimised
    @seed(0)
    @settings(QUICK, phases=[Phase.generate])  # hypothesis would leave one member itself
    @given(ensemble=strategies.ensembles(networks=networks, dtypes=["float64"], kinds=["normal"], members=(1, 64)))
    def law(ensemble: Ensemble) -> None:
        with unruled():
            assert verify_ensemble(ensemble, using).refutations == ()

    (text,) = notes_of(law)
    e = pasted_from(text, "ensemble")
    assert e.members == 1
    assert not_zero(e) <= 4  # x[0, 0], which turns the fault on, and a product of three that shows it: often the same x
    assert verify_ensemble(e, using).verdict == "refuted"


def test_what_hypothesis_offers_inside_a_test_may_be_used() -> None:
    @minimised
    @seed(0)
    @QUICK
    @given(strategies.experiments(), st.integers(0, 9))
    def law(experiment: Experiment, number: int) -> None:
        assume(experiment.steps < 8)
        note("a note")
        event("an event")
        target(float(number), label="number")
        assert not experiment.x.any()

    (text,) = notes_of(law)
    assert not_zero(pasted_from(text)) == 1


def test_another_failure_is_not_the_same() -> None:
    """0 raises elsewhere, so it is not what the numbers go to."""

    @minimised
    @seed(0)
    @QUICK
    @given(strategies.experiments(kinds=["normal"]))
    def law(experiment: Experiment) -> None:
        x = experiment.x[0, 0]
        if x == 0:
            raise AssertionError("another line")
        assert x > 10

    (text,) = notes_of(law)
    e = pasted_from(text)
    assert e.x[0, 0] == 1
    assert not_zero(e) == 1


def test_each_of_several_failures_has_its_own_note() -> None:
    @minimised
    @seed(0)
    @settings(QUICK, report_multiple_bugs=True, max_examples=200)
    @given(strategies.experiments(kinds=["normal"]))
    def law(experiment: Experiment) -> None:
        assert experiment.x[0, 0] < 0.5
        assert experiment.t[0, 0] < 0.5

    with pytest.raises(ExceptionGroup) as caught:
        law()
    texts = [error.__notes__[-1] for error in caught.value.exceptions]
    by_x, by_t = sorted((pasted_from(text) for text in texts), key=lambda e: -e.x[0, 0])
    assert (by_x.x[0, 0], not_zero(by_x)) == (1, 1)
    assert (by_t.t[0, 0], not_zero(by_t)) == (1, 1)


def test_what_passes_passes_and_what_has_no_experiment_fails_as_it_does() -> None:
    @minimised
    @QUICK
    @given(strategies.experiments())
    def right(experiment: Experiment) -> None:
        assert experiment.steps > 0

    right()

    @minimised
    @QUICK
    @given(st.integers())
    def wrong(number: int) -> None:
        assert number < 10

    assert notes_of(wrong) == []


def test_a_property_keeps_its_name_and_settings_and_takes_fixtures() -> None:
    @minimised
    @QUICK
    @given(experiment=strategies.experiments())
    def law(fixture: str, experiment: Experiment) -> None:
        """Its sentence."""
        assert fixture == "given"
        assert not experiment.x.any()

    assert (law.__name__, law.__doc__) == ("law", "Its sentence.")
    (text,) = notes_of(lambda: law("given"))
    assert not_zero(pasted_from(text)) == 1


def test_what_is_no_property_is_told() -> None:
    with pytest.raises(InputError, match="property to minimise: expected a test that @given has made, got <function"):
        minimised(source_of)
