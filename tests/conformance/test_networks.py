"""Every network keeps these, and what does not is refused by the check that stands for it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import reference
import torch_mirror
from reference.arrays import Array, Sow, keep
from reference.claim.batches import Batches
from reference.claim.ensemble import Ensemble
from reference.claim.experiment import Experiment
from reference.claim.objective import features
from reference.claim.slots import STEP, names, parameter_gradients
from reference.claim.tree import named
from reference.errors import InputError
from reference.networks.char_rnn import CharRNN
from reference.networks.linear_regression import Cache, LinearRegression, Parameters
from reference.networks.mlp import MLP
from reference.penalties import L2
from tests.conformance import planted
from tests.conformance.cases import DTypeName, cases
from tests.conformance.networks import BATCHES, NETWORKS, Row, experiment
from tests.conformance.traces import assert_equal, saved_and_loaded
from tests.reference.networks.mirrored import Given, assert_mirrored
from tests.unruled import unruled
from torch_mirror.doors.certify import certify
from torch_mirror.doors.ensembles import verify_ensemble
from torch_mirror.doors.verify import verify
from torch_mirror.judge.findings import Side
from torch_mirror.judge.stacking import stacking_flaw
from torch_mirror.judge.verdict import Certificate
from torch_mirror.networks import mirror_of
from torch_mirror.training.places import tensor
from torch_mirror.training.session import Session, session, torch_dtype

Check = Callable[[Row, DTypeName], None]
SIDES: tuple[Side, ...] = ("torch", "numpy")


@cache
def certificate(row: Row, dtype: DTypeName, batches: Batches | None) -> Certificate:
    """What verify says of the row's run, which two checks read."""
    return verify(experiment(row, dtype, batches))


# --- the checks -----------------------------------------------------------------------------------------


def runs_are_certified(row: Row, dtype: DTypeName) -> None:
    """Whole and in mini-batches."""
    for batches in BATCHES.values():
        judged = certificate(row, dtype, batches)
        assert (judged.verdict, judged.refutations, judged.notes) == ("certified", (), ())


def every_tensor_is_judged_locally(row: Row, dtype: DTypeName) -> None:
    """Each that a step hands on or the mirror sows, on both sides, at every step; loss and gradients end to end."""
    e = experiment(row, dtype)
    handed_on = names(e.slots, "parameter", "state")
    each = {*sown_by_the_mirror(row, dtype), "loss", "dy", *parameter_gradients(e.slots), *handed_on}
    judged = certificate(row, dtype, None)
    for side in SIDES:
        local = {r.tensor: r for r in judged.rows if (r.check, r.side) == ("local", side)}
        assert each <= set(local)
        assert set(local) == {*names(e.slots, "constant", *STEP), *handed_on}
        steps = {name: r.comparisons for name, r in local.items() if e.slots[name].role != "constant"}
        assert min(steps.values()) == e.steps  # no fewer
        if side == "torch":  # of its own run NumPy's steps may be looked at once more (judge/checks/own_run.py)
            assert set(steps.values()) == {e.steps}
        assert all(r.judged and not r.vacuous for r in local.values())
    end_to_end = {r.tensor for r in judged.rows if r.check == "end to end" and r.comparisons == e.steps}
    assert end_to_end == {"loss", *parameter_gradients(e.slots)}


def sown_by_the_mirror(row: Row, dtype: DTypeName) -> set[str]:
    """The names of what the torch module shows of its forward pass."""
    e, sown = experiment(row, dtype), set()

    def note(name: str, value: Any) -> Any:
        sown.add(name)
        return value

    trained = session(e)
    x = tensor(e.x)
    own: Any = getattr(trained.module, "features", None)
    trained.module(x if own is None else own(x, note), note)
    return sown


def gradients_are_autograds(row: Row, dtype: DTypeName) -> None:
    """From an upstream gradient that is drawn: autograd's lie within the radii, end to end and one by one."""
    e = experiment(row, dtype)
    y, _ = e.network.forward(e.parameters, features(e.network, e.x))
    assert_mirrored(row.network, Given(e.parameters, e.x, np.random.default_rng(1).normal(size=y.shape).astype(dtype)))


def stacked_equals_single(row: Row, dtype: DTypeName) -> None:
    """Steps in front, and steps and members."""
    for batches in BATCHES.values():
        for lead in (1, 2):
            assert stacking_flaw(experiment(row, dtype, batches), lead) is None


def slots_have_their_roles(row: Row, dtype: DTypeName) -> None:
    """By what the row brings and the mirror shows, not by what the reference says of itself."""
    slots = experiment(row, dtype).slots
    parameters, forward = row.network.shapes(), sown_by_the_mirror(row, dtype)
    constants = names(slots, "constant")
    assert names(slots, "data") == ["x", "t"]
    assert set(constants) <= forward
    assert {name: slots[name].shape for name in names(slots, "parameter")} == parameters
    assert {name: slots[name].of for name in names(slots, "state")} == {f"v.{name}": name for name in parameters}
    assert names(slots, "value") == [name for name in slots if name in forward and name not in constants]
    assert set(names(slots, "value", "constant")) == forward
    assert names(slots, "loss") == ["loss"]
    gradients = {slots[name].of: name for name in names(slots, "gradient")}
    assert {"y", *parameters} <= set(gradients) <= {*parameters, *forward}
    for of, name in gradients.items():
        assert of is not None
        assert name == f"d{of}"
        assert slots[name].shape == slots[of].shape
    assert {slot.dtype.name for slot in slots.values() if slot.dtype.kind == "f"} == {dtype}


