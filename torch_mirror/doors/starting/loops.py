"""A function that trains, with its forward and backward pass in a loop: train(x, t, W1, b1, lr=0.1).

What it computes in a step is nowhere by itself, so that the lines of the loop are copied into a function.
"""

import ast
import builtins
from collections.abc import Collection

from torch_mirror.doors.starting.gradients import leaf_of
from torch_mirror.doors.starting.guesses import guessed_parameters
from torch_mirror.doors.starting.plan import Plan
from torch_mirror.doors.starting.script import LOSSES, innermost, loaded, sliced, stored
from torch_mirror.doors.starting.sizes import Sizes, shapes_told, sizes_of
from torch_mirror.doors.starting.source import INPUTS, TARGETS, Function, Source, arguments, returned
from torch_mirror.doors.starting.unrolled import number


def training_function(source: Source) -> Plan | None:
    """The function of the file whose loop has the most gradients."""
    plans = [plan for f in source.functions.values() if (plan := _of(source, f)) is not None]
    return max(plans, key=lambda plan: len(plan.leaves), default=None)


def _of(source: Source, f: Function) -> Plan | None:
    given = [*f.args.posonlyargs, *f.args.args]
    names = [a.arg for a in given]
    found = innermost(f.body, [], lambda before, lines: bool(_gradients(names, before, lines)))
    if found is None or found[1] is f.body:
        return None
    before, body = found
    gradients, loss = _gradients(names, before, body), _loss(f, body)
    if loss is None:
        return None
    lines = [line for line in (*before, *body, *loss) if not stored(line) & {*gradients}]
    kept = sliced(lines, {"loss", *gradients.values()})
    local = {name for line in kept for name in stored(line)} | {*gradients}
    needed = {name for line in kept for name in loaded(line)}
    defaults = zip(reversed(given), reversed(f.args.defaults), strict=False)
    settings = [f"{a.arg} = {ast.unparse(value)}" for a, value in defaults if a.arg in needed - {*gradients}]
    data = [name for name in arguments(f) if name in needed - {*gradients}]
    outer = needed - local - {*names} - {"np", *dir(builtins)}
    inside = ", ".join(f'"{leaf}": {gradient}' for leaf, gradient in gradients.items())
    adapter = (
        f"# The lines are those of the loop of {f.name}: after an edit there, edit them here as well.",
        f"def loss_and_gradients({', '.join(['p', *data])}):",
        f"    {', '.join(gradients)}{',' if len(gradients) == 1 else ''} = p.values()",
        *(f"    {line}" for line in settings),
        *(f"    {text}" for line in kept for text in ast.unparse(_Outer(outer).visit(line)).splitlines()),
        f"    return loss, {{{inside}}}",
    )
    plan = Plan(
        f"{f.name}, whose loop has the loss and the gradients of {', '.join(gradients)}", "loss_and_gradients", [],
        data, [*source.functions.values()], [*gradients], shapes_told(f), adapter=adapter,
    )  # fmt: skip
    return guessed_parameters(plan, [f], "p", [*gradients], _sizes(source, before, [*gradients]))


def _gradients(names: list[str], before: list[ast.stmt], lines: list[ast.stmt]) -> dict[str, str]:
    """By parameter, in the order in which these are made, the gradient that the lines make."""
    known = dict.fromkeys([*names, *(name for line in before for name in sorted(stored(line)))])
    parameters = [name for name in known if name not in INPUTS | TARGETS]
    made = {name for line in lines for name in stored(line)}
    of = {leaf: name for name in sorted(made) if (leaf := leaf_of(name, parameters))}
    return {leaf: of[leaf] for leaf in parameters if leaf in of}


def _sizes(source: Source, before: list[ast.stmt], leaves: list[str]) -> Sizes:
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
