"""Fingerprints: every bit counts, where it is counted from does not, and what they tell of a change is true."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference import experiments
from reference.arrays import Array
from reference.traces.trace import Trace
from reference.traces.training import train
from torch_mirror.reports.gate.bits import changed_bits, first_span
from torch_mirror.reports.gate.prints import (
    SPAN,
    Print,
    hashes_of,
    marks,
    prints_of,
    span_of,
    steps_of,
    tails_apart,
)

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
    first, last = steps_of(first_span(*differ[0]))
    assert max(first - 1, -1) < max(step, 0) <= last


def test_segments_give_what_the_whole_run_gives() -> None:
    parts = [RUN.at(slice(i, j)) for i, j in ((0, 1), (1, 7), (7, 20))]
    assert set(prints_of(m for part in parts for m in marks(part, "numpy"))) == set(PRINTS)
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
    assert (one.value, one.tails) == ("none", "")


@pytest.mark.parametrize("step", [-1, 0, 1, 3, 4, 15, 16, 255, 256, 4**15 - 1, 4**15])
def test_a_step_is_in_its_span(step: int) -> None:
    (span,) = span_of(np.array([step]))
    first, last = steps_of(int(span))
    assert first <= max(step, 0) <= last


def print_of(a: Array) -> Print:
    return prints_of(marks(Trace(len(a), {}, {}, {"z": a}), "torch"))[0]


@given(st.floats(allow_nan=False, allow_infinity=False, width=64), st.integers(1, 9))
def test_ulp_are_told_as_they_are(x: float, ulp: int) -> None:
    y = x
    for _ in range(ulp):
        y = math.nextafter(y, math.inf)
    if np.sign(x) == np.sign(y) and np.isfinite(y):
        then, now = print_of(np.array([[x] * 5])), print_of(np.array([[x, y, x, x, x]]))
        assert list(tails_apart(then.tails, now.tails)) == [0, ulp, 0, 0, 0]
        (told,) = changed_bits([then], [now], "float64")
        kept = f"of 5 elements kept of step 0 1 differs, by at most {ulp} ulp (modulo 262144)"
        assert told.words == f"bits changed from step 0 on; {kept}"


def test_a_later_change_is_told_by_its_span_and_by_the_middle_element_of_the_end() -> None:
    a = np.ones((20, 3), np.float32)
    b = a.copy()
    b[5:, 1] = np.nextafter(np.float32(1), np.float32(2))
    (told,) = changed_bits([print_of(a)], [print_of(b)], "float32")
    assert told.span == 2
    assert told.words.split("; ") == [
        "bits changed first at one of the steps 4 to 15",
        "at the end its middle element is 0x1.0000020000000p+0, was 0x1.0000000000000p+0 (1 ulp away)",
    ]
    (far,) = changed_bits([print_of(-a)], [print_of(a)], "float32")
    assert "(2130706432 ulp away)" in far.words  # 2 x 0x3f800000


def test_what_nobody_knows_is_said() -> None:
    one = print_of(np.ones((3, 2)))
    (told,) = changed_bits([one], [one._replace(whole="other")], "float64")
    assert told.words == "bits changed, nobody knows at which step"
    assert len(one.spans) == 2 * SPAN
