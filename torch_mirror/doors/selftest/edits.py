"""Edits of one line of Python: what people leave out, turn round or take for something else. Text in, syntax trees out.

An edit is made in a copy of the file's syntax tree, in which every line stays where it was.
"""

import ast
import copy
from collections.abc import Callable, Collection, Iterator
from itertools import zip_longest
from typing import Any, NamedTuple, TypeAlias, TypeGuard


class Edit(NamedTuple):
    """words: what was done; line: where; tree: of the whole file, edited.

    lines: on which it may show: those of the statement, and of what uses its result, or makes what it uses, in the same
    function; a statement of which a name is left computes nothing that could be seen
    """

    words: str
    line: int
    lines: frozenset[int]
    tree: ast.Module


Replacement: TypeAlias = tuple[str, ast.AST]
"""What is done to a node, and the node in its place."""


def edits_of(source: str, lines: Collection[int]) -> list[Edit]:
    """The edits at these lines of a file, so that the first few of them are of as many kinds as there are."""
    tree = ast.parse(source)
    kinds: dict[str, list[Edit]] = {}
    for statement in ast.walk(tree):
        if not isinstance(statement, (ast.Assign, ast.AugAssign, ast.Return, ast.Expr, ast.AnnAssign)):
            continue
        span = range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)
        if not {*lines} & {*span}:
            continue
        for node in ast.walk(statement):
            for kind, find in KINDS.items():
                for words, other in find(node):
                    text = ast.unparse(other) if isinstance(other, ast.expr) else ""
                    was = ast.get_source_segment(source, node) or ""
                    if text == was:
                        continue
                    told = f"{words}: {_short(was)}"
                    shows = frozenset(span) | _near(tree, statement)
                    made = Edit(told, statement.lineno, shows, _with(tree, node, other))
                    kinds.setdefault(kind, []).append(made)
    rounds = zip_longest(*kinds.values())
    return [edit for row in rounds for edit in row if edit is not None]


def _near(tree: ast.Module, statement: ast.stmt) -> frozenset[int]:
    """The lines that use what a statement assigns, and those that assign what it uses, in the innermost function."""
    homes = [f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and any(n is statement for n in ast.walk(f))]
    own = [n for n in ast.walk(statement) if isinstance(n, ast.Name)]
    made = {n.id for n in own if isinstance(n.ctx, ast.Store)}
    used = {n.id for n in own if isinstance(n.ctx, ast.Load)}
    home = max(homes, key=lambda f: f.lineno, default=None)
    if home is None:
        return frozenset()
    names = [n for n in ast.walk(home) if isinstance(n, ast.Name)]
    behind = {n.lineno for n in names if isinstance(n.ctx, ast.Load) and n.id in made and n.lineno > statement.lineno}
    before = {n.lineno for n in names if isinstance(n.ctx, ast.Store) and n.id in used and n.lineno < statement.lineno}
    return frozenset(behind | before)


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 40 else f"{words[:37]}..."


def _with(tree: ast.Module, node: ast.AST, other: ast.AST) -> ast.Module:
    """A copy of the tree with another node in the place of one."""

    class Change(ast.NodeTransformer):
        def visit(self, here: ast.AST) -> Any:
            return ast.copy_location(other, node) if here is node else super().visit(here)

    marked = copy.copy(tree)
    marked.body = [_copied(statement, node) for statement in tree.body]
    return ast.fix_missing_locations(Change().visit(marked))


def _copied(here: Any, kept: ast.AST) -> Any:
    """A copy of a node and all below it, in which one node is that node itself."""
    if here is kept or not isinstance(here, ast.AST):
        return here
    fields = {}
    for name, value in ast.iter_fields(here):
        fields[name] = [_copied(v, kept) for v in value] if isinstance(value, list) else _copied(value, kept)
    return ast.copy_location(type(here)(**fields), here)


# --- the kinds ------------------------------------------------------------------------------------------------------


