"""torch-mirror gate: what it writes, what it lets pass, what it fails, and that a baseline is never half written."""

import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from torch_mirror.balls.format import Format
from torch_mirror.doors.cli import cli
from torch_mirror.reports.gate import json as report
from torch_mirror.reports.gate.baseline import read, written
from torch_mirror.reports.gate.claim import Baseline

ROOT = Path(__file__).parents[3]
MINE = """
from dataclasses import replace
import torch_mirror
from reference import experiments

net = replace(experiments.load("two-layer-linear"), name="net", steps=3)

def doubled(e):
    session = torch_mirror.session(e)
    session.module.layer2.weight.register_hook(lambda g: FACTOR * g)
    return session

FACTOR = 1
pair = net, doubled
both = {"a": net, "b": net}
apart = {"one": replace(net, name="one"), "two": replace(net, name="two")}
"""

SPLIT = """
import numpy as np
from torch import nn
from reference import SGD, Experiment
from torch_mirror import session
from parts.layer import factor

def mine(p, x, t):
    d = x @ p["W"] - t
    return (d ** 2).mean(), {"W": x.T @ factor(2 * d / d.size)}

draw = np.random.default_rng(0)
p, x, t = {"W": draw.normal(size=(3, 2))}, draw.normal(size=(5, 3)), draw.normal(size=(5, 2))

def using(e):
    return session(e, nn.Linear(3, 2, bias=False).double(), {"W": "weight.T"}, nn.MSELoss())

split = Experiment(mine, p, x, t, None, SGD(0.1), steps=3, name="split"), using
"""

NOTHING = written(Baseline({"numpy": "2.4.6"}, ()))
"""A baseline of no run."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    return tmp_path


def gate(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["gate", "--baseline", "b.txt", "--steps", "4", *arguments])


def test_the_same_file_byte_for_byte_and_nothing_changed(folder: Path) -> None:
    made = gate("--update", "linear-batch", "mlp-relu")
    assert (made.exit_code, made.output.splitlines()[-1]) == (0, "b.txt is written for the first time")
    text = (folder / "b.txt").read_bytes()
    assert gate("--update", "mlp-relu", "linear-batch", "mlp-relu").output.endswith("b.txt is written\n")
    assert (folder / "b.txt").read_bytes() == text
    result = gate("linear-batch", "mlp-relu")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "gate: passed, 4 runs, nothing changed")
    assert gate("linear-batch", "mlp-relu", "-q").output == "gate: passed, 4 runs, nothing changed\n"
    assert written(read(text.decode())).encode() == text
    sides = {p.side for c in read(text.decode()).claims for p in c.prints}
    assert sides == {"torch", "numpy"}


def test_each_bit_of_the_user_s_side_is_watched(folder: Path) -> None:
    assert gate("--update", "mine.py:pair").exit_code == 0
    (folder / "mine.py").write_text(MINE.replace("FACTOR = 1", "FACTOR = 1 + 2**-52"), encoding="utf-8")
    moved = gate("mine.py:pair")
    assert "dW2, torch, local: headroom 0 -> " in moved.output
    first = next(line for line in moved.output.splitlines() if "bits" in line)
    assert first.startswith("    dW2, torch: bits changed from step 0 on: its one element, by at most ")


def test_odd_names_are_read_again_and_obeyed_by_nobody(folder: Path) -> None:
    """A name may be a command of GitHub's, turn a line around, or be half a surrogate pair."""
    odd = ["::error::x", "a\n::error::x", "##[error]x", "\x1b[31mred", "\u202eabc", "\ud800", "", "[end 1] % = #"]
    names = f"names = {{str(i): replace(net, name=n) for i, n in enumerate({odd!a})}}"
    (folder / "mine.py").write_text(f"{MINE}\n{names}", encoding="utf-8")
    written_to = ("--json", "a.json", "--junit", "a.xml", "--markdown", "a.md")
    assert gate("--update", "mine.py:names").exit_code == 0
    result = gate("mine.py:names", "--github", *written_to, "--headroom-factor", "1")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, f"gate: passed, {len(odd)} runs, nothing changed")
    (folder / "mine.py").write_text(f"{MINE.replace('FACTOR = 1', 'FACTOR = 2')}\n{names}", encoding="utf-8")
    text = (folder / "b.txt").read_text()
    (folder / "b.txt").write_text(written(read(text)._replace(claims=read(text).claims[:1])))
    result = gate("mine.py:names", "--github", *written_to)
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert all(line.isprintable() and "##[" not in line for line in lines)
    commands = [line for line in lines if line.lstrip().startswith("::")]
    assert len(commands) == len(odd) - 1
    assert all(line.startswith("::error file=mine.py,line=1,title=torch-mirror gate%3A ") for line in commands)
    assert gate("mine.py:names", "--update").exit_code == 0


