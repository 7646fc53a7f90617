"""What a user can get wrong ends in one exception tree, with a message that names it, what was due and what came."""

import io
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from reference import SGD, SquaredError, Trace, experiments, predict, train
from reference.claim.batches import Batches
from reference.errors import InputError, TorchMirrorError, UnknownNameError
from reference.networks import linear_regression, mlp
from torch_mirror import certify

GOOD = experiments.load("linear-batch")
X, T = GOOD.x, GOOD.t
W, B = GOOD.parameters
P = linear_regression.Parameters
HUGE = 10**400  # a whole number beyond all floats


def with_entry(array: Any, value: float) -> Any:
    """The array with one other entry."""
    array = array.copy()
    array.flat[1] = value
    return array


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    # shapes that do not fit
    "x is one sample": ({"x": X[0]}, r"tensor x: expected shape \(batch, 5\), got shape \(5,\)"),
    "x is stacked": ({"x": X[None]}, r"tensor t: expected shape \(1, 3, 1\), that of y"),
    "x is too wide": ({"x": np.ones((3, 6))}, r"tensor x: .*got shape \(3, 6\)"),
    "x is empty": ({"x": X[:0], "t": T[:0]}, "tensor x: expected at least one sample, got an empty batch"),
    "t is flat": ({"t": T[:, 0]}, r"tensor t: expected shape \(3, 1\).*got shape \(3,\)"),
    "t would broadcast": ({"t": T[:1]}, r"tensor t: .*nothing is broadcast.*got shape \(1, 1\)"),
    "t is transposed": ({"t": T.T}, r"tensor t: .*got shape \(1, 3\)"),
    "W is transposed": ({"parameters": P(W.T, B)}, r"parameter W: expected shape \(1, 5\), got shape \(5, 1\)"),
    "W and b are swapped": ({"parameters": P(B, W)}, "parameter W: expected shape"),
    "b is missing": ({"parameters": P(W, None)}, "parameters: expected W, b, got W$"),  # type: ignore[arg-type]  # on purpose
    "of another network": (
        {"parameters": experiments.load("mlp-relu").parameters}, "parameters: expected W, b, got W1, W2",
    ),
    # no arrays of floats
    "x is a list": ({"x": X.tolist()}, "tensor x.0.0: expected a NumPy array, got float"),
    "x is None": ({"x": None}, "tensor x: expected a NumPy array, got NoneType"),
    "x is object": ({"x": X.astype(object)}, "tensor x: expected dtype float64, .*whole numbers, got dtype object"),
    "x is complex": ({"x": X.astype(complex)}, "tensor x: .*got dtype complex128"),
    "x is half": ({"x": X.astype(np.float16)}, "tensor x: .*got dtype float16"),
    "x is swapped": ({"x": X.astype(">f8")}, "tensor x: .*got dtype >f8"),
    "x is masked": ({"x": np.ma.masked_array(X, X > 2)}, "tensor x: expected a NumPy array, got MaskedArray"),
    "t is integer": ({"t": T.astype(int)}, "tensor t: expected floating numbers.*got dtype int64"),
    "W is integer": ({"parameters": P(W.astype(int), B)}, "tensor W: .*got dtype int64"),
    "W is a list": ({"parameters": P(W.tolist(), B)}, "tensor W.0.0: expected a NumPy array, got float"),
    "parameters are a tuple": ({"parameters": (W, B)}, "parameters: expected W, b, got 0, 1"),
    "parameters are a dict": ({"parameters": {"W": W, "b": B}}, "the network: .*'dict' object has no attribute 'W'"),
    "parameters are None": ({"parameters": None}, "parameters: expected .*, got NoneType"),
    # mixed dtypes
    "t is float32": ({"t": T.astype(np.float32)}, "tensor t: expected dtype float64, .*got dtype float32"),
    "W is float32": ({"parameters": P(W.astype(np.float32), B)}, "tensor b: expected dtype float32, as the first"),
    # not finite
    "x holds NaN": ({"x": with_entry(X, np.nan)}, r"tensor x: expected finite numbers, got nan at \(0, 1\)"),
    "t holds infinity": ({"t": with_entry(T, -np.inf)}, r"tensor t: expected finite numbers, got -inf at \(1, 0\)"),
    "W holds infinity": ({"parameters": P(with_entry(W, np.inf), B)}, "tensor W: expected finite numbers, got inf"),
    # options
    "negative steps": ({"steps": -1}, "steps: expected a whole number, 0 or more, got -1"),
    "half a step": ({"steps": 0.5}, "steps: expected a whole number"),
    "steps are True": ({"steps": True}, "steps: expected a whole number"),
    "steps are text": ({"steps": "5"}, "steps: expected a whole number, 0 or more, got '5'"),
    "lr is NaN": ({"optimizer": SGD(np.nan)}, "learning rate: expected a finite number, got nan"),
    "lr is huge": ({"optimizer": SGD(HUGE)}, "learning rate: expected a finite number"),
    "lr is text": ({"optimizer": SGD("0.1")}, "learning rate: expected a finite number, got '0.1'"),
    "lr is a matrix": ({"optimizer": SGD(np.ones((2, 2)))}, "learning rate: expected a finite number"),
    "lr is complex": ({"optimizer": SGD(1j)}, "learning rate: expected a finite number, got 1j"),
    "lr is negative": ({"optimizer": SGD(-0.1)}, "learning rate: expected 0 or more, as torch.*SGD does, got -0.1"),
    "too few rates": ({"optimizer": SGD([0.1, 0.2])}, "learning rate: expected one for each of 1000 steps, got 2"),
    "a rate is NaN": ({"optimizer": SGD([0.1, np.nan, 0.1]), "steps": 3}, "learning rate: expected a finite number"),
    "a rate is negative": ({"optimizer": SGD([0.1, -1.0, 0.1]), "steps": 3}, "learning rate: expected 0 or more"),
    "momentum is negative": ({"optimizer": SGD(0.1, -0.5)}, "momentum: expected 0 or more, .*got -0.5"),
    "momentum is text": ({"optimizer": SGD(0.1, "0.5")}, "momentum: expected a finite number, got '0.5'"),  # type: ignore[arg-type]  # on purpose
    "dampening is infinite": ({"optimizer": SGD(0.1, 0.5, np.inf)}, "dampening: expected a finite number, got inf"),
    "weight decay is negative": ({"optimizer": SGD(0.1, weight_decay=-1.0)}, "weight decay: expected 0 or more"),
    "Nesterov without momentum": (
        {"optimizer": SGD(0.1, nesterov=True)},
        r"nesterov: expected a momentum and no dampening, .*got momentum 0.0 and dampening 0.0",
    ),
    "Nesterov with dampening": (
        {"optimizer": SGD(0.1, 0.5, 0.1, nesterov=True)}, "nesterov: expected .*got momentum 0.5 and dampening 0.1",
    ),
    "Nesterov is text": ({"optimizer": SGD(0.1, 0.5, nesterov="yes")}, "nesterov: expected True or False, got 'yes'"),  # type: ignore[arg-type]  # on purpose
    "batches are a number": ({"batches": 2}, "batches: expected a Batches or None, got 2"),
    "batches of none": ({"batches": Batches(0)}, "batch size: expected a whole number, 1 or more, got 0"),
    "batches of a half": ({"batches": Batches(0.5)}, "batch size: expected a whole number, 1 or more, got 0.5"),  # type: ignore[arg-type]  # on purpose
    "a shuffle by text": ({"batches": Batches(2, "x")}, "seed of the batches: expected a whole number, 0 or more"),  # type: ignore[arg-type]  # on purpose
    "a shuffle by -1": ({"batches": Batches(2, -1)}, "seed of the batches: expected a whole number, 0 or more, got -1"),
    "the optimizer is a number": ({"optimizer": 0.1}, "optimizer: expected an object with init.* got 0.1"),
    "loss is text": ({"loss": "sum"}, "loss: expected an object with value.* got 'sum'"),
    "no such reduction": ({"loss": SquaredError("none")}, "loss reduction: expected 'sum' or 'mean', got 'none'"),  # type: ignore[arg-type]  # on purpose
    "scale is infinite": ({"loss": SquaredError("sum", np.inf)}, "loss scale: expected a finite number, got inf"),
    "scale is text": ({"loss": SquaredError("sum", "1")}, "loss scale: expected a finite number, got '1'"),  # type: ignore[arg-type]  # on purpose
    "network is text": ({"network": "mlp"}, "network: expected .*, got 'mlp'"),
    "network is a class": ({"network": linear_regression.LinearRegression}, "network: expected"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_an_experiment_that_does_not_fit_says_what_is_wrong(case: str) -> None:
    changes, said = WRONG[case]
    with pytest.raises(InputError, match=said):
        reference.train(replace(GOOD, **changes))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: experiments.load("diabetes-linar"), "unknown experiment 'diabetes-linar': did you mean 'diabetes-lin"),
        (lambda: experiments.load("qqqqqq"), "unknown experiment 'qqqqqq': known are cubic-sine"),
        (lambda: experiments.load(3), "unknown experiment 3: known are"),  # type: ignore[arg-type]  # on purpose
        (lambda: experiments.load("linear-batch", dtype="float16"), "dtype: expected .*float64, got 'float16'"),
        (lambda: experiments.load("linear-batch", seed=-1), "seed: expected a whole number, 0 or more, got -1"),
        (lambda: certify(GOOD, {}), r"trace: expected a reference\.Trace, got dict"),  # type: ignore[arg-type]  # on purpose
        (lambda: train(GOOD, record=["lose"]), "unknown tensor to record 'lose': did you mean 'loss'"),
        (lambda: train(replace(GOOD, steps=1))["dW1"], "unknown tensor 'dW1': did you mean 'dW'"),
        (lambda: mlp.MLP((3, 5, 1), "gelu"), "unknown activation 'gelu'"),  # type: ignore[arg-type]  # on purpose
        (lambda: mlp.MLP((3, 5, 1), output="sigmoyd"), "unknown output 'sigmoyd': did you mean 'sigmoid'"),  # type: ignore[arg-type]  # on purpose
        (lambda: mlp.MLP((3,)), r"widths: expected .*, got \(3,\)"),
        (lambda: linear_regression.LinearRegression(5, output="tanh"), "unknown output 'tanh'"),  # type: ignore[arg-type]  # on purpose
        (lambda: predict(GOOD.network, GOOD.parameters, X[:, :4]), r"tensor x: .*got shape \(3, 4\)"),
        (lambda: predict(GOOD.network, GOOD.parameters, X[0]), r"tensor x: .*got shape \(5,\)"),
    ],
)  # fmt: skip
def test_a_call_that_cannot_be_answered_says_why(call: Callable[[], object], said: str) -> None:
    with pytest.raises(TorchMirrorError, match=said):
        call()


