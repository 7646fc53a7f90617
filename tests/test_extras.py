"""The base installation is NumPy, torch and threadpoolctl; what needs more says which extra brings it."""

import subprocess
import sys
import tomllib
from collections.abc import Sequence
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from torch_mirror.ending import outcome
from torch_mirror.extras import EXTRAS

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
NUMPY = ("reference", "torch_mirror", "numpy")
TORCH = ("torch", "torchgen", "functorch", "filelock", "fsspec", "jinja2", "markupsafe", "mpmath", "networkx", "sympy",
         "typing_extensions")  # fmt: skip
BASE = (*NUMPY, *TORCH, "threadpoolctl")
ONLY = """
import sys

class Only:
    def __init__(self, finder, known):
        self.finder, self.known = finder, known

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        known = name.partition(".")[0] in self.known or name.startswith("_sysconfigdata")
        return self.finder.find_spec(name, path, target) if known else None

known = {known!r} | sys.stdlib_module_names
sys.meta_path[:] = [Only(finder, known) for finder in sys.meta_path]
"""
"""Other modules than the known ones and Python's own are not found."""
WITHOUT_TORCH = """
import numpy, reference, torch_mirror
dir(torch_mirror)
experiment = reference.experiments.load("linear-neuron")
assert len(reference.train(experiment)["loss"]) == 1000
assert (torch_mirror.Ball(2.0) * 3).value == 6
torch_mirror.Certificate
double = torch_mirror.check(lambda p, x: ((p * x).sum(), 2 * x), numpy.ones(3), numpy.arange(3.0))
assert not double.certified
"""
VERIFY = """
import torch_mirror
from dataclasses import replace
from reference import experiments
assert torch_mirror.verify(replace(experiments.load("linear-neuron"), steps=5)).verdict == "certified"
"""
COMMAND = """
import runpy, sys
sys.argv = ["a command", *{arguments!r}]
runpy.run_module({module!r}, run_name="__main__")
"""
COMMANDS = """
from torch_mirror.doors.cli import run
from torch_mirror.ending import status_of
from torch_mirror.figures.command import figures
for command in [lambda: run({verify!r}), lambda: run({figures!r}, figures)]:
    print("ends with", status_of(command))
"""
"""Commands in a process that has loaded torch: what ``finish`` does around the first."""
CLICK_IS_MISSING = "Error: click: expected to be installed, got no such module: pip install 'torch-mirror[cli]'\n"


def run(code: str, known: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """The code in a fresh interpreter that has only Python's own modules and the known ones."""
    code = ONLY.replace("{known!r}", repr(set(known))) + code
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_without_torch_there_are_the_reference_and_the_balls() -> None:
    result = run(WITHOUT_TORCH, NUMPY)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_base_installation_verifies_and_with_its_extra_the_command_runs() -> None:
    """One process, as torch takes seconds to load. First the base alone; then click and tqdm are found, nothing else.

    The command says whose data it lacks, and without matplotlib the figures are a table.
    """
    verify = ["verify", "linear-neuron", "diabetes-linear", "--steps", "5"]
    picture = ["--experiment", "linear-neuron", "--steps", "2", "--dtype", "float64"]
    later = "known |= {'click', 'tqdm'}\nprint('verified')"
    result = run(VERIFY + later + COMMANDS.format(verify=verify, figures=picture), BASE)
    before, verified, rest = result.stdout.partition("verified\n")
    assert (before, bool(verified)) == ("", True), result.stderr
    told, ended, table = rest.partition("ends with 2\n")
    assert (told.count("certified"), bool(ended)) == (2, True)  # linear-neuron, in both precisions
    (line,) = result.stderr.splitlines()
    assert line.endswith("which has it (pip install 'torch-mirror[documents]'), got none")
    assert table.startswith("linear-neuron  float64  2 steps")
    assert table.endswith("ends with 0\n")


@pytest.mark.parametrize(("code", "missing"), [(WITHOUT_TORCH, "numpy"), (VERIFY, "torch")])
def test_that_a_missing_module_would_be_noticed(code: str, missing: str) -> None:
    result = run(code, [name for name in BASE if name != missing])
    assert f"No module named '{missing}'" in result.stderr
    assert result.returncode == 1


@pytest.mark.parametrize("module", ["torch_mirror", "torch_mirror.figures"])
def test_a_command_says_which_extra_it_needs(module: str) -> None:
    result = run(COMMAND.format(module=module, arguments=["--help"]), BASE)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == CLICK_IS_MISSING


@pytest.mark.parametrize("module", EXTRAS)
def test_a_missing_module_of_an_extra_ends_the_process(module: str) -> None:
    message = CLICK_IS_MISSING.replace("[cli]", f"[{EXTRAS[module]}]").replace("click", module)
    assert outcome(ModuleNotFoundError(name=module)) == (2, message.rstrip())


def test_a_missing_module_of_no_extra_is_told_as_a_broken_installation() -> None:
    status, words = outcome(ModuleNotFoundError("No module named 'torchgen'", name="torchgen"))
    assert status == 2
    assert words == (
        "Error: installation: expected every package that torch-mirror needs, got No module named 'torchgen'"
    )


def test_the_extras_are_those_of_pyproject() -> None:
    distributions = packages_distributions()
    own = {module: extra for module, extra in EXTRAS.items() if module in distributions}
    assert EXTRAS.keys() - own.keys() <= {"ray"}  # which is no part of dev
    for module, extra in own.items():
        wanted = {requirement.split(">=")[0] for requirement in PROJECT["optional-dependencies"][extra]}
        assert wanted & {name.lower() for name in distributions[module]}
    of_the_tests = {"dev", "foreign"}
    assert {*EXTRAS.values(), *of_the_tests} == set(PROJECT["optional-dependencies"])
    base = {requirement.split(">=")[0] for requirement in PROJECT["dependencies"]}
    assert base == {"numpy", "threadpoolctl", "torch"}
    assert PROJECT["scripts"] == {"torch-mirror": "torch_mirror.__main__:main"}  # where a missing click is told
