"""torch-mirror check FILE:OBJECT and torch-mirror verify FILE:OBJECT: what a user's file may hold, and what is told."""

import json
import os
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from torch_mirror.doors import objects
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

def certificate():
    return torch_mirror.verify(experiment)

runs = {"plain": experiment, "doubled": lambda: pair, "found": certificate}
of_all = {"experiment": experiment, "gradients": lambda: of_wrong, "run": certificate}
odd = {"right": of_right, "number": number}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Run":
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    (tmp_path / "leaves.py").write_text("raise SystemExit('bye')", encoding="utf-8")
    (tmp_path / "odd.py").write_text("def __getattr__(name):\n    return 1 // 0\n", encoding="utf-8")
    (tmp_path / "leaving.py").write_text("def __getattr__(name):\n    raise SystemExit(0)\n", encoding="utf-8")
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "network.py").write_text(MINE, encoding="utf-8")
    (package / "broken.py").write_text("import nowhere", encoding="utf-8")
    (package / "part.py").write_text("from . import network", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").touch()
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
        ("pair", 0, "two-layer-linear: certified"),
        ("Net.claim", 1, "wrong from               mine.py:15"),
        ("both", 1, "dw  WRONG      yours / derivative = 0.5 everywhere"),
        ("experiment", 0, "two-layer-linear: certified"),
        ("certificate", 0, "free runs end"),
        ("of_all", 1, "cause: a factor 1/2"),
    ],
)
def test_check(run: Run, name: str, status: int, said: str) -> None:
    result = run("check", f"mine.py:{name}")
    assert (result.exit_code, said in result.output) == (status, True), result.output


@pytest.mark.parametrize(("name", "status"), [("of_right", 0), ("Net.claim", 1)])
def test_an_object_of_a_module(run: Run, name: str, status: int) -> None:
    before = sys.path[:], sys.meta_path[:]
    result = run("check", f"package.network:{name}")
    assert result.exit_code == status, result.output
    assert (sys.path, sys.meta_path) == before


def test_verify_and_selftest_of_a_module(run: Run) -> None:
    result = run("verify", "package.network:pair")
    assert (result.exit_code, "first wrong: dW2, step 0" in result.output) == (1, True), result.output
    result = run("selftest", "package.network:of_right", "--dtype", "float64", "--quiet")
    assert result.output.splitlines()[-1] == "right: every fault that was planted was found"
    assert not any(line.startswith(("  ok", "  --")) for line in result.output.splitlines())


def test_only_what_is_not_certified_if_quiet(run: Run) -> None:
    assert run("check", "mine.py:found", "-q").output == ""
    assert run("check", "mine.py:both", "-q").output.startswith("wrong: refuted")
    assert run("verify", "mine.py:experiment", "--quiet").output == ""
    result = run("verify", "mine.py:runs", "--quiet")
    assert [line.rpartition("  ")[2] for line in result.output.splitlines()[:1]] == ["refuted"]


def test_check_of_a_dict_has_its_names_in_the_lines(run: Run) -> None:
    """Two entries may be judgements of one function."""
    text = "from mine import of_right, of_wrong\nboth = {'first': of_right, 'again': of_right, 3: of_wrong}\n"
    Path("twice.py").write_text(text, encoding="utf-8")
    lines = run("check", "twice.py:both", "--json", "out.json").output.splitlines()
    assert [line.partition(":")[0] for line in lines if ": certified" in line or ": refuted" in line] == [
        "first", "again", "3",
    ]  # fmt: skip
    whole = json.loads(Path("out.json").read_text(encoding="utf-8"))
    assert [one["subject"] for one in whole] == ["first", "again", "3"]


def test_verify_of_a_dict(run: Run) -> None:
    result = run("verify", "mine.py:runs")
    verdicts = [line.rpartition("  ")[2] for line in result.output.splitlines() if not line.startswith(" ")]
    assert (result.exit_code, verdicts) == (1, ["certified", "refuted", "certified"]), result.output


