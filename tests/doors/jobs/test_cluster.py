"""--backend dask and ray: on a local cluster of two workers, one of which is killed; only where it is installed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from torch_mirror.doors.cli import cli

ROOT = Path(__file__).parents[3]
NAMES = [f"run{n}" for n in range(6)]
SLOW = NAMES[-1]
MINE = f"""
import os, time
from dataclasses import replace
from pathlib import Path
from reference import experiments
from torch_mirror.training.session import session

one = replace(experiments.load("linear-neuron"), steps=3)

def noted(e):
    with open("noted", "a") as file:
        file.write(f"begun {{e.name}} {{os.getpid()}}\\n")
    if e.name == "{SLOW}" and not Path("killed").exists():
        time.sleep(1000)  # until its worker is killed
    made = session(e)
    with open("noted", "a") as file:
        file.write(f"judged {{e.name}} {{os.getpid()}}\\n")
    return made

cases = {{name: (replace(one, name=name), noted) for name in {NAMES}}}
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"}
PATIENCE = 120
"""Seconds that a busy machine may take."""


@contextmanager
def dask(folder: Path) -> Iterator[str]:
    """A scheduler and two workers, processes of their own; its address."""
    scheduler = folder / "scheduler.json"
    options = ["--scheduler-file", str(scheduler), "--no-dashboard"]
    commands: list[list[str]] = [["scheduler", "--port", "0", *options]]
    commands += 2 * [["worker", "--no-nanny", "--nthreads", "1", *options, "--local-directory", str(folder)]]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", "distributed.cli.dask_" + command[0], *command[1:]], env=ENVIRONMENT,
                    cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )
            )  # fmt: skip
            until(scheduler.exists)
        address: str = json.loads(scheduler.read_text())["address"]
        from distributed import Client

        with Client(address, set_as_default=False) as client:  # type: ignore[no-untyped-call]  # it has no types
            client.wait_for_workers(2, timeout=PATIENCE)
        yield address
    finally:
        for process in started:
            process.kill()
            process.wait()


HEAD = """
import sys
import ray
print(ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False).address_info["gcs_address"], flush=True)
sys.stdin.read()
ray.shutdown()
"""


@contextmanager
def ray(folder: Path) -> Iterator[str]:
    """A head node, which has two workers at most; its address."""
    with subprocess.Popen(
        [sys.executable, "-c", HEAD], env=ENVIRONMENT, cwd=folder, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as head:  # fmt: skip
        assert head.stdout is not None
        yield head.stdout.readline().strip()


CLUSTERS = {"dask": ("distributed", dask), "ray": ("ray", ray)}


def until(done: Any) -> None:
    latest = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < latest
        time.sleep(0.05)


def noted(folder: Path) -> list[list[str]]:
    path = folder / "noted"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.thorough  # five processes that load torch, Dask or Ray
@pytest.mark.parametrize("backend", CLUSTERS)
def test_where_a_worker_is_killed_nothing_is_lost_and_nothing_judged_twice(tmp_path: Path, backend: str) -> None:
    library, cluster = CLUSTERS[backend]
    pytest.importorskip(library, reason=f"the extra {backend} is not installed")
    (tmp_path / "mine.py").write_text(MINE)
    with cluster(tmp_path) as address:
        command = [sys.executable, "-m", "torch_mirror", "verify", "mine.py:cases", "--backend", backend]
        with subprocess.Popen(
            [*command, "--scheduler", address, "--json", "out.json"], cwd=tmp_path, text=True,
            env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in NAMES[:-1]]  # whose verdicts have come here
            until(lambda: any(name == SLOW for _, name, _ in noted(tmp_path)))
            (pid,) = (int(pid) for _, name, pid in noted(tmp_path) if name == SLOW)
            (tmp_path / "killed").touch()
            os.kill(pid, signal.SIGKILL)
            shown, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told
    ours = [line for line in [*lines, *shown.splitlines()] if "(raylet)" not in line]  # Ray says that a worker died
    assert [line.split()[0] for line in ours] == NAMES
    assert [run["experiment"] for run in json.loads((tmp_path / "out.json").read_text())["runs"]] == NAMES
    assert Counter(name for word, name, _ in noted(tmp_path) if word == "judged") == dict.fromkeys(NAMES, 1)
    assert Counter(name for word, name, _ in noted(tmp_path) if word == "begun")[SLOW] == 2


@pytest.mark.parametrize("backend", CLUSTERS)
def test_an_address_at_which_nobody_answers_is_told(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    library, _ = CLUSTERS[backend]
    pytest.importorskip(library, reason=f"the extra {backend} is not installed")
    from torch_mirror.doors.jobs import clusters

    monkeypatch.setattr(clusters, "PATIENCE", 1)
    address, whose = {
        "dask": ("tcp://127.0.0.1:9", "address of a Dask scheduler"),
        "ray": ("127.0.0.1:9", "address HOST:PORT of a Ray head node"),
    }[backend]
    line = ["verify", "linear-neuron", "--steps", "1", "--backend", backend, "--scheduler", address]
    result = CliRunner().invoke(cli, line)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: --scheduler: expected the {whose} that answers, got {address}")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--backend", "dask"], "--scheduler: expected the address of a Dask scheduler, for --backend dask, got none"),
        (["--backend", "ray"], "--scheduler: expected the address of a Ray head node, for --backend ray, got none"),
        (["--scheduler", "tcp://a:1"], "--scheduler: expected --backend dask or ray beside it, got --backend proc"),
        (["--backend", "dask", "--scheduler", "tcp://a:1", "-j", "2"], "-j: expected none with --backend dask"),
        (["--backend", "ray", "--scheduler", "a:1", "-j", "2"], "-j: expected none with --backend ray"),
    ],
)
def test_options_that_do_not_go_together_are_told(options: list[str], said: str) -> None:
    result = CliRunner().invoke(cli, ["verify", "linear-neuron", *options])
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
