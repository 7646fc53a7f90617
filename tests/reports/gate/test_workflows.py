"""The workflow, the action and the hooks: read as YAML, and what they run is there."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from torch_mirror.doors.cli import cli

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
CI: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())


def options(command: str) -> set[str]:
    return {name for p in cli.commands[command].params if isinstance(p, click.Option) for name in p.opts}


def test_the_workflow_runs_the_script_that_is_run_by_hand() -> None:
    (job,) = CI["jobs"].values()
    scripts = [step["run"] for step in job["steps"] if "run" in step]
    assert scripts == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert {"push", "pull_request"} == set(CI[True])  # YAML 1.1 reads "on" as true
    assert f">={job['strategy']['matrix']['python'][0]}" == PROJECT["requires-python"]
    made = [line.split() for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith("make ")]
    assert any("gate" in targets for targets in made)


def test_the_action_passes_on_what_it_declares_by_the_environment() -> None:
    text = (ROOT / "action.yml").read_text()
    used = set(re.findall(r"inputs\.(\w+)", text))
    assert used == set(ACTION["inputs"])
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step["run"]
        assert set(re.findall(r"\$([A-Z]+)\b", step["run"])) <= {*step["env"], "RUNNER"}


@pytest.mark.skipif(sys.platform == "win32", reason="bash")
@pytest.mark.parametrize("status", [0, 1])
def test_the_script_of_the_action_calls_the_gate_and_ends_as_it_does(tmp_path: Path, status: int) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > called\necho summary > torch-mirror.md\nexit {status}\n')
    python.chmod(0o755)
    given = {"INTERPRETER": str(python), "BASELINE": "my base.txt", "CLAIMS": "a.py:b c*", "ARGUMENTS": "--steps 20"}
    runner = {"RUNNER_TEMP": str(tmp_path), "GITHUB_STEP_SUMMARY": str(tmp_path / "shown")}
    script = ACTION["runs"]["steps"][1]["run"]
    everything = os.environ | given | runner
    ended = subprocess.run(["bash", "-e", "-c", script], env=everything, cwd=tmp_path, check=False)
    assert ended.returncode == status
    assert (tmp_path / "shown").read_text() == "summary\n"
    words = (tmp_path / "called").read_text().splitlines()
    assert words[:5] == ["-m", "torch_mirror", "gate", "--baseline", "my base.txt"]
    assert words[-4:] == ["--steps", "20", "a.py:b", "c*"]
    assert {word for word in words if word.startswith("--")} <= options("gate")


def test_the_hooks_call_commands_of_ours_with_what_they_need() -> None:
    for hook in HOOKS:
        program, command = shlex.split(hook["entry"])
        assert program in PROJECT["scripts"]
        assert command in cli.commands
        assert hook["additional_dependencies"] == PROJECT["optional-dependencies"]["cli"]
        assert hook["pass_filenames"] is False
    assert [hook["id"] for hook in HOOKS] == ["torch-mirror-gate", "torch-mirror-check"]