def test_a_line_that_is_edited_within_a_second_is_judged_anew(run: Run) -> None:
    """A .pyc file would pass for current: the size and the second of the change are the same."""
    for place in (Path("mine.py"), Path("beside.py")):
        Path("beside.py").write_text(MINE, encoding="utf-8")
        Path("user.py").write_text("from beside import of_wrong\n", encoding="utf-8")
        name = "mine.py:of_wrong" if place.stem == "mine" else "user.py:of_wrong"
        assert run("check", name).exit_code == 1
        stat = place.stat()
        place.write_text(MINE.replace('["w"] / 2}', '["w"] / 1}'), encoding="utf-8")
        os.utime(place, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        sys.modules.pop("beside", None)  # as a new process
        assert run("check", name).exit_code == 0, place


def test_that_a_stale_module_would_be_noticed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "Fresh", SourceFileLoader)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for text in (MINE, MINE.replace('["w"] / 2}', '["w"] / 1}')):
        Path("mine.py").write_text(text, encoding="utf-8")
        os.utime("mine.py", ns=(10**18, 10**18))
        assert run("check", "mine.py:of_wrong").exit_code == 1  # the second one is right, and nobody sees it


def test_two_folders_may_have_modules_of_one_name(run: Run) -> None:
    for folder, name in (("one", "of_right"), ("two", "of_wrong")):
        Path(folder).mkdir()
        Path(folder, "helper.py").write_text(f"from mine import {name} as case\n", encoding="utf-8")
        Path(folder, "mine.py").write_text(MINE, encoding="utf-8")
        Path(folder, "user.py").write_text("from helper import case\n", encoding="utf-8")
    result = run("check", "one/user.py:case", "two/user.py:case")
    assert [line.split()[1] for line in result.output.splitlines() if line[0] in "rw"] == ["certified,", "refuted,"]


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
    result = run("verify", "mine.py:experiment", "two-layer-linear-bias", "--steps", "2")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["two-layer-linear", "float64", "2"],
        ["two-layer-linear-bias", "float64", "2"], ["two-layer-linear-bias", "float32", "2"],
    ]  # fmt: skip


@pytest.mark.parametrize("asked", ["float64", "float32", "both"])
def test_verify_in_a_precision_that_is_asked_for(run: Run, asked: str) -> None:
    result = run("verify", "mine.py:experiment", "--dtype", asked, "--steps", "2")
    assert result.exit_code == 0, result.output
    told = [line.split()[1] for line in result.output.splitlines()]
    assert told == (["float64", "float32"] if asked == "both" else [asked])


def test_a_certificate_of_another_precision(run: Run) -> None:
    assert run("verify", "mine.py:certificate", "--dtype", "float64").exit_code == 0
    result = run("verify", "mine.py:certificate", "--dtype", "float32")
    assert result.exit_code == 2
    assert "--dtype: expected float64, in which mine.py:certificate has been judged, got float32" in result.output


