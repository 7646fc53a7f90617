"""Ensembles: every member certified at once, planted faults refuted at their member, errors told by name."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings, target
from hypothesis import strategies as st
from hypothesis.vendor.pretty import pretty
from torch import Tensor, nn

from reference.arrays import keep
from reference.claim.batches import Batches
from reference.claim.ensemble import Ensemble
from reference.claim.experiment import Experiment
from reference.claim.slots import names as names_of
from reference.claim.tree import named
from reference.errors import InputError
from reference.losses import SquaredError
from reference.networks import two_layer_relu
from reference.networks.two_layer_relu import TwoLayerReLU
from reference.optimizers.sgd import SGD
from tests.judge import faults
from torch_mirror.doors import strategies
from torch_mirror.doors.certify import certify
from torch_mirror.doors.ensembles import verify_ensemble
from torch_mirror.doors.strategies import DTypeName
from torch_mirror.judge.checks.members import member_of
from torch_mirror.judge.verdict import Words
from torch_mirror.reports import text
from torch_mirror.training.session import Session, session
from torch_mirror.training.vmap import train

each_network = pytest.mark.parametrize("network", strategies.EXACT)
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])

Using = Callable[[Experiment], Session]


@pytest.fixture(autouse=True)
def _divergence_is_judged_not_warned_of() -> Iterator[None]:
    with np.errstate(over="ignore", invalid="ignore"):
        yield


PLAIN = SGD(0.1)


def ensemble(members: int = 6, steps: int = 3, optimizer: SGD = PLAIN, **more: Any) -> Ensemble:
    """Square layers, normal numbers."""
    rng = np.random.default_rng(members)
    p = two_layer_relu.Parameters(rng.normal(size=(members, 3, 3)) / 2, rng.normal(size=(members, 3, 3)) / 2)
    x, t = rng.normal(size=(2, members, 5, 3))
    return Ensemble(TwoLayerReLU(3, 3, 3), p, x, t, SquaredError("mean"), optimizer, steps, **more)


SLOW = (2.0**-10, 0.001, 0.0003)
"""Learning rates at which most runs of twenty steps do not diverge: what overflows is vacuous."""

# --- correct code is certified ----------------------------------------------------------------


def judge_all(ensembles: st.SearchStrategy[Ensemble]) -> Counter[str]:
    """Verdicts by frequency; the first refutation fails. A draw may overflow, or all its gradients be 0.

    Hypothesis aims at a large error / radius, which costs no example: of 24 runs of 100 examples, 12 came above
    0.9 with that and 4 without; of 25 examples, 7 and 6. It does not aim at what overflows elsewhere.
    """
    verdicts: Counter[str] = Counter()

    @given(ensembles)
    def each(ensemble: Ensemble) -> None:
        certificate = verify_ensemble(ensemble)
        assert certificate.refutations == ()
        worst = None if certificate.vacuous else certificate.worst
        target(worst.ratio if worst else 0.0, label="error / radius")
        verdicts[certificate.verdict] += 1

    each()
    return verdicts


@each_network
@each_dtype
def test_gradients_from_identical_weights_are_certified(network: str, dtype: DTypeName) -> None:
    one_step = strategies.ensembles(networks=strategies.NETWORKS[network], dtypes=[dtype], steps=st.just(1))
    verdicts = judge_all(one_step)
    assert verdicts["certified"] > verdicts["vacuous"] / 3


@each_network
@each_dtype
def test_trajectories_of_twenty_steps_are_certified(network: str, dtype: DTypeName) -> None:
    runs = strategies.ensembles(
        networks=strategies.NETWORKS[network], dtypes=[dtype], steps=st.just(20), members=(1, 4, 16),
        optimizers=strategies.sgds(rates=SLOW),
    )  # fmt: skip
    verdicts = judge_all(runs)
    assert verdicts["certified"] > verdicts["vacuous"] / 3


@each_network
@each_dtype
@given(data=st.data())
def test_where_nothing_rounds_only_equality_will_do(network: str, dtype: DTypeName, data: st.DataObject) -> None:
    e = data.draw(strategies.exact_experiments(names=[network], dtypes=[dtype]))
    swapped = replace(e, x=e.x[::-1].copy(), t=e.t[::-1].copy())
    certificate = verify_ensemble(Ensemble.of([e, swapped, replace(e, t=-e.t)]))
    assert certificate.verdict == ("vacuous" if certificate.idle else "certified")
    assert certificate.worst is None  # not even within a radius: there is none


@given(strategies.ensembles(members=(1, 3), steps=st.integers(1, 4)))
def test_every_tensor_of_every_member_and_step_is_judged(ensemble: Ensemble) -> None:
    certificate = verify_ensemble(ensemble)
    names, states = named(ensemble.parameters), names_of(ensemble.first.slots, "state")
    a_step = 1 + 2 * len(names) + len(states)                  # loss, gradients, parameters, states
    starts = 2 + len(names) + len(states)                      # x, t, parameters and states
    assert certificate.tensors == (ensemble.members + 1) * (ensemble.steps * a_step + starts)  # and member 0 alone
    one = verify_ensemble(ensemble.some(slice(1)))
    assert (certificate.judged + certificate.vacuous) * 2 == (one.judged + one.vacuous) * (ensemble.members + 1)


def test_overflow_is_vacuous() -> None:
    e = ensemble()
    t = e.t.copy()
    t[4] *= 1e200
    certificate = verify_ensemble(replace(e, t=t))
    assert certificate.refutations == ()
    assert certificate.vacuous > 0
    assert certificate.verdict == "vacuous"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"steps": 0}, "no step was taken"),
        ({"t": np.zeros((6, 5, 3)), "x": np.zeros((6, 5, 3))}, "every parameter gradient of every member is zero"),
    ],
    ids=["no steps", "no gradients"],
)
def test_nothing_to_fail_is_vacuous(change: dict[str, Any], why: str) -> None:
    certificate = verify_ensemble(replace(ensemble(), **change))
    assert certificate.verdict == "vacuous"
    assert certificate.idle[0].startswith(why)


def test_the_runs_are_those_of_the_members() -> None:
    """Each is a trace of the member's experiment, which the judge of single runs certifies, and of no other's."""
    e = ensemble(optimizer=SGD((0.1, 0.05, 0.2), 0.9), batches=Batches(2, seed=1))
    run = train(e)
    for k in range(e.members):
        assert certify(e.member(k), member_of(run, k)).verdict == "certified"
        assert certify(e.member(k), member_of(run, k - 1)).verdict == "refuted"


def test_the_ensemble_is_left_alone() -> None:
    e = ensemble()
    given_arrays = {"x": e.x, "t": e.t, **named(e.parameters)}
    before = {name: a.tobytes() for name, a in given_arrays.items()}
    run = train(e)
    assert {name: a.tobytes() for name, a in given_arrays.items()} == before
    assert not any(np.shares_memory(a, b) for a in given_arrays.values() for b in run.values())


def test_many_numbers_are_not_told_and_those_of_one_member_are() -> None:
    """Not by hypothesis either, whose printer knows dataclasses."""
    for told in (repr, pretty):
        many, one = told(ensemble(500)), told(ensemble(1))
        assert "500 members of 5 samples, float64" in many
        assert len(many) < 300
        assert "W1=array([[" in one


# --- planted faults -----------------------------------------------------------------------------


def criterion(factor: Callable[[Experiment], float]) -> Using:
    """A loss of the right value, whose gradient is off by a factor."""

    def using(e: Experiment) -> Session:
        right = session(e)

        def wrong(y: Tensor, t: Tensor) -> Tensor:
            value = right.criterion(y, t)
            return value.detach() + factor(e) * (value - value.detach())

        return right._replace(criterion=wrong)

    return using


unmasked = faults.hooked("relu", lambda _e, _m, z, out: z + (out - z).detach())

EVERYWHERE: dict[str, Using] = {
    "factor 2 missing": criterion(lambda _: 0.5),
    "1/N missing": criterion(lambda e: e.t.size),
    "mask missing": unmasked,
    "weight transposed": faults.misread,
    "hidden float32 cast": faults.cast,
    "lr rounded to float32": faults.rounded,
    "sign of the update": faults.ascending,
    "gradients not zeroed": faults.forgetful,
}


@pytest.mark.parametrize("fault", EVERYWHERE)
def test_a_fault_of_every_member_is_refuted(fault: str) -> None:
    certificate = verify_ensemble(ensemble(), EVERYWHERE[fault])
    assert certificate.verdict == "refuted"
    first = certificate.first
    assert first is not None
    assert first.step == (1 if fault == "gradients not zeroed" else 0)
    assert first.member == 0
    assert {f.check for f in certificate.refutations} == {"end to end", "unbatched"}


class OneUlpOff(torch.optim.SGD):
    """The last of the stacked networks is updated wrongly by the smallest amount there is."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # nobody passes a closure
        super().step(closure)
        for group in self.param_groups:
            for p in group["params"]:
                last = p.detach()[-1]
                last.copy_(torch.nextafter(last, torch.full_like(last, torch.inf)))


