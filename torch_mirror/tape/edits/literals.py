"""Numbers that the user's forward pass multiplies with, divides by or raises to, as they are written there.

    e = 0.25 * h @ B - t        0.25
    z = scale * (q @ k.T)       scale
    y = x ** 3                  3

A derivative in which one of them was forgotten is so many times too large. By chance that may be the number of a size
as well, 1 / 0.25 = 4 = the outputs: then both are told, for neither is a proof of the other. What is evidently a size,
``len(x)`` or an n that is made of one, has a name among the sizes already.
"""

import ast
import functools
import linecache
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch_mirror.balls.recording import Place
from torch_mirror.tape.edits.equation import Equation, Node
from torch_mirror.tape.edits.words import SHORT

PLAIN = frozenset({0.0, 1.0, 2.0, 0.5})
"""Sizes of numbers that need no name."""


class Literal(NamedTuple):
    """A number. nodes: the constants of the equation that are it."""

    value: float
    nodes: frozenset[int]


def literals(eq: Equation) -> dict[str, Literal]:
    """By how they are written; numbers that differ are told apart, as ``s = 3`` and ``s = 5`` of two calls."""
    found: dict[str, Literal] = {}
    for node in eq.nodes:
        if node.place is None or node.operation not in _OPERATORS:
            continue
        for text, value, at in _numbers_of(eq, node, node.place):
            if abs(value) in PLAIN or _is_size(text, node.place):
                continue
            known = found.get(text)
            name = text if known is None or known.value == value else f"{text} = {value:g}"
            nodes = found[name].nodes if name in found else frozenset[int]()
            found[name] = Literal(value, nodes | ({at} if at is not None else set()))
    return found


def _numbers_of(eq: Equation, node: Node, place: Place) -> Iterator[tuple[str, float, int | None]]:
    """Its operands that are numbers: how each is written, what it is, and its node, of an exponent none."""
    operands: list[tuple[int, float, int | None]]
    if node.operation == "power":
        operands = [(1, float(node.options["n"]), None)]
    else:
        of = [(which, k) for which, k in enumerate(node.operands) if eq.nodes[k].kind == "constant"]
        operands = [(which, float(eq.values[k].value), k) for which, k in of if eq.values[k].ndim == 0]
    for which, value, at in operands:
        text = _written(place, which, node.operation)
        if text != "":
            yield text or f"{value:g}", value, at


_OPERATORS: Mapping[str, tuple[type[ast.operator], tuple[str, ...]]] = {
    "multiply": (ast.Mult, ("multiply",)),
    "divide": (ast.Div, ("divide", "true_divide")),
    "power": (ast.Pow, ("power", "float_power")),
}


@functools.lru_cache(maxsize=4096)
def _written(place: Place, which: int, operation: str) -> str | None:
    """The operand as it is written; "" if the expression has it inside of a call, None if no source is to be had."""
    text = _source(place)
    if not text:
        return None
    sign, names = _OPERATORS[operation]
    try:
        tree = ast.parse(text).body
    except SyntaxError:
        return ""
    part: ast.expr | None = None
    match tree:
        case [ast.Expr(ast.BinOp(left, op, right))] | [ast.AugAssign(left, op, right)] if isinstance(op, sign):
            part = (left, right)[which]
        case [ast.Expr(ast.Call(ast.Attribute(_, name), [left, right, *_]))] if name in names:
            part = (left, right)[which]
    text = "" if part is None else ast.unparse(part)
    return text if len(text) <= SHORT else ""


def _source(place: Place) -> str:
    """The text of an expression, in brackets if it has several lines."""
    first, last, start, end = place.span
    if first is None or last is None or start is None or end is None:
        return ""
    lines = [linecache.getline(place.file, i).encode() for i in range(first, last + 1)]
    if not all(lines):
        return ""
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    text = b"".join(lines).decode(errors="ignore")
    return f"({text})" if first < last else text


@functools.lru_cache(maxsize=4096)
def _is_size(text: str, place: Place) -> bool:
    """Whether it is made of a length, or is a name that some line of the file gives to one."""
    if _LENGTH.search(text):
        return True
    name = re.escape(text)
    given = re.compile(rf"(?<![\w.]){name}(?:\s*,[^=]*)?\s*=[^=].*") if re.fullmatch(r"[\w.]+", text) else None
    lines = linecache.getlines(place.file) if given else []
    return any(given is not None and (found := given.search(line)) and _LENGTH.search(found[0]) for line in lines)


_LENGTH = re.compile(r"\blen\(|\.shape\b|\.size\b|\bnp\.size\(")
