"""Traces in files, and whether two are the same."""

import tempfile
from pathlib import Path

import numpy as np

from reference.traces.trace import Trace


def saved_and_loaded(trace: Trace) -> Trace:
    """What a file keeps of it."""
    with tempfile.TemporaryDirectory() as folder:
        trace.save(Path(folder) / "run.npz")
        return Trace.load(Path(folder) / "run.npz")


def assert_equal(one: Trace, other: Trace) -> None:
    """The same names, dtypes, shapes and numbers."""
    assert list(one) == list(other)
    for name, array in one.items():
        assert array.dtype == other[name].dtype, name
        np.testing.assert_array_equal(array, other[name], err_msg=name)