def of_member(e: Ensemble, k: int) -> Using:
    """A module that is wrong, by 2^-30, for the data of one member only."""
    special = torch.tensor(e.x[k, :, 0])
    return faults.hooked("layer1", lambda _e, _m, x, z: torch.where((x[:, :1] == special).any(), z * (1 + 2.0**-30), z))


@pytest.mark.parametrize("k", [0, 1, 4, 5])
def test_a_fault_of_one_member_is_refuted_there(k: int) -> None:
    e = ensemble()
    certificate = verify_ensemble(e, of_member(e, k))
    assert certificate.verdict == "refuted"
    assert {f.member for f in certificate.refutations} == {k}
    assert f"member {k}" in text.details(certificate)[0]
    assert {f.step for f in certificate.refutations} == {0}


def test_a_nan_of_one_member_behind_the_first_is_refuted_there() -> None:
    e, k = ensemble(), 5
    special = torch.tensor(e.x[k, :, 0])
    nan = faults.hooked("layer1", lambda _e, _m, x, z: torch.where((x[:, :1] == special).any(), torch.nan, z))
    certificate = verify_ensemble(e, nan)
    assert certificate.verdict == "refuted"
    assert {f.member for f in certificate.refutations} == {k}


RULINGS: dict[str, tuple[str, Words, str]] = {
    "factor 2 missing": ("dW1", "the mirror strays", ""),
    "mask missing": ("dW1", "the mirror strays", ""),
    "weight transposed": ("loss", "forwards differ", ""),
    "hidden float32 cast": ("loss", "forwards differ", "by no more than float32 rounds"),
    "lr rounded to float32": ("W1", "the mirror strays", "its update is not the reference's"),
    "sign of the update": ("W1", "the mirror strays", "its update is not the reference's"),
}


