"""Parameters that are names of the module: lossFun(inputs, targets) returns the loss and dW, db, or a dict of them."""

import ast
from typing import NamedTuple

from torch_mirror.doors.starting.gradients import LOSSES, Item, elements, items, keys_of, leaf_of, stop
from torch_mirror.doors.starting.objects import dict_of_the_module
from torch_mirror.doors.starting.plan import Plan
from torch_mirror.doors.starting.sizes import shapes_told
from torch_mirror.doors.starting.source import Function, Source, arguments, returned


class Given(NamedTuple):
    """What a function returns: how it is taken apart, and each gradient as the adapter has it, by its parameter."""

    targets: str
    gradients: dict[str, str]
    lost: list[str]
    loss: str = ""  # as it stands there


def names_of_the_module(source: Source) -> Plan | None:
    """A function whose gradients are of names of the module; a name that is an argument is none of these."""
    given = {f.name: given_by(f, {*source.names} - {*arguments(f)}) for f in source.functions.values()}
    # The one with the most gradients: helpers return some, too.
    name = max(given, key=lambda name: len(given[name].gradients), default="")
    if not name or not given[name].gradients:
        return None
    f, (targets, gradients, lost, _) = source.functions[name], given[name]
    data = arguments(f)
    inside = ", ".join(f'"{leaf}": {text}' for leaf, text in gradients.items())
    adapter = (
        f"def loss_and_gradients(p, {', '.join(data)}):",
        *stop(lost, name),
        "    vars({module}).update(p)",
        f"    {targets} = {{module}}.{name}({', '.join(data)})",
        f"    return loss, {{{inside}}}",
    )
    kept = dict_of_the_module(source, [*gradients])
    drawn = ["p = {", *(f'    "{leaf}": draw.normal(size=np.shape({{module}}.{leaf})),' for leaf in gradients), "}"]
    lines = drawn if kept is None else [f"p = {{module}}.{kept}"]
    found = f"{name}, which returns the loss and the gradients of {', '.join(gradients)}"
    helpers = [source.functions[n] for n in source.functions if n != name and n in _loaded(f)]
    return Plan(
        found, "loss_and_gradients", lines, data, [f, *helpers], [*gradients], shapes_told(f), adapter=adapter,
        lost=tuple(lost),
    )  # fmt: skip


def _loaded(f: Function) -> set[str]:
    return {node.id for node in ast.walk(f) if isinstance(node, ast.Name)}


def given_by(f: Function, parameters: set[str]) -> Given:
    """What a function returns, if it is a loss and gradients of some of these parameters."""
    value = returned(f)
    if not isinstance(value, ast.Tuple):
        return Given("", {}, [])
    if len(value.elts) == 2:
        inner = elements(value.elts[1], f)
        keys = keys_of(value.elts[1], f)
        if keys:
            leaves = {key: key if key in parameters else leaf_of(key, parameters) for key in keys}
            lost = [key for key, leaf in leaves.items() if not leaf]
            return Given("loss, d", {leaf: f'd["{key}"]' for key, leaf in leaves.items() if leaf}, lost)
        if inner is not None:
            targets, gradients, lost = _in_a_row(items(inner, parameters), -1)
            return Given(f"loss, ({targets},)", gradients, lost)
    found = items(value.elts, parameters)
    loss = _place_of_loss(found)
    return Given("", {}, []) if loss is None else Given(*_in_a_row(found, loss), found[loss].text)


def _place_of_loss(found: list[Item]) -> int | None:
    """By its name; else the first thing that is no gradient; None where all are, as of a backward pass alone."""
    others = [i for i, item in enumerate(found) if not item.leaf]
    named = [i for i in others if LOSSES.search(found[i].text) or found[i].text in ("J", "L", "E")]
    first = others[:1]
    return next(iter(first if first == [0] else named or first), None)


def _in_a_row(found: list[Item], loss: int) -> tuple[str, dict[str, str], list[str]]:
    targets = ["loss" if i == loss else f"d{item.leaf}" if item.leaf else "_" for i, item in enumerate(found)]
    gradients = {item.leaf: f"d{item.leaf}" for item in found if item.leaf}
    return ", ".join(targets), gradients, [item.text for i, item in enumerate(found) if item.suspect and i != loss]
