"""Short ways of the judge where one step is large: each is tried with a fault that only a wrong one would miss."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import reference
from reference.arrays import Array, keep
from reference.claim.experiment import Experiment
from reference.claim.tree import named, zip_with
from reference.losses import SquaredError
from reference.networks import mlp
from reference.optimizers.adam import Adam
from reference.optimizers.groups import Groups
from reference.optimizers.sgd import SGD
from reference.traces import training
from reference.traces.trace import Trace
from tests.sample import THOROUGH
from torch_mirror import session, train, verify
from torch_mirror.balls.cell import Ball
from torch_mirror.judge import compare as comparing
from torch_mirror.judge import hearing
from torch_mirror.judge.checks import local, trajectory, updates
from torch_mirror.judge.checks.local import judge_locally
from torch_mirror.judge.checks.same import judge_same
from torch_mirror.judge.compare import BLOCK, Where, allowed, compare
from torch_mirror.judge.findings import Finding, Findings, Row, merge
from torch_mirror.judge.replay import judge_givens, parts
from torch_mirror.optimizers import optimizer_of, states_of

WIDTHS = (300, 260, 2)  # W1 has 78,000 elements: more than one block, the last of which is not full
STEPS = 3


@pytest.fixture(autouse=True)
def _divergence_is_judged_not_warned_of() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


def large(dtype: str = "float64", optimizer: Any = None) -> Experiment:
    draw = np.random.default_rng(5)

    def normal(*shape: int) -> Array:
        return draw.normal(size=shape)

    W = tuple(normal(o, i) / np.asarray(i**0.5, dtype) for i, o in pairwise(WIDTHS))
    start = mlp.Parameters(W, tuple(normal(o) for o in WIDTHS[1:]))
    loss, optimizer = SquaredError("mean"), optimizer or SGD(0.01)
    return Experiment(mlp.MLP(WIDTHS, "tanh"), start, normal(6, 300), normal(6, 2), loss, optimizer, STEPS)


# --- updates in blocks ----------------------------------------------------------------------------------------

OPTIMIZERS = {
    "plain": SGD(0.01),
    "a rate for each step": SGD([0.01, 0.02, 0.03]),
    "momentum": SGD(0.01, 0.9, weight_decay=0.1),
    "Adam": Adam(0.01),
}

each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


def locally(e: Experiment, trace: Trace, *, stacks: bool = True) -> Findings:
    """What is found of torch's trace, in a part for all its steps or in one for each."""
    _, givens = judge_givens(e, trace, "torch")
    return merge(judge_locally(e, part, "torch") for part in parts(e, trace, givens, stacks=stacks))


def row_of(found: Findings, name: str) -> Row:
    (row,) = (row for row in found.rows if row.tensor == name)
    return row


def updated(trace: Trace, name: str, index: tuple[int, ...], step: int, value: float) -> Trace:
    """With another number in a parameter or state after that step."""
    held = {**trace.parameters, **trace.states}
    a = held[name].copy()
    a[(step + 1, *index)] = value
    if name in trace.parameters:
        return replace(trace, parameters={**trace.parameters, name: a})
    return replace(trace, states={**trace.states, name: a})


@each_optimizer
@pytest.mark.parametrize("stacks", [True, False])
def test_an_update_in_blocks_is_that_of_the_whole(
    optimizer: str, monkeypatch: pytest.MonkeyPatch, *, stacks: bool
) -> None:
    e = large(optimizer=OPTIMIZERS[optimizer])
    trace = train(e)
    asked: list[str] = []
    honest = updates.judge_update

    def noted(update: updates.Update, *rest: Any) -> list[Row] | None:
        rows = honest(update, *rest)
        asked.extend(row.tensor for row in rows or [])
        return rows

    monkeypatch.setattr(local, "judge_update", noted)
    monkeypatch.setattr(updates, "FEW", 1)  # Adam's roots differ in many
    some = locally(e, trace, stacks=stacks)
    assert set(asked) == {"W1", *(name for name in trace.states if name.endswith(".W1"))}
    monkeypatch.setattr(updates, "LARGE", 1 << 30)
    all_ = locally(e, trace, stacks=stacks)
    assert some.refutations == all_.refutations == ()
    assert some.worst == all_.worst
    for name in asked:
        here, there = row_of(some, name), row_of(all_, name)
        if here.worst and there.worst:  # the worst is named where it is worse than those before
            assert here.worst == there.worst
        assert here._replace(worst=None, under=0) == there._replace(worst=None, under=0)