@pytest.mark.parametrize("fault", RULINGS)
def test_an_ensembles_first_refutation_is_ruled_on(fault: str) -> None:
    tensor, verdict, note = RULINGS[fault]
    certificate = verify_ensemble(ensemble(), EVERYWHERE[fault])
    ruling = certificate.ruling
    assert ruling is not None
    assert (ruling.tensor, ruling.verdict, ruling.step) == (tensor, verdict, 0)
    assert ruling.note.startswith(note)
    assert f"      arbiter: {verdict}" in text.details(certificate)


@pytest.mark.parametrize("k", [0, 2, 5])
def test_a_ruling_is_on_the_numbers_of_the_refuted_member(k: int) -> None:
    e = ensemble()
    special = torch.tensor(e.x[k, :, 0])

    def doubled(_e: Any, _m: Any, x: Tensor, z: Tensor) -> Tensor:
        """z, with twice its gradient, for one member."""
        return torch.where((x[:, :1] == special).any(), 2 * z - z.detach(), z)

    certificate = verify_ensemble(e, faults.hooked("layer1", doubled))
    first, ruling = certificate.first, certificate.ruling
    assert first is not None
    assert ruling is not None
    assert (first.member, ruling.verdict, ruling.tensor, ruling.index) == (k, "the mirror strays", "dW1", first.index)
    assert ruling.mirror == first.seen
    assert ruling.reference is not None
    assert abs(ruling.reference - first.expected) <= first.radius


