"""Drawn mistakes: one operator, constant, term, transposition or comparison of somebody's module changed."""

import ast
import inspect
import linecache
import random
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

OTHER: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Gt: ast.Lt, ast.LtE: ast.GtE,
}  # fmt: skip


def mutant(module: ModuleType, draw: random.Random) -> tuple[ModuleType, str]:
    """A copy of the module with one change, and the change in words. Raises what the changed module raises."""
    source = inspect.getsource(module)
    tree = ast.parse(source)
    target: Any
    target, how = draw.choice([(node, how) for node in ast.walk(tree) for how in _ways(node)])
    said = f"{module.__name__} line {target.lineno}: {how} of {ast.get_source_segment(source, target)}"
    changed = ast.fix_missing_locations(_Change(target, how).visit(tree))
    name = f"mutant_{module.__name__.rsplit('.', 1)[-1]}_{draw.random()}".replace(".", "_")
    file = f"/mutants/{name}.py"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    copy = ModuleType(name)
    copy.__file__ = file
    sys.modules[name] = copy
    exec(compile(changed, file, "exec"), vars(copy))  # noqa: S102 - the project's own examples
    return copy, said


def _ways(node: Any) -> tuple[str, ...]:
    if isinstance(node, ast.BinOp) and type(node.op) in OTHER:
        return "other operator", "left operand", "right operand"
    if isinstance(node, ast.AugAssign) and type(node.op) in OTHER:
        return "other operator", "nothing"
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return ("one more",)
    if isinstance(node, ast.Attribute) and node.attr == "T":
        return ("left operand",)
    if isinstance(node, ast.Compare) and type(node.ops[0]) in OTHER:
        return ("other operator",)
    return ("right operand",) if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else ()


class _Change(ast.NodeTransformer):
    def __init__(self, target: Any, how: str) -> None:
        self.target, self.how = target, how

    def visit(self, node: Any) -> Any:
        if node is not self.target:
            return super().visit(node)
        if self.how == "left operand":
            return getattr(node, "left", None) or node.value
        if self.how == "right operand":
            return getattr(node, "right", None) or node.operand
        if self.how == "nothing":
            return ast.copy_location(ast.Pass(), node)
        if self.how == "one more":
            node.value += 1
        elif isinstance(node, ast.Compare):
            node.ops[0] = OTHER[type(node.ops[0])]()
        else:
            node.op = OTHER[type(node.op)]()
        return node


def leaves(tree: Any) -> Iterator[Any]:
    """The arrays of dicts, lists and tuples; of dicts in the order of their names."""
    if isinstance(tree, dict):
        tree = [tree[name] for name in sorted(tree)]
    if isinstance(tree, (list, tuple)):
        for branch in tree:
            yield from leaves(branch)
    else:
        yield tree


def distance(function: Callable[..., Any], p: Any, data: tuple[Any, ...], h: float = 1e-5) -> float:
    """How far the gradients are from central differences of the loss, relative to the larger of each tensor's sizes."""
    worst = 0.0
    for w, g in zip(leaves(p), leaves(function(p, *data)[1]), strict=True):
        own = np.asarray(g, float)
        if own.shape != w.shape:
            return np.inf
        quotient = np.zeros(w.shape)
        for i in np.ndindex(w.shape):
            value, sides = w[i], []
            for step in (h, -h):
                w[i] = value + step
                sides.append(float(function(p, *data)[0]))
            w[i] = value
            quotient[i] = (sides[0] - sides[1]) / (2 * h)
        size = max(np.abs(quotient).max(), np.abs(own).max(), 1e-3)
        worst = max(worst, float(np.abs(quotient - own).max() / size))
    return worst
