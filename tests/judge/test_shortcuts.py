"""Short ways of the judge: each is tried with an error that only a wrong one would miss."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import reference
from reference import experiments
from reference.arrays import Array
from reference.claim.batches import Batches
from reference.claim.experiment import Experiment
from reference.claim.slots import STEP, names
from reference.losses import SquaredError
from reference.networks import two_layer_relu
from reference.networks.two_layer_relu import TwoLayerReLU
from reference.optimizers.sgd import SGD
from reference.traces.trace import Trace
from tests.sample import THOROUGH
from torch_mirror import train, verify
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.rules import products
from torch_mirror.judge import hearing
from torch_mirror.judge.checks import trajectory
from torch_mirror.judge.checks.end_to_end import free_step
from torch_mirror.judge.checks.trajectory import Distances, grown, judge_free_run
from torch_mirror.judge.compare import BLOCK, MANY, Where, allowed, compare
from torch_mirror.judge.findings import Findings, merge
from torch_mirror.judge.replay import Part, judge_givens, parts
from torch_mirror.training.session import Session, session

HERE = Where("z", "torch", "local", range(3))


@pytest.fixture(autouse=True)
def _divergence_is_judged_not_warned_of() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


# --- the elements of a sum that may exceed a share of their radius ------------------------------------------


def product(terms: int) -> tuple[Ball, Array]:
    """A sum over some steps in several blocks, the last of which is not full; and one evaluated otherwise in places."""
    draw = np.random.default_rng(terms)
    x, w = draw.normal(size=(3, 90, terms)), draw.normal(size=(3, terms, 150))
    equation: Ball = Ball(x) @ Ball(w)
    other = np.where(draw.random(equation.shape) < 0.02, x[..., ::-1] @ w[..., ::-1, :], equation.value)
    assert equation.size > 2 * BLOCK > MANY
    assert equation.size % BLOCK
    return equation, other


def ends_of_blocks(size: int) -> list[int]:
    """The first and the last element of each block."""
    starts = list(range(0, size, BLOCK))
    return sorted({*starts, *(start - 1 for start in starts[1:]), size - 1})


def moved(seen: Array, equation: Ball, flat: int, radii: float) -> Array:
    """With one element so many admissible distances from its equation."""
    result = seen.copy()
    result.reshape(-1)[flat] = equation.value.reshape(-1)[flat] + radii * allowed(equation).reshape(-1)[flat]
    return result


@pytest.mark.parametrize("above", [0.25, 1.0, 40.0])
@pytest.mark.parametrize("terms", [5, 64], ids=lambda n: f"{n} terms")
def test_an_element_outside_is_found_in_every_block(terms: int, above: float) -> None:
    """Of few terms all are looked at again, and of many some first."""
    equation, seen = product(terms)
    for flat in ends_of_blocks(seen.size):
        for radii in (-1.3, 1.3, -1e9, 1e9):
            wrong = moved(seen, equation, flat, radii)
            fresh, _ = product(terms)  # of which no radius was evaluated
            row = compare(wrong, fresh, HERE, roomy=True, above=above).rows[0]
            assert row.under >= min(above, 1.0), "the short way was not taken"
            assert row.first is not None
            step, *index = (int(i) for i in np.unravel_index(flat, seen.shape))
            assert (row.first.step, row.first.index) == (step, tuple(index))
            assert (row.first.outside, row.judged) == (1, seen.size)


@pytest.mark.parametrize("radii", [-0.9, 0.9])
def test_an_element_inside_that_is_worse_than_all_before_is_named(radii: float) -> None:
    equation, seen = product(64)
    for flat in ends_of_blocks(seen.size):
        fresh, _ = product(64)
        worst = compare(moved(seen, equation, flat, radii), fresh, HERE, roomy=True, above=0.5).worst
        assert worst is not None
        assert (worst.step, *worst.index) == tuple(np.unravel_index(flat, seen.shape))
        assert 0.89 < worst.ratio < 0.91


def test_a_share_of_the_terms_that_is_too_large_would_hide_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the tests above do see the terms that are looked at first."""
    equation, seen = product(64)
    honest = products.magnitude_of_few
    monkeypatch.setattr(products, "magnitude_of_few", lambda x, w, at: 100 * honest(x, w, at))
    wrong = moved(seen, product(64)[0], 0, 1.3)
    assert compare(wrong, equation, HERE, roomy=True, above=1.0).refutations == ()


