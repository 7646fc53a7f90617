"""Every optimizer keeps these, with every option, and what does not is refused by the check that stands for it."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import reference
import torch_mirror
from reference.arrays import Sow, keep
from reference.claim.batches import Batches
from reference.claim.ensemble import Ensemble
from reference.claim.slots import names
from reference.claim.tree import named, zip_with
from reference.errors import InputError
from reference.optimizers.sgd import SGD
from tests.conformance import planted
from tests.conformance.cases import DTypeName, cases
from tests.conformance.optimizers import (
    ADAGRADS,
    ADAMS,
    AROUND,
    OPTIMIZERS,
    RMSPROPS,
    SGDS,
    SOME,
    STEPS,
    WRONG,
    all_others,
    name_of,
    run,
)
from tests.conformance.traces import assert_equal, saved_and_loaded
from tests.unruled import unruled
from torch_mirror.doors.certify import certify
from torch_mirror.doors.ensembles import verify_ensemble
from torch_mirror.doors.verify import verify
from torch_mirror.judge.stacking import stacking_flaw
from torch_mirror.optimizers import states_of

Check = Callable[[Any, DTypeName], None]


# --- the checks -----------------------------------------------------------------------------------------


def a_run_is_certified(optimizer: Any, dtype: DTypeName) -> None:
    """Twenty steps, of which each new parameter and state is judged by its own equation, on both sides."""
    e = run(optimizer, dtype)
    judged = verify(e)
    assert (judged.verdict, judged.refutations, judged.notes) == ("certified", (), ())
    handed_on = {*named(e.parameters), *named(optimizer.init(e.parameters))}
    for side, steps in (("torch", STEPS), ("numpy", 16)):  # of NumPy's own run a sample
        rows = [r for r in judged.rows if (r.check, r.side) == ("local", side) and r.tensor in handed_on]
        assert {r.tensor for r in rows} == handed_on
        assert {r.comparisons for r in rows} == {steps}
        assert all(r.judged for r in rows)


def states_have_their_slots(optimizer: Any, dtype: DTypeName) -> None:
    """Each leaf is the state of a parameter, and torch has a key for its part."""
    e = run(optimizer, dtype)
    states = names(e.slots, "state")
    assert states == list(named(optimizer.init(e.parameters)))
    assert {name.split(".")[0] for name in states} == set(states_of(optimizer))
    for name in states:
        slot = e.slots[name]
        assert slot.of is not None
        assert name == f"{name.split('.')[0]}.{slot.of}"
        assert (slot.shape, slot.dtype) == (e.slots[slot.of].shape, np.dtype(dtype))


def stacked_equals_single(optimizer: Any, dtype: DTypeName) -> None:
    for batches in (None, Batches(2)):
        assert stacking_flaw(run(optimizer, dtype, batches=batches)) is None


def a_trace_keeps_its_verdict_in_a_file(optimizer: Any, dtype: DTypeName) -> None:
    """Torch's and NumPy's, of mini-batches, with every bit; and so the verdict, which one of them is asked for."""
    e = run(optimizer, dtype, steps=5, batches=Batches(3, seed=1))
    for trace in (reference.train(e), torch_mirror.train(e)):
        loaded = saved_and_loaded(trace)
        assert_equal(loaded, trace)
        assert set(loaded.states) == set(named(optimizer.init(e.parameters)))
    judged = certify(e, loaded, "torch")
    assert (judged.verdict, judged.refutations) == ("certified", ())


def an_ensemble_is_certified(optimizer: Any, dtype: DTypeName) -> None:
    """Where each element is updated by itself; else the ensemble is told that it is not."""
    members = Ensemble.of([run(optimizer, dtype, steps=6, seed=seed) for seed in range(3)])
    assert getattr(optimizer, "elementwise", False) == ("Clipped" not in str(optimizer))
    if not getattr(optimizer, "elementwise", False):
        with pytest.raises(InputError, match="optimizer of an ensemble: expected one that updates each element"):
            verify_ensemble(members)
        return
    judged = verify_ensemble(members)
    assert (judged.verdict, judged.refutations, judged.notes) == ("certified", (), ())
    judged_tensors = {r.tensor for r in judged.rows if r.check == "end to end" and r.judged}
    assert {*named(members.parameters), *named(optimizer.init(members.first.parameters))} <= judged_tensors


def nothing_of_the_users_is_written(optimizer: Any, dtype: DTypeName) -> None:
    e = run(optimizer, dtype, steps=2)
    given = {"x": e.x, "t": e.t, **named(e.parameters)}
    before = {name: a.tobytes() for name, a in given.items()}
    torch_mirror.train(e)
    certify(e, reference.train(e), "numpy")
    assert {name: a.tobytes() for name, a in given.items()} == before


CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        a_run_is_certified,
        states_have_their_slots,
        stacked_equals_single,
        a_trace_keeps_its_verdict_in_a_file,
        an_ensemble_is_certified,
        nothing_of_the_users_is_written,
    )
}


IN_FLOAT64 = (
    "stacked_equals_single",
    "a_trace_keeps_its_verdict_in_a_file",
    "an_ensemble_is_certified",  # test_drawn.py has those of float32
    "nothing_of_the_users_is_written",
)


def test_what_is_taken_has_every_option_at_every_value_that_it_has() -> None:
    def values(taken: Iterable[str]) -> set[tuple[Any, ...]]:
        rows = (OPTIMIZERS[name] for name in taken)
        return {(type(row), option, str(value)) for row in rows for option, value in row._asdict().items()}

    assert values(SOME) == values(OPTIMIZERS)


@pytest.mark.parametrize("optimizer", SOME)
@cases(CHECKS, IN_FLOAT64)
def test_optimizers(check: str, optimizer: str, dtype: DTypeName) -> None:
    CHECKS[check](OPTIMIZERS[optimizer], dtype)


# --- what is wrong --------------------------------------------------------------------------------------


BY_HAND = [name_of(optimizer) for optimizer in (SGDS[-1], ADAMS[-1], RMSPROPS[-1], ADAGRADS[-1], *AROUND[-3:])]


@pytest.mark.parametrize("name", WRONG)
def test_torch_with_a_wrong_option_is_refuted_at_its_own_tensor_and_step(name: str) -> None:
    """A state that the wrong one does not have is wrong first, from the first step on."""
    right, wrong, tensor, step = WRONG[name]
    start = run(right, "float64").parameters
    missing = [name for name in named(right.init(start)) if name not in named(wrong.init(start))]
    tensor, step = (missing[0], 0) if missing else (tensor, step)
    e = run(right, "float64", steps=step + 2)
    with unruled():
        first = verify(e, using=planted.stepped_by(wrong)).first
    assert first is not None
    assert (first.tensor, first.step, first.side, first.check) == (tensor, step, "torch", "local")


@pytest.mark.parametrize("name", BY_HAND, ids=BY_HAND)
def test_the_right_optimizer_by_hand_is_certified(name: str) -> None:
    """So a wrong one by hand is refuted for its option, not for being none of torch's."""
    optimizer = OPTIMIZERS[name]
    e = run(optimizer, "float64", steps=3)
    assert verify(e, using=planted.by_hand(optimizer)).verdict == "certified"


