"""torch-mirror record and torch-mirror certify: what is written, what is judged, what is told of bad input."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from reference import Trace
from reference.errors import InputError
from torch_mirror.doors.cli import cli
from torch_mirror.doors.commands.wanted import name_map

MINE = """
from dataclasses import replace
import torch_mirror
from reference import experiments

experiment = replace(experiments.load("two-layer-linear"), steps=4)

def doubled(e):
    session = torch_mirror.session(e)
    session.module.layer2.weight.register_hook(lambda g: 2 * g)
    return session

def pair():
    return experiment, doubled

def broken(e):
    raise ZeroDivisionError("mine")

broken_pair, number = (experiment, broken), 3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


@pytest.mark.parametrize("side", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_recorded_is_certified(side: str, dtype: str) -> None:
    made = run("record", "mlp-relu", "-o", "run.npz", "--side", side, "--dtype", dtype, "--steps", "5", "--seed", "3")
    said = f"run.npz: mlp-relu, {dtype}, {side}, 5 steps of 17 tensors\n"
    assert (made.exit_code, made.output) == (0, said)
    result = run("certify", "run.npz", "--reference", "mlp-relu", "--side", side, "--steps", "5", "--seed", "3")
    assert (result.exit_code, result.output.rstrip().rpartition("  ")[2]) == (0, "certified"), result.output
    assert result.output.split()[:3] == ["mlp-relu", dtype, "5"]
    other = run("certify", "run.npz", "--reference", "mlp-relu", "--side", side, "--steps", "5")
    assert (other.exit_code, "start check" in other.output) == (1, True), other.output


def test_a_wrong_number_is_refuted(folder: Path) -> None:
    run("record", "mlp-relu", "-o", "run.npz", "--steps", "5")
    trace = Trace.load("run.npz")
    trace.tensors["dW1"][3, 0, 0] += 2.0**-20
    replace(trace, tensors={**trace.tensors}).save("run.npz")
    result = run("certify", "run.npz", "--reference", "mlp-relu", "--json", "out.json", "-v")
    assert (result.exit_code, "first wrong: dW1, step 3, torch, local check" in result.output) == (1, True)
    assert re.search(r"resolution\n(.*\n)*    dW1 +local", result.output)
    (one,) = json.loads((folder / "out.json").read_text())["runs"]
    assert (one["verdict"], one["refutations"][0]["tensor"]) == ("refuted", "dW1")


def test_some_steps_are_judged_and_the_notes_say_so() -> None:
    run("record", "mlp-relu", "-o", "run.npz", "--steps", "5")
    result = run("certify", "run.npz", "--reference", "mlp-relu")
    assert "the trace holds 5 of the run's 100 steps (0 to 4)" in result.output
    assert run("certify", "run.npz", "--reference", "mlp-relu", "--quiet").output == ""


def test_the_user_s_own_experiment_and_torch_side() -> None:
    assert run("record", "mine.py:pair", "--side", "torch", "-o", "run.npz").exit_code == 0
    result = run("certify", "run.npz", "--reference", "mine.py:experiment")
    assert (result.exit_code, "first wrong: dW2, step 0, torch" in result.output) == (1, True), result.output
    assert run("record", "mine.py:experiment", "-o", "narrow.npz", "--dtype", "float32").exit_code == 0
    assert Trace.load("narrow.npz")["W1"].dtype == np.float32
    assert run("certify", "narrow.npz", "--reference", "mine.py:experiment").exit_code == 0


def foreign(folder: Path) -> tuple[str, ...]:
    """A run of mlp-relu as another program has it: other names, weights (in, out). Returns what says so."""
    run("record", "mlp-relu", "-o", "run.npz", "--steps", "5", "--side", "torch")
    trace = Trace.load("run.npz")
    ours = {"W1": "layer1.kernel.T", "W2": "layer2.kernel.T", "b1": "layer1.bias"}
    theirs = {name: told.removesuffix(".T") for name, told in ours.items()}
    groups = [
        {theirs.get(name, name): a.mT if ours.get(name, "").endswith(".T") else a for name, a in group.items()}
        for group in (trace.parameters, trace.tensors)
    ]
    replace(trace, parameters=groups[0], tensors=groups[1]).save(folder / "foreign.safetensors")
    return tuple(word for name, told in ours.items() for word in ("--map", f"{name}={told}"))


def test_a_run_of_another_program_has_names_of_its_own(folder: Path) -> None:
    names = foreign(folder)
    judged = "certify", "foreign.safetensors", "--reference", "mlp-relu", "--steps", "5"
    result = run(*judged, *names)
    assert (result.exit_code, "certified" in result.output) == (0, True), result.output
    result = run(*judged)
    assert (result.exit_code, "tensor among the parameters of the trace: 'layer1.kernel'" in result.output) == (2, True)
    assert "--map W1=layer1.kernel says that it is W1, layer1.kernel.T where it is the transpose" in result.output
    for wrong, said in (
        (("--map", "W1=layer1.kernle.T", *names[2:]), "did you mean 'layer1.kernel'?"),
        (("--map", "W1=layer1.kernel", *names[2:]), "is it another program's transpose? Then .T belongs"),
        ((*names[:4], "--map", "b1=layer1.bias.T"), "expected no .T where there are not two axes"),
        ((*names, "--map", "W1=layer2.kernel.T"), "--map: expected one name for W1, got layer1.kernel.T and layer2"),
    ):
        result = run(*judged, *wrong)
        assert (result.exit_code, said in result.output) == (2, True), result.output
        assert sum(line.startswith("Error: ") for line in result.output.splitlines()) == 1


def test_names_are_told_in_pairs() -> None:
    assert name_map(["W1=layer1.kernel.T", "b=a=b"]) == {"W1": "layer1.kernel.T", "b": "a=b"}
    for text in ("W1", "=a", "W1=", ""):
        with pytest.raises(InputError, match=r"--map: expected OURS=THEIRS, such as W1=layer1.kernel.T, got "):
            name_map([text])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("certify", "run.npz", "--reference", "mlp-relu", "--map", "W1"), "--map: expected OURS=THEIRS"),
        (("record", "mlp-relu"), "Missing option '-o'"),
        (("record", "mlp-rel", "-o", "a.npz"), "unknown experiment 'mlp-rel': did you mean 'mlp-relu'?"),
        (("record", "mlp-relu", "-o", "no/a.npz"), "--output: expected a path that can be written"),
        (("record", "mlp-relu", "-o", "."), "--output: expected the path of a file"),
        (("record", "mine.py:number", "-o", "a.npz"), "mine.py:number: expected a reference.Experiment"),
        (("record", "mine.py:nope", "-o", "a.npz"), "object nope of mine.py: expected one of"),
        (("record", "mine.py:broken_pair", "--side", "torch", "-o", "a.npz"), "ZeroDivisionError: mine (mine.py, line"),
        (("record", "mine.py:experiment", "--seed", "1", "-o", "a.npz"), "--seed: expected no seed with mine.py:exp"),
        (("record", "mlp-relu", "-o", "a.npz", "--dtype", "both"), "'both'"),
        (("certify", "run.npz"), "Missing option '--reference'"),
        (("certify", "nope.npz", "--reference", "mlp-relu"), "trace file nope.npz: expected a readable file"),
        (("certify", "mine.py", "--reference", "mlp-relu"), "trace file mine.py: expected"),
        (("certify", "run.npz", "--reference", "mlp-rely"), "unknown experiment 'mlp-rely'"),
        (("certify", "run.npz", "--reference", "mine.py:nope"), "object nope of mine.py: expected one of"),
        (("certify", "run.npz", "--reference", "mine.py:number"), "mine.py:number: expected a reference.Experiment"),
        (("certify", "run.npz", "--reference", "linear-batch"), "tensor among the parameters of the trace: 'W1'"),
        (("certify", "run.npz", "--reference", "mlp-relu", "--dtype", "float32"), "expected an array of float32, got"),
        (("certify", "run.npz", "--reference", "mlp-relu", "--steps", "1"), "steps of the trace: expected some of the"),
        (("certify", "run.npz", "--reference", "mlp-relu", "--json", "no/a"), "--json: expected a path"),
        (("certify", "run.npz", "--reference", "mlp-relu", "--watch"), "--watch: expected a FILE:OBJECT"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message_and_status_2(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    run("record", "mlp-relu", "-o", "run.npz", "--steps", "2")
    before = sorted(folder.rglob("*"))
    result = run(*arguments)
    assert (result.exit_code, said in result.output) == (2, True), result.output
    assert sum(line.startswith("Error: ") for line in result.output.splitlines()) == 1
    assert sorted(folder.rglob("*")) == before
