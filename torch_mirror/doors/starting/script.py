"""A script that trains from top to bottom, with its forward and backward pass in a loop: they become a function.

Such a file cannot be imported without training, so that its lines are copied: what stands before the loop as it is, and
of the loop what the loss and the gradients are made of.
"""

import ast
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from torch_mirror.doors.starting.gradients import leaf_of
from torch_mirror.doors.starting.source import INPUTS, TARGETS, Source

LOSSES = ("loss", "cost", "L", "J", "E", "error")


class Script(NamedTuple):
    """before: lines that make parameters and data; body: lines of a function, of the loop; data: its arguments."""

    before: list[str]
    body: list[str]
    loss: str
    gradients: dict[str, str]  # by parameter
    data: list[str]


def script_of(source: Source) -> Script | None:
    """None where the file has no loss and no gradients of its own names on its top level."""
    found = innermost(source.tree.body, [], _has_both)
    if found is None:
        return None
    before, body = found
    known = {name for line in before for name in stored(line)}
    made = [name for line in body for name in stored(line)]
    parameters = known - INPUTS - TARGETS
    gradients = {leaf: name for name in dict.fromkeys(made) if (leaf := leaf_of(name, parameters))}
    loss = next((name for name in LOSSES if name in made), "")
    if not loss or not gradients:
        return None
    kept = sliced([line for line in body if not stored(line) & {*gradients}], {loss, *gradients.values()})
    needed = {name for line in kept for name in loaded(line)}
    local = {name for line in kept for name in stored(line)}
    given = (INPUTS | TARGETS | local) & known & needed  # a name that is set in a function is no name outside of it
    data = [name for line in before for name in _in_order(line) if name in given]
    return Script(
        [ast.unparse(line) for line in before if not _is_text(line)], [ast.unparse(line) for line in kept], loss,
        gradients, list(dict.fromkeys(data)),
    )  # fmt: skip


def innermost(
    lines: list[ast.stmt], before: list[ast.stmt], fits: Callable[[list[ast.stmt], list[ast.stmt]], bool]
) -> tuple[list[ast.stmt], list[ast.stmt]] | None:
    """What stands before the innermost loop that fits, and its lines; all lines where they fit, and none of a loop."""
    for i, line in enumerate(lines):
        if isinstance(line, ast.For | ast.While | ast.If):
            first = [_first(line)] if isinstance(line, ast.For) else []
            inside = innermost(line.body, [*before, *lines[:i], *first], fits)
            if inside is not None:
                return inside
    return (before, lines) if fits(before, lines) else None


def _has_both(before: list[ast.stmt], lines: list[ast.stmt]) -> bool:
    """Whether the lines set a loss, and gradients of what stands before them."""
    made, known = ({name for line in some for name in stored(line)} for some in (lines, before))
    return bool(made & {*LOSSES}) and any(leaf_of(name, known) for name in made)


def _first(loop: ast.For) -> ast.stmt:
    """What the loop starts with: ``i = next(iter(range(0, N, 10)))``."""
    return ast.parse(f"{ast.unparse(loop.target)} = next(iter({ast.unparse(loop.iter)}))").body[0]


def sliced(lines: list[ast.stmt], wanted: set[str]) -> list[ast.stmt]:
    """The lines that the wanted names are made of: no line that prints, and none of an optimizer."""
    kept = list[ast.stmt]()
    for line in reversed(lines):
        if stored(line) & wanted:
            kept.insert(0, line)
            wanted |= set(loaded(line))
    return kept


def stored(node: ast.AST) -> set[str]:
    """The names that a line sets, or changes: of W[0] = 1, W += 1 and np.add.at(W, i, 1) W."""
    return {*_stored(node)}


def _stored(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.For):
            targets = inner.targets if isinstance(inner, ast.Assign) else [inner.target]
            yield from (name for target in targets for name in _roots(target))
        if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Call) and inner.value.args:
            called = ast.unparse(inner.value.func)
            if called.endswith(".at") or called.rpartition(".")[2] in ("copyto", "fill_diagonal", "put_along_axis"):
                yield from _roots(inner.value.args[0])


def _roots(target: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Tuple | ast.List):
        for part in target.elts:
            yield from _roots(part)
    else:
        while isinstance(target, ast.Subscript | ast.Attribute | ast.Starred):
            target = target.value
        if isinstance(target, ast.Name):
            yield target.id


def loaded(node: ast.AST) -> Iterator[str]:
    return (inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))


def _in_order(line: ast.stmt) -> list[str]:
    names: Collection[ast.Name] = [node for node in ast.walk(line) if isinstance(node, ast.Name)]
    return [node.id for node in names if isinstance(node.ctx, ast.Store)]


def _is_text(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)
