"""Rows: what merging keeps, what voids a verdict, and that a change as small as the resolution is refuted."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import reference
from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.losses import SquaredError
from reference.networks import two_layer_relu
from reference.optimizers.sgd import SGD
from reference.traces.trace import Trace
from torch_mirror.balls.cell import Ball
from torch_mirror.doors import strategies
from torch_mirror.doors.certify import certify
from torch_mirror.doors.verify import verify
from torch_mirror.judge.compare import Where, compare
from torch_mirror.judge.findings import Check, Doubt, Finding, Findings, Row, Side, merge
from torch_mirror.judge.verdict import Certificate

HERE = Where("z", "torch", "local", range(3))
ROW = Row("z1", "local", "torch", 3, 30, zero=False)


def finding(row: Row, ratio: float, step: int) -> Finding:
    return Finding(ratio, step, row.tensor, row.side, row.check, (), 1.0, 1.0, 1.0, 1.0)


def rows() -> st.SearchStrategy[Row]:
    """Rows of few tensors, so that they meet; numbers that add up exactly."""
    checks: tuple[Check, ...] = ("local", "end to end")
    sides: tuple[Side, ...] = ("torch", "numpy")
    counts = st.integers(0, 50)

    @st.composite
    def row(draw: Any) -> Row:
        bare = Row(draw(st.sampled_from("ab")), draw(st.sampled_from(checks)), draw(st.sampled_from(sides)))
        some = st.none() | st.builds(lambda r, s: finding(bare, r, s), st.integers(0, 5), st.integers(0, 5))
        return bare._replace(
            comparisons=draw(counts), judged=draw(counts), vacuous=draw(counts), infinite=draw(counts),
            worst=draw(some), under=draw(st.floats(0, 1)), first=draw(some),
            resolution=draw(st.none() | st.floats(0)), zero=draw(st.booleans()),
            forms=draw(counts), beyond=draw(st.floats(0)), sought=draw(counts),
            doubt=draw(st.none() | st.builds(Doubt, st.just("size"), st.just(1.0), st.floats(0, 1))),
            unbounded=draw(some),
        )  # fmt: skip

    return row()


# --- merging ------------------------------------------------------------------------------------------


@given(st.lists(rows(), max_size=8), st.integers(0, 8))
def test_merging_keeps_every_count_the_worst_and_the_first(some: list[Row], at: int) -> None:
    merged = merge(Findings((row,)) for row in some)
    keys = [(row.tensor, row.check, row.side) for row in some]
    assert [(row.tensor, row.check, row.side) for row in merged.rows] == list(dict.fromkeys(keys))
    for name in ("comparisons", "judged", "vacuous", "infinite", "forms", "sought"):
        assert sum(getattr(row, name) for row in merged.rows) == sum(getattr(row, name) for row in some)
    for row, key in zip(merged.rows, dict.fromkeys(keys), strict=True):
        own = [one for one, other in zip(some, keys, strict=True) if other == key]
        assert row.worst == max((r.worst for r in own if r.worst), key=lambda f: f.ratio, default=None)
        assert row.first == min((r.first for r in own if r.first), key=lambda f: f.step, default=None)
        assert row.unbounded == min((r.unbounded for r in own if r.unbounded), key=lambda f: f.step, default=None)
        assert row.resolution == max((r.resolution for r in own if r.resolution is not None), default=None)
        assert (row.under, row.zero) == (max(r.under for r in own), all(r.zero for r in own))
        assert row.beyond == max(r.beyond for r in own)
        doubts = [r.doubt for r in own if r.doubt]
        assert row.doubt == min(doubts, key=lambda d: d.probability, default=None)
    assert merge([merge(Findings((row,)) for row in some[:at]), Findings(tuple(some[at:]))]) == merged
    c = Certificate("mine", "float64", 0, 1, merged.rows)
    assert (c.tensors, c.judged, c.vacuous) == (merged.tensors, merged.judged, merged.vacuous)
    assert (c.worst.ratio if c.worst else 0) == max((row.worst.ratio for row in some if row.worst), default=0)
    assert (c.first.step if c.first else -1) == min((row.first.step for row in some if row.first), default=-1)
    assert [f.step for f in c.refutations] == sorted(row.first.step for row in merged.rows if row.first)


# --- the verdict --------------------------------------------------------------------------------------

END = ROW._replace(check="end to end", side="both")


def infinite(row: Row) -> Row:
    return row._replace(judged=0, vacuous=30, infinite=30)


def wide(row: Row) -> Row:
    return row._replace(judged=14, vacuous=16)



@pytest.mark.parametrize(
    ("found", "verdict", "undecided"),
    [
        ((ROW,), "certified", ()),
        ((), "vacuous", ()),
        ((ROW._replace(judged=0),), "vacuous", ()),
        ((ROW, infinite(END)), "certified", ()),
        ((ROW, wide(END)), "certified", ()),
        ((wide(ROW), END), "certified", ()),
        ((wide(ROW), infinite(END)), "vacuous", ("z1",)),
        ((ROW._replace(judged=29, vacuous=1, infinite=1),), "vacuous", ("z1",)),
        ((ROW._replace(judged=15, vacuous=15),), "certified", ()),
        ((wide(ROW),), "vacuous", ("z1",)),
        # what looked at less of the tensor, at NumPy's, or at its start decides nothing of the rest
        ((infinite(ROW), END._replace(judged=3)), "vacuous", ("z1",)),
        ((infinite(ROW), ROW._replace(side="numpy")), "vacuous", ("z1",)),
        ((infinite(ROW), ROW._replace(check="start", judged=90)), "vacuous", ("z1",)),
        ((infinite(ROW), ROW._replace(check="unbatched")), "vacuous", ("z1",)),
        ((ROW, infinite(ROW)._replace(tensor="y")), "vacuous", ("y",)),
        ((infinite(ROW), END._replace(first=finding(END, 2.0, 1))), "refuted", ()),
    ],
)
def test_what_voids_a_verdict(found: tuple[Row, ...], verdict: str, undecided: tuple[str, ...]) -> None:
    certificate = Certificate("mine", "float64", 0, 3, found)
    assert (certificate.verdict, certificate.undecided) == (verdict, undecided)
    assert replace(certificate, idle=("no step was taken",)).verdict in ("refuted", "vacuous")


def test_a_doubt_fails_only_what_is_strict_and_else_certified() -> None:
    doubted = ROW._replace(sought=3, doubt=Doubt("factor", 1.000001, 1e-9))
    c = Certificate("mine", "float64", 0, 3, (ROW, doubted))
    assert (c.verdict, c.doubts) == ("certified", (doubted,))
    assert replace(c, strict=True).verdict == "doubted"
    assert replace(c, strict=True, rows=(ROW,)).verdict == "certified"
    assert replace(c, strict=True, idle=("no step was taken",)).verdict == "vacuous"
    refuted = ROW._replace(first=finding(ROW, 2.0, 1))
    assert replace(c, strict=True, rows=(refuted, doubted)).verdict == "refuted"


def test_a_radius_beyond_the_largest_value_of_its_entry_decides_nothing() -> None:
    """By entry: 3 is not much beside 4. What is outside is refuted all the same, and beside 0 nothing is too large."""
    value = np.array([[4.0, 1.0], [0.5, 1.0], [0.0, 0.0], [-2.0, 0.0]])
    # of the centre; another evaluation may be twice as far from it
    radius = np.array([[3.0, 4.5], [1.1, 0.9], [1.0, 1.0], [1.9, 2.1]]) / 2
    where = HERE._replace(steps=range(4))
    (row,) = compare(value, Ball(value, radius), where).rows
    assert (row.judged, row.vacuous, row.infinite) == (5, 3, 0)
    far = value.copy()
    far[1, 0] += 9
    (row,) = compare(far, Ball(value, radius), where).rows
    assert (row.judged, row.vacuous) == (6, 2)
    assert row.first is not None
    assert (row.first.step, row.first.index) == (1, (0,))
    radius[0, 0] = np.inf
    (row,) = compare(value, Ball(value, radius), where).rows
    assert (row.judged, row.vacuous, row.infinite) == (4, 4, 1)


# --- what was 0 ---------------------------------------------------------------------------------------


def relu_experiment(W2: Array, steps: int = 1) -> Experiment:
    draw = np.random.default_rng(0)
    p = two_layer_relu.Parameters(draw.normal(size=(4, 3)), W2)
    x, t = draw.normal(size=(5, 3)), draw.normal(size=(5, 2))
    return Experiment(two_layer_relu.TwoLayerReLU(3, 4, 2), p, x, t, SquaredError("mean"), SGD(0.1), steps)


@pytest.mark.parametrize("judge", [verify, lambda e: certify(e, reference.train(e))])
def test_a_gradient_that_was_0_at_every_step_is_told(judge: Callable[[Experiment], Certificate]) -> None:
    certificate = judge(relu_experiment(np.zeros((2, 4))))
    assert certificate.verdict == "certified"
    assert certificate.notes == ("dW1 was 0 at every step: no factor in it could have failed",)
    for moves in (relu_experiment(np.zeros((2, 4)), steps=2), relu_experiment(np.ones((2, 4)))):
        assert judge(moves).notes == ()


def test_a_run_that_could_not_fail_says_so_once() -> None:
    e = relu_experiment(np.zeros((2, 4)))
    e = replace(e, t=np.zeros_like(e.t))
    certificate = certify(e, reference.train(e))
    assert (certificate.verdict, certificate.notes) == ("vacuous", ())


@pytest.mark.parametrize("steps", [1, 3])
def test_a_run_that_does_not_move_is_judged_and_what_could_not_fail_is_told(steps: int) -> None:
    """Of a learning rate of 0 the gradients say as much as of any other."""
    e = replace(relu_experiment(np.ones((2, 4)), steps), optimizer=SGD(0.0))
    certificate = verify(e)
    assert (certificate.verdict, certificate.idle) == ("certified", ())
    assert certificate.notes == ("W1, W2 never moved: no factor in their update could have failed",)
    trace = reference.train(e)
    wrong = certify(e, replace(trace, tensors={**trace.tensors, "dW1": 2 * trace.tensors["dW1"]}))
    assert wrong.first is not None
    trace.parameters["W1"][1:] += 1
    first = certify(e, trace).first
    assert first is not None
    assert first.tensor == "W1"
    slow = verify(replace(e, parameters=e.parameters._replace(W2=np.zeros((2, 4)))))
    assert slow.notes == (
        "dW1 was 0 at every step: no factor in it could have failed",
        "W2 never moved: no factor in its update could have failed",
    )


# --- resolution ---------------------------------------------------------------------------------------


def scaled(a: Array, d: float) -> Array:
    """a (1 + d), where 1 + d itself may be no number of the format."""
    grown: Array = a + a * a.dtype.type(d)
    return grown


@given(st.data())
def test_a_change_of_a_tensor_by_its_resolution_is_refuted_or_told_as_another_form(data: st.DataObject) -> None:
    """Of the last step, which is looked at: a tensor of the step, or the parameter or buffer that it made."""
    e = data.draw(strategies.experiments())
    with np.errstate(all="ignore"):
        trace = reference.train(e)
        rows = [row for row in certify(e, trace).rows if row.check == "local" and row.tensor not in trace.constants]
        assume(rows)
        row = data.draw(st.sampled_from(rows))
        group = trace.tensors if row.tensor in trace.tensors else {**trace.parameters, **trace.states}
        last = group[row.tensor][-1:]
        some = np.nan_to_num(last).any()  # a last batch that is shorter is filled up with NaN
        if row.resolution is None:
            assert not some, "nothing can be told of what was 0 only"
        elif row.resolution < 1 and some:
            last[...] = scaled(last, 1.01 * row.resolution * data.draw(st.sampled_from([1, -1])))
            (changed,) = (r for r in certify(e, trace).rows if (r.tensor, r.check) == (row.tensor, "local"))
            if changed.first is None:  # it is noted
                assert changed.forms, row
                assert e.slots[row.tensor].role in {"gradient", "parameter", "state"}
            else:
                assert changed.first.step == e.steps - 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(3, 8, 5, 7), (1, 1, 1, 1), (2, 300, 200, 250), (2, 40, 3, 2000)])
@pytest.mark.parametrize("seen", ["the centre", "another order", "one element differs"])
def test_the_resolution_of_a_sum_whichever_way_its_radii_are_had(dtype: Any, shape: Any, seen: str) -> None:
    """Few elements picked, or all of them; radii of float32 sums, or of one element alone."""
    steps, n, k, m = shape
    draw = np.random.default_rng(0)
    x, w = (draw.normal(size=s).astype(dtype) for s in ((steps, n, k), (steps, k, m)))
    value = (Ball(x) @ Ball(w)).value.copy()
    if seen == "another order":
        value = x[..., ::-1] @ w[..., ::-1, :]
    elif seen == "one element differs":
        value[0, 0, 0] = np.nextafter(value[0, 0, 0], np.inf)
    for roomy, above in ((False, 0.0), (True, 0.0), (True, 0.5)):
        where = HERE._replace(steps=range(steps))
        (row,) = compare(value, Ball(x) @ Ball(w), where, roomy=roomy, above=above).rows
        assert row.resolution is not None
        assert row.first is None
        for sign in (1, -1):
            moved = value.copy()
            moved[-1] = scaled(value[-1], sign * 1.01 * row.resolution)
            (refuted,) = compare(moved, Ball(x) @ Ball(w), where, roomy=roomy, above=above).rows
            assert refuted.first is not None


@pytest.mark.parametrize("radius", [0.0, 1e-12, 0.25])
def test_the_resolution_of_one_element_is_no_larger_than_it_must_be(radius: float) -> None:
    """Where the radius leaves less than a rounding, one spacing of the format remains: no smaller change exists."""
    value = np.array([[3.0]])
    equation = Ball(value, radius)
    (row,) = compare(value, equation, HERE._replace(steps=[0])).rows
    assert row.resolution is not None
    assert row.resolution > 0
    finest = np.finfo(np.float64).eps
    for share, refuted in ((1.01, True), (0.99, False)):
        d = share * (row.resolution - finest) if not refuted else share * row.resolution
        (found,) = compare(scaled(value, d), equation, HERE._replace(steps=[0])).rows
        assert (found.first is not None) == refuted


def test_resolutions_that_cannot_be_told() -> None:
    value = np.array([[1.0, 2.0], [0.0, 0.0]])
    for seen, radius, expected in (
        (value, 0.1, (None, False)),       # the entry looked at is 0
        (0 * value, 0.1, (None, True)),    # so is every other one
        (value[::-1], np.inf, (np.inf, False)),
    ):
        (row,) = compare(seen, Ball(seen, radius), HERE._replace(steps=range(2))).rows
        assert (row.resolution, row.zero) == expected


def test_a_row_is_as_coarse_as_its_coarsest_comparison() -> None:
    e = relu_experiment(np.ones((2, 4)), steps=3)
    trace = reference.train(e)
    each = [certify(e, trace.at(slice(i, i + 1))) for i in range(3)]

    def resolutions(c: Certificate) -> dict[str, float | None]:
        return {row.tensor: row.resolution for row in c.rows if row.check == "local"}

    joined = merge(Findings(c.rows) for c in each)
    for row in joined.rows:
        if row.check == "local":
            assert row.resolution == max(r for c in each if (r := resolutions(c)[row.tensor]) is not None)


def test_features_have_a_resolution_as_well() -> None:
    """They are judged once, and not stacked."""
    e = with_features()
    certificate = certify(e, reference.train(e))
    (row,) = [row for row in certificate.rows if row.tensor == "powers"]
    assert row.resolution is not None
    trace = reference.train(e)
    constants = dict(trace.constants)
    constants["powers"] = scaled(constants["powers"], 1.01 * row.resolution)
    changed = Trace(trace.steps, constants, trace.parameters, trace.tensors)
    assert "powers" in {f.tensor for f in certify(e, changed).refutations}


def with_features() -> Experiment:
    """The document's cubic: its features are judged, and not stacked."""
    return replace(reference.experiments.load("cubic-sine"), steps=2)
