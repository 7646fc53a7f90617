"""Doubts: right code has none, whatever its data are; what hides inside the radius of a long sum has one.

Each property of the two tests has a planted fault: a sample in which it alone speaks, or the guard taken away.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import reference
from reference import SGD, Experiment, SquaredError
from reference.arrays import Array
from reference.losses import AbsoluteError
from reference.networks import mlp
from tests.judge.between import experiment, judged
from tests.judge.test_forms import FORMS, TANH
from torch_mirror import certify, verify
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.judge import doubts
from torch_mirror.judge.doubts import PROBABILITY, Sample, doubt_of
from torch_mirror.judge.findings import Doubt
from torch_mirror.judge.verdict import Certificate
from torch_mirror.reports import text

U = 2.0**-24
F32 = format_of(np.dtype(np.float32))


# --- the second radius of a sum -------------------------------------------------------------------------


def terms(kind: str, k: int) -> Array:
    draw = np.random.default_rng(3)
    x = {"centred": draw.normal(size=(64, k)), "of one sign": draw.random((64, k))}
    return (x | {"far from 0": x["centred"] + 10, "sorted": np.sort(x["centred"], axis=-1)})[kind].astype(np.float32)


@pytest.mark.parametrize("kind", ["centred", "of one sign", "far from 0", "sorted"])
def test_a_sum_in_any_order_stays_within_few_deviations(kind: str) -> None:
    """One term after the other, which is the worst of the usual orders: 64 sums of 4,000, within 5 deviations."""
    x = terms(kind, 4000)
    sums = Ball(x.astype(float), 0, F32._replace(spread=1.0)).sum(axis=-1)
    for order in (x, x[:, ::-1], x[:, np.random.default_rng(0).permutation(4000)]):
        one_by_one = np.cumsum(order, axis=-1, dtype=np.float32)[:, -1]
        assert (np.abs(one_by_one - sums.value) <= 5 * sums.radius).all()
    worst = Ball(x.astype(float), 0, F32).sum(axis=-1).radius
    assert (sums.radius < worst / 30).all()


def test_the_deviation_of_a_sum() -> None:
    """u sqrt((K + 1) / 3) max(P, N), which a bias that joins the sum is a term of; operands bring what they bring."""
    draw = np.random.default_rng(0)
    x, w, b = draw.normal(size=(5, 40)), draw.normal(size=(40, 3)), draw.normal(size=3)
    each = np.concatenate([x[:, :, None] * w, np.broadcast_to(b[:, None], (5, 3, 1)).mT.reshape(5, 1, 3)], axis=1)
    largest = np.maximum(np.sum(each, axis=1, where=each > 0), -np.sum(each, axis=1, where=each < 0))

    def radius(spread: float, e: float = 0) -> Array:
        fmt = F32._replace(spread=spread)
        affine = Ball(x, e, fmt) @ Ball(w, 0, fmt) + Ball(b, 0, fmt)
        return np.asarray(affine.radius)

    ratio = (radius(2) - radius(1)) / (U * np.sqrt(42 / 3) * largest)
    assert (np.abs(ratio - 1) < 1e-6).all()
    brought = radius(1, 1e-3) - radius(1)
    assert (np.abs(brought / (1e-3 * np.abs(w).sum(axis=0)) - 1) < 0.01).all()


def test_where_nothing_rounds_there_is_no_deviation() -> None:
    fmt = F32._replace(spread=1.0)
    whole = Ball(np.arange(12.0).reshape(3, 4), 0, fmt)
    assert not (whole @ whole.mT).radius.any()


# --- the three signs ------------------------------------------------------------------------------------


def sample(seen: Callable[[Array, Array], Array], n: int = 1000, **changes: Any) -> Sample:
    """n sums of which each has a deviation of 20 u, errors of half of that, and no drift."""
    draw = np.random.default_rng(7)
    x = draw.normal(size=n) + 3
    deviation = 20 * U * np.abs(x)
    error, own = (deviation / 2 * draw.normal(size=n) for _ in "ab")
    none = np.zeros(n)
    one = Sample(seen(x, error), x, none, deviation, none, none, x + own, (np.arange(n) // 20, np.arange(n) % 20), U)
    return one._replace(**changes)


def right(x: Array, error: Array) -> Array:
    return x + error


def test_independent_errors_raise_no_doubt() -> None:
    for n in (1, 3, 20, 1000, 20_000):
        assert doubt_of(sample(right, n), 50) is None


def one_far(x: Array, error: Array) -> Array:
    return x + error + np.where(np.arange(x.size) == 5, 240 * U * x, 0)


def all_wide(x: Array, error: Array) -> Array:
    return x + 3 * error


@pytest.mark.parametrize(
    ("seen", "sign", "figure"),
    [
        (lambda x, error: (1 + 20 * U) * x + error, "factor", 1 + 20 * U),
        (lambda x, error: (1 - 20 * U) * x + error, "factor", 1 - 20 * U),
        (one_far, "element", 12),
        (all_wide, "size", 1.5),
    ],
)
def test_each_sign_alone_is_a_doubt(seen: Callable[[Array, Array], Array], sign: str, figure: float) -> None:
    doubt = doubt_of(sample(seen), 50)
    assert doubt is not None
    assert doubt.sign == sign
    assert abs(doubt.figure - figure) < (U if sign == "factor" else 1.0)
    assert 0 < doubt.probability < PROBABILITY
    assert doubt_of(sample(seen)._replace(own=sample(seen).seen), 50) is None, "the reference strays as far"


def test_a_rounded_constant_is_no_factor() -> None:
    assert doubt_of(sample(lambda x, error: (1 + 3 * U) * x + error / 20), 50) is None
    assert doubt_of(sample(lambda x, error: (1 + 6 * U) * x + error / 20), 50) is not None


def test_what_drifts_may_drift_all_over() -> None:
    drift = 25 * U * np.abs(sample(right).exact)
    drifting = sample(lambda x, error: (1 + 20 * U) * x + error)
    assert doubt_of(drifting, 50) is not None
    assert doubt_of(drifting._replace(drift=drift, common=drift), 50) is None


def test_units_that_are_alike_are_one() -> None:
    """A thousand times the same error, up to sign and powers of two, is one error."""
    x = np.resize([3.0, -6.0, 1.5], 1000)
    copies = sample(lambda *_: x * (1 + 15 * U), exact=x, own=x, deviation=20 * U * np.abs(x))
    assert doubt_of(copies, 50) is None
    assert doubt_of(sample(lambda x, _: x * (1 + 15 * U)), 50) is not None


@pytest.mark.parametrize("axis", [0, 1])
def test_errors_that_rows_or_columns_have_in_common_are_not_independent(axis: int) -> None:
    """Another form, of a mean say: eight rows have an error each, and six are up."""
    groups = np.arange(1000) // 125
    up = np.array([30, 25, -20, 35, 15, 40, -10, 20.0])[groups] * U
    form = sample(right).exact * 64 * U
    labels = [np.arange(1000), np.arange(1000)]
    labels[axis] = groups
    common = sample(lambda x, error: x * (1 + up) + error / 20, form=np.abs(form), common=np.abs(form) / 32)
    assert doubt_of(common._replace(rows=labels), 50) is None
    apart = doubt_of(common._replace(rows=[np.arange(1000)] * 2), 50)
    assert apart is not None
    assert apart.sign == "factor"


def test_what_is_saturated_has_no_part_in_a_factor() -> None:
    """1 - a^2 is 0 for a at 1, whose form rounds more than there is."""
    x, u = sample(right).exact * 1e-9, np.full(1000, U)
    nothing = sample(lambda x, _: 0 * x, exact=x, own=x, deviation=0 * x, form=u, common=u)
    assert doubt_of(nothing, 50) is None
    assert doubt_of(nothing._replace(form=0 * x + 1e-20, common=0 * x), 50) is not None


def test_where_operands_propagate_only_elements_are_told() -> None:
    for seen, told in ((all_wide, False), (one_far, True)):
        assert (doubt_of(sample(seen, whole=False), 50) is not None) is told


def test_more_rows_need_more() -> None:
    borderline = sample(lambda x, error: x + error + np.where(np.arange(x.size) == 5, 128 * U * x, 0))
    few, many = doubt_of(borderline, 1), doubt_of(borderline, 10_000)
    assert few is not None
    assert few.sign == "element"
    assert many is None


# --- runs -----------------------------------------------------------------------------------------------


def layers(batch: int, widths: tuple[int, ...], steps: int = 1, far: float = 0.0) -> Experiment:
    """A network of float32 on normal numbers, which may be far from 0."""
    draw = np.random.default_rng(1)

    def normal(*shape: int) -> Array:
        return draw.normal(size=shape)

    network = mlp.MLP(widths, activation="tanh")
    W = tuple((normal(o, i) / np.sqrt(i)).astype("f4") for i, o in pairwise(widths))
    b = tuple(normal(o).astype("f4") / 8 for o in widths[1:])
    x, t = (normal(batch, widths[0]) + far).astype("f4"), normal(batch, widths[-1]).astype("f4")
    return Experiment(network, mlp.Parameters(W, b), x, t, SquaredError("mean"), SGD(0.01), steps)


def certificate(e: Experiment, tensor: str = "", wrong: Callable[[Array], Array] = np.copy, **how: Any) -> Certificate:
    """Of a run in which a tensor is another."""

    def plant(name: str, value: Array) -> Array:
        return wrong(value).astype(value.dtype) if name == tensor else value

    return certify(e, reference.train(e, plant=plant), **how)


def the_doubt(c: Certificate, tensor: str) -> Doubt | None:
    """About torch's tensor, in a certificate that says nothing else."""
    assert c.verdict == "certified"
    assert {row.tensor for row in c.doubts} <= {tensor}
    return next((row.doubt for row in c.doubts), None)


