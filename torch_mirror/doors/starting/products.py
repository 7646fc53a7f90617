"""Which weight an array is multiplied by, and from which side: what the first and the last size of a network are."""

import ast
from collections.abc import Collection, Iterable
from typing import NamedTuple


class Product(NamedTuple):
    """a @ b, as texts without self. and without what a dict of parameters is called: W1 for self.params["W1"]."""

    left: str
    right: str
    line: tuple[int, int]  # and column
    single: bool = False  # whether the right one is one row of an array: xs[t]


def products(functions: Iterable[ast.AST]) -> list[Product]:
    """All matrix products of some code, in the order of their lines: ``@``, ``np.dot``, ``np.matmul``, ``.dot``."""
    found = []
    for function in functions:
        for node in ast.walk(function):
            pair = _pair(node)
            if pair is not None:
                place = node.lineno, node.col_offset  # type: ignore[attr-defined]  # of an expression
                found.append(Product(called(pair[0]), called(pair[1]), place, _is_row(pair[1])))
    return sorted(found, key=lambda product: product.line)


def _pair(node: ast.AST) -> tuple[ast.expr, ast.expr] | None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        return node.left, node.right
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    if node.func.attr not in ("dot", "matmul"):
        return None
    of = node.func.value
    if isinstance(of, ast.Name) and of.id in ("np", "numpy"):
        return (node.args[0], node.args[1]) if len(node.args) > 1 else None
    return (of, node.args[0]) if node.args else None


def _is_row(node: ast.expr) -> bool:
    """Whether it is one row of an array, ``xs[t]``, and no name in a dict, ``p["W"]``."""
    if not isinstance(node, ast.Subscript) or isinstance(node.slice, ast.Tuple | ast.Slice):
        return False
    return not (isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str))


def samples(functions: Iterable[ast.AST], arrays: Collection[str]) -> set[str]:
    """The names of single rows of arrays: of a loop over one, over zip or enumerate of some, or of ``x = X[i]``."""
    found = set[str]()
    for function in functions:
        for node in ast.walk(function):
            if isinstance(node, ast.For | ast.comprehension):
                found |= {name for name, of in _in_step(node.target, node.iter) if of in arrays}
            if isinstance(node, ast.Assign) and _is_row(node.value) and called(node.value) in arrays:
                found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def _in_step(target: ast.expr, of: ast.expr) -> list[tuple[str, str]]:
    """Each name of a loop with what it goes through."""
    if isinstance(of, ast.Call) and isinstance(target, ast.Tuple) and ast.unparse(of.func) == "enumerate" and of.args:
        return _in_step(target.elts[1], of.args[0]) if len(target.elts) == 2 else []
    if isinstance(of, ast.Call) and isinstance(target, ast.Tuple) and ast.unparse(of.func) == "zip":
        return [pair for one, other in zip(target.elts, of.args, strict=False) for pair in _in_step(one, other)]
    return [(target.id, ast.unparse(of))] if isinstance(target, ast.Name) else []


def called(node: ast.expr) -> str:
    """What an operand is called: W1 for p["W1"], self.W1, self.params["W1"]; W1.T for its transpose; hs for hs[t]."""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        return INSIDE.join(keys(node)[1])
    if isinstance(node, ast.Subscript):
        return called(node.value)
    if isinstance(node, ast.Attribute):
        return f"{called(node.value)}.T" if node.attr == "T" else node.attr
    return ast.unparse(node)


INSIDE = "\0"
"""Between the names of a leaf of nested dicts, p["l1"]["W"]; in no name itself."""


def keys(node: ast.expr) -> tuple[ast.expr, list[str]]:
    """What is asked for one name after the other, and for which: p, and l1, W of p["l1"]["W"]."""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        of, names = keys(node.value)
        return of, [*names, node.slice.value]
    return node, []


def indexed_by(functions: Iterable[ast.AST], name: str) -> bool:
    """Whether an array of that name is used as an index: then it holds whole numbers, such as classes."""
    for function in functions:
        for node in ast.walk(function):
            if isinstance(node, ast.Subscript):
                parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                if any(_is(part, name) for part in parts):
                    return True
    return False


def _is(node: ast.expr, name: str) -> bool:
    """``y``, or ``y[t]``."""
    of = node.value if isinstance(node, ast.Subscript) else node
    return isinstance(of, ast.Name) and of.id == name


def has_classes(functions: Iterable[ast.AST], data: Iterable[str]) -> bool:
    """Whether there may be several outputs: an exp, as of a softmax, or an index of classes.

    Elsewhere one output is the safer guess: a loss that is divided by the batch alone is then the mean as well.
    """
    functions = list(functions)
    attributes = (node.attr for code in functions for node in ast.walk(code) if isinstance(node, ast.Attribute))
    return "exp" in attributes or any(indexed_by(functions, name) for name in data)


def is_binary(functions: Iterable[ast.AST]) -> bool:
    """Whether there is a log(1 - y), as in a binary cross-entropy: its targets are 0 and 1."""
    calls = (node for code in functions for node in ast.walk(code) if isinstance(node, ast.Call) and node.args)
    logs = (c.args[0] for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr == "log")
    return any(isinstance(a, ast.BinOp) and isinstance(a.op, ast.Sub) and ast.unparse(a.left) in ONE for a in logs)


ONE = ("1", "1.0")
