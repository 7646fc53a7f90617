"""What is imported when, in which direction, and what a wheel holds."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

import reference
import torch_mirror
from tests import lowest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ALL_OF_REFERENCE = """
import importlib, pkgutil, reference
for module in pkgutil.walk_packages(reference.__path__, "reference."):
    importlib.import_module(module.name)
"""
HELP = """
from torch_mirror.doors.cli import main
try:
    main(["--help"])
except SystemExit as end:
    assert end.code == 0
"""
def above(floor: str) -> tuple[str, ...]:
    """The packages that stand on this one."""
    floors = ["balls", "tape", "judge", "reports", "doors", "figures"]
    return tuple(f"torch_mirror.{name}" for name in floors[floors.index(floor) + 1 :])


TRAINING = ("reference.claim", "reference.traces", "reference.optimizers", "reference.networks", "reference.losses")
UNKNOWN_TO = {  # folder or file: what it must not import, because imports go down only
    "reference": ("torch", "torch_mirror", "click", "tqdm"),
    "torch_mirror/balls": ("torch", *TRAINING, *above("balls")),
    "torch_mirror/tape": ("torch", *TRAINING, *above("tape")),
    "torch_mirror/judge": ("torch", "torch_mirror.networks", "torch_mirror.training", *above("judge")),
    "torch_mirror/networks": ("torch_mirror.balls", "torch_mirror.judge", *above("judge")),
    "torch_mirror/training": ("torch_mirror.balls", "torch_mirror.judge", *above("judge")),
    "torch_mirror/reports": ("torch_mirror.networks", "torch_mirror.training", *above("reports")),
    "torch_mirror/doors": above("doors"),
    "torch_mirror/doors/shrink.py": ("torch", "torch_mirror", "hypothesis"),
    "torch_mirror/doors/source.py": ("torch", "torch_mirror", "hypothesis"),
    "torch_mirror/doors/minimised.py": ("torch", "torch_mirror.reports", "torch_mirror.training"),
    "torch_mirror/figures/measure.py": ("torch_mirror.doors", "torch_mirror.reports", "matplotlib"),
    "torch_mirror/figures/drawing.py": ("torch", "torch_mirror.doors", "torch_mirror.figures.command"),
}  # fmt: skip
PLAIN = {"torch_mirror/tape/edits": ("reference.claim.tree", "reference.optimizers.schedule")}
"""What a folder may know all the same: causes of a wrong update are told of trees and of the rate of a step."""


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after running the code."""
    code += "\nimport sys\nprint(*sys.modules, sep='\\n', file=sys.stderr)"
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    return set(result.stderr.split())


def imports_of(source: str) -> set[str]:
    """The full names of all modules that a source file imports, and of what it takes from them."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


def upward(source: str, forbidden: tuple[str, ...], plain: tuple[str, ...] = ()) -> set[str]:
    """What a source file imports that it must not know of."""
    return {name for name in imports_of(source) if _within(name, forbidden) and not _within(name, plain)}


def _within(name: str, packages: tuple[str, ...]) -> bool:
    return any(f"{name}.".startswith(f"{other}.") for other in packages)


def test_importing_the_reference_never_imports_torch() -> None:
    modules = loaded_by(ALL_OF_REFERENCE)
    assert "reference.traces.training" in modules
    assert not {"torch", "torch_mirror"} & modules


def test_that_an_import_would_be_noticed() -> None:
    assert "colorsys" in loaded_by("import colorsys")
    assert "colorsys" not in loaded_by("")


def test_help_imports_neither_torch_nor_numpy() -> None:
    modules = loaded_by(HELP)
    assert "torch_mirror.doors.cli" in modules
    assert not {"torch", "numpy"} & modules


@pytest.mark.parametrize("place", UNKNOWN_TO)
def test_imports_go_down(place: str) -> None:
    path = ROOT / place
    files = [path] if path.is_file() else list(path.rglob("*.py"))
    assert files
    plain = {file: next((p for f, p in PLAIN.items() if ROOT / f in file.parents), ()) for file in files}
    found = {str(file.relative_to(ROOT)): upward(file.read_text(), UNKNOWN_TO[place], plain[file]) for file in files}
    assert {name: modules for name, modules in found.items() if modules} == {}


@pytest.mark.parametrize(
    "line", ["import torch", "import torch.nn as nn", "from torch import nn", "from torch_mirror.doors import cli"]
)
def test_that_an_import_upward_would_be_noticed(line: str) -> None:
    assert upward(f"def f():\n    {line}\n", ("torch", "torch_mirror.doors.cli"))
    assert not upward("import torchvision\nfrom torch_mirror.balls import ball", ("torch", "torch_mirror.doors.cli"))


@pytest.mark.parametrize("package", [reference, torch_mirror], ids=lambda package: package.__name__)
def test_every_public_name_exists_and_is_no_module(package: ModuleType) -> None:
    public = list(package.__all__)
    assert set(public) <= set(dir(package))
    for name in public:
        value = getattr(package, name)
        # reference.experiments is a module on purpose
        assert package is reference or not isinstance(value, ModuleType)


def test_a_name_that_does_not_exist_is_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'verfy'"):
        importlib.import_module("torch_mirror").verfy  # noqa: B018  # the access is what is tested


def test_a_wheel_holds_both_packages_with_their_types_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_COLOR": "1"}, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    info = f"torch_mirror-{torch_mirror.__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {"reference", "torch_mirror", info}
    assert {"reference/py.typed", "torch_mirror/py.typed", f"{info}/licenses/LICENSE"} <= set(names)


def test_what_is_pinned_is_what_runs() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    names = {requirement.split(">=")[0] for requirement in lowest.requirements(PROJECT)}
    assert {"numpy", "pytest-xdist", "types-tqdm"} <= names <= set(pins)
    assert pins["torch"] == "2.13.0"


def test_the_lowest_release_of_every_requirement_is_named() -> None:
    lines = lowest.lowest(PROJECT)
    named = {line.split("==")[0] for line in lines}
    assert named | lowest.UNBOUNDED == {requirement.split(">=")[0] for requirement in lowest.requirements(PROJECT)}
    made_up = {"name": "x", "dependencies": ["a>=1.2", "b-c>=3"], "optional-dependencies": {"y": ["x[z]", "b-c>=3"]}}
    assert lowest.lowest(made_up) == ["a==1.2", "b-c==3"]


@pytest.mark.parametrize("requirement", ["numpy", "numpy~=2.0", "numpy>=2,<3"])
def test_a_requirement_without_a_lowest_release_is_refused(requirement: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"expected requirements such as numpy>=2, got {requirement!r}")):
        lowest.lowest({"name": "x", "dependencies": [requirement], "optional-dependencies": {}})
