"""Parameters and data whose shapes no one tells: guessed from how they are multiplied."""

import ast
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from torch_mirror.doors.starting.plan import NUMBERS, Plan
from torch_mirror.doors.starting.products import INSIDE, Product, called, has_classes, indexed_by, is_binary, products
from torch_mirror.doors.starting.sizes import BATCH, Sizes, kind_of
from torch_mirror.doors.starting.source import INPUTS, PARAMETERS, TARGETS

VECTORS = frozenset({"v", "w", "theta", "beta"})
"""Last weights that are one number an input: the output is one number a sample."""


class Ends(NamedTuple):
    """The weights that meet the input and make the output, as p has them; columns: samples are columns, W @ x."""

    first: str
    last: str
    turned: bool  # whether the first one is used as W.T
    columns: bool


def ends_of(plan: Plan) -> Ends:
    """Empty names where there is no such weight."""
    found = products(plan.scope)
    seen = list(dict.fromkeys(n for p in found for n in (_bare(p.left), _bare(p.right)) if n in plan.leaves))
    inputs = [name for name in plan.data if name not in TARGETS]
    for p in found:
        if p.left in inputs and _bare(p.right) in plan.leaves:
            return Ends(_bare(p.right), seen[-1], p.right.endswith(".T"), columns=False)
        if p.right in inputs and _bare(p.left) in plan.leaves:
            return Ends(_bare(p.left), seen[-1], p.left.endswith(".T"), columns=True)
    meets = (p for p in found if {_bare(p.left), _bare(p.right)} & {*plan.leaves})
    first = islice(meets, 1) if seen else found[:1]  # of params[f"W{l}"] @ A no name is known
    columns = any(_bare(p.left) in (plan.leaves if seen else PARAMETERS) for p in first)
    return Ends("", seen[-1] if seen else "", turned=False, columns=columns)


def _bare(name: str) -> str:
    return name.removesuffix(".T")


# --- parameters ---------------------------------------------------------------------------------------


def guessed_parameters(
    plan: Plan, scope: Sequence[ast.AST], given: str, leaves: list[str], sizes: Sizes
) -> Plan | None:
    """The plan with numbers drawn for its parameters: a dict, or what the code takes apart: (W1, b1), (W2, b2) = p."""
    apart = _taken_apart(scope, given)
    names = leaves if apart is None else _in_order(apart)
    alone = not names
    outputs = sizes.numbers["out"] if has_classes(plan.scope, plan.data) else 1
    named = plan._replace(leaves=names or [given], alone=alone, outputs=outputs)
    if alone and not ends_of(named).last:
        return None
    names = named.leaves
    shapes = _shapes(named, names, sizes)
    drawn = {name: f"draw.normal(size={shape})" for name, shape in shapes.items()}
    if alone:
        return named._replace(parameters=[f"p = {drawn[given]}  # a guess"], guessed=True)
    if apart is None:
        lines = ["p = {", *_dict(drawn, "    "), "}"]
        return named._replace(parameters=lines, guessed=True)
    return named._replace(parameters=[f"p = {_nested(apart, drawn)}  # a guess"], known=False, guessed=True)


def _dict(drawn: dict[str, str], indent: str) -> Iterator[str]:
    """The lines inside of a dict, of which some entries may be dicts themselves."""
    for first in dict.fromkeys(name.partition(INSIDE)[0] for name in drawn):
        if first in drawn:
            yield f"{indent}{quoted(first)}: {drawn[first]},  # a guess"
        else:
            start = first + INSIDE
            inside = {name.removeprefix(start): text for name, text in drawn.items() if name.startswith(start)}
            yield f"{indent}{quoted(first)}: {{"
            yield from _dict(inside, f"{indent}    ")
            yield f"{indent}}},"


def _taken_apart(scope: Sequence[ast.AST], given: str) -> ast.Tuple | None:
    """The names on the left of (W1, b1), (W2, b2) = p."""
    for code in scope:
        for node in ast.walk(code):
            if isinstance(node, ast.Assign) and ast.unparse(node.value) == given:
                target = node.targets[0]
                if isinstance(target, ast.Tuple):
                    return target
    return None


def _in_order(target: ast.expr) -> list[str]:
    names = [node for node in ast.walk(target) if isinstance(node, ast.Name)]
    return [node.id for node in sorted(names, key=lambda node: (node.lineno, node.col_offset))]


def _nested(target: ast.expr, drawn: dict[str, str]) -> str:
    if isinstance(target, ast.Tuple | ast.List):
        inner = ", ".join(_nested(e, drawn) for e in target.elts)
        return f"[{inner}]" if any(isinstance(e, ast.Tuple) for e in target.elts) else f"({inner})"
    return drawn[ast.unparse(target)]