def a_planted_factor_is_refuted_in_numpy(row: Row, dtype: DTypeName) -> None:
    """In each gradient at a step of its own, and that is where the judge finds it, and nothing else."""
    e, at = with_a_step_of_its_own(row, dtype)
    trace = reference.train(e, plant=planted.scaled(at))
    with unruled():
        assert located(certify(e, trace, "numpy")) == {(name, step, "numpy", "local") for name, step in at.items()}


def a_planted_factor_is_refuted_in_torch(row: Row, dtype: DTypeName) -> None:
    """The same by a hook on torch's tensor."""
    e, at = with_a_step_of_its_own(row, dtype)
    using: Callable[[Experiment], Session] = session
    for gradient, step in at.items():
        using = planted.hooked(str(e.slots[gradient].of), step, without=using)
    with unruled():
        judged = certify(e, torch_mirror.train(e, using=using(e)))
    assert located(judged) == {(name, step, "torch", "local") for name, step in at.items()}


def with_a_step_of_its_own(row: Row, dtype: DTypeName) -> tuple[Experiment, dict[str, int]]:
    """A run, and for each gradient a step of it, the first of which is the second of the run."""
    gradients = names(experiment(row, dtype).slots, "gradient")
    return experiment(row, dtype, steps=len(gradients) + 2), {name: 1 + i for i, name in enumerate(gradients)}


def located(judged: Certificate) -> set[tuple[Any, ...]]:
    """Of each wrong tensor: its name, the first step at which it is wrong, side and check."""
    wrong = [row.first for row in judged.rows if row.first]
    return {(first.tensor, first.step, first.side, first.check) for first in wrong}


def nothing_of_the_users_is_written(row: Row, dtype: DTypeName) -> None:
    """Training and judging leave every given array as it was, and torch shares no memory with it."""
    e = experiment(row, dtype, Batches(3))
    given = {**e.named_data, **named(e.parameters)}
    before = {name: array.tobytes() for name, array in given.items()}
    own = session(e)
    trace = torch_mirror.train(e, using=own)
    certify(e, reference.train(e), "numpy")
    assert {name: array.tobytes() for name, array in given.items()} == before
    torchs = [*trace.values(), *(tensor.numpy() for tensor in own.module.state_dict().values())]
    for name, array in given.items():
        assert not any(np.shares_memory(array, other) for other in torchs), name


def an_ensemble_with_a_penalty_is_certified(row: Row, dtype: DTypeName) -> None:
    """Under torch.vmap, each member with a penalty on its own parameters; and one run of it alone."""
    members = [replace(experiment(row, dtype, seed=seed), penalty=L2(0.01)) for seed in range(2)]
    for judged in (verify_ensemble(Ensemble.of(members)), verify(members[0])):
        assert (judged.verdict, judged.refutations, judged.notes) == ("certified", (), ())


def a_trace_keeps_its_verdict_in_a_file(row: Row, dtype: DTypeName) -> None:
    """Either framework's, with every bit."""
    e = experiment(row, dtype, Batches(3))
    for side, trace in zip(SIDES, (torch_mirror.train(e), reference.train(e)), strict=True):
        loaded = saved_and_loaded(trace)
        assert_equal(loaded, trace)
        assert (loaded.steps, loaded.first) == (trace.steps, trace.first)
        judged = certify(e, loaded, side)
        assert (judged.verdict, judged.refutations) == ("certified", ())


def names_biject_with_the_state_dict(row: Row, dtype: DTypeName) -> None:
    """Every parameter is one of the module's, of its shape, in the network's own order, and none is left over."""
    e, mirror = experiment(row, dtype), mirror_of(row.network)
    own, state = mirror.parameters(row.network), mirror.Module(row.network, torch_dtype(e)).state_dict()
    assert list(own) == list(row.network.shapes())
    assert sorted(own.values()) == sorted(state)
    assert {name: tuple(state[own[name]].shape) for name in own} == row.network.shapes()
    assert {value.dtype for value in state.values()} == {torch_dtype(e)}


CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        runs_are_certified,
        every_tensor_is_judged_locally,
        gradients_are_autograds,
        stacked_equals_single,
        slots_have_their_roles,
        a_planted_factor_is_refuted_in_numpy,
        a_planted_factor_is_refuted_in_torch,
        nothing_of_the_users_is_written,
        an_ensemble_with_a_penalty_is_certified,
        a_trace_keeps_its_verdict_in_a_file,
        names_biject_with_the_state_dict,
    )
}


