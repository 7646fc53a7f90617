"""docs/api.md is what the source makes, and has every public name with its types."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.pages import api

WRITTEN = (api.ROOT / "docs" / "api.md").read_text(encoding="utf-8")
PUBLIC = {name: {*import_module(name).__all__} - {"__version__"} for name in ("torch_mirror", "reference")}


def test_the_page_is_what_the_source_makes() -> None:
    assert api.page().rstrip("\n") + "\n" == WRITTEN, "python -m tests.pages.api > docs/api.md"


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_on_the_page_once(module: str) -> None:
    assert {name for names in api.PARTS[module].values() for name in names} <= PUBLIC[module] == {*api.public(module)}
    of_module = WRITTEN.split(f"## from {module}\n")[1].split("\n## from ")[0]
    assert sorted(re.findall(r"^#### (\w+)$", of_module, re.MULTILINE)) == sorted(PUBLIC[module])


def test_a_name_that_no_heading_has_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = {heading: names for heading, names in api.PARTS["torch_mirror"].items() if heading != "Training runs"}
    monkeypatch.setitem(api.PARTS, "torch_mirror", fewer)
    last = "\n".join(api.part("torch_mirror")).split("### Others\n")[1]
    assert {*re.findall(r"^#### (\w+)$", last, re.MULTILINE)} >= {"certify", "recording", "verify"}


def definitions() -> list[tuple[str, api.Found]]:
    return [(n, api.defined(m, n)) for m, parts in api.PARTS.items() for names in parts.values() for n in names]


def test_every_argument_and_every_field_has_its_type() -> None:
    functions = [node for _, (node, _) in definitions() if isinstance(node, ast.FunctionDef)]
    assert len(functions) > 15
    given = [(f, a) for f in functions for a in (*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs)]
    assert [f"{f.name}({a.arg})" for f, a in given if a.annotation is None] == []
    assert [f.name for f in functions if f.returns is None] == []


def test_every_name_has_something_said_of_it() -> None:
    assert [name for name, (node, _) in definitions() if not ast.get_docstring(node)] == []


def found(source: str) -> api.Found:
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    return api.Found(node, source.splitlines())


def test_what_an_entry_says() -> None:
    source = (
        'def f(x: int, *rest: str, deep: "float" = 1.0) -> None:\n'
        '    """First.\n\n    x, rest: of two\n          lines, ``a_b``. Raises ValueError for a_b.\n\n'
        '    deep: one. x: twice\n\n        z = x  # (N,)\n    """\n'
    )
    assert "\n".join(api.entry("f", found(source))) == (
        "#### f\n\n```text\nf(x: int, *rest: str, deep: float = 1.0) -> None\n```\n\nFirst.\n\n"
        "- `x`, `rest`: of two lines, `a_b`.\n\nRaises ValueError for a\\_b.\n\n"
        "- `deep`: one.\n- `x`: twice\n\n```text\nz = x  # (N,)\n```\n"
    )
    source = "class C:\n    x: int  # (N,)\n    _y: int = 0\n    @property\n    def z(self) -> int:\n        'Said.'\n"
    assert "\n".join(api.entry("C", found(source))) == (
        "#### C\n\n```text\nclass C\n    x: int  # (N,)\n```\n\n\n- `z: int`: Said.\n"
    )


def test_that_a_change_of_a_docstring_or_of_a_type_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page of a copy of the package in which one word is another."""
    for name in ("torch_mirror", "reference"):
        for file in (f for f in (api.ROOT / name).rglob("*.py*") if f.suffix in (".py", ".pyi")):
            copy = tmp_path / file.relative_to(api.ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(api, "ROOT", tmp_path)
    assert api.page().rstrip("\n") + "\n" == WRITTEN
    home = tmp_path / "torch_mirror" / "doors" / "check" / "derivative.py"
    text = home.read_text(encoding="utf-8")
    for right, wrong in (("explain: bool = True", "explain: int = True"), ("Judge hand-", "Judges hand-")):
        home.write_text(text.replace(right, wrong), encoding="utf-8")
        assert api.page().rstrip("\n") + "\n" != WRITTEN


def test_a_name_that_is_nowhere_is_told() -> None:
    with pytest.raises(LookupError, match=r"torch_mirror\.chek: expected a class, a function or a module"):
        api.defined("torch_mirror", "chek")