def test_what_is_wrong_fails_and_is_no_baseline(folder: Path) -> None:
    assert gate("--update", "mine.py:pair").exit_code == 0
    before = (folder / "b.txt").read_bytes()
    (folder / "mine.py").write_text(MINE.replace("FACTOR = 1", "FACTOR = 2"), encoding="utf-8")
    result = gate(
        "mine.py:pair", "--update", "--github", "--json", "a.json", "--junit", "a.xml", "--markdown", "a.md"
    )  # fmt: skip
    assert result.exit_code == 1
    assert "net float64  refuted, FAILS\n    first wrong: dW2, step 0, torch, local check" in result.output
    assert "b.txt was not written: a baseline holds what is certified" in result.output
    assert "::error file=mine.py,line=1,title=torch-mirror gate%3A net float64::first wrong: dW2" in result.output
    assert (folder / "b.txt").read_bytes() == before
    (outcome,) = report.read((folder / "a.json").read_text()).outcomes
    assert (outcome.verdict, outcome.changes[0].kind) == ("refuted", "refuted")
    assert 'failures="1"' in (folder / "a.xml").read_text()
    assert "| net | float64 | refuted |" in (folder / "a.md").read_text()


def test_a_widened_bound_is_a_regression_here_and_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = "linear-batch", "mlp-relu", "conv-digits"
    assert gate("--update", *names).exit_code == 0
    own = Format.gamma
    monkeypatch.setattr(Format, "gamma", lambda self, k: 2 * own(self, k))
    here = gate(*names)
    assert here.exit_code == 1
    assert "the check became blinder" in here.output
    assert "bits changed" not in here.output
    before = read((folder / "b.txt").read_text())
    other = before._replace(environment=before.environment | {"numpy": "1"})
    (folder / "b.txt").write_text(written(other))
    elsewhere = gate(*names)
    assert elsewhere.exit_code == 1
    assert elsewhere.output.count("a quarter of its local checks became blinder") == 6
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    passed = gate(*names)
    assert (passed.exit_code, passed.output.splitlines()[-1]) == (0, "gate: passed, 6 runs, nothing became worse")
    assert passed.output.startswith("the environment has changed: ")


def test_a_new_baseline_tells_what_it_takes_in_and_nothing_fails() -> None:
    assert gate("--update", "mine.py:net", "linear-batch").exit_code == 0
    taken = gate("--update", "mine.py:apart", "mine.py:net", "--steps", "3")
    said = taken.output.splitlines()
    assert taken.exit_code == 0
    assert said[-2:] == ["gate: 5 runs, 5 changed", "b.txt is written"]
    assert "    it is new" in said
    assert "    it was not judged: it is taken out of the baseline" in said
    assert "FAILS" not in taken.output
    assert "failed" not in taken.output
    assert "--update" not in taken.output
    assert gate("--update", "mine.py:apart", "mine.py:net", "--steps", "3", "-q").output == (
        "gate: 3 runs, nothing changed\nb.txt is written\n"
    )


def test_a_fault_in_another_file_is_shown_there(folder: Path) -> None:
    """Its words stand together, indented as verify prints them, and no row that is wrong is said to be blinder."""
    (folder / "parts").mkdir()
    (folder / "parts" / "__init__.py").touch()
    (folder / "parts" / "layer.py").write_text("def factor(d):\n    return d * 1\n", encoding="utf-8")
    (folder / "mine.py").write_text(SPLIT, encoding="utf-8")
    assert gate("--update", "mine.py:split").exit_code == 0
    (folder / "parts" / "layer.py").write_text("def factor(d):\n    return d * 1.5\n", encoding="utf-8")
    for name in ("parts", "parts.layer"):  # as in a process of its own
        del sys.modules[name]
    result = gate("mine.py:split", "--github", "--markdown", "a.md")
    lines = result.output.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("    first wrong: dW, step 0"))
    assert lines[first + 1].startswith("      element ")
    assert any(line.lstrip().startswith("wrong from") and "layer.py:2" in line for line in lines[first:])
    assert "blinder" not in result.output
    assert "headroom" not in result.output
    assert "    0 elements" not in result.output
    assert any(line.startswith("::error file=parts/layer.py,line=2,title=") for line in lines)
    assert "<br>&nbsp;&nbsp;element " in (folder / "a.md").read_text()


