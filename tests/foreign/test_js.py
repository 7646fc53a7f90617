"""The example in JavaScript is run and certified, in both precisions; its x is known by a hash alone."""

import shutil
import subprocess
from itertools import cycle
from pathlib import Path

import pytest

from reference import InputError, Trace
from tests.foreign.reference import experiment, first_wrong, planted
from tests.readme import ROOT
from torch_mirror import certify

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="no node here, which runs the example")

FOLDER = ROOT / "examples" / "js"
SOURCE = (FOLDER / "train.mjs").read_text()
DTYPES = ("float32", "float64")

FAULTS = {  # what is right, the fault in its place, and the first wrong tensor
    "a sign": ("W[i] -= round", "W[i] += round", "W1"),
    "a missing 2": ("round(2 * round(value - t[i]))", "round(value - t[i])", "dy"),
    "a mask of another layer": ("z1[i] > 0 ? d", "a1[i] >= 0 ? d", "dz1"),
    "a missing transposition": ("(OUT, N, HIDDEN, transposed(dy, OUT)", "(OUT, N, HIDDEN, plain(dy, N)", "dW2"),
    "a buffer that forgets": ("round(momentum * v[i]) + dW[i]", "dW[i]", "v.W1"),
}  # fmt: skip


def run(source: str, folder: Path, dtype: str) -> subprocess.CompletedProcess[str]:
    (folder / "train.mjs").write_text(source)
    shutil.copy(FOLDER / "torch_mirror_trace.mjs", folder)
    command = ["node", "train.mjs", "run.safetensors", dtype]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def trace_of(source: str, folder: Path, dtype: str) -> Trace:
    done = run(source, folder, dtype)
    assert (done.returncode, done.stderr) == (0, "")
    return Trace.load(folder / "run.safetensors")


@pytest.mark.parametrize("dtype", DTYPES)
def test_it_is_certified(tmp_path: Path, dtype: str) -> None:
    trace = trace_of(SOURCE, tmp_path, dtype)
    assert (trace.steps, str(trace["dW1"].dtype), trace["loss"].shape, "x" in trace) == (20, dtype, (20,), False)
    certificate = certify(experiment(dtype), trace, strict=True)
    assert (certificate.verdict, certificate.doubts) == ("certified", ())
    assert certificate.notes == ("the trace has x by hash alone, the experiment's",)


@pytest.mark.parametrize("dtype", DTYPES)
def test_other_data_show_in_their_hash(tmp_path: Path, dtype: str) -> None:
    trace = trace_of(planted(SOURCE, "const t = filled", "x[5] += 1e-6;\nconst t = filled"), tmp_path, dtype)
    with pytest.raises(InputError, match=r"x of the trace: expected the experiment's, .* the run had another x"):
        certify(experiment(dtype), trace)


@pytest.mark.parametrize(("fault", "dtype"), [*zip(FAULTS, cycle(DTYPES), strict=False)])
def test_a_planted_fault_is_refuted_where_it_is(tmp_path: Path, dtype: str, fault: str) -> None:
    right, wrong, tensor = FAULTS[fault]
    trace = trace_of(planted(SOURCE, right, wrong), tmp_path, dtype)
    assert first_wrong(certify(experiment(dtype), trace)) == tensor


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ('run.put("tensors/y", x, [N, IN])', "RangeError: tensors/y: another shape"),
        ('run.put("tensors/y", y, [N, IN])', "RangeError: tensors/y: 16 numbers for 8,3"),
        ('run.put("constants/t", t, [N, OUT])', "RangeError: constants/t: a constant twice"),
        ('run.put("tensors/y", [1], [1])', "TypeError: tensors/y: expected one of F64,F32,I64,I32,U8, got Array"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_is_written(tmp_path: Path, call: str, said: str) -> None:
    source = planted(SOURCE, "run.save(path)", f"const {{ y }} = forward();\n{call};\nrun.save(path)")
    done = run(source, tmp_path, "float64")
    assert done.returncode == 1
    assert said in done.stderr
    assert not (tmp_path / "run.safetensors").exists()
