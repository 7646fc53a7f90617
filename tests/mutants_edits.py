"""Every small change of a source file that `tests.mutants` may plant: one operator, operand, constant, argument, ...

An edit stays in one line and leaves the number of lines as it is, because the tape looks at lines. Nothing is edited
in what is not computed: annotations, decorators, the text of an error. No edit is checked to change a result:
of those that do not, `mutants.toml` says why.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

OTHER: dict[type, tuple[str, ...]] = {
    ast.Add: ("-",), ast.Sub: ("+",), ast.Mult: ("/",), ast.Div: ("*",), ast.FloorDiv: ("%",), ast.Mod: ("//",),
    ast.Pow: ("*",), ast.BitAnd: ("|",), ast.BitOr: ("&",),
    ast.Lt: ("<=", ">="), ast.LtE: ("<", ">"), ast.Gt: (">=", "<="), ast.GtE: (">", "<"), ast.Eq: ("!=",),
    ast.NotEq: ("==",), ast.Is: ("is not",), ast.IsNot: ("is",), ast.In: ("not in",), ast.NotIn: ("in",),
    ast.And: ("or",), ast.Or: ("and",),
}  # fmt: skip
SIGN: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.BitAnd: "&", ast.BitOr: "|", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==",
    ast.NotEq: "!=", ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in", ast.And: "and", ast.Or: "or",
}  # fmt: skip
NOT_COMPUTED = {"annotation", "returns", "decorator_list", "type_params", "exc", "cause"}
"""Fields of a node that are left alone; `exc` and `cause` are those of `raise`."""
WHOLE = ast.Name | ast.Attribute | ast.Call | ast.Subscript | ast.Constant
"""Expressions that need no parentheses wherever they stand."""


class Mutant(NamedTuple):
    """A line of a file before and after; `again` counts earlier lines of the file with the same text and edit."""

    file: str
    line: int
    before: str
    after: str
    again: int

    def planted(self, source: str) -> str:
        """The source with the line changed."""
        lines = source.splitlines(keepends=True)
        lines[self.line - 1] = lines[self.line - 1].replace(self.before, self.after)
        return "".join(lines)


def mutants(file: str, source: str) -> list[Mutant]:
    """All of a file's mutants. Some of them may be no Python: `compiles` tells."""
    lines = [line.encode() for line in source.splitlines()]
    drawn: dict[tuple[int, bytes], None] = {}
    for first, start, end, text in _spots(ast.parse(source), lines):
        line = lines[first - 1]
        drawn.setdefault((first, line[:start] + text.encode() + line[end:]))
    seen: Counter[tuple[bytes, bytes]] = Counter()
    found = []
    for first, after in sorted(drawn):
        before = lines[first - 1]
        found.append(Mutant(file, first, before.decode().strip(), after.decode().strip(), seen[before, after]))
        seen[before, after] += 1
    return found


def compiles(mutant: Mutant, source: str) -> bool:
    """Whether the mutant is Python, and other Python than the source."""
    try:
        return ast.dump(ast.parse(mutant.planted(source))) != ast.dump(ast.parse(source))
    except SyntaxError:
        return False


Spot = tuple[int, int, int, str]  # line from 1, first and last column + 1 in bytes, the text in their place


def _spots(tree: ast.AST, lines: list[bytes]) -> Iterator[Spot]:
    """The edits of all nodes of one line, by walking down from the tree."""
    if isinstance(tree, ast.JoinedStr):
        return  # its parts have no places of their own before Python 3.12
    node: Any = tree
    if hasattr(node, "lineno") and (node.lineno == node.end_lineno or isinstance(node, ast.If | ast.IfExp)):
        yield from _of(node, lines)
    for name, value in ast.iter_fields(tree):
        if name not in NOT_COMPUTED:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _spots(child, lines)


def _of(node: Any, lines: list[bytes]) -> Iterator[Spot]:
    yield from _of_operation(node, lines)
    yield from _of_branch(node, lines)
    match node:
        case ast.Constant(bool() as value):
            yield *_place(node), str(not value)
        case ast.Constant(int() | float() as value):
            yield *_place(node), repr(value + 1 if isinstance(value, int) else value * 2)
        case ast.Call(ast.Attribute(value), [], []):
            yield _instead(node, value, lines)
        case ast.Call(_, arguments, keywords):
            if len(arguments) == 1 and not isinstance(arguments[0], ast.Starred | ast.GeneratorExp):
                yield _instead(node, arguments[0], lines)
            yield from (_without(node, keyword, lines) for keyword in keywords if keyword.arg not in {None, "strict"})
        case ast.Slice(lower, upper):
            yield from ((*_place(part), "") for part in (lower, upper) if part)
        case ast.Expr(ast.Call()) | ast.AugAssign() | ast.Raise() | ast.Delete():
            yield *_place(node), "pass"


def _of_operation(node: Any, lines: list[bytes]) -> Iterator[Spot]:
    """Another operator, or one of the operands alone."""
    match node:
        case ast.BinOp(left, op, right) | ast.Compare(left, [op], [right]) | ast.BoolOp(op, [left, right]):
            yield from _operator(left, op, right, lines)
            if not isinstance(node, ast.Compare):
                yield from (_instead(node, part, lines) for part in (left, right))
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield _instead(node, operand, lines)


def _of_branch(node: Any, lines: list[bytes]) -> Iterator[Spot]:
    """The other branch, or always one of the two."""
    match node:
        case ast.If(test) | ast.IfExp(test) if test.lineno == test.end_lineno:
            yield *_place(test), f"not ({_text(test, lines)})"
        case ast.comprehension(ifs=[test]) if test.lineno == test.end_lineno:
            yield *_place(test), "True"
    if isinstance(node, ast.IfExp) and node.lineno == node.end_lineno:
        yield from (_instead(node, part, lines) for part in (node.body, node.orelse))


def _operator(left: Any, op: ast.AST, right: Any, lines: list[bytes]) -> Iterator[Spot]:
    """Another operator, where it stands in one line with the end of its left and the start of its right operand."""
    if left.end_lineno != right.lineno or type(op) not in OTHER:
        return
    between = lines[right.lineno - 1][left.end_col_offset : right.col_offset].decode()
    sign = re.search(re.escape(SIGN[type(op)]).replace(r"\ ", r"\s+"), between)
    if sign:
        start = left.end_col_offset + sign.start()
        for other in OTHER[type(op)]:
            yield right.lineno, start, left.end_col_offset + sign.end(), other


def _instead(node: Any, part: Any, lines: list[bytes]) -> Spot:
    """A part of a node in its place."""
    text = _text(part, lines)
    return *_place(node), text if isinstance(part, WHOLE) else f"({text})"


def _without(node: Any, keyword: Any, lines: list[bytes]) -> Spot:
    """A call without one of its named arguments, and without the comma before or behind it."""
    line = lines[node.lineno - 1]
    before = re.search(rb",\s*$", line[: keyword.col_offset])
    behind = re.match(rb"\s*,\s*", line[keyword.end_col_offset :])
    start = before.start() if before else keyword.col_offset
    return node.lineno, start, keyword.end_col_offset + (behind.end() if behind and not before else 0), ""


def _place(node: Any) -> tuple[int, int, int]:
    return node.lineno, node.col_offset, node.end_col_offset


def _text(node: Any, lines: list[bytes]) -> str:
    return lines[node.lineno - 1][node.col_offset : node.end_col_offset].decode()
