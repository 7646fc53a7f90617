"""torch-mirror check FILE:OBJECT and torch-mirror verify FILE:OBJECT: what a user's file may hold, and what is told."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from torch_mirror.doors.cli import cli

MINE = """
from dataclasses import replace
import numpy as np
import torch_mirror
from reference import experiments

draw = np.random.default_rng(0)

def right(p, x, t):
    e = x @ p["w"] - t
    return (e**2).mean(), {"w": 2 * x.T @ e / len(t)}

def wrong(p, x, t):
    loss, gradients = right(p, x, t)
    return loss, {"w": gradients["w"] / 2}

given = {"w": draw.normal(size=3)}, draw.normal(size=(5, 3)), draw.normal(size=5)
of_right, of_wrong = (right, *given), (wrong, *given)
both = {"right": of_right, "wrong": of_wrong}

def found():
    return torch_mirror.check(*of_right)

class Net:
    claim = of_wrong

experiment = replace(experiments.load("two-layer-linear"), steps=3)

def doubled(e):
    session = torch_mirror.session(e)
    session.module.layer2.weight.register_hook(lambda g: 2 * g)
    return session

def broken(*_):
    raise ZeroDivisionError("mine")

pair, broken_pair = (experiment, doubled), (experiment, broken)
of_broken = (broken, *given)

def leaving(*_):
    raise SystemExit(0)

of_leaving, none, without_data = (leaving, *given), {}, (right, given[0])
number = 3
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Run":
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    (tmp_path / "leaves.py").write_text("raise SystemExit('bye')", encoding="utf-8")
    (tmp_path / "odd.py").write_text("def __getattr__(name):\n    return 1 // 0\n", encoding="utf-8")
    (tmp_path / "moves.py").write_text(f"import os\nos.chdir('/')\n{MINE}", encoding="utf-8")
    return Run()


class Run:
    """A command, in a folder that has mine.py."""

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, list(arguments))


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("of_right", 0, "right: certified"),
        ("found", 0, "right: certified"),
        ("of_wrong", 1, "cause: a factor 1/2"),
        ("Net.claim", 1, "wrong from               mine.py:15"),
        ("both", 1, "dw  WRONG      yours / derivative = 0.5 everywhere"),
    ],
)
def test_check(run: Run, name: str, status: int, said: str) -> None:
    result = run("check", f"mine.py:{name}")
    assert (result.exit_code, said in result.output) == (status, True), result.output


def test_a_file_may_change_the_folder(run: Run) -> None:
    before = sys.path[:]
    assert run("check", "moves.py:of_right").exit_code == 0
    assert sys.path == before


def test_rows_and_json(run: Run) -> None:
    result = run("check", "mine.py:both", "mine.py:found", "-v", "--json", "out.json")
    assert result.output.count("dw  ok") == 4
    whole = json.loads(Path("out.json").read_text(encoding="utf-8"))
    assert [one["verdict"] for one in whole] == ["certified", "refuted", "certified"]


def test_verify(run: Run) -> None:
    result = run("verify", "mine.py:experiment", "two-layer-linear-bias", "--dtype", "float32", "--steps", "2")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["two-layer-linear", "float64", "2"], ["two-layer-linear-bias", "float32", "2"],
    ]  # fmt: skip


def test_verify_with_the_user_s_own_torch_side(run: Run) -> None:
    result = run("verify", "mine.py:pair")
    assert result.exit_code == 1
    assert "first wrong: dW2, step 0" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check",), "Missing argument"),
        (("check", "nope"), "expected the name of an experiment, or FILE:OBJECT"),
        (("check", "nope.py:a"), "file nope.py: expected a Python file, got none that is there"),
        (("check", "mine.py:nope"), "object nope of mine.py: expected one of"),
        (("check", "mine.py:number"), "mine.py:number: expected a tuple (function, parameters, *data)"),
        (("check", "mine.py:experiment"), "got Experiment"),
        (("check", "mine.py:of_right", "--json", "no/where"), "--json"),
        (("check", "mine.py:of_broken"), "mine.py:of_broken: expected code that runs, got ZeroDivisionError"),
        (("check", "mine.py:of_leaving"), "mine.py:of_leaving: expected code that runs, got SystemExit: 0"),
        (("check", "mine.py:leaving"), "mine.py:leaving(): expected an experiment, or what check takes"),
        (("check", "leaves.py:a"), "file leaves.py: expected to run, got SystemExit: bye"),
        (("check", "mine.py:none"), "mine.py:none: expected at least one case, got an empty dict"),
        (("check", "mine.py:without_data"), "function: expected to take the parameters and 0 data, got right(p, x, t)"),
        (("check", "odd.py:a"), "object a of odd.py: expected one of"),
        (("verify", "mine.py:broken_pair"), "expected code that runs, got ZeroDivisionError: mine (mine.py, line"),
        (("verify", "mine.py:number"), "mine.py:number: expected a reference.Experiment"),
        (("verify", "mine.py:of_right"), "mine.py:of_right: expected a reference.Experiment"),
    ],
)
def test_bad_input_is_one_message_and_status_2(run: Run, arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, said in result.output) == (2, True), result.output
    assert not Path("no").exists()
