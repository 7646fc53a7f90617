"""Fingerprints: every bit counts, where it is counted from does not, and what they tell of a change is true."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference import experiments
from reference.arrays import Array
from reference.traces.trace import Trace
from reference.traces.training import train
from torch_mirror.reports.gate.bits import begun, changed_bits, first_span
from torch_mirror.reports.gate.digits import packed, unpacked
from torch_mirror.reports.gate.prints import (
    FINE,
    LOOKED,
    Print,
    Timeline,
    hashes_of,
    marks,
    prints_of,
    sample_apart,
    span_of,
    steps_of,
    timelines_of,
)

DOCS = Path(__file__).parents[3] / "docs" / "gate.md"
RUN = train(replace(experiments.load("mlp-relu", dtype="float32"), steps=20))
PRINTS = prints_of(marks(RUN, "numpy"))
DTYPES = ("float64", "float32", "float16", "int64", "uint8", "bool")


def changed(name: str, at: tuple[int, ...], bits: int) -> Trace:
    """The run with some bits of one element changed."""
    groups = [{n: a.copy() if n == name else a for n, a in g.items()} for g in (RUN.parameters, RUN.tensors)]
    for group in groups:
        if name in group:
            group[name].view(np.uint32)[at] ^= np.uint32(bits)
    return replace(RUN, parameters=groups[0], tensors=groups[1])


@given(st.sampled_from(["W1", "dW1", "loss", "z1"]), st.data())
def test_every_bit_of_every_step_counts_and_the_step_is_told(name: str, data: st.DataObject) -> None:
    shape = RUN[name].shape
    at = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    now = prints_of(marks(changed(name, at, 1 << data.draw(st.integers(0, 31))), "numpy"))
    differ = [(a, b) for a, b in zip(PRINTS, now, strict=True) if a.whole != b.whole]
    assert [a.tensor for a, _ in differ] == [name]
    step = at[0] - 1 if name in RUN.parameters else at[0]
    span = first_span(*(p.chain for p in differ[0]))
    assert span is None or max(step, 0) <= steps_of(span)[1]  # a digit is equal by chance once in 64


def test_segments_give_what_the_whole_run_gives() -> None:
    parts = [RUN.at(slice(i, j)) for i, j in ((0, 1), (1, 7), (7, 20))]
    found = [m for part in parts for m in marks(part, "numpy")]
    assert set(prints_of(found)) == set(PRINTS)
    assert timelines_of(found) == timelines_of(marks(RUN, "numpy"))
    assert {p.tensor for p in PRINTS} == {*RUN}


def test_the_order_of_elements_and_of_steps_counts() -> None:
    for turned in (RUN["dW1"][:, ::-1], RUN["dW1"][::-1]):
        now = prints_of(marks(replace(RUN, tensors={**RUN.tensors, "dW1": turned}), "numpy"))
        assert [c.tensor for c in changed_bits(PRINTS, now, "float32")] == ["dW1"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_layout_in_memory_does_not_count(dtype: str) -> None:
    a = np.arange(60).reshape(3, 4, 5).astype(dtype)
    assert np.array_equal(hashes_of(a), hashes_of(np.asfortranarray(a)))
    b = a.copy()
    b[1, 0, 0] = ~b[1, 0, 0] if dtype == "bool" else b[1, 0, 0] + 1
    assert (hashes_of(a) != hashes_of(b)).tolist() == [False, True, False]


def test_arrays_without_elements_have_fingerprints_too() -> None:
    (one,) = prints_of(marks(Trace(2, {}, {}, {"empty": np.empty((2, 0))}), "torch"))
    assert (one.value, one.sample) == ("none", "")


@pytest.mark.parametrize("step", [-1, 0, 1, 3, 4, 15, 16, 63, 64, 255, 256, 4**15 - 1, 4**15])
@pytest.mark.parametrize("fine", [1, FINE])
def test_a_step_is_in_its_span(step: int, fine: int) -> None:
    (span,) = span_of(np.array([step]), fine)
    first, last = steps_of(int(span), fine)
    assert first <= max(step, 0) <= last
    assert (first == last) == (step < 2 * fine)
    assert steps_of(int(span) + 1, fine)[0] == last + 1


@given(st.lists(st.integers(0, 2**64)), st.integers(1, 20))
def test_bits_are_packed_and_unpacked(numbers: list[int], bits: int) -> None:
    assert unpacked(packed(numbers, bits), bits) == [n % 2**bits for n in numbers]


def print_of(a: Array) -> Print:
    return prints_of(marks(Trace(len(a), {}, {}, {"z": a}), "torch"))[0]


def timeline_of(a: Array) -> tuple[Timeline, ...]:
    return timelines_of(marks(Trace(len(a), {}, {}, {"z": a, "y": 0 * a}), "torch"))


@given(st.floats(allow_nan=False, allow_infinity=False, width=64), st.integers(1, 8))
def test_ulp_are_told_as_they_are(x: float, ulp: int) -> None:
    y = x
    for _ in range(ulp):
        y = math.nextafter(y, math.inf)
    if np.sign(x) == np.sign(y) and np.isfinite(y):
        then, now = print_of(np.array([[x] * 5])), print_of(np.array([[x, y, x, x, x]]))
        assert sample_apart(then.sample, now.sample) == [0, ulp, 0, 0, 0]
        (told,) = changed_bits([then], [now], "float64")
        assert told.words == (
            f"bits changed from step 0 on: 1 of its 5 elements, by at most {ulp} ulp (modulo 16)"
        )


@given(st.integers(LOOKED + 1, 4000), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_the_share_that_changed_is_estimated_with_its_error(n: int, share: float, seed: int) -> None:
    """Of elements that change at random: within five standard errors, or of none or all by the rule of MOST."""
    a = np.ones((1, n))
    b = np.where(np.random.default_rng(seed).random((1, n)) < share, np.nextafter(a, 2), a)
    if (a == b).all():
        return
    (told,) = changed_bits([print_of(a)], [print_of(b)], "float64")
    k = sum(d > 0 for d in sample_apart(print_of(a).sample, print_of(b).sample))
    true = float((a != b).mean())
    error = math.sqrt(true * (1 - true) / LOOKED)
    assert abs(k / LOOKED - true) <= 5 * error + 1 / LOOKED
    seen = f"({k} of 64 looked at" if k else "(none of 64 looked at)"
    assert seen in told.words
    assert told.words.startswith("bits changed from step 0 on: " + ("about " if k else "most likely less than 5 %"))


@pytest.mark.parametrize(
    ("n", "told"),
    [
        (LOOKED - 1, "1 of its 63 elements, by"),
        (LOOKED, "about 2 % of its elements (1 of 64 looked at, standard error 2 %), by"),
        (LOOKED + 1, "about 2 % of its elements (1 of 64 looked at, standard error 2 %), by"),
    ],
)
def test_the_number_is_told_of_fewer_than_are_looked_at(n: int, told: str) -> None:
    """As docs/gate.md says: a fingerprint of 64 elements does not tell whether there are more."""
    a = np.ones((1, n))
    b = a.copy()
    b[0, 0] = np.nextafter(1, 2)
    (change,) = changed_bits([print_of(a)], [print_of(b)], "float64")
    assert f"on: {told}" in change.words
    assert "of fewer than 64 elements all are looked at, and the number is told" in DOCS.read_text()


def test_opposite_changes_of_two_tensors_do_not_cancel() -> None:
    """The hashes of z and y change by the same, one up and one down: their sum, without weights, is the same."""
    bits = np.arange(1000, 1012).reshape(4, 3)
    z, y = bits.copy(), bits.copy()
    z[2, 1] += 5
    y[2, 1] -= 5

    def timeline(one: Array, other: Array) -> list[Timeline]:
        return [*timelines_of(marks(Trace(4, {}, {}, {"z": one, "y": other}), "torch"))]

    summed = hashes_of(bits) + hashes_of(bits)
    assert np.array_equal(hashes_of(z) + hashes_of(y), summed)
    assert begun(timeline(bits, bits), timeline(z, y)) == {"torch": (2, 2)}
    assert begun(timeline(bits, bits), timeline(bits, bits)) == {}


def test_a_share_is_told_in_percent() -> None:
    a = np.ones((1, 6400))
    b = a.copy()
    b[0, :200] = np.nextafter(1, 2)  # two of the 64 equal parts
    (told,) = changed_bits([print_of(a)], [print_of(b)], "float64")
    share = "about 3 % of its elements (2 of 64 looked at, standard error 2 %), by at most 1 ulp (modulo 16)"
    assert told.words == f"bits changed from step 0 on: {share}"
    (told,) = changed_bits([print_of(a)], [print_of(-2 * a)], "float64")
    assert "less than 5 % of its elements (none of 64" in told.words  # a power of two is not among the last bits
    (told,) = changed_bits([print_of(a)], [print_of(a + 2**-50)], "float64")
    assert "about 100 % of its elements (64 of 64 looked at, all), by at most 4 ulp (modulo 16)" in told.words


@given(st.integers(0, 99))
def test_the_step_of_a_change_is_told_or_a_later_one_once_in_64(step: int) -> None:
    a = np.ones((100, 3), np.float32)
    b = a.copy()
    b[step, 1] = 2
    (found,) = begun(timeline_of(a), timeline_of(b)).values()
    first, last = steps_of(int(span_of(np.array([step]), FINE)[0]), FINE)
    assert found >= (first, last)
    (told,) = changed_bits([print_of(a)], [print_of(b)], "float32", {"torch": (step, step)})
    assert told.since is not None
    assert told.since[0] >= step


def test_what_differs_once_is_seen_at_every_later_step() -> None:
    """A digit that is the same by chance is so made up for by the next one."""
    a = np.random.default_rng(0).random((64, 3))
    b = a.copy()
    b[9] += 1
    then, now = (timeline_of(one)[0].chain for one in (a, b))
    same = [x == y for x, y in zip(then, now, strict=True)]
    assert all(same[:9])
    assert sum(same[9:]) <= 6  # of 55 one on average


def test_most_steps_are_told_exactly() -> None:
    a = np.random.default_rng(0).random((64, 3))
    exact = 0
    for step in range(64):
        b = a.copy()
        b[step] += 1
        exact += begun(timeline_of(a), timeline_of(b)) == {"torch": (step, step)}
    assert exact >= 59  # of 64 one is late on average; six or more would be so once in a thousand times


def test_a_later_change_is_told_by_its_span_and_by_the_middle_element_of_the_end() -> None:
    a = np.ones((20, 3), np.float32)
    b = a.copy()
    b[5:, 1] = np.nextafter(np.float32(1), np.float32(2))
    (told,) = changed_bits([print_of(a)], [print_of(b)], "float32")
    assert told.since == (4, 7)
    assert told.words.split("; ") == [
        "bits changed first at one of the steps 4 to 7",
        "at the end its middle element is 0x1.000002p+0, was 0x1p+0 (1 ulp away)",
    ]
    (far,) = changed_bits([print_of(-a)], [print_of(a)], "float32")
    assert "(2130706432 ulp away)" in far.words  # 2 x 0x3f800000


def test_what_nobody_knows_is_said() -> None:
    one = print_of(np.ones((3, 2)))
    (told,) = changed_bits([one], [one._replace(whole="other")], "float64")
    assert told.words == "bits changed, nobody knows at which step"


@given(st.floats(width=32) | st.floats())
def test_a_value_is_kept_in_full(x: float) -> None:
    kept = float.fromhex(print_of(np.array([[x]])).value)
    assert kept == x or math.isnan(x)
