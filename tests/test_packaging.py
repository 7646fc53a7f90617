"""What is imported when, in which direction, and what a wheel holds."""

import ast
import importlib
import os
import subprocess
import sys
import zipfile
from itertools import chain
from pathlib import Path
from types import ModuleType

import pytest

import reference
import torch_mirror

ROOT = Path(__file__).parents[1]
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


def upward(source: str, forbidden: tuple[str, ...]) -> set[str]:
    """What a source file imports that it must not know of."""
    return {name for name in imports_of(source) if any(f"{name}.".startswith(f"{other}.") for other in forbidden)}


def test_importing_the_reference_never_imports_torch() -> None:
    modules = loaded_by(ALL_OF_REFERENCE)
    assert "reference.traces.training" in modules
    assert not {"torch", "torch_mirror"} & modules


def test_that_an_import_of_torch_would_be_noticed() -> None:
    assert "torch" in loaded_by("import torch")


def test_help_imports_neither_torch_nor_numpy() -> None:
    modules = loaded_by(HELP)
    assert "torch_mirror.doors.cli" in modules
    assert not {"torch", "numpy"} & modules


@pytest.mark.parametrize("place", UNKNOWN_TO)
def test_imports_go_down(place: str) -> None:
    path = ROOT / place
    files = [path] if path.is_file() else list(path.rglob("*.py"))
    assert files
    found = {str(file.relative_to(ROOT)): upward(file.read_text(), UNKNOWN_TO[place]) for file in files}
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
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    names = {requirement.split(">=")[0] for requirement in wanted} - {"torch-mirror[exact,plot]"}
    assert names <= set(pins)
    assert pins["torch"] == "2.13.0"
