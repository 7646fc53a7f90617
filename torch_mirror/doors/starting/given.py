"""Parameters that are arguments: backprop(X, y, W1, b1, W2, b2) returns the loss and dW1, db1, dW2, db2."""

import ast

from torch_mirror.doors.starting.gradients import LOSSES, stop
from torch_mirror.doors.starting.guesses import guessed_parameters
from torch_mirror.doors.starting.names import Given, given_by
from torch_mirror.doors.starting.plan import Plan, made_by, maker_of
from torch_mirror.doors.starting.sizes import shapes_told, sizes_of
from torch_mirror.doors.starting.source import INPUTS, TARGETS, Function, Source, arguments, returned


def parameters_as_arguments(source: Source) -> Plan | None:
    """A function of data and parameters, one argument each, that returns the loss and their gradients."""
    found = {f.name: _given(f) for f in source.functions.values()}
    name = max(found, key=lambda name: len(found[name].gradients), default="")  # helpers return some, too
    if not name or not found[name].gradients:
        return None
    f, given = source.functions[name], found[name]
    leaves, names = [n for n in arguments(f) if n in given.gradients], arguments(f)
    data = [n for n in names if n not in leaves]
    inside = ", ".join(f'"{leaf}": {given.gradients[leaf]}' for leaf in leaves)
    call = ", ".join(f'p["{n}"]' if n in leaves else n for n in names)
    adapter = (
        f"def loss_and_gradients(p, {', '.join(data)}):",
        *stop(given.lost, name),
        f"    {given.targets} = {{module}}.{name}({call})",
        f"    return loss, {{{inside}}}",
    )
    plan = Plan(
        f"{name}({', '.join(names)}), which returns the loss and the gradients of {', '.join(leaves)}",
        "loss_and_gradients", [], data, [*source.functions.values()], leaves, shapes_told(f), adapter=adapter,
        lost=tuple(given.lost),
    )  # fmt: skip
    return _made(source, plan, leaves) or guessed_parameters(plan, [f], "p", leaves, sizes_of(source, None))


def _given(f: Function) -> Given:
    """What it returns; nothing where it is not the loss that comes with the gradients."""
    data = INPUTS | TARGETS
    given = given_by(f, {name for name in arguments(f) if name not in data})
    is_loss = LOSSES.search(f.name) is not None and not f.name.startswith("d") and given.loss not in given.lost
    return given if is_loss and {*arguments(f)} & data else Given("", {}, [])


def _made(source: Source, plan: Plan, leaves: list[str]) -> Plan | None:
    """The plan with the file's own maker of parameters: of a dict by these names, or of as many things in a row."""
    maker = maker_of(source)
    call = None if maker is None else made_by(maker, sizes_of(source, maker))
    if maker is None or call is None:
        return None
    value, made = returned(maker), f"{{module}}.{maker.name}({call})"
    if isinstance(value, ast.Tuple | ast.List):
        names = [ast.unparse(one) for one in value.elts]
        if len(names) != len(leaves):
            return None
        in_order = names if {*names} == {*leaves} else leaves
        inside = ", ".join(f'"{name}"' for name in in_order)
        return plan._replace(parameters=[f"p = dict(zip(({inside}), {made}))"])
    return plan._replace(parameters=[f"p = {made}"])
