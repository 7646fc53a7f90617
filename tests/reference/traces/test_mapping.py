"""Foreign names: each array is found where it was told to be, and nowhere else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reference import Trace
from reference.errors import TorchMirrorError
from reference.traces.files import write_arrays
from reference.traces.schema import Contents, packed

KERNEL = np.arange(3 * 2 * 4.0).reshape(3, 2, 4)  # two steps, of (out, in)
SLOPES = -np.arange(2 * 2 * 4.0).reshape(2, 2, 4)


def foreign() -> Trace:
    return Trace(
        2,
        {"inputs": np.arange(12.0).reshape(4, 3), "t": np.arange(3)},
        {"layer1.kernel": KERNEL, "b": np.ones((3, 2)), "odd.T": np.zeros((3, 2))},
        {"grads.layer1.kernel": SLOPES, "b": np.zeros((2, 2))},
    )


def test_an_array_has_the_name_and_the_layout_that_were_told() -> None:
    names = {"W1": "layer1.kernel.T", "dW1": "grads.layer1.kernel.T", "x": "inputs.T", "b1": "parameters/b[:, None]"}
    trace = foreign().mapped(names)
    assert list(trace) == ["t", "x", "odd.T", "W1", "b1", "b", "dW1"]
    assert np.array_equal(trace.parameters["W1"], KERNEL.mT)
    assert np.array_equal(trace.tensors["dW1"], SLOPES.mT)
    assert np.array_equal(trace.constants["x"], foreign()["inputs"].T)
    assert trace["b1"].shape == (3, 2, 1)
    assert np.shares_memory(trace["W1"], KERNEL)
    assert (trace.steps, trace.first, trace.hashes) == (2, 0, {})


def test_a_square_matrix_is_transposed_where_that_was_told_and_only_there() -> None:
    square = np.arange(8.0).reshape(2, 2, 2)
    trace = Trace(1, {}, {"kernel": square})
    assert np.array_equal(trace.mapped({"W": "kernel"})["W"], square)
    assert np.array_equal(trace.mapped({"W": "kernel.T"})["W"], square.mT)


def test_two_may_change_their_names_and_one_may_have_two() -> None:
    trace = Trace(0, {"x": np.zeros(1), "t": np.ones(1)}, {"W": np.ones((1, 2, 2))})
    assert float(trace.mapped({"x": "t", "t": "x"})["x"][0]) == 1
    tied = trace.mapped({"W1": "W", "W2": "W.T"})
    assert list(tied.parameters) == ["W1", "W2"]


def test_a_name_that_ends_as_a_layout_is_a_name() -> None:
    assert foreign().mapped({"b2": "odd.T"})["b2"].shape == (3, 2)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"W1": "layer1.kernle.T"}, "array for W1 in trace: 'layer1.kernle.T': did you mean 'layer1.kernel'"),
        ({"W1": ""}, "unknown array for W1 in trace: ''"),
        ({"b1": "b"}, r"b1 in trace: expected one array \(parameters/b or tensors/b\), got b, which"),
        ({"t": "inputs"}, "name t in trace: expected one that no other array has, got inputs beside t"),
        ({"b1": "parameters/b.T"}, r"b1 in trace: expected no .T where there are not two axes, got b.T .* \(2,\)"),
        ({"W1": "layer1.kernel[None, :]"}, r"no \[None, :\] where there is not one axis, got .* of shape \(2, 4\)"),
        ({"t": "t.T"}, r"t in trace: expected no .T where there are not two axes, got t.T for one of shape \(3,\)"),
        ({"W1": 1}, "names in trace: expected texts, such as"),
        ({1: "W"}, "names in trace: expected texts, such as"),
    ],
)
def test_a_name_that_does_not_fit_is_told(names: dict[Any, Any], said: str) -> None:
    with pytest.raises(TorchMirrorError, match=said):
        foreign().mapped(names)


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_a_file_may_tell_its_own_names(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"run.{suffix}"
    text = {"W1": "layer1.kernel.T", "dW1": "grads.layer1.kernel.T"}
    arrays = {f"names/{ours}": np.frombuffer(told.encode(), np.uint8) for ours, told in text.items()}
    trace = foreign()
    groups = {kind: getattr(trace, kind) for kind in ("constants", "parameters", "tensors")}
    write_arrays(path, {**packed("it", Contents(2, 0, groups, {})), **arrays})
    again = Trace.load(path)
    assert np.array_equal(again.parameters["W1"], KERNEL.mT)
    assert np.array_equal(again.tensors["dW1"], SLOPES.mT)
    assert "layer1.kernel" not in again
    again.save(path)
    assert np.array_equal(Trace.load(path)["W1"], KERNEL.mT)