@given(seed=st.integers(0, 2**32), terms=st.integers(products.FEW, 70), exponent=st.integers(-540, 300))
def test_a_few_of_the_terms_are_no_more_than_all(seed: int, terms: int, exponent: int) -> None:
    """In exact numbers; below the normal ones beside the tiny that the radius of a sum has for each term."""
    draw = np.random.default_rng(seed)
    x, w = np.ldexp(draw.normal(size=(4, terms)), exponent), np.ldexp(draw.normal(size=(terms, 3)), exponent)
    x[draw.random(x.shape) < 0.3] = 0
    at = tuple(np.indices((4, 3)).reshape(2, -1))
    some = products.magnitude_of_few(x, w, at)
    room = terms * Fraction(float(np.finfo(np.float64).tiny))
    for i, j, few in zip(*at, some.tolist(), strict=True):
        exact = sum(abs(Fraction(a) * Fraction(b)) for a, b in zip(x[i].tolist(), w[:, j].tolist(), strict=True))
        assert Fraction(few) <= exact + (room if exponent < -400 else 0)
    if exponent > -400:
        assert (some > 0).any()


def test_few_products_that_somebody_flushes_to_0_are_within_their_radius() -> None:
    """All are below the normal numbers, where gamma of their sum is nothing and the term for underflow all."""
    draw = np.random.default_rng(0)
    x, w = draw.normal(size=(3, 90, 5)) * 2.0**-520, draw.normal(size=(3, 5, 150)) * 2.0**-510
    equation: Ball = Ball(x) @ Ball(w)
    flushed = np.where(draw.random(equation.shape) < 0.02, 0.0, equation.value)
    row = compare(flushed, equation, HERE, roomy=True).rows[0]
    assert row.first is None
    assert row.worst is not None
    assert 0 < row.worst.ratio < 1


# --- resolution of every entry ------------------------------------------------------------------------------


def test_the_resolution_of_every_entry_is_the_largest_of_each() -> None:
    equation, seen = product(5)
    seen[1] *= 2.0**-40  # the middle one alone is far from its equation
    each = [
        compare(seen[i : i + 1], Ball(equation.value[i : i + 1], equation.radius[i : i + 1]), HERE).rows[0].resolution
        for i in range(3)
    ]
    last, every = (
        compare(seen, equation, HERE._replace(every=flag)).rows[0].resolution for flag in (False, True)
    )
    assert last == each[-1]
    assert every == max(figure for figure in each if figure is not None) == each[1]


def test_where_every_entry_is_0_there_is_no_resolution() -> None:
    seen = np.zeros((3, 4))
    for zero in (True, False):
        seen[1, 2] = 0 if zero else 1
        row = compare(seen, Ball(seen.copy()), HERE._replace(every=True)).rows[0]
        assert (row.resolution is None, row.zero) == (zero, zero)


# --- a sample of NumPy's steps ------------------------------------------------------------------------------

SAMPLED: dict[str, dict[str, Any]] = {
    "stacked": {},
    "batches, the last one smaller": {"batches": Batches(2, seed=1)},
    "momentum": {"optimizer": SGD(0.01, 0.9)},
}


@pytest.mark.parametrize("stacks", [True, False])
@pytest.mark.parametrize("case", SAMPLED)
def test_a_fault_at_any_sampled_step_is_told_at_that_step(case: str, *, stacks: bool) -> None:
    e = replace(experiments.load("mlp-relu", "float64"), steps=24, **SAMPLED[case])
    plan = hearing.plan_of(e)._replace(flaw=None if stacks else "as somebody's equations do not")
    honest = reference.train(e)
    right = merge(hearing._judge_sample(e, plan, honest, 0))
    assert right.refutations == ()
    assert {row.comparisons for row in right.rows} == {len(plan.sample)}
    for i, t in enumerate(plan.sample.tolist()):
        if not THOROUGH and i % 3 and 1 < i < len(plan.sample) - 2:  # both ends, and every third between them
            continue
        beside = plan if stacks else plan._replace(sample=plan.sample[max(i - 1, 0) : i + 2])  # each is judged alone
        name = ("z1", "dW2")[i % 2]
        a = honest.tensors[name].copy()
        a[t].reshape(-1)[1] += 1e-6
        wrong = replace(honest, tensors={**honest.tensors, name: a})
        first = merge(hearing._judge_sample(e, beside, wrong, 0)).first
        assert first is not None
        assert (first.step, first.tensor, first.side) == (t, name, "numpy")


# --- a step from torch's parameters at sampled steps alone --------------------------------------------------


def large(steps: int = 6) -> Experiment:
    """More numbers a step than have radii at every step."""
    draw = np.random.default_rng(0)
    p = two_layer_relu.Parameters(draw.normal(size=(150, 60)) / 8, draw.normal(size=(5, 150)) / 12)
    x, t = draw.normal(size=(20, 60)), draw.normal(size=(20, 5))
    e = Experiment(TwoLayerReLU(60, 150, 5), p, x, t, SquaredError("mean"), SGD(0.01), steps)
    assert not hearing.plan_of(e).small
    return e


