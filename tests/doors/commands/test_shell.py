"""The command in a shell: completion, did-you-mean, colour only where it belongs, nothing loaded for --help."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from reference import experiments
from tests import warm
from torch_mirror.doors.cli import cli
from torch_mirror.glossary.find import terms

ROOT = Path(__file__).parents[3]
MINE = """
import numpy as np
def mine(p, x, t):
    e = x @ p["w"] - t
    return (e**2).mean(), {"w": x.T @ e / len(t)}
case = mine, {"w": np.ones(3)}, np.eye(3), np.arange(3.0)
"""


def command(*arguments: str, cwd: Path = ROOT, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [warm.python(), "-m", "torch_mirror", *arguments], cwd=cwd, check=False, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables}, timeout=600,
    )  # fmt: skip


# --- completion ---------------------------------------------------------------------------------------


def completed(line: str) -> list[str]:
    """What a shell is told of the last word of a line."""
    asked = command(
        _TORCH_MIRROR_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(line.count(" "))
    )
    assert (asked.returncode, asked.stderr) == (0, "")
    return asked.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("torch-mirror ver", ["plain,verify"]),
        ("torch-mirror verify --st", ["plain,--steps", "plain,--strict"]),
        ("torch-mirror verify --dtype float", ["plain,float64", "plain,float32"]),
        ("torch-mirror verify char", ["file,char", "plain,char-rnn"]),
        ("torch-mirror selftest attent", ["file,attent", "plain,attention"]),
        ("torch-mirror certify run.npz --reference mlp", ["file,mlp", "plain,mlp-relu"]),
        ("torch-mirror check mi", ["file,mi"]),
        ("torch-mirror explain rad", ["plain,radius"]),
        ("torch-mirror record --si", ["plain,--side"]),
    ],
)
def test_a_word_is_completed(line: str, found: list[str]) -> None:
    assert completed(line) == found


def test_all_names_are_offered() -> None:
    assert completed("torch-mirror verify ") == ["file,", *(f"plain,{name}" for name in experiments.names())]
    assert completed("torch-mirror explain ") == [f"plain,{term}" for term in terms()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_its_script(shell: str) -> None:
    script = command(_TORCH_MIRROR_COMPLETE=f"{shell}_source")
    assert script.returncode == 0
    assert f"_TORCH_MIRROR_COMPLETE={shell}_complete" in script.stdout


def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    shim = tmp_path / "torch-mirror"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m torch_mirror "$@"\n')
    shim.chmod(0o755)
    script = """
        eval "$(_TORCH_MIRROR_COMPLETE=bash_source torch-mirror)"
        COMP_WORDS=(torch-mirror explain resol) COMP_CWORD=2
        _torch_mirror_completion torch-mirror
        echo "${COMPREPLY[@]}"
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False, env=environment, timeout=600
    )
    assert done.stdout == "resolution\n", done.stderr


# --- names that are not there -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("chek",), "Error: unknown command 'chek': did you mean 'check'? known are certify, check, compare"),
        (("zzz",), "Error: unknown command 'zzz': known are certify"),
        (("verify", "--step", "3"), "--steps"),
        (("check", "--wach", "a.py:b"), "--watch"),
        (("verify", "mlp-rely"), "did you mean 'mlp-relu'?"),
        (("record", "mlp-rely", "-o", "a"), "did you mean 'mlp-relu'?"),
        (("selftest", "mlp-rely"), "did you mean 'mlp-relu'?"),
        (("explain", "radios"), "did you mean 'radius'?"),
        ((), "Usage: "),
    ],
)
def test_the_nearest_name_is_told(arguments: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(cli, arguments, prog_name="torch-mirror")
    told = result.output.rpartition("Error: ")
    assert (result.exit_code, said in "".join(told[1:])) == (2, True), result.output


# --- what a pipe and a terminal get -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("check", "mine.py:case"), 1),
        (("record", "linear-neuron", "-o", "run.npz", "--steps", "3"), 0),
        (("explain", "ulp"), 0),
        (("init", "-o", "own.py"), 0),
        (("selftest", "mine.py:case", "--dtype", "float64"), 1),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_pipe_gets_plain_lines(tmp_path: Path, arguments: tuple[str, ...], status: int) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    done = command(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (status, "")
    assert done.stdout
    assert not {"\r", "\x1b"} & set(done.stdout)


@pytest.mark.parametrize("no_color", ["", "1"])
def test_certify_has_colour_unless_it_is_not_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_color: str
) -> None:
    monkeypatch.chdir(tmp_path)
    runner = CliRunner(env={"NO_COLOR": no_color})
    runner.invoke(cli, ["record", "linear-neuron", "-o", "run.npz", "--steps", "3"])
    result = runner.invoke(cli, ["certify", "run.npz", "--reference", "linear-neuron"], color=True)
    assert ("\x1b[32mcertified" in result.output, "\x1b" in result.output) == (not no_color, not no_color)


def test_help_loads_neither_numpy_nor_torch() -> None:
    code = (
        "import sys; from torch_mirror.doors.cli import run, COMMANDS; run(['--help'])\n"
        "for c in COMMANDS: run([c.name, '--help'])\n"
        "loaded = {'numpy', 'torch', 'reference', 'difflib', 'subprocess'} & set(sys.modules)\n"
        "sys.stderr.write(' '.join(loaded))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("Usage: ") == 1 + len(cli.commands)


def test_without_a_run_of_torch_s_torch_is_not_loaded(tmp_path: Path) -> None:
    """To load it takes seconds, which a gradient in NumPy and a name that is unknown do not need."""
    (tmp_path / "mine.py").write_text(MINE)
    code = (
        "import sys; from torch_mirror.doors.cli import run\n"
        "print(run(['check', 'mine.py:case']), run(['verify', 'nope']), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=600,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "1 2 False", done.stderr
