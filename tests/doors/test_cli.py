"""The command: what it asks for, what it prints, how it ends."""

import contextlib
import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import torch_mirror
from reference import experiments
from reference.claim.experiment import Experiment
from reference.errors import InputError
from tests import warm
from torch_mirror.doors.cli import cli
from torch_mirror.judge.findings import Doubt, Finding, Row
from torch_mirror.judge.verdict import Certificate

WRONG = Finding(4e3, 3, "dW", "torch", "local", (0, 2), 1.5, 1.25, 2.0**-14, 1.1259e15, 2, 10)
WORST = Finding(0.5, 1, "W", "numpy", "local", (0, 0), 1.0, 1.0, 1e-16, 0.5)
ROW = Row("W", "local", "numpy", 7, 21, worst=WORST, resolution=1e-15, zero=False)
REFUTED = Row("dW", "local", "torch", 7, 21, first=WRONG, zero=False)


@dataclass
class Judge:
    """Stands in for ``verify``: notes what it was asked, answers what a test wants."""

    asked: list[Experiment] = field(default_factory=list)
    answer: Callable[[Certificate], Certificate] = lambda certificate: certificate

    def __call__(
        self, e: Experiment, progress: Callable[[int], None] | None = None, *, strict: bool = False, **_: object
    ) -> Certificate:
        self.asked.append(e)
        if progress is not None:
            progress(e.steps)
        rows = (ROW,)
        return self.answer(Certificate(e.name, str(e.dtype), e.seed, e.steps, rows, end_distance=0.0, strict=strict))


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Judge:
    """The judge that the command finds."""
    stand_in = Judge()
    monkeypatch.setattr(torch_mirror, "verify", stand_in)
    return stand_in


pytestmark = pytest.mark.usefixtures("same_environment")


def run(*arguments: str) -> Result:
    """The command in this process; an exception of any other kind than an exit is the test's."""
    return CliRunner().invoke(cli, ["verify", *arguments], prog_name="torch-mirror", catch_exceptions=False)