def fewer_bits(a: Array, bits: int) -> Array:
    """As bf16 (16 bits less) and TF32 (13 bits less) hold it, but for halves."""
    whole = a.astype("f4").view(np.uint32) + np.uint32(1 << (bits - 1))
    return (whole & ~np.uint32((1 << bits) - 1)).view("f4")


@pytest.mark.parametrize("far", [0.0, 10.0])
def test_a_row_dropped_and_one_sample_less_in_the_mean_are_doubted(far: float) -> None:
    e = layers(10_000, (12, 6, 2), far=far)
    dz1 = reference.train(e).tensors["dz1"][0].astype(float)
    assert the_doubt(certificate(e), "dW1") is None
    for wrong in (lambda dW: dW - np.outer(dz1[-1], e.x[-1]), lambda dW: dW * (10_000 / 9_999)):
        assert the_doubt(certificate(e, "dW1", wrong), "dW1") is not None


@pytest.mark.parametrize("bits", [13, 16])
def test_inputs_of_fewer_digits_are_doubted_or_refuted(bits: int) -> None:
    e = layers(16, (4096, 12, 3))
    x, W, b = fewer_bits(e.x, bits), fewer_bits(e.parameters.W[0], bits), e.parameters.b[0]
    assert the_doubt(certificate(e), "z1") is None
    c = certificate(e, "z1", lambda _: x.astype(float) @ W.mT + b)
    assert c.verdict == "refuted" or the_doubt(c, "z1") is not None


