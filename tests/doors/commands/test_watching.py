"""--watch: the new verdict after an edit, of the file and of what it imports; broken files; Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests import warm
from torch_mirror.doors import watching
from torch_mirror.doors.cli import cli

MINE = """
import numpy as np
from parts import helper

def mine(p, x, t):
    e = x @ p["w"] - t
    return (e**2).mean(), {"w": 2 * helper.FACTOR * x.T @ e / len(t)}

draw = np.random.default_rng(0)
case = mine, {"w": draw.normal(size=3)}, draw.normal(size=(8, 3)), draw.normal(size=8)
"""
PATIENCE = 60
"""Seconds that a busy machine may take for one judgement."""


class Watcher:
    """The command with --watch, as a process of its own; what it prints is read by a thread.

    fresh: started anew, and its judgements as well.
    """

    def __init__(self, folder: Path, *arguments: str, fresh: bool = False) -> None:
        python = sys.executable if fresh else warm.python()
        self.process = subprocess.Popen(
            [python, "-u", "-m", "torch_mirror", *arguments, "--watch"],
            cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(Path(watching.__file__).parents[2])},
            # where the suite runs in the background of a shell, Ctrl-C is ignored, and would be by the command
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - it takes no lock
        )  # fmt: skip
        self.heard: list[str] = []
        self.told = 0
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.heard.append(line)  # which no other thread takes away: what was told is counted

    @property
    def said(self) -> str:
        """The lines that have not been told yet."""
        return "".join(self.heard[self.told :])

    def until(self, word: str) -> None:
        latest = time.monotonic() + PATIENCE
        while word not in self.said:
            assert time.monotonic() < latest, self.said
            assert self.process.poll() is None, self.said
            time.sleep(0.02)

    def next(self) -> str:
        """What it says of the next judgement, from the change on."""
        self.until("--- watching")
        last = len(self.heard)
        said, self.told = "".join(self.heard[self.told : last]), last
        return said

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        return status


def written(path: Path, text: str) -> None:
    """At once: of a file that is written where it lies, a look in between would see none of the text."""
    (path.parent / "new").write_text(text)
    (path.parent / "new").replace(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").touch()
    (tmp_path / "parts" / "helper.py").write_text("FACTOR = 0.5\n")
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


@pytest.fixture
def watch(folder: Path) -> Iterator[Watcher]:
    with closing(Watcher(folder, "check", "mine.py:case")) as watcher:
        yield watcher


@pytest.mark.skipif(sys.platform == "win32", reason="sends Ctrl-C as a signal")
def test_every_edit_is_judged_anew(watch: Watcher, folder: Path) -> None:
    helper = folder / "parts" / "helper.py"
    assert "mine: refuted" in watch.next()

    written(helper, "FACTOR = 1.0\n")  # of the same size, and perhaps within the same second
    said = watch.next()
    assert re.search(r"\n--- \d\d:\d\d:\d\d  helper.py changed ---", said), said
    assert "mine: certified" in said

    written(helper, "FACTOR = (\n")
    assert "SyntaxError: '(' was never closed (helper.py, line 1)" in watch.next()
    helper.unlink()
    assert "Error: file mine.py: expected to run, got ImportError" in watch.next()
    written(helper, "FACTOR = 2.0\n")
    assert "yours / derivative = 2 everywhere" in watch.next()

    written(folder / "mine.py", MINE.replace("2 * helper", "1 * helper"))
    assert "mine: certified" in watch.next()
    (folder / "unrelated.py").touch()
    time.sleep(4 * watching.EVERY)
    assert watch.said == ""

    assert watch.interrupt() == 130
    assert watch.said == "Interrupted.\n"


SLOW = "import time\nprint('begun', flush=True)\ntime.sleep(1000)\n"


@pytest.mark.skipif(sys.platform == "win32", reason="sends Ctrl-C as a signal")
def test_ctrl_c_ends_a_judgement_too(folder: Path) -> None:
    written(folder / "parts" / "helper.py", SLOW)
    with closing(Watcher(folder, "check", "mine.py:case")) as watcher:
        watcher.until("begun")
        assert watcher.interrupt() == 130
        assert watcher.said == "begun\nInterrupted.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="sends Ctrl-C as a signal")
def test_an_edit_ends_a_judgement_that_is_no_longer_of_use(folder: Path) -> None:
    written(folder / "mine.py", SLOW)
    with closing(Watcher(folder, "check", "mine.py:case", fresh=True)) as watcher:
        watcher.until("begun")
        written(folder / "mine.py", MINE)
        watcher.next()
        assert "mine: refuted" in watcher.next()


EXPERIMENT = """
from dataclasses import replace
from reference import SGD, experiments
experiment = replace(experiments.load("linear-neuron"), steps=3, optimizer=SGD(0.01))
"""


def test_verify_and_certify_are_watched_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    written(folder / "mine.py", EXPERIMENT)
    made = CliRunner().invoke(cli, ["record", "mine.py:experiment", "-o", "run.npz"])
    assert made.exit_code == 0, made.output
    with (
        closing(Watcher(folder, "certify", "run.npz", "--reference", "mine.py:experiment")) as certify,
        closing(Watcher(folder, "verify", "mine.py:experiment", "--steps", "2")) as verify,
    ):
        assert "3 steps" in (said := certify.next())
        assert "  certified\n" in said
        assert "  certified\n" in verify.next()
        written(folder / "mine.py", EXPERIMENT.replace("0.01", "0.02"))
        assert "  refuted\n" in certify.next()  # the run was of another learning rate
        assert "  certified\n" in verify.next()
        assert CliRunner().invoke(cli, ["record", "mine.py:experiment", "-o", "run.npz"]).exit_code == 0
        said = certify.next()
        assert "run.npz changed" in said
        assert "  certified\n" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("verify", "two-layer-linear", "--watch"), "--watch: expected a FILE:OBJECT, whose file may change, got none"),
        (("verify", "--watch"), "--watch: expected a FILE:OBJECT"),
        (("check", "--watch", "--no-such"), "No such option"),
        (("check", "nope.py:case", "--watch"), "--watch: expected a file nope.py that is there, got none"),
        (("check", "no.where:case", "--watch"), "--watch: expected a file where.py that is there, got none"),
        (("certify", "nope.npz", "--reference", "mine.py:case", "--watch"), "expected a file mine.py that is there"),
    ],
)
def test_bad_usage_ends_it(arguments: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert (result.exit_code, said in result.output) == (2, True), result.output


def test_a_module_that_was_found_nowhere_is_waited_for(folder: Path) -> None:
    (folder / "parts" / "__init__.py").unlink()
    (folder / "parts" / "helper.py").unlink()
    (folder / "parts").rmdir()
    with closing(Watcher(folder, "check", "mine.py:case")) as watcher:
        assert "No module named 'parts'" in watcher.next()
        written(folder / "parts.py", "class helper:\n    FACTOR = 0.5\n")
        assert "mine: refuted" in watcher.next()