def archive(**arrays: Any) -> bytes:
    """The bytes of an .npz file; a double underscore in a name stands for a slash."""
    file = io.BytesIO()
    np.savez(file, **{name.replace("__", "/") if name[0] != "_" else name: a for name, a in arrays.items()})
    return file.getvalue()


def saved(array: Any) -> bytes:
    """The bytes of an .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a trace as it is saved."""
    path = tmp_path_factory.mktemp("trace") / "trace.npz"
    train(replace(GOOD, steps=3)).save(path)
    return path.read_bytes()


NO_TRACES = {
    "empty": b"",
    "text": b"no trace at all",
    "a pickle": pickle.dumps({"W": [1.0]}),
    "an .npy": saved(np.ones(3)),
    "another .npz": archive(W=np.ones(3)),
    "objects": archive(__torch_mirror__=np.array([1, 0]), constants__x=np.array([{}], dtype=object)),
    "a header of three": archive(__torch_mirror__=np.array([1, 0, 0])),
    "a header of text": archive(__torch_mirror__=np.array(["a", "b"])),
    "a header of infinity": archive(__torch_mirror__=np.array([np.inf, 0])),
    "another group": archive(__torch_mirror__=np.array([1, 0]), others__x=np.ones(1)),
    "too few steps": archive(__torch_mirror__=np.array([3, 0]), tensors__y=np.ones(2)),
    "no step axis": archive(__torch_mirror__=np.array([3, 0]), parameters__W=np.array(1.0)),
}