# --- what each check must refuse -------------------------------------------------------------------------


class Same(SGD):
    """The right optimizer, as a subclass like the faulty ones."""


class Rounded(SGD):
    """Its rate is that of float32."""

    def step(self, p: Any, dp: Any, state: Any, t: Any, sow: Sow = keep) -> Any:
        return SGD(float(np.float32(self.lr)), *self[1:]).step(p, dp, state, t, sow)


class Unnamed(SGD):
    """Its buffers are in a list."""

    def init(self, p: Any) -> Any:
        return {"v": [np.zeros_like(w) for w in named(p).values()]}


class Largest(SGD):
    """Clipped by the largest of all steps at once."""

    def step(self, p: Any, dp: Any, state: Any, t: Any, sow: Sow = keep) -> Any:
        largest = max(np.abs(g).max() for g in named(dp).values())
        return super().step(p, zip_with(lambda _, g: g / largest, dp), state, t, sow)


class Writing(SGD):
    """It starts by centring the weights in place."""

    def init(self, p: Any) -> Any:
        for w in named(p).values():
            w[...] -= w.mean()
        return super().init(p)


FAULTY: dict[str, type[SGD]] = {
    "a_run_is_certified": Rounded,
    "states_have_their_slots": Unnamed,
    "stacked_equals_single": Largest,
    "a_trace_keeps_its_verdict_in_a_file": Rounded,
    "an_ensemble_is_certified": Rounded,
    "nothing_of_the_users_is_written": Writing,
}


