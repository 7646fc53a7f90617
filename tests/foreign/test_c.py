"""The example in C is compiled, run, and certified: in both precisions, and with whatever the compiler makes of it."""

import shutil
import subprocess
from itertools import cycle
from pathlib import Path

import pytest

from reference import Trace
from tests.foreign.reference import experiment, first_wrong, planted
from tests.readme import ROOT
from torch_mirror import certify

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc here, which compiles the example")

FOLDER = ROOT / "examples" / "c"
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
FLAGS = {
    "as it stands": ("-O0",),
    "optimised": ("-O2",),
    "fused": ("-O3", "-march=native", "-ffp-contract=fast"),     # a * b + c is rounded once
    "fast": ("-Ofast", "-march=native"),                         # and sums are taken in another order
}  # fmt: skip
REAL = {"float32": "float", "float64": "double"}

FAULTS = {  # what is right, the fault in its place, and the first wrong tensor
    "a sign": ("W[i] -= lr", "W[i] += lr", "W1"),
    "a missing 2": ("2 * (y[n][o] - t[n][o])", "(y[n][o] - t[n][o])", "dy"),
    "a missing N": ("/ (N * OUT);\n", "/ OUT;\n", "dy"),
    "no ReLU in the backward pass": ("z1[n][h] > 0 ? da1[n][h] : 0", "da1[n][h]", "dz1"),
    "the loss not divided": ("loss /= N * OUT", "loss /= OUT", "loss"),
    "a mean for a sum": ("momentum * v[i] + dW[i]", "momentum * v[i] + (1 - momentum) * dW[i]", "v.W1"),
    "a sum that is never cleared": ("memset(dW1, 0, sizeof dW1), ", "", "dW1"),
    "a last sample left out": ("dW2[o][h] += dy[n][o]", "dW2[o][h] += (n < N - 1) * dy[n][o]", "dW2"),
    "other data": ("fill(&t[0][0], N * OUT)", "fill(&t[0][0], N * OUT), t[7][1] += (real)1e-6", "t"),
    "another start": ('PUT("constants/t", t);', 'PUT("constants/t", t), W1[0][0] += (real)1e-6;', "W1"),
}  # fmt: skip


def trace_of(source: str, folder: Path, dtype: str, flags: tuple[str, ...] = ("-O0",)) -> Trace:
    """Compile and run the program, and read what it writes."""
    (folder / "train.c").write_text(source)
    compile_it = ["gcc", *STRICT, *flags, f"-DREAL={REAL[dtype]}", f"-I{FOLDER}", "train.c", "-o", "train"]
    for command in (compile_it, ["./train", "run.safetensors"]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), command
    return Trace.load(folder / "run.safetensors")


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("flags", FLAGS)
def test_it_is_certified_however_it_is_compiled(tmp_path: Path, dtype: str, flags: str) -> None:
    trace = trace_of((FOLDER / "train.c").read_text(), tmp_path, dtype, FLAGS[flags])
    assert (trace.steps, str(trace["dW1"].dtype)) == (20, dtype)
    assert (trace["dW1"].shape, trace["loss"].shape) == ((20, 4, 3), (20,))
    certificate = certify(experiment(dtype), trace, strict=True)
    assert (certificate.verdict, certificate.doubts, certificate.notes) == ("certified", (), ())


@pytest.mark.parametrize(("fault", "dtype"), [*zip(FAULTS, cycle(REAL), strict=False)])
def test_a_planted_fault_is_refuted_where_it_is(tmp_path: Path, dtype: str, fault: str) -> None:
    right, wrong, tensor = FAULTS[fault]
    trace = trace_of(planted((FOLDER / "train.c").read_text(), right, wrong), tmp_path, dtype)
    assert first_wrong(certify(experiment(dtype), trace)) == tensor


ODD = "too many arrays or axes, or an odd name"
ANOTHER = "a row of another shape than before, or a constant twice"
MANY = (
    'for (char q[] = "tensors/**"; q[9] < 50; q[9]++) for (q[8] = 42; q[8] < 90; q[8]++) '
    'tm_put(&run, q, "F64", y, 0)'
)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ('tm_put(&run, "tensors/y", "F64", y, 1, 3)', ANOTHER),
        ('PUT("constants/x", x)', ANOTHER),
        ('tm_put(&run, "tensors/\\"", "F64", y, 1, 3)', ODD),
        (f'tm_put(&run, "tensors/q", "F64", y, 40{", 1" * 40})', ODD),
        (f'tm_put(&run, "tensors/{"q" * 56}", "F64", y, 0)', ODD),
        (MANY, ODD),
    ],
)
def test_what_goes_wrong_is_kept_in_words_and_nothing_is_written(tmp_path: Path, call: str, said: str) -> None:
    source = planted((FOLDER / "train.c").read_text(), "    const char *path", f"    {call};\n    const char *path")
    (tmp_path / "train.c").write_text(source)
    subprocess.run(["gcc", *STRICT, f"-I{FOLDER}", "train.c", "-o", "train"], cwd=tmp_path, check=True)
    done = subprocess.run(["./train"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"run.safetensors: {said}\n")
    assert not (tmp_path / "run.safetensors").exists()


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here, which is a disk that is full")
    subprocess.run(["gcc", f"-I{FOLDER}", str(FOLDER / "train.c"), "-o", "train"], cwd=tmp_path, check=True)
    done = subprocess.run(["./train", "/dev/full"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "/dev/full: the file cannot be written whole\n")


def test_the_writer_is_one_screen_and_none_of_its_lines_is_long() -> None:
    lines = (FOLDER / "torch_mirror_trace.h").read_text().splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 120
