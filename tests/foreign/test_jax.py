"""The example in JAX, a compiled loop, is run in another process and certified against the experiment mlp-relu."""

import importlib.util
import json
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
DTYPES = ("float32", "float64")
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


EACH = """
import json, runpy, sys
for folder, dtype in json.loads(sys.argv[1]):
    sys.argv = ["train.py", folder + "/run.safetensors", dtype]
    runpy.run_path(folder + "/train.py", run_name="__main__")
"""
"""One process for all: to load JAX takes longer than a run."""


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trace]:
    """Of the example, by dtype, and of each fault, by its name."""
    sources = {dtype: (SOURCE, dtype) for dtype in DTYPES}
    sources |= {name: (planted(SOURCE, right, wrong), dtype) for name, (dtype, right, wrong, _) in FAULTS.items()}
    folders = {name: str(tmp_path_factory.mktemp("jax")) for name in sources}
    for name, (source, _) in sources.items():
        Path(folders[name], "train.py").write_text(source)
    asked = json.dumps([(folders[name], dtype) for name, (_, dtype) in sources.items()])
    command = [sys.executable, "-W", "error", "-c", EACH, asked]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return {name: Trace.load(f"{folder}/run.safetensors").mapped(NAMES) for name, folder in folders.items()}


@pytest.mark.parametrize("dtype", DTYPES)
def test_it_is_certified(traces: dict[str, Trace], dtype: str) -> None:
    experiment = experiments.load("mlp-relu", dtype)
    trace = traces[dtype]
    assert set(trace) == set(experiment.slots)
    assert (trace.steps, str(trace["W1"].dtype), trace["W1"].shape) == (100, dtype, (101, 5, 3))
    certificate = certify(experiment, trace, strict=True)
    assert (certificate.verdict, certificate.doubts, certificate.notes) == ("certified", (), ())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_refuted_where_it_is(traces: dict[str, Trace], fault: str) -> None:
    dtype, _, _, tensor = FAULTS[fault]
    assert first_wrong(certify(experiments.load("mlp-relu", dtype), traces[fault])) == tensor