IN_FLOAT64 = (
    "a_planted_factor_is_refuted_in_numpy",  # in float32, which rounds by 2^-24 each time, the factor may be within
    "a_planted_factor_is_refuted_in_torch",
    "nothing_of_the_users_is_written",
)


@pytest.mark.parametrize("network", NETWORKS)
@cases(CHECKS, IN_FLOAT64)
def test_networks(check: str, network: str, dtype: DTypeName) -> None:
    CHECKS[check](NETWORKS[network], dtype)


# --- what each check must refuse -------------------------------------------------------------------------


class Halved(LinearRegression):
    """1/2 too much in a gradient."""

    def backward(self, p: Parameters, c: Cache, dy: Array, sow: Sow = keep) -> Parameters:
        return super().backward(p, c, dy, lambda name, v: sow(name, v / 2 if name == "dW" else v))


class Quiet(LinearRegression):
    """A value that the mirror sows and this one does not."""

    def forward(self, p: Parameters, x: Array, sow: Sow = keep) -> tuple[Array, Cache]:
        return super().forward(p, x, lambda name, v: v if name == "z" else sow(name, v))


class Flat(LinearRegression):
    """Equations of one step only."""

    def backward(self, p: Parameters, c: Cache, dy: Array, sow: Sow = keep) -> Parameters:
        sown = super().backward(p, c, dy)
        return Parameters(sow("dW", sown.W), sow("db", dy.sum(axis=0)))


class Renamed(LinearRegression):
    """A gradient under another name."""

    def backward(self, p: Parameters, c: Cache, dy: Array, sow: Sow = keep) -> Parameters:
        return super().backward(p, c, dy, lambda name, v: sow("delta" if name == "dz" else name, v))


class Writing(LinearRegression):
    """An input that is centred in place."""

    def forward(self, p: Parameters, x: Array, sow: Sow = keep) -> tuple[Array, Cache]:
        x -= x.mean()
        return super().forward(p, x, sow)


class Unmapped(LinearRegression):
    """A parameter that the mirror does not have."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return super().shapes() | {"c": (3,)}


def zeros(network: Any, _draws: np.random.Generator, samples: int) -> Array:
    """Data that show nothing of the weights' gradients."""
    return np.zeros((samples, network.inputs))


FAULTY: dict[str, Row] = {
    "runs_are_certified": Row(Halved(4, 3)),
    "every_tensor_is_judged_locally": Row(Quiet(4, 3, "sigmoid")),
    "gradients_are_autograds": Row(Halved(4, 3)),
    "stacked_equals_single": Row(Flat(4, 3)),
    "slots_have_their_roles": Row(Renamed(4, 3, "sigmoid")),
    "a_planted_factor_is_refuted_in_numpy": Row(LinearRegression(4, 3), zeros),
    "a_planted_factor_is_refuted_in_torch": Row(LinearRegression(4, 3), zeros),
    "nothing_of_the_users_is_written": Row(Writing(4, 3)),
    "an_ensemble_with_a_penalty_is_certified": Row(Halved(4, 3)),
    "a_trace_keeps_its_verdict_in_a_file": Row(Halved(4, 3)),
    "names_biject_with_the_state_dict": Row(Unmapped(4, 3)),
}


@pytest.mark.parametrize("check", CHECKS)
def test_a_network_with_a_fault_is_refused(check: str) -> None:
    with planted.refused():
        CHECKS[check](FAULTY[check], "float64")


@dataclass(frozen=True)
class Same(LinearRegression):
    """The right network once more, as a subclass like the faulty ones."""


@pytest.mark.parametrize("check", CHECKS)
def test_it_is_refused_for_its_fault_alone(check: str) -> None:
    CHECKS[check](Row(Same(4, 3, "sigmoid")), "float64")


def test_a_penalty_of_another_strength_is_refuted_in_an_ensemble() -> None:
    row = Row(MLP((4, 5, 3)))
    members = Ensemble.of([replace(experiment(row, seed=seed), penalty=L2(0.01)) for seed in range(2)])
    wrong = planted_penalty(L2(0.01 * (1 + 2.0**-20)))
    first = verify_ensemble(members, using=wrong).first
    assert first is not None
    assert (first.tensor, first.step, first.check) == ("loss", 0, "end to end")


def planted_penalty(penalty: L2) -> Callable[[Experiment], Session]:
    return lambda e: session(replace(e, penalty=penalty))


def test_whole_numbers_that_torch_has_as_floats_are_judged_as_numbers() -> None:
    """What is computed of the data once, not the data themselves: a text of floats is none."""
    e = experiment(Row(CharRNN(4, 3), samples=6))
    trace = torch_mirror.train(e)
    assert trace.constants["onehot"].dtype == np.float64
    halved = replace(trace, constants={**trace.constants, "onehot": trace.constants["onehot"] / 2})
    first = certify(e, halved).first
    assert first is not None
    assert first.tensor == "onehot"
    with pytest.raises(InputError, match="tensor x of the trace: expected an array of int64, got float64"):
        certify(e, replace(trace, constants={**trace.constants, "x": e.x.astype(float)}))