@pytest.mark.parametrize("case", NO_TRACES)
def test_a_file_that_is_no_trace_is_refused(tmp_path: Path, case: str) -> None:
    path = tmp_path / "no-trace.npz"
    path.write_bytes(NO_TRACES[case])
    with pytest.raises(InputError, match=r"trace file .*no-trace\.npz: expected .+, got .+"):
        Trace.load(path)


@pytest.mark.parametrize("name", ["missing.npz", "."])
def test_a_path_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"expected a readable file, got (No such file|Is a directory)"):
        Trace.load(tmp_path / name)


@given(st.data())
def test_a_cut_trace_is_refused(whole: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("cut") / "trace.npz"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1), label="bytes kept")])
    with pytest.raises(InputError, match="trace file"):
        Trace.load(path)


@given(st.data())
def test_a_damaged_trace_is_refused_or_read(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(0, len(whole) - 1), label="byte")] ^= data.draw(st.integers(1, 255), label="bits")
    path = tmp_path_factory.mktemp("damaged") / "trace.npz"
    path.write_bytes(damaged)
    try:
        Trace.load(path)  # a date in the archive, for one, may change without harm
    except TorchMirrorError as error:
        assert "trace file" in str(error)  # noqa: PT017  # either outcome will do, and no other


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("missing/trace.npz", id="no such directory"),
        pytest.param("file/trace.npz", id="a file as directory"),
        pytest.param(".", id="a directory"),
        pytest.param("x" * 5000, id="a name too long"),
    ],
)
def test_a_trace_that_cannot_be_saved_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"trace file .*: expected .+, got .+"):
        train(replace(GOOD, steps=1)).save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_trace_with_the_longest_possible_name_can_be_saved(tmp_path: Path) -> None:
    path = tmp_path / ("x" * os.pathconf(tmp_path, "PC_NAME_MAX"))
    train(replace(GOOD, steps=1)).save(path)
    assert list(tmp_path.iterdir()) == [path]
    assert Trace.load(path).steps == 1


@pytest.mark.parametrize(
    "error", [InputError("steps", "a number", "'5'"), UnknownNameError("experiment", "cubic", ["cubic-sine"])]
)
def test_an_error_survives_the_way_between_processes(error: TorchMirrorError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert type(again) is type(error)
    assert str(again) == str(error)
