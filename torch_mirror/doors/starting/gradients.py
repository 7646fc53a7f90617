"""What a function returns besides the loss: which gradient is of which parameter, and which has none that is known."""

import ast
import re
from collections.abc import Collection
from typing import NamedTuple

from torch_mirror.doors.starting.source import Function, assigned, keys_in, returned

LOSSES = re.compile(r"loss|cost|objective|grad|error|backprop|step", re.IGNORECASE)
"""How functions of a loss, or of gradients, are called."""

_OF = (r"d_?(\w+)", r"(?:grads?|gradients?|delta|g)_?(\w+)", r"(\w+?)_?(?:grads?|gradients?)")
"""How people call the gradient of W: dW, d_W, grad_W, delta_W, gW, W_grad."""

_GRADIENT = re.compile(r"d\w+|\w*grad\w*|delta\w*", re.IGNORECASE)


class Item(NamedTuple):
    """One thing that is returned. text: as it stands; leaf: whose gradient it is, "" where that is not known."""

    text: str
    leaf: str
    suspect: bool  # whether it looks like a gradient, and has no parameter


def is_pair(function: Function) -> bool:
    """Whether it returns two things: a loss and gradients."""
    value = returned(function)
    return isinstance(value, ast.Tuple) and len(value.elts) == 2


def leaf_of(name: str, parameters: Collection[str]) -> str:
    """Whose gradient a name is, among the parameters; "" where it is of none of them."""
    found = (match[1] for pattern in _OF if (match := re.fullmatch(pattern, name)))
    return next((leaf for leaf in found if leaf in parameters), "")


def items(nodes: list[ast.expr], parameters: Collection[str]) -> list[Item]:
    """Of each thing that is returned, whose gradient it is.

    A result of operations, as x.T @ d, may be a gradient and has no name that tells; a slice, as hs[-1], is a state.
    """
    found = []
    for node in nodes:
        leaf = leaf_of(node.id, parameters) if isinstance(node, ast.Name) else ""
        named = isinstance(node, ast.Name) and bool(_GRADIENT.fullmatch(node.id))
        computed = isinstance(node, ast.BinOp | ast.UnaryOp | ast.Call | ast.Tuple | ast.List | ast.Dict)
        found.append(Item(ast.unparse(node), leaf, suspect=not leaf and (named or computed)))
    return found


def keys_of(node: ast.expr | None, function: Function) -> list[str] | None:
    """The names in a dict that a function returns, by itself or as a name that it fills; None where it is none."""
    if isinstance(node, ast.Dict) or keys_in(node):
        return keys_in(node)
    if not isinstance(node, ast.Name | ast.Attribute):
        return None
    kept = {ast.unparse(node)}
    for inner in ast.walk(function):
        kept |= {ast.unparse(v) for target, v in assigned(inner) if ast.unparse(target) in kept}  # G = self.grads
    found: list[str] | None = None
    for inner in ast.walk(function):
        added = [(inner.target, inner.value)] if isinstance(inner, ast.AugAssign) else []
        for target, value in (*assigned(inner), *added):
            if ast.unparse(target) in kept and (isinstance(value, ast.Dict) or keys_in(value)):
                found = [*(found or []), *(keys_of(value, function) or [])]
            if isinstance(target, ast.Subscript) and ast.unparse(target.value) in kept:
                key = target.slice
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    found = [*(found or []), key.value]
    return None if found is None else list(dict.fromkeys(found))


def elements(node: ast.expr | None, function: Function) -> list[ast.expr] | None:
    """What a tuple or a list holds, written there or in a name; None where it is none."""
    if isinstance(node, ast.Tuple | ast.List):
        return node.elts
    if not isinstance(node, ast.Name):
        return None
    for inner in ast.walk(function):
        for target, value in assigned(inner):
            if isinstance(target, ast.Name) and target.id == node.id and isinstance(value, ast.Tuple | ast.List):
                return value.elts
    return None


def whole_of(node: ast.expr | None) -> ast.expr | None:
    """``grads`` of grads[::-1], list(reversed(grads)), dict(grads)."""
    while True:
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
            node = node.value
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in _AROUND and node.args:
            node = node.args[0]
        else:
            return node


_AROUND = frozenset({"list", "tuple", "reversed", "dict"})


def is_filled(node: ast.expr | None, function: Function) -> bool:
    """Whether it is a list of gradients by its name, that the function puts one thing after the other into."""
    ways = (".append", ".insert", ".appendleft")
    calls = (ast.unparse(n.func) for n in ast.walk(function) if isinstance(n, ast.Call))
    named = isinstance(node, ast.Name) and re.fullmatch(r"g[sw]?|d\w*|\w*grad\w*|delta\w*|nabla\w*", node.id)
    return isinstance(node, ast.Name) and bool(named) and any(call in [node.id + way for way in ways] for call in calls)


def stop(lost: Collection[str], where: str) -> list[str]:
    """Lines of the written function that keep the rest from being certified alone."""
    if not lost:
        return []
    what = f"{', '.join(lost)}: returned by {where}, and which parameter it is of was not found"
    way = "put the parameter into p and its gradient into what is returned, or, if it is no gradient, delete this line"
    return ["    raise NotImplementedError(", f"        {what + ': '!r}", f"        {way!r}", "    )"]
