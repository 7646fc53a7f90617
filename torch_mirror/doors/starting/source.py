"""A Python file as far as it can be read without running it."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from reference.errors import InputError

Function = ast.FunctionDef

PARAMETERS = frozenset({"p", "params", "parameters", "param", "weights", "w", "W", "theta", "layers", "net_params"})
"""What people call the parameters that a function is given."""

INPUTS = frozenset({"x", "X", "xs", "inputs", "input", "data", "x_train", "X_train", "batch"})
TARGETS = frozenset({"y", "Y", "t", "T", "targets", "target", "labels", "y_true", "y_train", "Y_train"})


class Source(NamedTuple):
    """The parts of a file. constants: whole numbers of the module; names: all that the module assigns."""

    path: Path
    tree: ast.Module
    functions: dict[str, Function]
    classes: dict[str, ast.ClassDef]
    constants: dict[str, int]
    names: tuple[str, ...]
    works: bool  # whether it does more than define things when it is imported


def source_of(path: Path) -> Source:
    """Read a file. Raises InputError where it cannot be read or is no Python.

    A pipe is none: whoever opens it waits until somebody writes.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"--from {path}", "a file that can be read", "a pipe or a device")
    try:
        tree = ast.parse(path.read_bytes(), str(path))
        ast.unparse(tree)  # goes as deep as all that is asked of the tree later
    except OSError as error:
        raise InputError(f"--from {path}", "a file that can be read", error.strerror or error) from error
    except (SyntaxError, ValueError) as error:
        came = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError(f"--from {path}", "a Python file", came) from error
    except (RecursionError, MemoryError) as error:
        raise InputError(f"--from {path}", "code that is nested less deeply", type(error).__name__) from error
    assigned = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
    }
    return Source(
        path,
        tree,
        {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)},
        {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)},
        {name: v.value for name, v in assigned.items() if isinstance(v, ast.Constant) and type(v.value) is int},
        tuple(_names(tree)),
        any(isinstance(node, ast.For | ast.While) or _is_call(node) for node in tree.body),
    )


def _names(tree: ast.Module) -> Iterator[str]:
    """W, b for W = 0.1 * np.ones(3), for W, b = start(), for W: Array = ...; not for W = [a, b], which has no shape."""
    for node in tree.body:
        for target, value in assigned(node):
            if isinstance(target, ast.Name) and not isinstance(value, _HAVE_NO_SHAPE):
                yield target.id


_HAVE_NO_SHAPE = (ast.List, ast.Tuple, ast.Dict, ast.Set, ast.ListComp, ast.DictComp)


def assigned(node: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    """The targets of a statement, each with what it is given; of a tuple from a call, each with the whole call."""
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return [(node.target, node.value)]
    found: list[tuple[ast.expr, ast.expr]] = []
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if not isinstance(target, ast.Tuple | ast.List):
                found.append((target, node.value))
            elif isinstance(node.value, ast.Tuple | ast.List) and len(node.value.elts) == len(target.elts):
                found += zip(target.elts, node.value.elts, strict=True)
            else:
                found += [(one, node.value) for one in target.elts]
    return found


def _is_call(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


def is_called_by_place(function: Function) -> bool:
    """Whether all that it must be given is given by place: no argument by keyword alone without a default."""
    return None not in function.args.kw_defaults


def arguments(function: Function, *, method: bool = False) -> list[str]:
    """The names of the arguments that have no default; of a method without self."""
    given = [*function.args.posonlyargs, *function.args.args]
    names = [a.arg for a in given[: len(given) - len(function.args.defaults)]]
    return names[1:] if method else names


def returned(function: Function) -> ast.expr | None:
    """What its last return returns."""
    found = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None]
    return found[-1] if found else None


def keys_in(node: ast.AST | None) -> list[str]:
    """Of {"W": a} and of dict(W=a); none of anything else."""
    if isinstance(node, ast.Dict):
        return [key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        return [keyword.arg for keyword in node.keywords if keyword.arg is not None]
    return []


def methods(of: ast.ClassDef) -> dict[str, Function]:
    return {node.name: node for node in of.body if isinstance(node, ast.FunctionDef)}


def attributes(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """What is assigned to attributes of self, and which."""
    for inner in ast.walk(node):
        for name, value in assigned(inner):
            if isinstance(name, ast.Attribute) and isinstance(name.value, ast.Name) and name.value.id == "self":
                yield name.attr, value
