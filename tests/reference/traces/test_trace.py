"""What an error of a trace's file calls it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reference import Trace
from reference.errors import InputError
from reference.traces.files import write_arrays


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors"])
def test_a_trace_with_a_hash_that_is_none_is_not_saved(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    trace = Trace(1, {}, {"W": np.ones((2, 3))}, {}, hashes={"x": "no hash"})
    with pytest.raises(InputError, match="x in trace file "):
        trace.save(path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("a", "came"),
    [(np.ma.array([1.0]), "MaskedArray"), ([1.0], "list"), (1.0, "float"), (np.array(["a"]), "dtype <U1"),
     (np.array([None]), "dtype object")],
)  # fmt: skip
def test_what_is_no_array_of_numbers_is_told_by_its_type_and_not_written(tmp_path: Path, a: Any, came: str) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(InputError, match=f"W in trace file .*: expected an array of numbers, got {came}"):
        write_arrays(path, {"x": np.ones(2), "W": a})
    assert not path.exists()
