"""The ratios and times that are asked of the project; how to run them is in the package's docstring."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

import reference
from reference import experiments, printed
from reference.claim.experiment import Experiment
from reference.claim.tree import named
from tests import warm
from tests.benchmarks import documents
from tests.benchmarks.conftest import SideBySide, processor_seconds
from tests.benchmarks.large import bare
from torch_mirror import certify, verify
from torch_mirror.training.session import session

FEW = 3
"""Steps of a run when nothing is timed."""


def load(name: str, dtype: str, side_by_side: SideBySide) -> Experiment:
    experiment = experiments.load(name, dtype)
    return experiment if side_by_side.timing else replace(experiment, steps=FEW)


# --- verify against a bare torch loop ----------------------------------------------------------

# asked, aim, rounds
VERIFIED = {"diabetes-linear": (1.7, 1.45, 7), "two-layer-linear": (1.5, 1.35, 15), "two-layer-relu": (4.5, 3.8, 7)}


@pytest.mark.benchmark(group="verify")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", VERIFIED)
def test_verify(name: str, dtype: str, side_by_side: SideBySide) -> None:
    asked, aim, rounds = VERIFIED[name]
    e = load(name, dtype, side_by_side)
    side_by_side(lambda: verify(e), lambda: bare(e), asked=asked, aim=aim, rounds=rounds)
    assert verify(replace(e, steps=FEW)).verdict == "certified"


@pytest.mark.benchmark(group="verify")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_verify_in_two_threads(dtype: str, side_by_side: SideBySide) -> None:
    """In seconds of the clock, of two cores with nothing else to do."""
    e = load("two-layer-relu", dtype, side_by_side)
    side_by_side(lambda: verify(e, threads=2), lambda: bare(e), asked=3.4, aim=3.0, rounds=7)
    assert verify(replace(e, steps=FEW), threads=2).verdict == "certified"


@pytest.mark.benchmark(group="verify")
def test_verify_one_step(side_by_side: SideBySide) -> None:
    """Everything loaded, beside a forward and a backward pass: what a test of a small network costs."""
    e = replace(experiments.load("mlp-relu"), steps=1)
    module, _, criterion, *_ = session(e)
    x, t = torch.tensor(e.x), torch.tensor(e.t)
    many = 10 if side_by_side.timing else 1

    def verified() -> int:
        assert all(verify(e).verdict == "certified" for _ in range(many))
        return many

    def passes() -> int:
        for _ in range(10 * many):
            module.zero_grad()
            criterion(module(x), t).backward()  # type: ignore[no-untyped-call]  # untyped in torch
        return 10 * many

    side_by_side(verified, passes, asked=40, rounds=15, each=True)


# --- reference.train against the documents' scripts --------------------------------------------

Script = Callable[[Experiment], documents.Run]
LOSS = ("loss",)
HISTORIES = ("loss", "dW1", "dW2", "W1", "W2", "b1", "b2")

# name, the document's script, what is recorded, asked, rounds
SCRIPTS: dict[str, tuple[str, Script, Sequence[str], float, int]] = {
    "cubic-sine": ("cubic-sine", documents.cubic_sine, LOSS, 0.1, 11),
    "linear-neuron": ("linear-neuron", documents.linear_neuron, LOSS, 1.1, 50),
    "linear-batch": ("linear-batch", documents.linear_batch, LOSS, 1.1, 50),
    "diabetes-linear": ("diabetes-linear", documents.diabetes_linear, LOSS, 1.1, 10),
    "mlp-relu": ("mlp-relu", documents.mlp_relu, LOSS, 1.1, 150),
    "mlp-relu, with its histories": ("mlp-relu", documents.mlp_relu_histories, HISTORIES, 1.1, 150),
    # Document 002 computes the loss at every hundredth epoch: all losses are more than it keeps, none are less.
    "two-layer-linear, every loss": ("two-layer-linear", documents.two_layer_linear, LOSS, 1.1, 50),
    "two-layer-linear, no loss": ("two-layer-linear", documents.two_layer_linear, (), 1.1, 50),
    "two-layer-linear-bias, every loss": ("two-layer-linear-bias", documents.two_layer_linear_bias, LOSS, 1.1, 50),
    "two-layer-linear-bias, no loss": ("two-layer-linear-bias", documents.two_layer_linear_bias, (), 1.1, 50),
    "two-layer-relu": ("two-layer-relu", documents.two_layer_relu, LOSS, 1.1, 8),
}


@pytest.mark.benchmark(group="reference.train")
@pytest.mark.parametrize("case", SCRIPTS)
def test_train(case: str, side_by_side: SideBySide) -> None:
    name, script, record, asked, rounds = SCRIPTS[case]
    e = load(name, "float64", side_by_side)

    def train() -> reference.Trace:
        trace = reference.train(e, record)
        if record is HISTORIES:
            printed.mean_absolute_gradients(trace)
            printed.weight_history(trace.at(slice(0, None)))[::10]
        return trace

    side_by_side(train, lambda: script(e), asked=asked, rounds=rounds)
    assert certify(replace(e, steps=1), first_step(e, script), "numpy").verdict == "certified"


def first_step(e: Experiment, script: Script) -> reference.Trace:
    """The script's own first step, as a trace of its ends: it must be an evaluation of the same equations."""
    start = named(e.parameters)
    after = dict(zip(start, script(replace(e, steps=1)).parameters, strict=True))
    states = {name: np.stack([a, np.reshape(after[name], a.shape)]) for name, a in start.items()}
    return reference.Trace(1, {"x": e.x, "t": e.t}, states)


# --- the command line --------------------------------------------------------------------------

COMMAND = [sys.executable, "-m", "torch_mirror"]


@pytest.mark.benchmark(group="command")
def test_help(side_by_side: SideBySide) -> None:
    side_by_side(
        lambda: subprocess.run([*COMMAND, "--help"], check=True, capture_output=True), asked=0.5, rounds=10
    )
    told = subprocess.run(
        [sys.executable, "-X", "importtime", *COMMAND[1:], "--help"], check=True, capture_output=True, text=True
    )
    imported = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}
    assert "torch_mirror.doors.cli" in imported
    assert "torch" not in imported


ONE_SGD = ("-c", "import torch; torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)")
"""What every command that trains must load; the first optimizer takes as long as the rest of torch."""


@pytest.mark.benchmark(group="command")
def test_a_command_of_one_step(side_by_side: SideBySide) -> None:
    python = sys.executable if side_by_side.timing else warm.python()
    side_by_side.beyond(
        lambda: processor_seconds(*COMMAND[1:], "verify", "two-layer-linear", "--steps", "1", python=python),
        lambda: processor_seconds(*ONE_SGD),
        asked=0.3,
        rounds=7,
    )


@pytest.mark.benchmark(group="command")
def test_the_diabetes_data(side_by_side: SideBySide) -> None:
    """Read where scikit-learn has them, and nothing of it imported: its estimators take a second and a half."""

    def load(name: str, *, more: str = "") -> float:
        return processor_seconds("-c", f"import sys; from reference import experiments as e; e.load({name!r}){more}")

    side_by_side.beyond(lambda: load("diabetes-linear"), lambda: load("two-layer-linear"), asked=0.1, rounds=15)
    load("diabetes-linear", more="; sys.exit('sklearn' in sys.modules)")


@pytest.mark.benchmark(group="command")
def test_whole_run(side_by_side: SideBySide, request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--whole", default=False):
        pytest.skip("takes a minute: make bench BENCH=--whole")
    side_by_side(lambda: subprocess.run([*COMMAND, "verify"], check=True, capture_output=True), asked=90, warmup=0)
