"""What an error of a trace's file calls it."""

from pathlib import Path

import numpy as np
import pytest

from reference import Trace
from reference.errors import InputError


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors"])
def test_a_trace_with_a_hash_that_is_none_is_not_saved(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    trace = Trace(1, {}, {"W": np.ones((2, 3))}, {}, hashes={"x": "no hash"})
    with pytest.raises(InputError, match="x in trace file "):
        trace.save(path)
    assert not path.exists()
