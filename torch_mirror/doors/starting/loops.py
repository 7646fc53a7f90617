"""A function that trains, with its forward and backward pass in a loop: train(x, t, W1, b1, lr=0.1).

What it computes in a step is nowhere by itself, so that the lines of the loop are copied into a function.
"""

import ast
import builtins
from collections.abc import Collection

from torch_mirror.doors.starting.effects import loaded, stored
from torch_mirror.doors.starting.guesses import guessed_parameters
from torch_mirror.doors.starting.learned import Learned, gives, learned, takes
from torch_mirror.doors.starting.made import made_shapes
from torch_mirror.doors.starting.plan import Plan
from torch_mirror.doors.starting.products import INSIDE
from torch_mirror.doors.starting.script import LOSSES, innermost
from torch_mirror.doors.starting.sizes import Sizes, shapes_told, sizes_of
from torch_mirror.doors.starting.source import Function, Source, arguments, returned
from torch_mirror.doors.starting.turns import Step, levels, shown, turn_of
from torch_mirror.doors.starting.unrolled import number


def training_function(source: Source) -> Plan | None:
    """The function of the file whose loop has the most gradients."""
    plans = [plan for f in source.functions.values() if (plan := _of(source, f)) is not None]
    return max(plans, key=lambda plan: len(plan.leaves), default=None)


def _of(source: Source, f: Function) -> Plan | None:
    given = [*f.args.posonlyargs, *f.args.args]
    names = [a.arg for a in given]
    found = innermost(f.body, [], lambda before, lines: bool(_learned(names, before, lines).gradients))
    if found is None or found[1] is f.body:
        return None
    before, body = found
    own, loss = _learned(names, before, body), _loss(f, body)
    if loss is None:
        return None
    outer, slopes = levels(f.body, body), {slope.partition(INSIDE)[0] for slope in own.gradients.values()}
    turn = turn_of(Step(before, body, outer, "loss", own.gradients, own.dicts, source.functions, tuple(loss)))
    ready = {shown(slope).partition("[")[0] for slope in turn.added}
    kept = [*(line for line in turn.before if not stored(line) & ready), *turn.lines]
    local = {name for line in kept for name in stored(line)} | own.roots | slopes
    needed = {name for line in kept for name in loaded(line)} - own.roots - ready
    defaults = zip(reversed(given), reversed(f.args.defaults), strict=False)
    settings = [f"{a.arg} = {ast.unparse(value)}" for a, value in defaults if a.arg in needed]
    data = [name for name in arguments(f) if name in needed]
    elsewhere = needed - local - {*names} - {"np", *dir(builtins)}
    adapter = (
        f"# The lines are those of the loop of {f.name}: after an edit there, edit them here as well.",
        f"def loss_and_gradients({', '.join(['p', *data])}):",
        *(f"    {line}" for line in (*takes(own, turn.added), *settings)),
        *(f"    {text}" for line in kept for text in ast.unparse(_Outer(elsewhere).visit(line)).splitlines()),
        f"    return loss, {gives(own)}",
    )
    plan = Plan(
        f"{f.name}, whose loop has the loss and the gradients of {', '.join(own.leaves)}", "loss_and_gradients", [],
        data, [*source.functions.values()], own.leaves, shapes_told(f), adapter=adapter, said=turn.said,
    )  # fmt: skip
    sizes = _sizes(source, before, own.roots)
    return guessed_parameters(plan, [f], "p", own.leaves, sizes, made_shapes(before, own, sizes))


def _learned(names: list[str], before: list[ast.stmt], lines: list[ast.stmt]) -> Learned:
    known = dict.fromkeys([*names, *(name for line in before for name in sorted(stored(line)))])
    return learned([*known], lines)


def _sizes(source: Source, before: list[ast.stmt], leaves: Collection[str]) -> Sizes:
    """The usual sizes; of outputs so many as the last matrix has by its own line, rng.normal(size=(hidden, 1))."""
    sizes = sizes_of(source, None)
    shapes = [
        node.elts[-1] for line in before if stored(line) & {*leaves}
        for node in ast.walk(line) if isinstance(node, ast.Tuple) and len(node.elts) == 2
    ]  # fmt: skip
    last = number(shapes[-1], sizes) if shapes else None
    return sizes if last is None else Sizes({**sizes.numbers, "out": last})


def _loss(f: Function, body: list[ast.stmt]) -> list[ast.stmt] | None:
    """A line that sets ``loss``: from its name in the loop, or to what the function returns, if that is computed.

    None where there is neither; no line where it is called so.
    """
    made = {name for line in body for name in stored(line)}
    name, value = next((name for name in LOSSES if name in made), ""), returned(f)
    if not name and not isinstance(value, ast.Call | ast.BinOp):
        return None
    if name == "loss":
        return []
    return ast.parse(f"loss = {name or ast.unparse(value)}").body  # type: ignore[arg-type]  # value is there


class _Outer(ast.NodeTransformer):
    """The same code with names of the user's module as ``module.name``."""

    def __init__(self, names: Collection[str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(f"{{module}}.{node.id}", node.ctx) if node.id in self.names else node
