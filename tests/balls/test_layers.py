"""The layers of the balls: every import goes down them, those for the type checker too, so that there is no circle."""

import ast
from pathlib import Path

import pytest

import torch_mirror.balls

ROOT = Path(torch_mirror.balls.__file__).parent
LAYERS: tuple[tuple[str, ...], ...] = (
    ("take", "format", "exact", "callers", "recording", "given"), ("exactness", "adjoints"), ("number", "choosing"),
    ("sameness",), ("masks",),
    ("indexing",), ("rules",),
    ("table",), ("dispatch",), ("bools", "assignment", "attributes", "calls"), ("cell",),
)  # fmt: skip
"""From the bottom up: numbers know no rule, rules and their table no cell, and nothing but the cell knows of views."""


def imports_of(source: str) -> set[str]:
    """The modules of torch_mirror.balls that a source file imports, anywhere in it, as rules.sums or number."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inside = node.module in ("torch_mirror.balls", "torch_mirror.balls.rules")
            names |= {f"{node.module}.{alias.name}" if inside else f"{node.module}" for alias in node.names}
    return {name.removeprefix("torch_mirror.balls.") for name in names if name.startswith("torch_mirror.balls.")}


def graph() -> dict[str, set[str]]:
    """What every file of the balls imports of the others."""
    files = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in ROOT.rglob("*.py")}
    return {name: imports_of(path.read_text()) for name, path in files.items() if not name.endswith("__init__")}


def upward(imports: dict[str, set[str]]) -> set[tuple[str, str]]:
    """The imports that do not go to a lower layer; those among the rules have an order of their own."""
    level = {name: i for i, names in enumerate(LAYERS) for name in names}

    def layer(name: str) -> int:
        return level[name.partition(".")[0]]

    pairs = {(name, other) for name, others in imports.items() for other in others}
    return {(a, b) for a, b in pairs if layer(a) < layer(b) or (layer(a) == layer(b) and "." not in a)}


def on_a_circle(imports: dict[str, set[str]]) -> set[str]:
    """The files that import themselves by way of others: what is left when the lowest file is taken away, and again."""
    left = dict(imports)
    while low := [name for name, others in left.items() if not others & left.keys()]:
        for name in low:
            del left[name]
    return {*left}


def test_imports_go_down_and_there_is_no_circle() -> None:
    imports = graph()
    assert imports["cell"] >= {"number", "dispatch", "assignment"}  # so that something was looked at
    assert imports["rules.einsum"] >= {"number", "rules.sums"}
    assert upward(imports) == set()
    assert on_a_circle(imports) == set()


@pytest.mark.parametrize(("file", "line"), [
    ("number", "from torch_mirror.balls.cell import Ball"),
    ("number", "from torch_mirror.balls.rules import sums"),
    ("masks", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from torch_mirror.balls.cell import Ball"),
    ("rules.sums", "def late():\n    from torch_mirror.balls import cell"),
    ("rules.shapes", "import torch_mirror.balls.table"),
    ("rules.sums", "from torch_mirror.balls.rules import elementwise"),
])  # fmt: skip
def test_that_an_import_upward_would_be_noticed(file: str, line: str) -> None:
    imports = graph()
    imports[file] = imports[file] | imports_of(line)
    assert file in on_a_circle(imports)
    if "elementwise" not in line:  # among the rules only the circle tells
        assert file in {a for a, _ in upward(imports)}