def test_runs_that_are_missing_or_new_fail() -> None:
    assert gate("--update", "mine.py:apart").exit_code == 0
    less = gate("mine.py:net")
    assert less.exit_code == 1
    assert "net float64  certified, FAILS\n    it is not in the baseline: --update takes it in" in less.output
    assert less.output.count("it is in the baseline and was not judged") == 2
    assert gate("mine.py:apart", "--steps", "0").exit_code == 1
    assert "none, FAILS" not in gate("mine.py:apart").output


@pytest.mark.parametrize(
    ("contents", "arguments", "said"),
    [
        (None, (), "--baseline: expected a file that can be read, got 'b.txt' (No such file or directory): --update"),
        ("", (), "baseline: expected a file that begins with 'torch-mirror baseline 2', got ''"),
        ("", ("--update",), "baseline: expected a file that begins with"),
        ("torch-mirror baseline 3\nend 0\n", (), "got 3: a newer torch-mirror reads it"),
        (NOTHING.replace("environment", "environment a = b\nenvironment"), (), "expected the sum of its lines"),
        (NOTHING.replace("end", "\nend").replace("numpy", "torch"), (), "expected the sum of its lines"),
        ("torch-mirror baseline 2\n", (), "expected a last line with the number of runs, got none: the file was cut"),
        ("\udcff", (), "expected a baseline of torch-mirror, which is text"),
        (None, ("--update", "mine.py:both"), "runs: expected names of their own, got two called net in float64"),
        (None, ("--update", "linear-bach"), "unknown experiment 'linear-bach': did you mean 'linear-batch'?"),
        (None, ("--update", "--json", "no/a.json"), "--json: expected a path that can be written"),
        (NOTHING, ("--junit", "b.txt"), "--junit: expected another file than is read"),
        (NOTHING, ("--junit", "./none/../b.txt"), "--junit: expected another file than is"),
        (NOTHING, ("--junit", "o.x", "--json", "o.x"), "another file than the other"),
        (None, ("--headroom-factor", "0.5"), "0.5 is not in the range x>=1"),
    ],
)
def test_bad_input_is_one_message_and_status_2(
    folder: Path, contents: str | None, arguments: tuple[str, ...], said: str
) -> None:
    if contents is not None:
        (folder / "b.txt").write_bytes(contents.encode(errors="surrogateescape"))
    result = gate(*(arguments if len(arguments) == 2 and ":" in arguments[-1] else ("linear-batch", *arguments)))
    assert (result.exit_code, said in result.output) == (2, True), result.output
    assert (folder / "b.txt").exists() == (contents is not None)
    assert sum(line.startswith("Error: ") for line in result.output.splitlines()) == 1


# --- interrupted ----------------------------------------------------------------------------------

WRITER = """
import sys, types
from pathlib import Path
sys.modules["reference"] = types.ModuleType("reference")  # without NumPy, which takes long to load
sys.modules["reference"].__path__ = [sys.argv[2]]
from reference.files import write_whole
texts = [Path(name).read_text() for name in ("one.txt", "other.txt")]
print("begun", flush=True)
for i in range(10**9):
    write_whole("--baseline", sys.argv[1], texts[i % 2])
"""


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform == "win32", reason="kills by a signal")
def test_a_kill_at_any_moment_leaves_a_whole_baseline(folder: Path) -> None:
    assert gate("--update", "linear-batch").exit_code == 0
    one = read((folder / "b.txt").read_text())
    other = one._replace(claims=tuple(claim._replace(name="other") for claim in one.claims))
    for name, baseline in (("one.txt", one), ("other.txt", other)):
        (folder / name).write_text(written(baseline))
    draw, seen = random.Random(0), set()  # noqa: S311 - moments, no secrets
    for _ in range(200):
        command = [sys.executable, "-S", "-c", WRITER, "b.txt", str(ROOT / "reference")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "begun\n"
            time.sleep(draw.uniform(0, 0.03))
            writer.send_signal(draw.choice([signal.SIGKILL, signal.SIGTERM]))
        text = (folder / "b.txt").read_text()
        assert written(read(text)) == text
        seen.add(text)
    assert len(seen) == 2  # it was written to


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of a file")
def test_a_full_disk_leaves_the_old_baseline(folder: Path) -> None:
    assert gate("--update", "linear-batch").exit_code == 0
    before = (folder / "b.txt").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handled = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then a write fails, as it does on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        result = gate("--update", "linear-batch")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handled)
    assert (result.exit_code, "--baseline: expected a path that can be written" in result.output) == (2, True)
    assert (folder / "b.txt").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["b.txt", "mine.py"]
