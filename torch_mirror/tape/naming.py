"""What the user's code calls a value where it is computed: read from the text of the line."""

import ast
import functools
import linecache
import re
from collections.abc import Sequence

from torch_mirror.balls.recording import Place

_ASSIGNED = re.compile(r"""(,\s*)?([\w.]+(?:\[[\w'" +-]+\])?)\s*(?:[-+*/@]|\*\*|//)?=\s*\(*$""")
"""``a1 = ``, ``hs[t] = ``, ``loss += ``: what stands before the expression; after a comma it is one name of several."""

_ENDED = re.compile(r"\)*\s*(?:[;#]|if\b|$)")
"""What stands behind the whole of it."""


def written(place: Place | None) -> str:
    """The expression at a place, where it is short and on one line."""
    if place is None:
        return ""
    first, last, start, end = place.span
    if first is None or first != last or start is None or end is None:
        return ""
    text = _bytes(place.file, first)[start:end].decode(errors="ignore").strip()
    return text if len(text) <= 40 else ""


def assigned(place: Place | None, number: int, made: Sequence[int]) -> str:
    """The name that a value is given; empty if it is part of a larger expression.

    made: the values that the expression made each time that it was run, that number among them.
    ``a, b = np.split(x, 2)`` makes two, which are named in turn.
    """
    if place is None:
        return ""
    first, last, start, end = place.span
    if first is None or last is None or start is None or end is None:
        return ""
    if first == last:
        names = _in_turn(_bytes(place.file, first), start, end)
        if names:
            return "" if len(made) % len(names) else names[made.index(number) % len(names)]
    before = _ASSIGNED.search(_bytes(place.file, first)[:start].decode(errors="ignore"))
    whole = _ENDED.match(_bytes(place.file, last)[end:].decode(errors="ignore").strip("\n"))
    return before[2] if before and whole and not before[1] else ""


@functools.lru_cache(maxsize=1024)
def _in_turn(line: bytes, start: int, end: int) -> tuple[str, ...]:
    """The names that an expression's values get, where it stands behind several: all, or the one of its position."""
    margin = len(line) - len(line.lstrip())
    try:
        statements = ast.parse(line.strip()).body
    except (SyntaxError, ValueError):  # such as the head of a loop, or one line of several
        return ()
    for statement in statements:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[-1], ast.Tuple | ast.List):
            targets, value = statement.targets[-1].elts, statement.value
            names = tuple(ast.unparse(target) for target in targets)
            if any(isinstance(target, ast.Starred) for target in targets):
                continue
            if _is_at(value, start - margin, end - margin):
                return names
            if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(names):
                places = zip(names, value.elts, strict=True)
                return tuple(name for name, x in places if _is_at(x, start - margin, end - margin))
    return ()


def _is_at(x: ast.expr, start: int, end: int) -> bool:
    return (x.col_offset, x.end_col_offset) == (start, end)


def _bytes(file: str, line: int) -> bytes:
    """A line as the columns of Python's positions count it."""
    return linecache.getline(file, line).encode()
