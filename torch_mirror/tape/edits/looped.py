"""Whether a line that was run several times stands in a loop, or in a function that was called several times."""

import ast
import functools
import linecache
from collections.abc import Hashable

from torch_mirror.balls.recording import Place

TURN, CALL = "turn", "call"

_LOOPS = ast.For | ast.While | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def each(role: Hashable) -> str:
    """``turn`` or ``call``, for what has this role (turns.py), in the forward pass or going back through it."""
    while isinstance(role, tuple) and not isinstance(role, Place):
        role = role[0] if role else None
    return _each(role) if isinstance(role, Place) else TURN


@functools.lru_cache(maxsize=4096)
def _each(place: Place) -> str:
    """By the text of the file; a turn where that is not to be had."""
    line, _, column, _ = place.span
    inner: ast.AST | None = _parsed(place.file)
    if inner is None or line is None or column is None:
        return TURN
    looped = False
    while inner is not None:
        looped = looped or isinstance(inner, _LOOPS)
        if isinstance(inner, _FUNCTIONS):
            looped = False
        inner = next((node for node in ast.iter_child_nodes(inner) if _spans(node, (line, column))), None)
    return TURN if looped else CALL


@functools.lru_cache(maxsize=64)
def _parsed(file: str) -> ast.Module | None:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _spans(node: ast.AST, at: tuple[int, int]) -> bool:
    if not isinstance(node, ast.stmt | ast.expr) or node.end_lineno is None or node.end_col_offset is None:
        return any(_spans(inner, at) for inner in ast.iter_child_nodes(node))
    return (node.lineno, node.col_offset) <= at < (node.end_lineno, node.end_col_offset)