def runs(e: Experiment) -> tuple[Trace, Trace]:
    return train(e), reference.train(e)


def judged(e: Experiment, torchs: Trace, numpy: Trace, *, closely: bool) -> tuple[Findings, Distances, Part]:
    """The free run, with step 3 as the sample."""
    _, givens = judge_givens(e, torchs, "torch")
    (part,) = parts(e, torchs, givens)
    return *judge_free_run(e, part, numpy, [3], closely=closely), part


def jumping(trace: Trace, step: int) -> Trace:
    """With parameters that are elsewhere after one step."""
    W1 = trace.parameters["W1"].copy()
    W1[step + 1] *= 1 + 1e-9
    return replace(trace, parameters={**trace.parameters, "W1": W1})


def test_what_is_stepped_or_not_has_the_same_distances() -> None:
    e = large()
    (some, few, _), (all_, full, part) = (judged(e, *runs(e), closely=flag) for flag in (False, True))
    for here, there in ((few.distance, full.distance), (few.before, full.before)):
        np.testing.assert_array_equal(here, there)
    assert (few.amplified[3], few.radius[3]) == (full.amplified[3], full.radius[3])
    assert np.isnan(np.delete(few.amplified, 3)).all()
    assert (few.radius > 0).all()
    assert grown(part, few) == []
    assert {row.check for row in some.rows} == {"end to end"}
    assert {row.comparisons for row in some.rows} == {1}
    assert some.refutations == all_.refutations == ()


@pytest.mark.parametrize("side", ["torch", "numpy"])
@pytest.mark.parametrize("step", [0, 3, 5])
def test_a_jump_is_told_at_a_sampled_step_and_elsewhere_left_to_who_looks_closer(step: int, side: str) -> None:
    """What grew is evaluated anew of NumPy's run; of torch's the local check objects, and then each step is taken."""
    e = large()
    torchs, numpy = runs(e)
    torchs, numpy = (jumping(torchs, step), numpy) if side == "torch" else (torchs, jumping(numpy, step))
    for closely in (True, False):
        found, distances, part = judged(e, torchs, numpy, closely=closely)
        told = [f.step for f in found.refutations if f.check == "trajectory"]
        if side == "torch":
            assert told == ([step] if closely or step == 3 else [])
        assert step in grown(part, distances)


class Jumps(torch.optim.SGD):
    """A parameter that somebody moves after one step."""

    taken = 0

    def step(self, closure: Any = None) -> Any:
        super().step(closure)
        self.taken += 1
        if self.taken == 3:
            with torch.no_grad():
                self.param_groups[0]["params"][0].mul_(1 + 1e-9)


def test_where_the_local_check_objects_the_distance_is_judged_too() -> None:
    e = large()

    def using(e: Experiment) -> Session:
        own = session(e)
        return own._replace(optimizer=Jumps(own.module.parameters(), lr=0.01))

    refuted = {(f.check, f.tensor, f.step) for f in verify(e, using=using).refutations}
    assert {("local", "W1", 2), ("trajectory", "parameters", 2)} <= refuted


def test_a_large_right_run_is_stepped_at_its_sample_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    e, stepped = large(), list[int]()

    def noted(e: Experiment, part: Part) -> dict[str, Any]:
        stepped.extend(part.steps)
        return free_step(e, part)

    monkeypatch.setattr(trajectory, "free_step", noted)
    certificate = verify(e)
    assert certificate.verdict == "certified"
    assert stepped == hearing.plan_of(e).sample.tolist()
    rows = {(row.check, row.tensor): row.comparisons for row in certificate.rows if row.side != "numpy"}
    for name in names(e.slots, *STEP):
        assert rows["local", name] == e.steps
    assert {n for (check, _), n in rows.items() if check == "end to end"} == {len(hearing.plan_of(e).sample)}


# --- what is copied of torch's run --------------------------------------------------------------------------


def test_a_gradient_that_has_a_graph_of_its_own_is_kept() -> None:
    e = replace(experiments.load("mlp-relu", "float64"), steps=3)

    def using(e: Experiment) -> Session:
        own = session(e)
        for weight in own.module.parameters():
            weight.register_post_accumulate_grad_hook(_with_graph)  # type: ignore[no-untyped-call]  # untyped in torch
        return own

    assert verify(e, using=using).verdict == "certified"


def _with_graph(weight: torch.Tensor) -> None:
    assert weight.grad is not None
    weight.grad = weight.grad.detach().clone().requires_grad_()
