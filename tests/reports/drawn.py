"""Findings and certificates for the tests of the reports, and any at all, drawn."""

import math

import numpy as np
from hypothesis import strategies as st

from torch_mirror.judge.findings import Doubt, Finding, Row
from torch_mirror.judge.verdict import Certificate, Ruling

WRONG = Finding(4e3, 3, "dW", "torch", "local", (0, 2), 1.5, 1.25, 2.0**-14, 1.1259e15, 2, 10)
LATER = Finding(math.inf, 7, "W", "torch", "local", (0, 0), 2.0, 1.0, 0.0, 4.5e15, 1, 10)
LOSS = Finding(math.inf, 3, "loss", "numpy", "local", (), math.nan, 0.1, 0.0, math.nan, 1, 1)
NAMES = st.sampled_from(["dW", "loss"])
COUNTS = st.one_of(st.integers(0, 10**9), st.integers(0, 10**9).map(np.int64))


def findings() -> st.SearchStrategy[Finding]:
    """Any finding at all, with Python's numbers and NumPy's."""
    numbers = st.one_of(st.floats(), st.floats(width=32).map(np.float32), st.floats().map(np.float64))
    return st.builds(
        Finding,
        tensor=NAMES, step=COUNTS, index=st.lists(COUNTS, max_size=3).map(tuple),
        ratio=st.floats() | st.floats().map(np.float64), seen=numbers, expected=numbers,
        radius=numbers, ulp=numbers, outside=COUNTS, size=COUNTS, member=st.none() | COUNTS,
    )  # fmt: skip


def rows() -> st.SearchStrategy[Row]:
    """Any row at all."""
    return st.builds(
        Row,
        tensor=NAMES, comparisons=COUNTS, judged=COUNTS, vacuous=COUNTS, infinite=COUNTS,
        worst=st.none() | findings(), under=st.floats(0, 1), first=st.none() | findings(),
        resolution=st.none() | st.floats(0), zero=st.booleans() | st.booleans().map(np.bool_),
        forms=COUNTS, beyond=st.floats(0), sought=COUNTS, doubt=st.none() | doubts(),
        unbounded=st.none() | findings(),
    )  # fmt: skip


def doubts() -> st.SearchStrategy[Doubt]:
    """Any doubt at all."""
    return st.builds(Doubt, figure=st.floats(), probability=st.floats(0, 1) | st.floats(0, 1).map(np.float64))


def rulings() -> st.SearchStrategy[Ruling]:
    """Any ruling at all."""
    numbers = st.none() | st.floats() | st.floats().map(np.float64)
    return st.builds(
        Ruling,
        tensor=NAMES, step=st.integers(0, 9).map(np.int64),
        index=st.lists(st.integers(0, 9).map(np.int64), max_size=3).map(tuple),
        derivative=numbers, reference=numbers, mirror=numbers, left=numbers, right=numbers,
        note=st.sampled_from(["", "its update is not the reference's"]),
    )  # fmt: skip


def certificates() -> st.SearchStrategy[Certificate]:
    """Any certificate at all."""
    words = st.lists(st.sampled_from(["the loss never moved", "judged one step at a time"]), max_size=2).map(tuple)
    return st.builds(
        Certificate,
        experiment=st.sampled_from(["linear-neuron", "my own"]),
        dtype=st.sampled_from(["float32", "float64"]),
        seed=st.none() | st.integers(0, 9),
        steps=COUNTS,
        rows=st.lists(rows(), max_size=3).map(tuple),
        why=words, idle=words,
        notes=words,
        end_distance=st.none() | st.floats(),
        end_distance_relative=st.none() | st.floats(),
        seconds=st.floats(),
        ruling=st.none() | rulings(),
        strict=st.booleans(),
    )