@pytest.mark.parametrize("tensor", ["dy", "da1", "dz1", "dW1", "dW2"])
def test_a_millionth_too_much_is_doubted(tensor: str) -> None:
    e = layers(64, (20, 32, 10), steps=2)
    doubt = the_doubt(certificate(e, tensor, lambda a: a * (1 + 1e-6)), tensor)
    assert doubt is not None
    assert doubt.sign == "factor"
    assert abs(doubt.figure - 1 - 1e-6) < 2 * U


def test_strict_fails_what_is_doubted_and_nothing_else() -> None:
    e = layers(64, (20, 32, 10))
    doubted = certificate(e, "dW1", lambda a: a * (1 + 1e-6), strict=True)
    assert doubted.verdict == "doubted"
    assert "doubt: dW1, torch: 1.00000" in text.details(doubted)[0]
    assert certificate(e, strict=True).verdict == "certified"
    assert verify(e, strict=True).verdict == "certified"


def test_what_is_no_sum_may_be_as_far_off_as_the_check_lets_pass() -> None:
    """torch's expm1 beside exp(z) - 1 by hand; the deviation is of sums alone."""
    off = sample(lambda x, error: x + 2.9 * 25 * U * np.sign(error) * np.abs(x))
    drift = 25 * U * np.abs(off.exact)
    assert doubt_of(off, 50) is not None
    for deviation in (off.deviation, 0 * drift):
        assert doubt_of(off._replace(drift=drift, deviation=deviation), 50) is None


