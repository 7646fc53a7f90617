"""What the strategies promise: what is drawn, and that the rare cases that matter do occur."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, find, given, settings
from hypothesis import strategies as st

import reference
from reference.claim.ensemble import Ensemble
from reference.claim.experiment import Experiment
from reference.claim.tree import named
from reference.networks.mlp import MLP
from reference.networks.two_layer_relu import TwoLayerReLU
from reference.optimizers.sgd import SGD
from torch_mirror.by_name import class_of
from torch_mirror.doors import strategies
from torch_mirror.doors.ensembles import verify_ensemble
from torch_mirror.doors.strategies import DTypeName, Kind
from torch_mirror.doors.verify import verify
from torch_mirror.networks import HOME, vectors
from torch_mirror.networks import NETWORKS as TABLE

# Enough draws that a case meant to be frequent is found, and the example itself is of no interest.
SEARCH = settings(max_examples=300, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck))

LARGEST = {"integers": 3.0, "eighths": 2.0, "decimals": 2.0}


def draws_of(kind: Kind) -> st.SearchStrategy[Any]:
    return strategies.generators().map(lambda draws: strategies.draw_array(draws, kind, (16, 16)))


@pytest.mark.parametrize("kind", LARGEST)
@given(data=st.data())
def test_bounded_kinds_use_their_range_and_no_more(kind: Kind, data: st.DataObject) -> None:
    array = data.draw(draws_of(kind))
    assert np.abs(array).max() <= LARGEST[kind]
    assert np.abs(array).max() > LARGEST[kind] / 2


@pytest.mark.parametrize("kind", strategies.DYADIC + strategies.REAL)
@given(data=st.data())
def test_dyadic_numbers_are_multiples_of_an_eighth_and_real_ones_are_not(kind: Kind, data: st.DataObject) -> None:
    array = data.draw(draws_of(kind))
    whole = bool((8 * array == np.round(8 * array)).all())
    assert whole == (kind in strategies.DYADIC)


@pytest.mark.parametrize("kind", strategies.DYADIC + strategies.REAL)
@given(data=st.data())
def test_no_array_is_nearly_constant(kind: Kind, data: st.DataObject) -> None:
    array = data.draw(draws_of(kind))
    _, counts = np.unique(array, return_counts=True)
    assert counts.max() < array.size / 2


@given(draws=strategies.generators(), other=strategies.generators())
def test_equal_seeds_alone_give_equal_numbers(draws: np.random.Generator, other: np.random.Generator) -> None:
    same_seed = draws.bit_generator.state == other.bit_generator.state
    one, two = (strategies.draw_array(g, "normal", (3,)) for g in (draws, other))
    assert np.array_equal(one, two) == same_seed


def of_kind(kind: type, network: object) -> bool:
    return type(network) is kind


@pytest.mark.parametrize("name", TABLE)
def test_every_network_with_a_mirror_is_drawn(name: str) -> None:
    """By its name; and among all, where it takes vectors."""
    kind = class_of(HOME, name)
    assert type(find(strategies.networks(names=[name]), lambda _: True, settings=SEARCH)) is kind
    assert (name in strategies.NETWORKS) == (TABLE[name].x is vectors)
    if name in strategies.NETWORKS:
        assert type(find(strategies.networks(), partial(of_kind, kind), settings=SEARCH)) is kind


@pytest.mark.parametrize("name", sorted(set(TABLE) - set(strategies.NETWORKS)))
@pytest.mark.parametrize("members", [0, 2])
def test_networks_of_other_data_are_drawn_with_theirs(name: str, members: int) -> None:
    """Images, texts and tokens, on which a step is certified: of one run, and of many at once."""
    drawn: dict[str, Any] = {"networks": strategies.networks(names=[name]), "steps": st.just(1), "kinds": ("normal",)}
    if members:
        ensemble = find(strategies.ensembles(members=[members], **drawn), lambda _: True, settings=SEARCH)
        assert verify_ensemble(ensemble).verdict == "certified"
        return
    e = find(strategies.experiments(**drawn), lambda _: True, settings=SEARCH)
    assert e.x.shape == TABLE[name].x(e.network, len(e.x)).shape
    assert verify(e).verdict == "certified"


def test_no_one_of_many_texts_is_anothers() -> None:
    """And the first is the same however many there are."""
    text = strategies.networks(names=["char_rnn"])
    texts = []
    for members in (1, 4):
        e = find(strategies.ensembles(members=[members], networks=text, samples=[7]), lambda _: True, settings=SEARCH)
        texts.append(e.x)
    assert len({x.tobytes() for x in texts[1]}) > 1
    np.testing.assert_array_equal(texts[0][0], texts[1][0])


def has(option: str, value: object) -> Callable[[Any], bool]:
    return lambda network: getattr(network, option) == value


OPTIONS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **{f"MLP, {a}": ("mlp", has("activation", a)) for a in ("relu", "sigmoid", "tanh", "identity")},
    **{f"MLP, {o} output": ("mlp", has("output", o)) for o in ("identity", "sigmoid")},
    **{f"MLP, bias {b}": ("mlp", has("bias", b)) for b in (True, False)},
    "MLP of one layer": ("mlp", lambda n: len(n.widths) == 2),
    "MLP of four layers": ("mlp", lambda n: len(n.widths) == 5),
    "MLP, all layers square": ("mlp", lambda n: len(n.widths) > 2 and len(set(n.widths)) == 1 and n.inputs > 1),
    "MLP, no layer square": ("mlp", lambda n: len(n.widths) > 2 and all(a != b for a, b in pairwise(n.widths))),
    **{f"regression, {o}": ("linear_regression", has("output", o)) for o in ("identity", "relu", "sigmoid")},
    **{f"two linear layers, bias {b}": ("two_layer_linear", has("bias", b)) for b in (True, False)},
    "square second layer": ("two_layer_relu", lambda n: n.hidden == n.outputs > 1),
    "one of everything": ("two_layer_relu", lambda n: n.inputs == n.hidden == n.outputs == 1),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_networks_have_every_option(option: str) -> None:
    name, condition = OPTIONS[option]
    assert condition(find(strategies.NETWORKS[name], condition, settings=SEARCH))


def kinked(e: Experiment) -> bool:
    """Whether a gradient that is not 0 arrives where a pre-activation is exactly 0."""
    trace = reference.train(e)
    return bool(((trace["z1"] == 0) & (trace["da1"] != 0)).any())


def moved(e: Experiment) -> bool:
    """Whether every parameter is another after the run."""
    trace = reference.train(e)
    return all((a[0] != a[-1]).any() for a in trace.parameters.values())


def eighths(e: Experiment) -> bool:
    """Whether all of the data are, with which sums and products are exact."""
    return not (e.x * 8 % 1).any()


CASES: dict[str, Callable[[Experiment], bool]] = {
    "numbers with all their bits in use": lambda e: not eighths(e),
    "dyadic numbers": lambda e: bool(e.x.any()) and eighths(e),
    "one sample": lambda e: len(e.x) == 1,
    "more samples": lambda e: len(e.x) > 4,
    "mini-batches in order": lambda e: e.batches is not None and e.batches.seed is None and e.batches.size < len(e.x),
    "shuffled mini-batches": lambda e: e.batches is not None and e.batches.seed is not None and e.batches.size > 1,
    "a last batch that is smaller": lambda e: e.batch_length(e.steps - 1) < e.batch_length(0),
    "plain": lambda e: e.optimizer[1:] == SGD(0.1)[1:],
    "momentum with dampening": lambda e: bool(e.optimizer.momentum and e.optimizer.dampening),
    "Nesterov with weight decay": lambda e: bool(e.optimizer.nesterov and e.optimizer.weight_decay),
    "maximize": lambda e: e.optimizer.maximize,
    "a schedule": lambda e: isinstance(e.optimizer.lr, tuple) and len(set(e.optimizer.lr)) > 2,
    "float32": lambda e: e.dtype == np.float32,
    "float64": lambda e: e.dtype == np.float64,
    "sum": lambda e: e.loss.reduction == "sum",
    "mean whose N is no power of two": lambda e: e.loss.reduction == "mean" and e.t.size not in (1, 2, 4, 8, 16, 32),
    "scale that is no power of two": lambda e: e.loss.scale == 0.3,
    "lr that is no power of two": lambda e: bool(np.all(np.frexp(e.optimizer.lr)[0] != 0.5)),
    "lr that is a power of two": lambda e: bool(np.all(np.frexp(e.optimizer.lr)[0] == 0.5)),
    "several steps": lambda e: e.steps > 4,
    "every parameter moves": moved,
    "dead network": lambda e: not moved(e),
}


@pytest.mark.parametrize("case", CASES)
def test_experiments_have_every_case(case: str) -> None:
    assert CASES[case](find(strategies.experiments(), CASES[case], settings=SEARCH))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dyadic_experiments_sit_on_kinks(dtype: DTypeName) -> None:
    relus = strategies.experiments(networks=strategies.two_layer_relus(), kinds=strategies.DYADIC, dtypes=[dtype])
    assert kinked(find(relus, kinked, settings=SEARCH))
    exact = strategies.exact_experiments(names=["two_layer_relu"], dtypes=[dtype])
    assert kinked(find(exact, kinked, settings=SEARCH))


@given(strategies.experiments())
def test_a_first_step_never_overflows(experiment: Experiment) -> None:
    trace = reference.train(replace(experiment, steps=1))
    assert all(np.isfinite(a).all() for group in (trace.tensors, trace.parameters) for a in group.values())
    assert all(np.isfinite(a[1:]).all() for a in trace.states.values())


@given(
    strategies.experiments(
        networks=strategies.mlps(activations=["tanh"], outputs=["sigmoid"], biases=[False], deepest=2, widest=3),
        dtypes=["float32"],
        kinds=["decimals"],
        losses=strategies.losses(reductions=["mean"], scales=[0.5]),
        optimizers=strategies.plain_sgds(rates=[0.25]),
        scheduled=st.just(False),
        samples=[6],
        steps=st.just(4),
    )
)
def test_every_bound_is_kept(experiment: Experiment) -> None:
    network = experiment.network
    assert isinstance(network, MLP)
    assert (network.activation, network.output, network.bias) == ("tanh", "sigmoid", False)
    assert 2 <= len(network.widths) <= 3
    assert max(network.widths) <= 3
    assert experiment.dtype == np.float32
    assert experiment.loss == reference.SquaredError("mean", 0.5)
    assert (experiment.optimizer, experiment.steps, len(experiment.x)) == (reference.SGD(0.25), 4, 6)
    assert np.array_equal(experiment.x, (np.round(10 * experiment.x) / 10).astype(np.float32))


@given(data=st.data())
def test_users_networks_bring_their_own_start(data: st.DataObject) -> None:
    def start(network: Any, draws: np.random.Generator, kind: Kind, dtype: DTypeName) -> Any:
        return strategies.parameters(network, draws, kind, dtype)._replace(W2=np.zeros((2, 3), dtype))

    networks = st.just(TwoLayerReLU(4, 3, 2))
    experiment = data.draw(strategies.experiments(networks=networks, start=start))
    assert not named(experiment.parameters)["W2"].any()


# --- ensembles ------------------------------------------------------------------------------------------

ENSEMBLES: dict[str, Callable[[Ensemble], bool]] = {
    "numbers with all their bits in use": lambda e: bool((e.x * 8 % 1).any()),
    "dyadic numbers": lambda e: bool(e.x.any()) and not (e.x * 8 % 1).any(),
    "one member": lambda e: e.members == 1,
    "many members": lambda e: e.members == 64,
    "float32": lambda e: e.dtype == np.float32,
    "momentum": lambda e: bool(e.optimizer.momentum),
    "a schedule": lambda e: isinstance(e.optimizer.lr, tuple),
    "smaller last batches": lambda e: e.batches is not None and e.x.shape[1] % e.batches.size > 0,
    "starts that differ": lambda e: e.members > 1 and all((a[0] != a[1]).any() for a in named(e.parameters).values()),
}


@pytest.mark.parametrize("case", ENSEMBLES)
def test_ensembles_have_every_case(case: str) -> None:
    assert ENSEMBLES[case](find(strategies.ensembles(), ENSEMBLES[case], settings=SEARCH))


def test_ensembles_shrink_to_one_member() -> None:
    shrinking = settings(SEARCH, phases=[Phase.generate, Phase.shrink])  # explaining, it runs what is larger once more
    assert find(strategies.ensembles(members=(1, 64)), lambda e: bool(e.x.any()), settings=shrinking).members == 1


def test_a_member_has_the_same_numbers_however_many_there_are() -> None:
    shapes = {"x": (3, 2), "W": (4, 2)}
    one, five = (strategies._draw_members(np.random.default_rng(1), "normal", k, shapes) for k in (1, 5))
    for name in shapes:
        np.testing.assert_array_equal(one[name][0], five[name][0])


@given(data=st.data())
def test_members_of_users_networks_have_a_start_each(data: st.DataObject) -> None:
    def start(network: Any, draws: np.random.Generator, kind: strategies.Kind, dtype: DTypeName) -> Any:
        return strategies.parameters(network, draws, kind, dtype)._replace(W2=np.zeros((2, 3), dtype))

    e = data.draw(strategies.ensembles(networks=st.just(TwoLayerReLU(4, 3, 2)), start=start))
    p = named(e.parameters)
    assert p["W2"].shape == (e.members, 2, 3)
    assert not p["W2"].any()
    assume(e.members > 1)
    assert (p["W1"][0] != p["W1"][1]).any()