@pytest.mark.parametrize("check", CHECKS)
def test_an_optimizer_with_a_fault_is_refused(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # whose mirror is the right one, for a check to tell them apart
    monkeypatch.setattr("torch_mirror.optimizers.file_of", planted.mirrored_as("sgd", Same, FAULTY[check]))
    CHECKS[check](Same(0.1, 0.9), "float64")
    with planted.refused():
        CHECKS[check](FAULTY[check](0.1, 0.9), "float64")


def test_a_group_without_parameters_keeps_the_rates_of_the_others() -> None:
    """In an ensemble as in a single run: the rate of a step is set by the place of a group."""
    groups = reference.Groups((((), SGD((0.1, 0.05, 0.025))), (all_others, SGD((0.02, 0.01, 0.005)))))
    members = Ensemble.of([run(groups, "float64", steps=3, seed=seed) for seed in range(2)])
    assert verify_ensemble(members).verdict == "certified"


def test_an_update_that_rounds_its_options_is_ruled_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are what Python makes of them there, too. Of an update that nobody but its author knows no side is taken."""
    monkeypatch.setattr("torch_mirror.optimizers.file_of", planted.mirrored_as("sgd", Rounded))
    judged = verify(run(Rounded(0.1), "float64", steps=2))
    assert judged.verdict == "refuted"
    assert judged.ruling is not None
    assert judged.ruling.verdict == "updates differ"


class Watchful(SGD):
    """Looks at its parameters by a function that exact numbers do not have."""

    def step(self, p: Any, g: Any, state: Any, t: Any, sow: Sow = keep) -> Any:
        assert all(np.isfinite(w).all() for w in named(p).values())
        return super().step(p, g, state, t, sow)


def test_an_update_that_does_not_run_in_exact_arithmetic_is_ruled_on_in_wider_floats(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Why is told."""
    monkeypatch.setattr("torch_mirror.optimizers.file_of", planted.mirrored_as("sgd", Watchful))
    judged = verify(run(Watchful(0.1), "float64", steps=2), using=planted.stepped_by(SGD(0.101)))
    assert judged.verdict == "refuted"
    assert judged.ruling is not None
    assert judged.ruling.verdict == "updates differ"
    assert "do not run in exact arithmetic" in judged.ruling.note


def test_a_wrong_rate_of_a_group_has_a_ruling() -> None:
    """By that group's own optimizer: the other group's parameters have no part in it."""
    right, wrong = (reference.Groups(((["W1"], SGD(lr)), (all_others, SGD(0.1)))) for lr in (0.1, 0.101))
    judged = verify(run(right, "float64", steps=2), using=planted.stepped_by(wrong))
    assert judged.ruling is not None
    assert (judged.ruling.verdict, judged.ruling.tensor) == ("the mirror strays", "W1")


def test_a_trace_without_its_states_is_told() -> None:
    e = run(SGD(0.1, 0.9), "float64", steps=2)
    with pytest.raises(InputError, match=r"trace: expected to hold v\.W1"):
        certify(e, replace(torch_mirror.train(e), states={}))