def test_another_form_of_a_right_gradient_is_not_doubted() -> None:
    for f, slope, theirs, sizes in FORMS.values():
        c = judged(experiment(TANH.__class__(f, slope), "float32", sizes[-1]), theirs)
        assert (c.verdict, c.doubts) == ("certified", ())


def test_stagnation_is_no_fault() -> None:
    """x is 0.1 or 0.3 and the gradients hardly differ: each rounding is that of the one before, in both."""
    e = layers(2000, (12, 8, 3))
    draw = np.random.default_rng(0)
    e = replace(e, x=draw.choice([0.1, 0.3], e.x.shape).astype("f4"), t=np.full_like(e.t, 30))
    c = verify(e)
    assert (c.verdict, c.doubts) == ("certified", ())


def test_a_sum_of_equal_terms_drifts_in_right_code_too() -> None:
    """The mean absolute error of targets on one side: all of dy is one number, and db2 adds it up 4,000 times."""
    e = layers(4000, (8, 4, 2), steps=3)
    e = replace(e, t=np.full_like(e.t, 30), loss=AbsoluteError("mean"))
    trace = reference.train(e)
    assert np.abs(trace.tensors["db2"][0] + 0.5).max() > 100 * U  # far more than one rounding
    for c in (certify(e, trace), certify(e, trace, "numpy"), verify(e)):
        assert (c.verdict, c.doubts) == ("certified", ())


def test_errors_of_both_signs_that_cancel_are_no_factor() -> None:
    """Halves of dW2 are off by more than what is counted, both ways: nothing is left of their sum."""
    e = layers(4000, (8, 4, 2))
    e = replace(e, loss=AbsoluteError("mean"))
    halves = certificate(e, "dW2", lambda a: a.astype("f2"))
    assert halves.verdict in {"certified", "refuted"}
    off = sample(lambda x, _: x * (1 + 1000 * U * np.where(np.arange(x.size) % 2, 1, -1)))
    assert doubts._one_sided(np.zeros(4)) == 0
    assert doubt_of(off, 50) is not None


def test_without_its_guards_the_test_would_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Duplicates counted one by one, and the reference's own errors not asked for: both are needed somewhere above."""
    monkeypatch.setattr(doubts, "TWICE", 0.0)
    with pytest.raises(AssertionError, match="strays"):
        test_each_sign_alone_is_a_doubt(one_far, "element", 12)
    monkeypatch.setattr(
        doubts, "_distinct", lambda s: doubts._Distinct(np.arange(s.seen.size), np.arange(s.seen.size))
    )
    with pytest.raises(AssertionError):
        test_units_that_are_alike_are_one()