class Nested:
    """tanh(x W^T) V^T, whose parameters are named alike: W and a.W."""

    def shapes(self) -> Any:
        return {"W": (260, 300), "a.W": (2, 260)}

    def forward(self, p: Any, x: Any, sow: Any = keep) -> Any:
        h = np.tanh(x @ p["W"].mT)
        return sow("y", h @ p["a"]["W"].mT), (x, h)

    def backward(self, p: Any, cache: Any, dy: Any, sow: Any = keep) -> Any:
        x, h = cache
        dz = (dy @ p["a"]["W"]) * (1 - h * h)
        return {"W": sow("dW", dz.mT @ x), "a": {"W": sow("da.W", dy.mT @ h)}}


class OfTorch(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.W, self.V = (torch.nn.Parameter(torch.zeros(*shape)) for shape in ((260, 300), (2, 260)))

    def forward(self, x: Any) -> Any:
        return torch.tanh(x @ self.W.T) @ self.V.T


@pytest.mark.parametrize("optimizer", [
    Adam(0.01), SGD(0.01, 0.9),
    Groups((({"W"}, Adam(0.01)), ({"a.W"}, Adam(0.1)))),
    Groups((({"a.W"}, SGD(0.1, 0.9)), (lambda _: True, SGD(0.01)))),
])  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parameters_that_are_named_alike_and_groups_that_name_them(optimizer: Any, dtype: str) -> None:
    draws = np.random.default_rng(2)

    def normal(*shape: int) -> Array:
        return (draws.normal(size=shape) / 20).astype(dtype)

    p, x, t = {"W": normal(260, 300), "a": {"W": normal(2, 260)}}, normal(6, 300), normal(6, 2)
    e = Experiment(Nested(), p, x, t, SquaredError("mean"), optimizer, STEPS)

    def by_torch(e: Experiment) -> Any:
        module = OfTorch().to(getattr(torch, dtype))
        weights = {"W": module.W, "a.W": module.V}
        by_torch = optimizer_of(optimizer, weights)
        return session(
            e, module, {"W": "W", "a.W": "V"}, torch.nn.MSELoss(), by_torch, states=states_of(optimizer)
        )

    assert verify(e, using=by_torch).verdict == "certified"


@each_optimizer
def test_one_element_of_an_update_is_refuted_from_its_radius_on(
    optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first block, at the ends of some, and in the last: each at one of the steps, and no step is left out."""
    monkeypatch.setattr(updates, "FEW", 1)  # Adam's roots differ in many
    e = large(optimizer=OPTIMIZERS[optimizer])
    trace = train(e)
    size = WIDTHS[0] * WIDTHS[1]
    block = updates.block_of(trace.tensors["dW1"].reshape(STEPS, -1))
    assert size > block
    for tensor, name in enumerate(("W1", *(name for name in trace.states if name.endswith(".W1")))):
        for place, flat in enumerate((0, block - 1, block, size - 1)):
            if tensor > 0 and (tensor + place) % 2 and not THOROUGH:  # of a state at two of the places
                continue
            step = (tensor + place) % STEPS
            index = tuple(int(i) for i in np.unravel_index(flat, WIDTHS[1::-1]))
            far = outside(e, updated(trace, name, index, step, 1e6), name)
            assert (far.step, far.index, far.outside) == (step, index, 1)
            spacing = float(np.spacing(abs(far.expected)))
            for more, refuted in ((0, False), (2, True)):
                value = far.expected + (far.radius // spacing + more) * spacing
                first = row_of(locally(e, updated(trace, name, index, step, value)), name).first
                assert (first is not None and first.step == step) == refuted  # the next one starts from it


def outside(e: Experiment, trace: Trace, name: str) -> Finding:
    first = row_of(locally(e, trace), name).first
    assert first is not None
    return first


def test_a_block_that_is_not_looked_at_would_hide_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the tests above do see every block."""
    e = large()
    trace = train(e)
    honest = updates._differing

    def without_the_last(update: updates.Update) -> list[Array] | None:
        differ = honest(update)
        return differ and [at[at < update.gradient.shape[1] - updates.block_of(update.gradient)] for at in differ]

    wrong = updated(trace, "W1", (WIDTHS[1] - 1, WIDTHS[0] - 1), 1, 1e6)
    assert row_of(locally(e, wrong), "W1").first is not None
    monkeypatch.setattr(updates, "_differing", without_the_last)
    assert row_of(locally(e, wrong), "W1").first is None


def test_somebodys_word_that_elements_are_updated_each_by_itself_is_not_enough_for_blocks() -> None:
    """Torch forgot to bound the norm. No block of the gradient is beyond the bound, but the whole is."""
    trace = train(large())
    g = trace.tensors["dW1"][1]
    bound = 0.9 * float(np.linalg.norm(g))
    flat = g.reshape(-1)
    block = updates.block_of(flat[None])
    assert all(np.linalg.norm(flat[i : i + block]) < bound for i in range(0, g.size, block))

    def update(p: Any, g: Any, t: Any) -> Any:
        late = np.asarray(t).reshape(-1)[0] > 0  # so that a trial of the first step shows nothing
        scale = {name: np.minimum(1, bound / np.linalg.norm(g[name])) if late else 1.0 for name in p}
        return {name: p[name] - 0.01 * (scale[name] * g[name]) for name in p}

    class ByName(NamedTuple):
        """Parameters by their names, as the update takes them."""

        optimizer: Any
        elementwise: bool = True

        def init(self, p: Any) -> Any:
            return {}

        def step(self, p: Any, g: Any, state: Any, t: Any, sow: Any = keep) -> Any:
            after = self.optimizer(named(p), named(g), t)
            return zip_with(lambda name, _: sow(name, after[name]), p), state

    e = replace(large(), optimizer=ByName(update))
    first = row_of(locally(e, trace, stacks=False), "W1").first
    assert first is not None
    assert first.step == 1


# --- a first look at a large sum, and radii in blocks ------------------------------------------------------------

HERE = Where("z", "torch", "local", range(3))


def sum_of(terms: int) -> Ball:
    draw = np.random.default_rng(terms)
    made: Ball = Ball(draw.normal(size=(3, 300, terms))) @ Ball(draw.normal(size=(3, terms, 300)))
    assert made.size > comparing.VERY_MANY
    return made


def elsewhere(equation: Ball) -> Array:
    """Other evaluations: each element is off by some rounding."""
    draw = np.random.default_rng(1)
    off = draw.uniform(-0.2, 0.2, equation.shape) * allowed(equation)
    moved: Array = equation.value + off
    return moved


@pytest.mark.parametrize("roomy", [True, False], ids=["a first look", "in blocks"])
@pytest.mark.parametrize("flat", [0, BLOCK - 1, BLOCK, 7 * BLOCK + 5, 3 * 300 * 300 - 1])
def test_a_large_tensor_of_which_nothing_is_known_yet(flat: int, *, roomy: bool) -> None:
    seen = elsewhere(sum_of(64))
    for radii in (0.6, -0.6, 1.2, -1.2, 1e9, np.nan):
        equation = sum_of(64)
        wrong = seen.copy()
        wrong.reshape(-1)[flat] = equation.value.reshape(-1)[flat] + radii * allowed(sum_of(64)).reshape(-1)[flat]
        (row,) = compare(wrong, equation, HERE, roomy=roomy).rows
        assert row.judged == seen.size
        step, *index = (int(i) for i in np.unravel_index(flat, seen.shape))
        told = row.worst if abs(radii) < 1 else row.first
        assert told is not None
        assert (told.step, told.index) == (step, tuple(index))


def test_radii_in_blocks_give_the_row_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = elsewhere(sum_of(64))
    (some,) = compare(seen, sum_of(64), HERE).rows
    monkeypatch.setattr(comparing, "_in_blocks", lambda *_: None)
    (all_,) = compare(seen, sum_of(64), HERE).rows
    assert some._replace(resolution=None) == all_._replace(resolution=None)
    assert some.resolution is not None
    assert all_.resolution is not None
    assert some.resolution <= all_.resolution  # of one element the radius is sharper than of all


def test_an_infinite_radius_in_the_last_block_is_told() -> None:
    value = np.ones((3, 300, 300))
    radius = np.zeros(value.shape)
    radius[-1, -1, -1] = np.inf
    (row,) = compare(value, Ball(value, radius), HERE).rows
    assert (row.infinite, row.vacuous) == (1, 1)
    assert row.unbounded is not None
    assert (row.unbounded.step, row.unbounded.index) == (2, (299, 299))


@pytest.mark.parametrize("flat", [BLOCK + 1, 3 * 300 * 300 - 1])
@pytest.mark.parametrize("radii", [0.0, 0.6, 1.2])
@pytest.mark.parametrize("many", ["some", "all but the last"])
def test_infinite_radii_in_blocks_give_the_row_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, flat: int, radii: float, many: str
) -> None:
    """Wherever they are, the others are judged; where one of these is outside, it is refuted as before."""
    draw = np.random.default_rng(0)
    value = draw.normal(size=(3, 300, 300))
    value[:, 0, :16] = 0  # at a glance every radius is too wide
    radius = np.full(value.shape, 1e-6)
    radius.reshape(-1)[draw.integers(value.size, size=100) if many == "some" else slice(0, -1)] = np.inf
    radius.reshape(-1)[flat] = 1e-6
    seen = value.copy()
    seen.reshape(-1)[flat] += radii * 2e-6
    (some,) = compare(seen, Ball(value, radius), HERE).rows
    assert bool(some.first) == (radii > 1)
    assert some.infinite == np.count_nonzero(np.isinf(radius))
    monkeypatch.setattr(comparing, "_in_blocks", lambda *_: None)
    (all_,) = compare(seen, Ball(value, radius), HERE).rows
    assert some == all_


def test_a_radius_above_the_largest_value_of_its_entry_is_too_wide_in_blocks_too() -> None:
    value = np.ones((3, 300, 300))
    value[1] = 1e-3
    (row,) = compare(value, Ball(value, np.full(value.shape, 2e-3)), HERE).rows
    assert row.vacuous == 300 * 300


@pytest.mark.parametrize("far", [0.0, np.inf])
def test_of_a_step_with_an_infinite_radius_nothing_more_is_asked(far: float) -> None:
    """It explains any distance; so its r must be infinite where one gradient's radius is, and at no other step."""
    e = large()
    trace = train(e)
    _, givens = judge_givens(e, trace, "torch")
    (one,) = parts(e, trace, givens, stacks=False, steps=[1])
    dw = {f"d{name}": Ball(trace.tensors[f"d{name}"][1:2]) for name in trace.parameters}
    radius = np.zeros(dw["dW2"].shape)
    radius[0, -1, -1] = far
    dw["dW2"] = Ball(dw["dW2"].value, radius)
    theirs = {name: a[2:3] + 1 for name, a in trace.parameters.items()}
    gradients = {name: dw[f"d{name}"] for name in trace.parameters}
    r, distance = trajectory._stepped_in_blocks(e, one, gradients, theirs)
    assert np.isinf(r) == np.isinf(far)
    assert np.isnan(distance) == np.isinf(far)


# --- NumPy's own step in its own precision -----------------------------------------------------------------------


def test_a_step_that_is_the_same_again_is_judged_without_a_wider_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    e = large()
    one = reference.train(e).at(slice(1, 2))
    found = judge_same(e, one)
    assert found is not None
    assert {row.under for row in found.rows} == {1.0}
    plan = hearing.plan_of(e)
    wide = merge(hearing._judge_sample(e, plan._replace(sample=np.array([1])), one, 0))
    assert {(row.tensor, row.judged) for row in found.rows} == {(row.tensor, row.judged) for row in wide.rows}
    monkeypatch.setattr(Trace, "astype", None)  # which nobody calls
    assert merge(hearing._judge_sample(e, plan._replace(sample=np.array([1]), large=True), one, 0)) == found


@pytest.mark.parametrize("name", ["z1", "dW1", "W1"])
def test_what_is_not_the_same_is_judged_in_a_wider_precision(name: str) -> None:
    """One and a half radii off: inside by the run's own precision, whose centre may be one off itself."""
    e = large()
    plan = hearing.plan_of(e)._replace(sample=np.array([1]), large=True)
    one = reference.train(e).at(slice(1, 2))
    far = merge(hearing._judge_sample(e, plan, with_one(one, name, 1e6), 0)).first
    assert far is not None
    wrong = with_one(one, name, far.expected + 1.5 * far.radius)
    assert judge_same(e, wrong) is None
    first = merge(hearing._judge_sample(e, plan, wrong, 0)).first
    assert first is not None
    assert (first.tensor, first.index, first.side) == (name, (3, 4), "numpy")


def with_one(trace: Trace, name: str, value: float) -> Trace:
    if name in trace.parameters:
        return updated(trace, name, (3, 4), 0, value)
    a = trace.tensors[name].copy()
    a[0, 3, 4] = value
    return replace(trace, tensors={**trace.tensors, name: a})


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_run_of_large_steps_has_the_rows_of_any_other(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    e = large(dtype)
    small = verify(e)
    monkeypatch.setattr(training, "SEGMENT_BYTES", 1)
    assert hearing.plan_of(e).large
    assert not hearing.plan_of(e).stacks
    alone = verify(e)
    assert small.verdict == alone.verdict == "certified"
    assert small.notes == alone.notes
    assert {row[:5] for row in small.rows} == {row[:5] for row in alone.rows}  # name, check, side and counts
