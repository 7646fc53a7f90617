"""What a value is called: by the user's own name where their line gives it one, or else by its formula."""

import ast
import functools
import linecache
import re

from torch_mirror.balls.recording import Place
from torch_mirror.tape.edits.equation import Equation, Node

DEPTH = 3
"""Operations that a formula spells out; below them it has dots."""

_SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "matmul": "@", "greater": ">", "less": "<",
          "greater_equal": ">=", "less_equal": "<="}  # fmt: skip
_SAME = {"reshape", "spread", "moved back", "number"}

SHORT = 40
"""Characters of an expression that is told as it is written."""

ONCE: frozenset[str] = frozenset()


def called(eq: Equation, i: int, twice: frozenset[str] = ONCE, depth: int = 0) -> str:
    """``z1``, ``d(z1)``, ``(z1 > 0)``, ``W2.T``.

    twice: names that the code gives to several values, which are told with their lines: ``s of line 9``
    """
    node = eq.nodes[i]
    if node.label:
        return node.label
    if node.kind == "constant" and not node.of:
        return _constant(eq, i)
    if node.kind == "forward" and node.place is not None and (name := _name(node)):
        return f"{name} of line {node.place.line}" if name in twice else name
    if node.of:
        return f"d({called(eq, _best(eq, node.of), twice, depth)})"
    if node.kind == "adjoint" and (name := _name(node)):  # an update's
        return name
    return _formula(eq, i, twice, depth)


def _name(node: Node) -> str:
    return "" if node.inner else name_at(node.place)


def given_twice(eq: Equation) -> frozenset[str]:
    """The names that the code gives to values at several places; or to a value of its own, and a variable has it, too.

    ``s = s - s.max()`` is another s than before: which one is wrong is not told by the name.
    """
    places: dict[str, set[Place | None]] = {node.label: {None} for node in eq.nodes if node.label}
    for node in eq.nodes:
        if node.kind == "forward" and not node.label and (name := _name(node)):
            places.setdefault(name, set()).add(node.place)
    return frozenset(name for name, several in places.items() if len(several) > 1)


def has_name(eq: Equation, i: int) -> bool:
    """Whether somebody has given it one, or to what it is the derivative by."""
    node = eq.nodes[i]
    return bool(node.label or _name(node) or any(has_name(eq, k) for k in node.of))


def _best(eq: Equation, candidates: tuple[int, ...]) -> int:
    """The one with a name; of several the last one in the forward pass."""
    return max(candidates, key=lambda i: (has_name(eq, i), i))


def _formula(eq: Equation, i: int, twice: frozenset[str], depth: int) -> str:
    node = eq.nodes[i]
    if depth > DEPTH:
        return "..."
    parts = [called(eq, k, twice, depth + 1) for k in node.operands]
    a, *rest = [f"({p})" if _spelled_out(eq, k) else p for p, k in zip(parts, node.operands, strict=True)]
    if node.operation in _SIGNS:
        return f"{a} {_SIGNS[node.operation]} {rest[0]}"
    if _is_same(node):
        return parts[0]
    if node.operation == "look":  # some elements of it, which may be wrong where it is right
        text = "" if node.inner else _expression(node.place)[0]
        return text if 0 < len(text) <= SHORT else f"elements of {parts[0]}"
    form = _FORMS.get(node.operation)
    if form is not None:
        return form.format(a=a, b=rest[0] if rest else "", n=f"{node.options.get('n', 2):g}")
    name = node.options["node"].operation if node.operation in ("made", "part") else node.operation
    return f"{name}({', '.join(parts[:2])})"


_FORMS = {
    "mask": "({a} > {b})", "tanh'": "(1 - {a}^2)", "sigmoid'": "{a} * (1 - {a})", "square": "{a}^2", "power": "{a}^{n}",
    "negative": "-{a}", "transpose": "{a}.T",
}  # fmt: skip


def _is_same(node: Node) -> bool:
    """Whether its elements are those of its operand; as those of what is taken as given are (segments.py)."""
    return node.operation in _SAME or (node.operation == "made" and node.options["node"].operation == "given")


def _spelled_out(eq: Equation, i: int) -> bool:
    """Whether it is written as a sum, a product or the like, which needs brackets."""
    node = eq.nodes[i]
    while _is_same(node) and not has_name(eq, i) and not node.of:
        i = node.operands[0]
        node = eq.nodes[i]
    return node.operation in _SIGNS and not node.label and not node.of and not _name(node)


def _constant(eq: Equation, i: int) -> str:
    """An array that the code computes with: as it is written where it is used first."""
    for user in eq.nodes:
        if i in user.operands and user.kind == "forward":
            name = _operand_at(user.place, user.operands.index(i))
            if name:
                return name
    return "a constant"


@functools.lru_cache(maxsize=4096)
def name_at(place: Place | None) -> str:
    """What the line calls the value of the expression: ``z1`` for the whole of ``z1 = x @ W1 + b1``; "" for parts."""
    text, before, after = _expression(place)
    if not text or after.split("#")[0].strip(" ;)"):
        return ""
    left = before.rstrip(" (")
    if not left.endswith("=") or left[-2:-1] in "=<>!+-*/@%&|^:":
        return ""
    return _short(left[:-1].split("=")[-1].strip())


def _short(name: str) -> str:
    """``z1`` for self.z1 and cache["z1"]."""
    found = re.fullmatch(r"[\w.]*?(\w+)|[\w.]+\[[\"'](\w+)[\"']\]|(\w+\[\w+\])", name)
    return next((part for part in found.groups() if part), "") if found else ""


@functools.lru_cache(maxsize=4096)
def _operand_at(place: Place | None, which: int) -> str:
    """How an operand is written: ``x`` of ``x @ W1``; "" if that is no short name."""
    text = _expression(place)[0]
    try:
        tree = ast.parse(text, mode="eval").body if text else None
    except SyntaxError:
        return ""
    parts: list[ast.expr] = []
    if isinstance(tree, ast.BinOp):
        parts = [tree.left, tree.right]
    elif isinstance(tree, ast.Call):
        method = tree.func.value if isinstance(tree.func, ast.Attribute) else None
        of_numpy = isinstance(method, ast.Name) and method.id in ("np", "numpy")
        parts = list(tree.args) if of_numpy or method is None else [method, *tree.args]
    return _short(ast.unparse(parts[which])) if which < len(parts) else ""


def _expression(place: Place | None) -> tuple[str, str, str]:
    """The text of an expression on one line, and what stands before and behind it; "" where it is not to be had."""
    if place is None:
        return "", "", ""
    first, last, start, end = place.span
    if first is None or first != last or start is None or end is None:
        return "", "", ""
    line = linecache.getline(place.file, first).rstrip("\n").encode()
    text, before, after = (part.decode(errors="ignore") for part in (line[start:end], line[:start], line[end:]))
    return text, before, after
