"""Parameters in one long vector, which the code cuts into pieces: W1 = theta[:20].reshape(5, 4), and so on."""

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from torch_mirror.doors.starting.sizes import Sizes

_OPERATIONS: Mapping[type[ast.operator], Callable[[int, int], int]] = MappingProxyType(
    {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}
)


class Piece(NamedTuple):
    """``theta[lower:upper].reshape(shape)``, which may be np.reshape."""

    lower: ast.expr | None
    upper: ast.expr | None
    shape: list[ast.expr]


def length_of(scope: Iterable[ast.AST], given: str, sizes: Sizes) -> int | None:
    """How long the vector is: where the piece that lies farthest back ends; None where that cannot be told."""
    ends = [_end(piece, sizes) for piece in _pieces(scope, given)]
    return None if not ends or None in ends else max(end for end in ends if end is not None)


def sizes_in(scope: Iterable[ast.AST], given: str) -> set[str]:
    """The names that tell where the vector is cut, and how its pieces lie."""
    told = [part for piece in _pieces(scope, given) for part in (piece.lower, piece.upper, *piece.shape) if part]
    return {inner.id for part in told for inner in ast.walk(part) if isinstance(inner, ast.Name)}


def _pieces(scope: Iterable[ast.AST], given: str) -> list[Piece]:
    """theta[a:b].reshape(n, m), and np.reshape(theta[a:b], (n, m))."""
    calls = (node for code in scope for node in ast.walk(code) if isinstance(node, ast.Call))
    found = []
    for call in calls:
        if isinstance(call.func, ast.Attribute) and call.func.attr == "reshape":
            of, *shape = call.args if ast.unparse(call.func.value) == "np" else [call.func.value, *call.args]
            if isinstance(of, ast.Subscript) and ast.unparse(of.value) == given and isinstance(of.slice, ast.Slice):
                whole = shape[0].elts if len(shape) == 1 and isinstance(shape[0], ast.Tuple) else shape
                found.append(Piece(of.slice.lower, of.slice.upper, whole))
    return found


def _end(piece: Piece, sizes: Sizes) -> int | None:
    if piece.upper is not None:
        return number(piece.upper, sizes)
    start = 0 if piece.lower is None else number(piece.lower, sizes)
    parts = [number(one, sizes) for one in piece.shape]
    known = [part for part in parts if part is not None and part > 0]
    return None if start is None or len(known) < len(parts) else start + math.prod(known)


def number(node: ast.expr, sizes: Sizes) -> int | None:
    """What an expression of sizes is, ``n_hid * (n_in + 1)``; None where it is none."""
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if isinstance(node, ast.Name):
        return sizes.of(node.id)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        left, right = number(node.left, sizes), number(node.right, sizes)
        return None if left is None or right is None else _OPERATIONS[type(node.op)](left, right)
    return None