@each_dtype
@given(data=st.data())
def test_a_wrong_last_bit_of_one_member_is_refuted(dtype: DTypeName, data: st.DataObject) -> None:
    """Where nothing rounds: elsewhere the last bit is within the radius."""
    plain = strategies.plain_sgds(rates=strategies.EXACT_RATES)
    e = data.draw(strategies.exact_experiments(dtypes=[dtype], optimizers=plain))

    def using(e: Experiment) -> Session:
        right = session(e)
        return right._replace(optimizer=OneUlpOff(right.module.parameters(), lr=e.optimizer.lr))

    certificate = verify_ensemble(Ensemble.of([e, replace(e, t=-e.t), e]), using)
    vmapped = [f for f in certificate.refutations if f.check == "end to end"]
    assert {f.member for f in vmapped} == {2}
    assert {f.tensor for f in vmapped} == set(named(e.parameters))


def in_vmap(value: Tensor) -> bool:
    """Whether the tensor has an axis that torch.vmap hides."""
    return bool(torch._C._functorch.is_batchedtensor(value))  # torch has no public name for it


@pytest.mark.parametrize("batched", [True, False])
def test_a_module_that_is_another_under_vmap_is_noticed(batched: bool) -> None:  # noqa: FBT001 - a parameter of the test
    using = faults.hooked("layer1", lambda _e, _m, _x, z: z * (1 + 2.0**-30) if in_vmap(z) is batched else z)
    certificate = verify_ensemble(ensemble(), using)
    assert certificate.verdict == "refuted"
    assert {f.check for f in certificate.refutations} == {"end to end" if batched else "unbatched"}
    assert certificate.first is not None
    assert certificate.first.member == 0


def test_a_start_that_is_not_the_ensembles_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    e = ensemble()
    wrong = e.x.copy()
    wrong[3, 1, 2] += 2.0**-50
    run = train(replace(e, x=wrong))
    monkeypatch.setattr("torch_mirror.doors.ensembles.train", lambda *_: run)
    first = verify_ensemble(e).first
    assert first is not None
    assert (first.tensor, first.check, first.member, first.index) == ("x", "start", 3, (1, 2))


@given(st.integers(2, 40), st.integers(1, 5), st.data())
@settings(max_examples=10)
def test_blocks_of_any_size_find_the_same(members: int, steps: int, data: st.DataObject) -> None:
    """What is evaluated in one call is a matter of the cache: findings, steps and members are the same."""
    e = ensemble(members, steps, optimizer=SGD(0.1, 0.5), batches=data.draw(strategies.batchings(sizes=(2, 3))))
    k = data.draw(st.integers(0, members - 1))
    whole = verify_ensemble(e, of_member(e, k))
    assume(whole.refutations)  # not so where every neuron of the member is dead
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch_mirror.judge.replay.CACHED", data.draw(st.integers(1, 500)))
        pieces = verify_ensemble(e, of_member(e, k))
    assert sorted(pieces.refutations) == sorted(whole.refutations)
    assert {f.member for f in whole.refutations} == {k}
    assert (pieces.tensors, pieces.judged, pieces.worst) == (whole.tensors, whole.judged, whole.worst)


# --- what cannot be an ensemble -----------------------------------------------------------------

GOOD = ensemble(4)
ONE = GOOD.member(0)
W1, W2 = GOOD.parameters

BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "a member less": (lambda: replace(GOOD, t=GOOD.t[1:]), r"tensor t: expected 4 members, as x has, got shape \(3, "),
    "a member less of a parameter": (
        lambda: replace(GOOD, parameters=two_layer_relu.Parameters(W1[1:], W2)),
        r"tensor W1: expected 4 members, as x has, got shape \(3, ",
    ),
    "no member": (lambda: GOOD.some(slice(0)), "tensor x: expected one member or more along its first axis"),
    "no array": (lambda: replace(GOOD, x=cast("Any", [1.0])), "tensor x.0: expected a NumPy array, got float"),
    "no parameters": (lambda: replace(GOOD, parameters=(W1, W2)), "parameters: expected W1, W2, got 0, 1"),
    "no members' axis": (lambda: replace(GOOD, x=GOOD.x[:, 0]), "tensor x: expected shape"),
    "a number": (lambda: replace(GOOD, t=np.ones(())), "tensor t: expected 4 members"),
    "NaN in a later member": (
        lambda: replace(GOOD, x=np.where(np.arange(4)[:, None, None] == 2, np.nan, GOOD.x)),
        r"tensor x: expected finite numbers, got nan at \(2, 0, 0\)",
    ),
    "another learning rate": (
        lambda: Ensemble.of([ONE, replace(ONE, optimizer=SGD(0.2))]),
        "member 1: expected the optimizer of member 0, SGD.*got SGD",
    ),
    "another batch": (
        lambda: Ensemble.of([ONE, replace(ONE, x=ONE.x[1:], t=ONE.t[1:])]),
        r"tensor x of member 1: expected shape \(5, 3\), as member 0 has, got \(4, 3\)",
    ),
    "no experiment": (lambda: Ensemble.of([]), "members: expected one experiment or more, got none"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_ensemble_is_told(case: str) -> None:
    make, message = BAD[case]
    with pytest.raises(InputError, match=message):
        make()


class Undecided(nn.Module):
    """Data decides which way the program goes, which vmap cannot follow."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1, self.layer2 = (nn.Linear(3, 3, bias=False, dtype=torch.float64) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.layer1(x)
        y: Tensor = self.layer2(z if z.sum() > 0 else -z)
        return y


class Lazy(Undecided):
    """A weight that takes no part."""

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer2(x)
        return y


@dataclass(frozen=True)
class Turned(TwoLayerReLU):
    """Equations of one step only."""

    def forward(self, p: Any, x: Any, sow: Any = lambda _, value: value) -> Any:
        return super().forward(two_layer_relu.Parameters(p.W1.T, p.W2), x, sow)


NAMES = {"W1": "layer1.weight", "W2": "layer2.weight"}


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Undecided, "torch module: expected one that torch.vmap can batch, got vmap: "),
        (Lazy, "tensor dW1: expected a gradient from torch, got None"),
    ],
)
def test_a_module_that_cannot_be_one_is_told(module: type[nn.Module], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        verify_ensemble(GOOD, lambda e: session(e, module(), NAMES))


def test_equations_that_do_not_stack_are_told() -> None:
    with pytest.raises(InputError, match=r"network: expected equations that stack .*, got "):
        verify_ensemble(replace(GOOD, network=Turned(3, 3, 3)))


class Centred(TwoLayerReLU):
    """Its output less the mean of each column, by the number of samples that shape[0] tells: of a member alone."""

    def forward(self, p: Any, x: Any, sow: Any = keep) -> Any:
        y, cache = super().forward(p, x, sow)
        return y - y.sum(axis=-2, keepdims=True) / y.shape[0], cache

    def backward(self, p: Any, cache: Any, dy: Any, sow: Any = keep) -> Any:
        return super().backward(p, cache, dy - dy.sum(axis=-2, keepdims=True) / dy.shape[0], sow)


def test_equations_that_stack_to_other_numbers_are_told() -> None:
    with pytest.raises(InputError, match=r"network: expected equations that stack .*, got "):
        verify_ensemble(replace(GOOD, network=Centred(3, 3, 3)))


def test_using_must_return_a_session() -> None:
    using: Any = lambda _: None  # noqa: E731 - it forgets to return what it makes
    with pytest.raises(InputError, match=r"using: expected a function that returns a torch_mirror\.Session, got None"):
        verify_ensemble(GOOD, using)


def test_a_module_without_sow_will_do() -> None:
    class Plain(Undecided):
        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.layer2(self.layer1(x).relu())
            return y

    certificate = verify_ensemble(GOOD, lambda e: session(e, Plain(), NAMES))
    assert certificate.verdict == "certified"
