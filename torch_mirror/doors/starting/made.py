"""The shapes in which lines make parameters: rng.normal(size=(d, hidden)), np.zeros(hidden), 0.0."""

import ast
from collections.abc import Iterator

from torch_mirror.doors.starting.learned import Learned
from torch_mirror.doors.starting.products import INSIDE
from torch_mirror.doors.starting.sizes import Sizes
from torch_mirror.doors.starting.source import assigned
from torch_mirror.doors.starting.unrolled import number

_BY_SIZE = frozenset({"normal", "uniform", "standard_normal", "random", "zeros", "ones", "random_sample"})
_BY_AXES = frozenset({"randn", "rand"})


def made_shapes(lines: list[ast.stmt], found: Learned, sizes: Sizes) -> dict[str, str]:
    """By the parameters' names in p, as text; none where one of them cannot be told."""
    values = dict[str, ast.expr]()
    for line in lines:
        for node in ast.walk(line):
            values |= dict(_entries(node))
    shapes = {leaf.rpartition(INSIDE)[2]: _shape(values.get(leaf), sizes) for leaf in found.gradients}
    return {} if None in shapes.values() else {leaf: text for leaf, text in shapes.items() if text is not None}


def _entries(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """What W = a, params = {"W": a} and params["W"] = a set, by the name that Learned has for it."""
    for target, value in assigned(node):
        if isinstance(target, ast.Name):
            yield target.id, value
            if isinstance(value, ast.Dict):
                for key, one in zip(value.keys, value.values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(key.value, str):
                        yield f"{target.id}{INSIDE}{key.value}", one
        if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
            yield f"{ast.unparse(target.value)}{INSIDE}{target.slice.value!s}", value


def _shape(value: ast.expr | None, sizes: Sizes) -> str | None:
    if isinstance(value, ast.Constant) and isinstance(value.value, float | int):
        return "()"
    if isinstance(value, ast.BinOp):
        sides = {_shape(side, sizes) for side in (value.left, value.right)} - {"()", None}
        return sides.pop() if len(sides) == 1 else None
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Attribute):
        return None
    name = value.func.attr
    size = next((k.value for k in value.keywords if k.arg in ("size", "shape")), None)
    axes = value.args if name in _BY_AXES else None
    if name in _BY_SIZE:
        last = {"normal": 2, "uniform": 2}.get(name, 0)
        size = size or (value.args[last] if len(value.args) > last else None)
        axes = None if size is None else size.elts if isinstance(size, ast.Tuple | ast.List) else [size]
    numbers = None if axes is None else [number(axis, sizes) for axis in axes]
    if numbers is None or None in numbers:
        return None
    return str(numbers[0]) if len(numbers) == 1 else f"({', '.join(map(str, numbers))})"
