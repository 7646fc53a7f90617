"""A script that trains from top to bottom, with its forward and backward pass in a loop: they become a function.

Such a file cannot be imported without training, so that its lines are copied: what stands before the loop as it is, and
of the loop what the loss and the gradients are made of.
"""

import ast
import copy
from collections.abc import Callable, Collection
from typing import NamedTuple

from torch_mirror.doors.starting.effects import (
    Setting,
    called,
    changed_outside,
    loaded,
    outer_names,
    read_outside,
    setting_of,
    stored,
)
from torch_mirror.doors.starting.learned import Learned, gives, learned, takes
from torch_mirror.doors.starting.source import INPUTS, TARGETS, Source
from torch_mirror.doors.starting.turns import Step, levels, shown, turn_of

LOSSES = ("loss", "cost", "L", "J", "E", "error")


class Script(NamedTuple):
    """before: lines that make parameters and data; body: lines of a function, of the loop; data: its arguments.

    drawn: each parameter's name in p, and as the lines before have it; said: what is wrong with the order of the lines
    """

    before: list[str]
    body: list[str]
    drawn: dict[str, str]
    data: list[str]
    said: tuple[str, ...]


def script_of(source: Source) -> Script | None:
    """None where the file has no loss and no gradients of its own names on its top level."""
    place = innermost(source.tree.body, [], _has_both)
    if place is None:
        return None
    before, body = place
    known = list(dict.fromkeys(name for line in before for name in sorted(stored(line))))
    made = {name for line in body for name in stored(line)}
    found, loss = _learned(known, body), next((name for name in LOSSES if name in made), "")
    if not loss or not found.gradients:
        return None
    outer = levels(source.tree.body, body)
    setting = Setting(source.functions, {}, shared=True)
    aliases = _aliases(before, found)
    turn = turn_of(Step(aliases, body, outer, loss, found.gradients, found.dicts, source.functions, shared=True))
    kept = [*turn.before, *turn.lines]
    needed = {name for line in kept for name in (*loaded(line), *read_outside(line, setting))}
    local = {name for line in kept for name in (*stored(line), *changed_outside(line, setting))}
    made_here = {name for line in turn.before for name in stored(line)}
    started = {shown(slope).partition("[")[0] for slope in turn.added}
    given = (INPUTS | TARGETS | local) & {*known} & needed - found.roots - started - made_here
    # a name that is set in a function is no name outside of it
    data = [name for line in before for name in _in_order(line) if name in given]
    inner = _inner(kept, setting, {*data} | local | found.roots)
    lines = [*takes(found, turn.added), *(ast.unparse(line) for line in (*inner, *kept))]
    return Script(
        [ast.unparse(line) for line in before if not _is_text(line)], [*lines, f"return {loss}, {gives(found)}"],
        dict(zip(found.leaves, map(shown, found.gradients), strict=True)), list(dict.fromkeys(data)), turn.said,
    )  # fmt: skip


def _inner(kept: list[ast.stmt], setting: Setting, own: set[str]) -> list[ast.stmt]:
    """Functions of the script that have names from it which are the written function's own: they move into it."""
    used = {f.name: f for line in kept for f in called(line, setting)}
    moved = {name for name, f in used.items() if outer_names(f) & own}
    while more := {name for name, f in used.items() if outer_names(f) & moved} - moved:
        moved |= more
    return [_Nonlocal(own).visit(copy.deepcopy(f)) for name, f in used.items() if name in moved]


class _Nonlocal(ast.NodeTransformer):
    """``global W2`` as ``nonlocal W2``, where W2 is a name of the function around."""

    def __init__(self, own: set[str]) -> None:
        self.own = own

    def visit_Global(self, node: ast.Global) -> list[ast.stmt]:
        inner, outer = [n for n in node.names if n in self.own], [n for n in node.names if n not in self.own]
        return [*([ast.Nonlocal(inner)] if inner else []), *([ast.Global(outer)] if outer else [])]


def _aliases(before: list[ast.stmt], found: Learned) -> list[ast.stmt]:
    """Lines that give parameters another name, params = [W1, W2]: the function has those of its own parameters."""
    holds = setting_of({}, before).holds
    names = {name for name, of in holds.items() if of & {*found.gradients}} - found.roots
    return [line for line in before if isinstance(line, ast.Assign) and stored(line) & names]


def _learned(known: Collection[str], lines: list[ast.stmt]) -> Learned:
    """What the lines learn; parameters in the order in which their gradients are made."""
    found = learned(known, lines)
    made = [name for line in lines for name in _in_order(line)]
    if found.dicts:
        return found
    return found._replace(gradients=dict(sorted(found.gradients.items(), key=lambda pair: made.index(pair[1]))))


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
    made, known = ([name for line in some for name in sorted(stored(line))] for some in (lines, before))
    return bool({*made} & {*LOSSES}) and bool(learned(known, lines).gradients)


def _first(loop: ast.For) -> ast.stmt:
    """What the loop starts with: ``i = next(iter(range(0, N, 10)))``."""
    return ast.parse(f"{ast.unparse(loop.target)} = next(iter({ast.unparse(loop.iter)}))").body[0]


def _in_order(line: ast.stmt) -> list[str]:
    names: Collection[ast.Name] = [node for node in ast.walk(line) if isinstance(node, ast.Name)]
    return [node.id for node in names if isinstance(node.ctx, ast.Store)]


def _is_text(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)