def _is(node: ast.AST, *operations: type[ast.operator]) -> TypeGuard[ast.BinOp]:
    return isinstance(node, ast.BinOp) and isinstance(node.op, operations)


def _factor(node: ast.AST) -> Iterator[Replacement]:
    if _is(node, ast.Mult):
        yield "a factor left out", node.left
        yield "a factor left out", node.right
    if _is(node, ast.Div):
        yield "a divisor left out", node.left


def _inverse(node: ast.AST) -> Iterator[Replacement]:
    if _is(node, ast.Div):
        yield "* for /", ast.BinOp(node.left, ast.Mult(), node.right)


def _term(node: ast.AST) -> Iterator[Replacement]:
    if _is(node, ast.Add, ast.Sub):
        yield "a term left out", node.left


def _sign(node: ast.AST) -> Iterator[Replacement]:
    if _is(node, ast.Sub):
        yield "+ for -", ast.BinOp(node.left, ast.Add(), node.right)
        yield "turned round", ast.BinOp(node.right, ast.Sub(), node.left)
    if _is(node, ast.Add):
        yield "- for +", ast.BinOp(node.left, ast.Sub(), node.right)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "- left out", node.operand


def _order(node: ast.AST) -> Iterator[Replacement]:
    if _is(node, ast.MatMult):
        yield "the product turned round", ast.BinOp(node.right, ast.MatMult(), node.left)


def _transposed(node: ast.AST) -> Iterator[Replacement]:
    if isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        yield f".{node.attr} left out", node.value
    elif _is(node, ast.MatMult):
        turned = ast.Attribute(node.right, "T", ast.Load())
        if not (isinstance(node.right, ast.Attribute) and node.right.attr in ("T", "mT")):
            yield ".T too many", ast.BinOp(node.left, ast.MatMult(), turned)


OTHER: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip
EDGE: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Gt: ast.GtE, ast.LtE: ast.Lt, ast.Lt: ast.LtE, ast.GtE: ast.Gt}


def _mask(node: ast.AST) -> Iterator[Replacement]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for words, others in (("a mask inverted", OTHER), ("the edge of a mask", EDGE)):
            kind = others.get(type(node.ops[0]))
            if kind is not None:
                yield words, ast.Compare(node.left, [kind()], node.comparators)


def _sum(node: ast.AST) -> Iterator[Replacement]:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "sum":
        return
    mean = ast.Attribute(node.func.value, "mean", ast.Load())
    yield "the mean for the sum", ast.Call(mean, node.args, node.keywords)
    axes = [k for k in node.keywords if k.arg == "axis"]
    if axes:
        rest = [k for k in node.keywords if k.arg != "axis"]
        yield "a sum over all axes", ast.Call(node.func, node.args, rest)
        yield "a sum over another axis", ast.Call(node.func, node.args, [*rest, ast.keyword("axis", _other(axes[0]))])


def _other(axis: ast.keyword) -> ast.expr:
    last = ast.unparse(axis.value) in ("1", "-1")
    return ast.Constant(0 if last else -1)


def _power(node: ast.AST) -> Iterator[Replacement]:
    if _is(node, ast.Pow):
        yield "a power left out", node.left


def _number(node: ast.AST) -> Iterator[Replacement]:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value in (1, 2, 0.5, 1.0, 2.0):
        yield f"{2 * node.value} for {node.value}", ast.Constant(2 * node.value)


def _gathered(node: ast.AST) -> Iterator[Replacement]:
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
        target = copy.copy(node.target)
        yield "= for +=", ast.Assign([target], node.value)


KINDS: dict[str, Callable[[ast.AST], Iterator[Replacement]]] = {
    "factor": _factor, "sign": _sign, "transposed": _transposed, "mask": _mask, "sum": _sum, "term": _term,
    "power": _power, "number": _number, "inverse": _inverse, "order": _order, "gathered": _gathered,
}  # fmt: skip
