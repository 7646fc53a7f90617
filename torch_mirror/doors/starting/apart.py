"""Parameters in lists, tuples and objects: which name of the code is which of them, and how they are put together."""

import ast
from collections.abc import Iterable, Iterator, Mapping

from torch_mirror.doors.starting.source import arguments, attributes, methods

Path = tuple[int, ...]
"""Where a parameter is: (0, 1) for b in (W, b), v = p."""


def taken_apart(scope: Iterable[ast.AST], given: str) -> dict[str, Path]:
    """The names on the left of (W1, b1), (W2, b2) = p, or of W1 = p[0]; none where p is not taken apart so."""
    found: dict[str, Path] = {}
    for code in scope:
        for node in ast.walk(code):
            if isinstance(node, ast.Assign):
                target, value = node.targets[0], node.value
                if isinstance(target, ast.Tuple | ast.List) and ast.unparse(value) == given:
                    return dict(_paths(target, ()))
                if isinstance(target, ast.Name) and (at := _index(value, given)) is not None:
                    found[target.id] = (at,)
    whole = sorted(found.values()) == [(i,) for i in range(len(found))]
    return found if whole else {}


def _paths(target: ast.expr, path: Path) -> Iterator[tuple[str, Path]]:
    if isinstance(target, ast.Tuple | ast.List):
        for i, part in enumerate(target.elts):
            yield from _paths(part, (*path, i))
    else:
        yield ast.unparse(target), path


def _index(value: ast.expr, given: str) -> int | None:
    """The number in p[0]."""
    if isinstance(value, ast.Subscript) and ast.unparse(value.value) == given and isinstance(value.slice, ast.Constant):
        return value.slice.value if type(value.slice.value) is int else None
    return None


def in_rows(scope: Iterable[ast.AST], given: str) -> list[str]:
    """W and b of ``for W, b in layers``, a list with such a row for each layer; none where there is no such loop."""
    for code in scope:
        for node in ast.walk(code):
            if isinstance(node, ast.For | ast.comprehension):
                for target, of in _in_step(node.target, node.iter):
                    names = target.elts if isinstance(target, ast.Tuple | ast.List) else []
                    if of == given and names and all(isinstance(one, ast.Name) for one in names):
                        return [ast.unparse(one) for one in names]
    return []


def _in_step(target: ast.expr, of: ast.expr) -> list[tuple[ast.expr, str]]:
    """What a loop sets, each with the name that it goes through, be it by enumerate, zip or reversed."""
    name = ast.unparse(of.func) if isinstance(of, ast.Call) and of.args else ""
    if isinstance(of, ast.Call) and name in ("reversed", "list"):
        return _in_step(target, of.args[0])
    if isinstance(of, ast.Call) and isinstance(target, ast.Tuple) and name == "enumerate":
        return _in_step(target.elts[-1], of.args[0])
    if isinstance(of, ast.Call) and isinstance(target, ast.Tuple) and name == "zip":
        return [pair for one, other in zip(target.elts, of.args, strict=False) for pair in _in_step(one, other)]
    return [(target, ast.unparse(of.value if isinstance(of, ast.Subscript) else of))]


def made_of(node: ast.ClassDef) -> list[str]:
    """The fields of a class that only holds arrays: those of a dataclass, or what __init__ keeps by the same name."""
    told = [n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
    start = methods(node).get("__init__")
    if told or start is None:
        return told
    kept = {attr for attr, value in attributes(start) if ast.unparse(value) == attr}
    given = arguments(start, method=True)
    return given if {*given} <= kept else []


def fields(
    scope: Iterable[ast.AST], classes: Iterable[ast.ClassDef], given: str, more: Iterable[str] = ()
) -> list[str]:
    """The attributes that p is asked for, in the order of the lines, where a class of the file has them as fields."""
    known = {*more} | {
        line.target.id for node in classes for line in node.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    }  # fmt: skip
    found = sorted(
        (node.lineno, node.col_offset, node.attr) for code in scope for node in ast.walk(code)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == given and node.attr in known
    )  # fmt: skip
    return list(dict.fromkeys(name for *_, name in found))


def place(path: Path) -> str:
    """``p[0][1]``."""
    return "p" + "".join(f"[{i}]" for i in path)


def nested(paths: Mapping[str, Path], drawn: Mapping[str, str]) -> str:
    """The text of the parameters, put together as they are taken apart: a list of tuples, or one tuple."""
    return _nested({paths[name]: text for name, text in drawn.items()})


def _nested(texts: Mapping[Path, str]) -> str:
    if () in texts:
        return texts[()]
    inner = [
        _nested({path[1:]: text for path, text in texts.items() if path[0] == i})
        for i in sorted({path[0] for path in texts})
    ]
    if any(len(path) > 1 for path in texts):
        return f"[{', '.join(inner)}]"
    return f"({', '.join(inner)}{',' if len(inner) == 1 else ''})"