def _shapes(plan: Plan, names: list[str], sizes: Sizes) -> dict[str, str]:
    """Of the weights in a row from the input to the output; a bias has the size behind the weight before it."""
    ends = ends_of(plan)
    found: list[Product] = products(plan.scope)
    used = {_bare(n) for p in found for n in (p.left, p.right)}
    others = (name for name in names if not name.rpartition(INSIDE)[2].startswith("b"))
    weights = [name for name in names if name in used] or [*others]
    hidden = [sizes.numbers["hidden"] + 2 * i for i in range(len(weights) - 1)]
    widths = [sizes.numbers["in"], *hidden, plan.outputs]
    shapes, behind = {}, widths[1] if len(widths) > 1 else widths[0]
    backwards = ends.columns != ends.turned
    squared = any(p.left == p.right and p.left not in names for p in found)  # e.dot(e) is a number of a vector alone
    for name in names:
        if name in weights:
            i = weights.index(name)
            behind = widths[i + 1]
            if name == weights[-1] and (name in VECTORS or squared):
                shapes[name] = f"{widths[i]}"
                continue
            shapes[name] = f"({behind}, {widths[i]})" if backwards else f"({widths[i]}, {behind})"
        else:
            shapes[name] = f"({behind}, 1)" if ends.columns else f"{behind}"
    return shapes


# --- data ---------------------------------------------------------------------------------------------


class Drawn(NamedTuple):
    """A line that makes an argument, and why it is so."""

    name: str
    text: str
    why: str


def data_of(plan: Plan, sizes: Sizes) -> list[Drawn]:
    """What makes each of the data."""
    ends = ends_of(plan)
    return [_drawn(plan, ends, sizes, name) for name in plan.data]


def _drawn(plan: Plan, ends: Ends, sizes: Sizes, name: str) -> Drawn:
    if name in NUMBERS:
        return Drawn(name, NUMBERS[name], "a number")
    classes = _size(plan, ends.last, 0 if ends.columns else 1) or str(sizes.numbers["out"])
    if name in plan.told and plan.told[name] is None:
        few = min(sizes.numbers["vocabulary"], sizes.numbers["out"])
        return Drawn(name, f"draw.integers(0, {few}, size=4).tolist()", "whole numbers, one a step")
    shape = _shape(plan, ends, sizes, name)
    if indexed_by(plan.scope, name):
        own = shape if plan.told.get(name) else str(BATCH)
        return Drawn(name, f"draw.integers(0, {classes}, size={own})", "classes, as they are used as an index")
    if name in TARGETS and is_binary(plan.scope):
        return Drawn(name, f"draw.integers(0, 2, size={shape}).astype(float)", "0 and 1, as there is a log(1 - y)")
    return Drawn(name, f"draw.normal(size={shape})", "")


def _shape(plan: Plan, ends: Ends, sizes: Sizes, name: str) -> str:
    """The text of a shape."""
    told = plan.told.get(name)
    if told:
        first = _size(plan, ends.first, _facing(ends))
        parts = [first if first and kind_of(part) == "in" else str(sizes.of(part) or 3) for part in told]
        return f"({', '.join(parts)})" if len(parts) > 1 else parts[0]
    if name in TARGETS:
        if not plan.known or not ends.last:
            outputs = plan.outputs or sizes.numbers["out"]
            return f"({outputs}, {BATCH})" if ends.columns else f"({BATCH}, {outputs})"
        last = f"{_at(plan, ends.last)}.shape"
        return f"(*{last}[:1], {BATCH})" if ends.columns else f"({BATCH}, *{last}[1:])"
    carried = _carried(plan, name)
    if carried:
        return carried
    size = (_size(plan, ends.first, _facing(ends)) if name in INPUTS or ends.first else "") or str(sizes.numbers["in"])
    return f"({size}, {BATCH})" if ends.columns else f"({BATCH}, {size})"


def _carried(plan: Plan, name: str) -> str:
    """Of what a recurrent network starts from, hs[-1] = hprev: the size that the weight of hs meets; "" of others."""
    for code in plan.scope:
        for node in ast.walk(code):
            if isinstance(node, ast.Assign) and ast.unparse(node.value) in (name, f"np.copy({name})", f"{name}.copy()"):
                kept = called(node.targets[0])
                for p in products(plan.scope):
                    if p.right == kept and p.left in plan.leaves and plan.known:
                        return f"({_size(plan, p.left, 1)}, 1)"
                    if p.left == kept and p.right in plan.leaves and plan.known:
                        return f"({BATCH}, {_size(plan, p.right, 0)})"
    return ""


def _facing(ends: Ends) -> int:
    """Which axis of the first weight meets the input."""
    return int(ends.columns != ends.turned)


def _size(plan: Plan, leaf: str, axis: int) -> str:
    """``p["W1"].shape[0]``; "" where p has no such name."""
    return f"{_at(plan, leaf)}.shape[{axis}]" if plan.known and leaf else ""


def _at(plan: Plan, leaf: str) -> str:
    return "p" if plan.alone else "p" + "".join(f"[{quoted(name)}]" for name in leaf.split(INSIDE))


def quoted(name: str) -> str:
    """A name as Python has it between quotes, whatever is in it."""
    return json.dumps(name, ensure_ascii=False)
