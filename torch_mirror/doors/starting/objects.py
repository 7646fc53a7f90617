"""Parameters that are attributes of an object, with gradients in another one: cost(m, data) returns the loss and g."""

import ast
from collections.abc import Iterator

from torch_mirror.doors.starting.plan import Plan
from torch_mirror.doors.starting.sizes import shapes_told
from torch_mirror.doors.starting.source import Function, Source, arguments, keys_in, returned


def object_of_the_module(source: Source) -> Plan | None:
    """A function of an object that the module makes; None where no object there has all these attributes."""
    for f in source.functions.values():
        value, names = returned(f), arguments(f)
        given = value.elts[1] if isinstance(value, ast.Tuple) and len(value.elts) == 2 else None
        if not isinstance(given, ast.Name) or not names:
            continue
        leaves = list(dict.fromkeys(_set(f, given.id)))
        used = {node.attr for node in ast.walk(f) if isinstance(node, ast.Attribute) and _is(node.value, names[0])}
        net = next((name for name in source.names if leaves and {*leaves} <= {*_set(source.tree, name)}), None)
        if net is not None and {*leaves} <= used:
            found = f"{f.name}({', '.join(names)}), which returns the loss and the gradients of {', '.join(leaves)}"
            return Plan(
                f"{found} in an object", f"{{module}}.{f.name}", [f"p = {{module}}.{net}"], names[1:], [f], leaves,
                shapes_told(f), places={leaf: f"p.{leaf}" for leaf in leaves},
            )  # fmt: skip
    return None


def dict_of_the_module(source: Source, leaves: list[str]) -> str | None:
    """The name that the module gives to a dict with just these keys."""
    for node in source.tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            keys = keys_in(node.value)
            if keys and {*keys} == {*leaves}:
                return node.targets[0].id
    return None


def _set(within: Function | ast.Module, name: str) -> Iterator[str]:
    """The attributes of a name that are set there, or changed: g.U = a, g.U += a, g.U[k] += a, g.U, g.V = a, b."""
    body = within.body if isinstance(within, ast.Module) else [within]
    for node in (inner for line in body if not _defines(line, within) for inner in ast.walk(line)):
        if isinstance(node, ast.Assign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in (one for t in targets for one in (t.elts if isinstance(t, ast.Tuple | ast.List) else [t])):
                place: ast.expr = target
                while isinstance(place, ast.Subscript):
                    place = place.value
                if isinstance(place, ast.Attribute) and _is(place.value, name):
                    yield place.attr


def _defines(line: ast.stmt, within: ast.AST) -> bool:
    return line is not within and isinstance(line, ast.FunctionDef | ast.ClassDef)


def _is(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