def test_a_seed_for_a_file_that_draws_by_itself(run: Run) -> None:
    result = run("verify", "mlp-relu", "mine.py:experiment", "--seed", "3")
    assert result.exit_code == 2
    assert "--seed: expected no seed with mine.py:experiment, whose file draws by itself, got 3" in result.output


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
        (("check", "mine.py:number"), "mine.py:number: expected a tuple (function, parameters, *data), an Experiment"),
        (("check", "mine.py:odd"), "mine.py:odd number: expected a tuple (function, parameters, *data), an Experiment"),
        (("check", "mine.py:certificate", "--json", "no.json"), "torch-mirror verify mine.py:certificate --json"),
        (("check", "text.txt:a"), "file text.txt: expected a Python file, whose name ends in .py, got .txt"),
        (("check", "nope:a"), "module nope: expected one that can be imported from here, or a Python file, got none"),
        (("check", "package.nope:a"), "module package.nope: expected one that can be imported from here"),
        (("check", "package/part.py:a"), "to be named by its package: package.part:OBJECT, from the folder above, got"),
        (("check", "package.broken:a"), "module package.broken: expected to run, got ModuleNotFoundError: No module"),
        (("check", "package.network:nope"), "object nope of package.network: expected one of"),
        (("check", "package:a"), "object a of package: expected one of"),
        (("check", "folder:a"), "file folder: expected a Python file, got a folder"),
        (("verify", "mine.py:none"), "mine.py:none: expected at least one case, got an empty dict"),
        (("selftest", "mine.py:number"), "mine.py:number: expected a reference.Experiment"),
        (("reproduce", "mine.py:both"), "mine.py:both: expected one network, got a dict of 2"),
        (("check", "mine.py:of_right", "--json", "no/where"), "--json"),
        (("check", "mine.py:of_broken"), "mine.py:of_broken: expected code that runs, got ZeroDivisionError"),
        (("check", "mine.py:of_leaving"), "mine.py:of_leaving: expected code that runs, got SystemExit: 0"),
        (("selftest", "mine.py:of_leaving"), "mine.py:of_leaving: expected code that runs, got SystemExit: 0"),
        (("reproduce", "mine.py:of_leaving"), "mine.py:of_leaving: expected code that runs, got SystemExit: 0"),
        (("check", "mine.py:leaving"), "mine.py:leaving(): expected an experiment, or what check takes"),
        (("check", "leaves.py:a"), "file leaves.py: expected to run, got SystemExit: bye"),
        (("check", "mine.py:none"), "mine.py:none: expected at least one case, got an empty dict"),
        (("check", "mine.py:without_data"), "function: expected to take the parameters and 0 data, got right(p, x, t)"),
        (("check", "odd.py:a"), "object a of odd.py: expected one of"),
        (("check", "mine.py:of_rihgt"), "got none of that name (did you mean of_right?)"),
        (("check", "leaving.py:a"), "object a of leaving.py: expected one of"),
        (("check", "sys:exit"), "sys:exit(): expected an experiment, or what check takes, got SystemExit"),
        (("check", "mine.py:of_right", "--json", "mine.py"), "--json: expected another file than is read, got mine.py"),
        (("check", "mine.py:of_right", "--json", "odd.py"), "--json: expected a file that is no Python source, got"),
        (("verify", "mine.py:experiment", "--json", "./mine.py"), "--json: expected another file than is read"),
        (("selftest", "mine.py:of_right", "--json", "mine.py"), "--json: expected another file than is read"),
        (("record", "mine.py:experiment", "-o", "mine.py"), "--output: expected another file than is read"),
        (("reproduce", "mine.py:of_wrong", "-o", "mine.py"), "--output: expected another file than is read"),
        (("certify", "text.txt", "--reference", "mine.py:pair", "--json", "text.txt"), "--json: expected another file"),
        (("verify", "mine.py:broken_pair"), "expected code that runs, got ZeroDivisionError: mine (mine.py, line"),
        (("verify", "mine.py:number"), "mine.py:number: expected a reference.Experiment"),
        (("verify", "mine.py:of_right"), "mine.py:of_right: expected a reference.Experiment"),
    ],
)
def test_bad_input_is_one_message_and_status_2(run: Run, arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, said in result.output) == (2, True), result.output
    assert Path("mine.py").read_text(encoding="utf-8") == MINE
    assert not Path("no").exists()
    assert not Path("no.json").exists()


# --- a file whose object was forgotten ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["verify", "check", "gate", "selftest"])
def test_a_file_without_an_object_is_told_with_what_is_in_it(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not run for that; what is no object to be judged, or is private, is not named."""
    source = """
raise SystemExit("it ran")
N, M = 2, 3
limit: int = 3
_hidden = dict(a=1)
case = tuple([N])
def needs(p, x): ...
def made(n=3): ...
def keyed(*, n): ...
class Net: ...
right = wrong = case, 1
"""
    (tmp_path / "gru.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, [command, "gru.py", *(["--baseline", "b.txt"] if command == "gate" else [])])
    known = "OBJECT may be one of wrong, right, made, case"
    said = f"gru.py: expected FILE:OBJECT, as in gru.py:wrong, got the file alone; {known}"
    assert (result.exit_code, result.output.replace("\n", " ").strip()) == (2, f"Error: {said}")


def test_a_file_that_is_no_python_is_told_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gru.py").write_text("def (")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["verify", "gru.py"])
    assert result.output.strip() == "Error: gru.py: expected FILE:OBJECT, as in gru.py:experiment, got the file alone"
