"""Parameters and data whose shapes no one tells: guessed from how they are multiplied."""

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
from types import MappingProxyType
from typing import NamedTuple

from torch_mirror.doors.starting.apart import in_rows, nested, place, taken_apart
from torch_mirror.doors.starting.plan import NUMBERS, Plan
from torch_mirror.doors.starting.products import (
    INSIDE,
    Product,
    called,
    has_classes,
    indexed_by,
    is_binary,
    products,
    samples,
)
from torch_mirror.doors.starting.sizes import BATCH, Sizes, kind_of
from torch_mirror.doors.starting.source import INPUTS, PARAMETERS, TARGETS
from torch_mirror.doors.starting.unrolled import length_of, sizes_in

VECTORS = frozenset({"v", "w", "theta", "beta"})
"""Last weights that are one number an input: the output is one number a sample."""


class Ends(NamedTuple):
    """The weights that meet the input and make the output, as p has them; columns: samples are columns, W @ X."""

    first: str
    last: str
    faces: int  # the axis of the first one that meets the input
    gives: int  # and that of the last one along which the output lies
    columns: bool


def ends_of(plan: Plan) -> Ends:
    """Empty names where there is no such weight."""
    found = products(plan.scope)
    seen = list(dict.fromkeys(n for p in found for n in (_bare(p.left), _bare(p.right)) if n in plan.leaves))
    inputs = {name for name in plan.data if name not in TARGETS}
    single = samples(plan.scope, inputs)
    gives = next((_gives(p, seen[-1]) for p in found if seen and seen[-1] in (_bare(p.left), _bare(p.right))), 1)
    for p in found:
        if p.left in inputs | single and _bare(p.right) in plan.leaves:
            return Ends(_bare(p.right), seen[-1], 1 - _gives(p, _bare(p.right)), gives, columns=False)
        if p.right in inputs | single and _bare(p.left) in plan.leaves:
            columns = not (p.single or p.right in single)  # of W @ x, x one row of X, the samples are rows
            return Ends(_bare(p.left), seen[-1], 1 - _gives(p, _bare(p.left)), gives, columns)
    meets = (p for p in found if {_bare(p.left), _bare(p.right)} & {*plan.leaves})
    first = islice(meets, 1) if seen else found[:1]  # of params[f"W{l}"] @ A no name is known
    columns = any(_bare(p.left) in (plan.leaves if seen else PARAMETERS) for p in first)
    return Ends("", seen[-1] if seen else "", int(columns), 1 - int(columns), columns)


def _gives(p: Product, weight: str) -> int:
    """The axis of a weight along which its product lies: 0 of W @ x and of x @ W.T, 1 of x @ W and of W.T @ x."""
    turned, left = (p.left.endswith(".T"), True) if _bare(p.left) == weight else (p.right.endswith(".T"), False)
    return int(turned == left)


def _bare(name: str) -> str:
    return name.removesuffix(".T")


# --- parameters ---------------------------------------------------------------------------------------


def guessed_parameters(
    plan: Plan, scope: Sequence[ast.AST], given: str, leaves: list[str], sizes: Sizes,
    made: Mapping[str, str] = MappingProxyType({}),
) -> Plan | None:  # fmt: skip
    """The plan with numbers drawn for its parameters: a dict, or what the code takes apart: (W1, b1), (W2, b2) = p.

    made: shapes that the code itself gives them.
    """
    apart = taken_apart(scope, given)
    if not apart and not leaves and (row := in_rows(scope, given)):
        return _guessed_rows(plan, row, sizes)
    names = [*apart] or leaves
    alone = not names
    outputs = sizes.numbers["out"] if has_classes(plan.scope, plan.data) else 1
    places = {name: place(path) for name, path in apart.items()}
    named = plan._replace(leaves=names or [given], alone=alone, outputs=outputs, places=places)
    if alone and (length := length_of(scope, given, sizes)) is not None:
        one = f"p = draw.normal(size={length})  # a guess"
        return named._replace(parameters=[one], guessed=True, known=False, outputs=sizes.numbers["out"])
    if alone and not ends_of(named).last:
        return None
    names = named.leaves
    shapes = {**_shapes(named, names, sizes), **made}
    drawn = {name: f"draw.normal(size={shape})" for name, shape in shapes.items()}
    if alone:
        return named._replace(parameters=[f"p = {drawn[given]}  # a guess"], guessed=True)
    if not apart:
        lines = ["p = {", *_dict(drawn, "    "), "}"]
        return named._replace(parameters=lines, guessed=True)
    return named._replace(parameters=[f"p = {nested(apart, drawn)}  # a guess"], guessed=True)


