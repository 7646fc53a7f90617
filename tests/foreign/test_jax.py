"""The example in JAX, a compiled loop, is run in a process of its own and certified against the experiment mlp-relu."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reference import Trace, experiments
from tests.foreign.reference import first_wrong, planted
from tests.readme import ROOT
from torch_mirror import certify

pytestmark = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="no jax here: pip install jax")

SOURCE = (ROOT / "examples" / "jax" / "train.py").read_text()
NAMES = {
    "W1": "parameters/layer1.kernel.T", "b1": "parameters/layer1.bias",
    "W2": "parameters/layer2.kernel.T", "b2": "parameters/layer2.bias",
    "dW1": "grads.layer1.kernel.T", "db1": "grads.layer1.bias",
    "dW2": "grads.layer2.kernel.T", "db2": "grads.layer2.bias",
}  # fmt: skip
FAULTS = {  # precision, what is right, the fault in its place, and the first wrong tensor
    "a sign": ("float32", "w - 0.001 * dw", "w + 0.001 * dw", "W1"),
    "a mean": ("float64", "jnp.sum((y - t) ** 2)", "jnp.mean((y - t) ** 2)", "loss"),
    "a gradient that is stopped": ("float64", '+ added["z1"]', '+ jax.lax.stop_gradient(added["z1"])', "dz1"),
    "a ReLU that leaks": ("float32", "jax.nn.relu(z1)", "jax.nn.leaky_relu(z1)", "a1"),
}  # fmt: skip


def trace_of(source: str, folder: Path, dtype: str) -> Trace:
    (folder / "train.py").write_text(source)
    command = [sys.executable, "-W", "error", "train.py", "run.safetensors", dtype]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return Trace.load(folder / "run.safetensors").mapped(NAMES)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_certified(tmp_path: Path, dtype: str) -> None:
    experiment = experiments.load("mlp-relu", dtype)
    trace = trace_of(SOURCE, tmp_path, dtype)
    assert set(trace) == set(experiment.slots)
    assert (trace.steps, str(trace["W1"].dtype), trace["W1"].shape) == (100, dtype, (101, 5, 3))
    certificate = certify(experiment, trace, strict=True)
    assert (certificate.verdict, certificate.doubts, certificate.notes) == ("certified", (), ())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_refuted_where_it_is(tmp_path: Path, fault: str) -> None:
    dtype, right, wrong, tensor = FAULTS[fault]
    trace = trace_of(planted(SOURCE, right, wrong), tmp_path, dtype)
    assert first_wrong(certify(experiments.load("mlp-relu", dtype), trace)) == tensor