def torch_mirror_command(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own."""
    return subprocess.run(
        [warm.python(), "-m", "torch_mirror", *arguments],
        env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip


def test_every_experiment_is_verified_in_both_precisions(judge: Judge) -> None:
    result = run()
    assert result.exit_code == 0
    runs = [(name, dtype) for name in experiments.names() for dtype in ("float64", "float32")]
    assert [(e.name, str(e.dtype)) for e in judge.asked] == runs
    assert [tuple(line.split()[:2]) for line in result.stdout.splitlines()] == runs
    assert all(e.steps == experiments.load(e.name).steps for e in judge.asked)


def test_names_and_options_choose(judge: Judge) -> None:
    result = run("linear-batch", "cubic-sine", "linear-batch", "--dtype", "float32", "--steps", "7", "--seed", "5")
    assert result.exit_code == 0
    assert [(e.name, str(e.dtype), e.steps, e.seed) for e in judge.asked] == [
        ("linear-batch", "float32", 7, 5),
        ("cubic-sine", "float32", 7, 5),
    ]


@pytest.mark.parametrize(
    ("answer", "verdict", "status"),
    [
        ({}, "certified", 0),
        ({"rows": (ROW, REFUTED)}, "refuted", 1),
        ({"rows": (ROW._replace(vacuous=3, infinite=3),)}, "vacuous", 1),
        ({"idle": ("the loss never moved",)}, "vacuous", 1),
    ],
)
def test_the_exit_status_is_the_verdict(judge: Judge, answer: dict[str, object], verdict: str, status: int) -> None:
    judge.answer = lambda c: replace(c, **answer) if c.experiment == "linear-neuron" else c  # type: ignore[arg-type]  # the fields of the table above
    result = run("linear-neuron", "linear-batch", "--dtype", "float64")
    assert result.exit_code == status
    assert result.stdout.splitlines()[0].endswith("  " + verdict)
    assert result.stdout.splitlines()[-1].endswith("  certified"), "the others are verified all the same"


def test_a_doubt_fails_if_it_is_to(judge: Judge) -> None:
    doubted = ROW._replace(sought=7, doubt=Doubt("factor", 1.000001, 1e-9))
    judge.answer = lambda certificate: replace(certificate, rows=(doubted,))
    for options, verdict, status in (([], "certified", 0), (["--strict"], "doubted", 1)):
        result = CliRunner().invoke(cli, ["verify", "cubic-sine", "--dtype", "float32", *options])
        line, why, *_ = result.output.splitlines()
        assert (result.exit_code, line.rpartition("  ")[2]) == (status, verdict)
        assert why.startswith("    doubt: W, numpy: 1.000001 times what its equation gives; the probability")


def test_a_refuted_run_is_explained(judge: Judge) -> None:
    judge.answer = lambda c: replace(c, rows=(REFUTED,))
    shown = run("linear-neuron", "--dtype", "float64").stdout
    assert "\n    first wrong: dW, step 3, torch" in shown
    assert "4e+03 times its radius" in shown


@pytest.mark.parametrize("option", [[], ["-v"], ["--verbose"]])
def test_the_rows_are_printed_if_asked_for(judge: Judge, option: list[str]) -> None:
    lines = run("linear-neuron", "--dtype", "float64", *option).stdout.splitlines()
    assert len(judge.asked) == 1
    table = [
        ["tensor", "check", "side", "judged", "vacuous", "worst", "resolution"],
        ["W", "local", "numpy", "21", "0", "0.5", "1e-15"],
    ]
    assert [line.split() for line in lines[1:]] == (table if option else [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["diabetes-linar"], ["unknown experiment 'diabetes-linar'", "did you mean 'diabetes-linear'?"]),
        (["linear-batch", "zzzzzz"], ["unknown experiment 'zzzzzz'", "known are", "two-layer-relu"]),
        ([""], ["unknown experiment ''"]),
        (["--dtype", "float16"], ["--dtype", "'float64'", "'float32'", "'both'", "'float16'"]),
        (["--steps", "-1"], ["--steps", "-1"]),
        (["--steps", "many"], ["--steps", "'many'", "integer"]),
        (["--steps", "1.5"], ["--steps", "'1.5'", "integer"]),
        (["--seed", "-3"], ["--seed", "-3"]),
        (["--json"], ["--json", "requires an argument"]),
        (["--no-such-option"], ["No such option", "--no-such-option"]),
    ],
)
def test_bad_usage_is_one_message_before_any_work(judge: Judge, arguments: list[str], said: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert not judge.asked
    assert sum(line.startswith("Error: ") for line in result.stderr.splitlines()) == 1
    assert all(words in result.stderr for words in said), result.stderr


def test_bad_usage_shows_no_traceback_to_a_user() -> None:
    result = torch_mirror_command("verify", "no-such-experiment")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: unknown experiment 'no-such-experiment'")
    assert "Traceback" not in result.stderr


def test_bad_input_that_only_the_work_meets_has_status_2(judge: Judge) -> None:
    def refuse(_: Certificate) -> Certificate:
        raise InputError("tensor x", "finite numbers", "nan at (0, 0)")

    judge.answer = refuse
    result = run("linear-neuron")
    assert (result.exit_code, result.stderr) == (2, "Error: tensor x: expected finite numbers, got nan at (0, 0)\n")


def test_an_interrupted_run_does_not_look_like_a_refuted_one(judge: Judge) -> None:
    def interrupt(_: Certificate) -> Certificate:
        raise KeyboardInterrupt

    judge.answer = interrupt
    assert run("linear-neuron").exit_code == 130


def unwritable(tmp_path: Path) -> dict[str, tuple[str, str]]:
    """Paths that cannot be written, whoever asks, and what the message must say."""
    (tmp_path / "file").touch()
    (tmp_path / "pipe").unlink(missing_ok=True)
    os.mkfifo(tmp_path / "pipe")
    return {
        "no such directory": (str(tmp_path / "missing" / "out.json"), "No such file or directory"),
        "a file as directory": (str(tmp_path / "file" / "out.json"), os.strerror(errno.ENOTDIR)),
        "a directory": (str(tmp_path), "which is a directory"),
        "no name": ("", "which is a directory"),
        "no regular file": (str(tmp_path / "pipe"), "which is no regular file"),
        "a name too long": (str(tmp_path / ("x" * 5000)), os.strerror(errno.ENAMETOOLONG)),
    }


@pytest.mark.parametrize("case", ["no such directory", "a file as directory", "a directory", "no name",
                                  "no regular file", "a name too long"])  # fmt: skip
def test_an_unwritable_json_path_is_found_before_the_work(judge: Judge, tmp_path: Path, case: str) -> None:
    path, said = unwritable(tmp_path)[case]
    before = sorted(tmp_path.iterdir())
    result = run("linear-neuron", "--json", path)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: --json: expected ")
    assert said in result.stderr
    assert not judge.asked
    assert sorted(tmp_path.iterdir()) == before


def test_json_holds_every_run(judge: Judge, tmp_path: Path) -> None:
    judge.answer = lambda c: replace(c, rows=(REFUTED,)) if c.dtype == "float32" else c
    path = tmp_path / "report.json"
    assert run("linear-neuron", "--json", str(path)).exit_code == 1
    report = json.loads(path.read_text())
    assert {"python", "numpy", "torch", "torch-mirror"} <= set(report["versions"])
    assert report["threads"]["torch"] >= 1
    assert [(r["experiment"], r["dtype"], r["verdict"]) for r in report["runs"]] == [
        ("linear-neuron", "float64", "certified"),
        ("linear-neuron", "float32", "refuted"),
    ]
    assert list(tmp_path.iterdir()) == [path]


def test_json_replaces_a_file_only_when_it_is_whole(judge: Judge, tmp_path: Path) -> None:
    path, link = tmp_path / "report.json", tmp_path / "link.json"
    path.write_text("old")
    link.symlink_to(path)
    judge.answer = lambda c: c if path.read_text() == "old" else replace(c, rows=())
    assert run("linear-neuron", "--json", str(link)).exit_code == 0
    assert link.is_symlink()
    assert json.loads(path.read_text())["runs"]


@pytest.mark.parametrize("ending", [KeyboardInterrupt, InputError("tensor x", "a", "b"), ZeroDivisionError])
def test_a_run_that_ends_early_leaves_the_file_as_it_was(
    judge: Judge, tmp_path: Path, ending: BaseException | type[BaseException]
) -> None:
    def end(_: Certificate) -> Certificate:
        raise ending

    path = tmp_path / "report.json"
    path.write_text("old")
    judge.answer = end
    with contextlib.suppress(ZeroDivisionError):  # a fault of ours, which nobody catches
        run("linear-neuron", "--json", str(path))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_both_ways_to_call_it_are_one() -> None:
    script = Path(sys.executable).with_name("torch-mirror")
    installed = subprocess.run([script, "--help"], capture_output=True, text=True, check=True, timeout=600)
    assert installed.stdout == torch_mirror_command("--help").stdout
    assert "verify" in installed.stdout
    assert torch_mirror_command("--version").stdout == f"torch-mirror {torch_mirror.__version__}\n"


def without_threads() -> dict[str, str]:
    """The environment, in which nobody says how many threads there are to be."""
    return {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}


def test_a_pipe_gets_lines_and_there_is_one_thread(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    result = subprocess.run(
        [sys.executable, "-m", "torch_mirror", "verify", "linear-neuron", "--steps", "2", "--json", path],
        env=without_threads(), check=True, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert result.stderr == ""
    assert len(result.stdout.splitlines()) == 2
    assert not {"\r", "\x1b"} & set(result.stdout)
    assert set(json.loads(path.read_text())["threads"].values()) == {1}


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_gets_a_bar_and_colour_and_as_many_threads_as_the_user_says(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    arguments = ["verify", "linear-neuron", "--steps", "5", "--dtype", "float64", "--json", str(path)]
    shown = on_a_terminal(arguments, NO_COLOR="", OMP_NUM_THREADS="2")
    assert json.loads(path.read_text())["threads"]["torch"] == 2
    assert "linear-neuron float64:   0%" in shown, shown
    assert re.search(r"0/5 \[00:00<", shown), "the time that it took, and the time left"
    assert "\x1b[32mcertified" in shown
    assert "certified" in shown.splitlines()[-1], "the bar is gone in the end"


@pytest.mark.usefixtures("judge")
@pytest.mark.parametrize("no_color", ["", "1"])
def test_there_is_colour_unless_it_is_not_wanted(no_color: str) -> None:
    runner = CliRunner(env={"NO_COLOR": no_color})
    result = runner.invoke(cli, ["verify", "linear-neuron"], prog_name="torch-mirror", color=True)
    assert ("\x1b[32mcertified" in result.stdout) == (not no_color)
    assert ("\x1b[" in result.stdout) == (not no_color)
    assert "certified" in result.stdout


def on_a_terminal(arguments: list[str], **variables: str) -> str:
    """What the command writes to a terminal."""
    import pty
    import termios

    mine, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 200))
    with subprocess.Popen(
        [sys.executable, "-m", "torch_mirror", *arguments],
        env={**without_threads(), "TERM": "xterm", **variables}, stdin=theirs, stdout=theirs, stderr=theirs,
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(mine, 4096):
                shown += chunk
        except OSError:  # how Linux says that the other end was closed
            pass
        assert process.wait(timeout=600) == 0, shown.decode()
    os.close(mine)
    return shown.decode()