def guessed_object(plan: Plan, name: str, names: list[str], sizes: Sizes) -> Plan:
    """The plan with an object of a class of the file, whose arrays are drawn."""
    outputs = sizes.numbers["out"] if has_classes(plan.scope, plan.data) else 1
    named = plan._replace(leaves=names, outputs=outputs, places={leaf: f"p.{leaf}" for leaf in names}, guessed=True)
    drawn = ", ".join(f"draw.normal(size={shape})" for shape in _shapes(named, names, sizes).values())
    return named._replace(parameters=[f"p = {{module}}.{name}({drawn})  # a guess"])


def _guessed_rows(plan: Plan, names: list[str], sizes: Sizes) -> Plan:
    """The plan with a list of two layers, a row of weights and bias each, ``for W, b in p``."""
    outputs = sizes.numbers["out"] if has_classes(plan.scope, plan.data) else 1
    named = plan._replace(leaves=names, outputs=outputs, known=False, guessed=True)
    widths, lines = (sizes.numbers["in"], sizes.numbers["hidden"], outputs), ["p = ["]
    for first, last in pairwise(widths):
        own = _shapes(named, names, Sizes({**sizes.numbers, "in": first, "out": last}), last)
        drawn = ", ".join(f"draw.normal(size={own[n]})" for n in names)
        lines.append(f"    ({drawn}{',' if len(names) == 1 else ''}),  # a guess")
    return named._replace(parameters=[*lines, "]"])


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


def _shapes(plan: Plan, names: list[str], sizes: Sizes, outputs: int = 0) -> dict[str, str]:
    """Of the weights in a row from the input to the output; a bias has the size behind the weight before it."""
    ends = ends_of(plan)
    found: list[Product] = products(plan.scope)
    used = {_bare(n) for p in found for n in (p.left, p.right)}
    others = (name for name in names if not name.rpartition(INSIDE)[2].startswith("b"))
    weights = [name for name in names if name in used] or [*others]
    hidden = [sizes.numbers["hidden"] + 2 * i for i in range(len(weights) - 1)]
    widths = [sizes.numbers["in"], *hidden, outputs or plan.outputs]
    shapes, behind = {}, widths[1] if len(widths) > 1 else widths[0]
    squared = any(p.left == p.right and p.left not in names for p in found)  # e.dot(e) is a number of a vector alone
    for name in names:
        if name in weights:
            i = weights.index(name)
            behind = widths[i + 1]
            if name == weights[-1] and (name in VECTORS or squared):
                shapes[name] = f"{widths[i]}"
                continue
            shapes[name] = f"({behind}, {widths[i]})" if ends.faces == 1 else f"({widths[i]}, {behind})"
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
    if plan.alone and name in sizes_in(plan.scope, plan.leaves[0]):
        return Drawn(name, str(sizes.of(name)), "a size")
    classes = _size(plan, ends.last, ends.gives) or str(sizes.numbers["out"])
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
        first = _size(plan, ends.first, ends.faces)
        parts = [first if first and kind_of(part) == "in" else str(sizes.of(part) or 3) for part in told]
        return f"({', '.join(parts)})" if len(parts) > 1 else parts[0]
    if name in TARGETS:
        if not plan.known or not ends.last:
            outputs = plan.outputs or sizes.numbers["out"]
            return f"({outputs}, {BATCH})" if ends.columns else f"({BATCH}, {outputs})"
        last = f"*{_at(plan, ends.last)}.shape[{'1:' if ends.gives else ':-1'}]"  # of a vector it is nothing
        return f"({last}, {BATCH})" if ends.columns else f"({BATCH}, {last})"
    carried = _carried(plan, name)
    if carried:
        return carried
    size = (_size(plan, ends.first, ends.faces) if name in INPUTS or ends.first else "") or str(sizes.numbers["in"])
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


def _size(plan: Plan, leaf: str, axis: int) -> str:
    """``p["W1"].shape[0]``; "" where p has no such name."""
    return f"{_at(plan, leaf)}.shape[{axis}]" if plan.known and leaf else ""


def _at(plan: Plan, leaf: str) -> str:
    if leaf in plan.places:
        return plan.places[leaf]
    return "p" if plan.alone else "p" + "".join(f"[{quoted(name)}]" for name in leaf.split(INSIDE))


def quoted(name: str) -> str:
    """A name as Python has it between quotes, whatever is in it."""
    return json.dumps(name, ensure_ascii=False)
