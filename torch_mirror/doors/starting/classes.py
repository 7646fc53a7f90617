"""Classes: loss(X, y) with self.params; loss and backward(); forward(x) and backward(dy), with self.W and self.dW."""

import ast
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from torch_mirror.doors.starting.gradients import LOSSES, Item, elements, is_pair, items, keys_of, leaf_of, stop
from torch_mirror.doors.starting.plan import Plan, made_by, subscripts
from torch_mirror.doors.starting.sizes import Sizes, shapes_told, sizes_of
from torch_mirror.doors.starting.source import (
    PARAMETERS,
    Function,
    Source,
    arguments,
    assigned,
    attributes,
    methods,
    returned,
)

GRADIENTS = frozenset({"grads", "gradients", "grad", "dparams"})
"""What people call a dict of gradients that an object keeps."""


class _Kept(NamedTuple):
    """How a class keeps its parameters, as lines: p, what takes it, what backward returns, and the gradients.

    lost: gradients whose parameter was not found.
    """

    leaves: list[str]
    p: str
    takes: str
    gives: str
    gradients: str
    lost: tuple[str, ...] = ()
    slopes: Mapping[str, str] = MappingProxyType({})  # of attributes: W: dW
    guess: str = ""  # in words, where no name tells which gradient is which


def class_with_loss(source: Source) -> Plan | None:
    """A class whose loss(X, y) returns the loss and a dict of gradients, with its parameters in self.params."""
    for name, node in source.classes.items():
        own = methods(node)
        fits = (f for f in own.values() if LOSSES.search(f.name) and is_pair(f) and arguments(f, method=True))
        loss = next(fits, None)
        start = own.get("__init__")
        kept = _dict_of(node)
        if loss is None or start is None or kept is None:
            continue
        sizes = sizes_of(source, start)
        call = made_by(start, sizes, method=True)
        if call is None:
            continue
        data = arguments(loss, method=True)
        adapter = (
            f"def loss_and_gradients(p, {', '.join(data)}):",
            f"    net.{kept} = p",
            f"    return net.{loss.name}({', '.join(data)})",
        )
        found = f"class {name}, whose {loss.name} returns the loss and its gradients; its parameters are self.{kept}"
        return Plan(
            found, "loss_and_gradients", [f"p = net.{kept}"], data, [node], subscripts([node], f"self.{kept}"),
            shapes_told(loss), before=(f"net = {{module}}.{name}({call})",), adapter=adapter,
        )  # fmt: skip
    return None


def _dict_of(node: ast.AST) -> str | None:
    """The attribute that holds a dict of parameters."""
    kept = (attr for attr, value in attributes(node) if attr in PARAMETERS and isinstance(value, ast.Dict))
    return next(kept, None)


def class_with_loss_and_backward(source: Source) -> Plan | None:
    """A class whose loss gives the loss, after forward or by itself, and whose backward() then gives the gradients."""
    for name, node in source.classes.items():
        own = methods(node)
        loss = next((f for f in own.values() if re.search("loss|cost|objective", f.name) and _is_one(f)), None)
        backward = next((f for f in own.values() if re.search("backward|backprop|grad", f.name)), None)
        start = own.get("__init__")
        if loss is None or backward is None or start is None or loss is backward:
            continue
        forward = own.get("forward")
        data, lines = _way_to_loss(forward, loss)
        given = arguments(backward, method=True)
        by_name = _returned_by(node, backward) or by_attributes(node, forward, backward)
        kept = by_name or by_dict(node, start, backward)
        call = None if kept is None else arrays(node, start, kept.leaves, sizes_of(source, start))
        if kept is None or call is None or not {*given} <= {*data}:
            continue
        adapter = (
            f"def loss_and_gradients(p, {', '.join(data)}):",
            *stop(kept.lost, f"{name}.{backward.name}"),
            f"    {kept.takes}",
            *lines,
            f"    {kept.gives}net.{backward.name}({', '.join(given)})",
            f"    return loss, {kept.gradients}",
        )
        told = shapes_told(loss) | (shapes_told(forward) if forward is not None else {})
        found = f"class {name} with {loss.name} and {backward.name}{kept.guess}"
        return Plan(
            found, "loss_and_gradients", [kept.p], data, [node], kept.leaves, told,
            before=(f"net = {{module}}.{name}({call})" + ("  # a guess" if "draw.normal" in call else ""),),
            adapter=adapter, lost=kept.lost,
        )  # fmt: skip
    return None


def _is_one(function: Function) -> bool:
    value = returned(function)
    return value is not None and not isinstance(value, ast.Tuple)


def _way_to_loss(forward: Function | None, loss: Function) -> tuple[list[str], list[str]]:
    """The data, and lines that make the loss: loss(x, t) by itself, or loss(y, t), loss(t) of what forward(x) made."""
    data = arguments(loss, method=True)
    inputs = [] if forward is None else arguments(forward, method=True)
    if forward is None or {*inputs} & {*data} or "self.forward(" in ast.unparse(loss):
        return data, [f"    loss = net.{loss.name}({', '.join(data)})"]
    targets = data[1:] or data
    given = ", ".join(["output", *targets] if len(data) > 1 else targets)
    lines = [f"    output = net.forward({', '.join(inputs)})", f"    loss = net.{loss.name}({given})"]
    return [*inputs, *targets], lines


def _returned_by(node: ast.ClassDef, backward: Function) -> _Kept | None:
    """self.W, with its gradient in the dict, the tuple or the list that backward returns."""
    parameters, value = _parameters(node), returned(backward)
    takes = "vars(net).update(p)"
    if keys := keys_of(value, backward):
        of = {key: key if key in parameters else leaf_of(key, parameters) for key in keys}
        leaves = [leaf for leaf in of.values() if leaf]
        lost = tuple(key for key, leaf in of.items() if not leaf)
        return _Kept(leaves, _attributes(leaves), takes, "gradients = ", "gradients", lost) if leaves else None
    found, guess = items(elements(value, backward) or [], parameters), ""
    start = methods(node).get("__init__")
    given = [] if start is None else arguments(start, method=True)
    if len(found) == len(given) and {*given} <= {*parameters} and _in_order(found, given):
        found = [item._replace(leaf=leaf, suspect=False) for item, leaf in zip(found, given, strict=True)]
        guess = ", whose gradients are in the order of the arguments of __init__ (a guess)"
    leaves = [item.leaf for item in found if item.leaf]
    if not leaves:
        return None
    gives = ", ".join(f"d{item.leaf}" if item.leaf else "_" for item in found)
    gradients = ", ".join(f'"{leaf}": d{leaf}' for leaf in leaves)
    lost = tuple(item.text for item in found if item.suspect)
    return _Kept(leaves, _attributes(leaves), takes, f"({gives},) = ", f"{{{gradients}}}", lost, guess=guess)


def _in_order(found: list[Item], given: list[str]) -> bool:
    """Whether some gradients have no name, and each that has one stands where its parameter stands in __init__."""
    fits = [item.leaf == name or (not item.leaf and item.suspect) for item, name in zip(found, given, strict=True)]
    return all(fits) and any(not item.leaf for item in found)


def class_with_backward(source: Source) -> Plan | None:
    """A class with forward(x) and backward(dy), which keeps the gradients, or returns them."""
    for name, node in source.classes.items():
        own = methods(node)
        forward, backward, start = (own.get(n) for n in ("forward", "backward", "__init__"))
        if forward is None or backward is None or start is None or len(arguments(backward, method=True)) != 1:
            continue
        kept = by_attributes(node, forward, backward) or by_dict(node, start, backward)
        sizes = sizes_of(source, start)
        call = None if kept is None else arrays(node, start, kept.leaves, sizes)
        given = arguments(forward, method=True)
        if kept is None or call is None or len(given) != 1:
            continue
        adapter = (
            "def loss_and_gradients(p, x, t):",
            *stop(kept.lost, f"{name}.backward"),
            f"    {kept.takes}",
            "    y = net.forward(x)",
            f"    {kept.gives}net.backward(2 * (y - t) / y.size)  # of the mean of squares: put your own loss here",
            f"    return ((y - t) ** 2).mean(), {kept.gradients}",
        )
        shapes = shapes_told(forward)
        told = {"x": shapes[given[0]]} if given[0] in shapes else {}
        return Plan(
            f"class {name} with forward and backward", "loss_and_gradients", [kept.p], ["x", "t"],
            [with_x(node, given[0])], kept.leaves, told, before=(f"net = {{module}}.{name}({call})",), adapter=adapter,
            lost=kept.lost,
        )  # fmt: skip
    return None


def by_attributes(node: ast.ClassDef, forward: Function | None, backward: Function) -> _Kept | None:
    """self.W, with its gradient in self.dW."""
    parameters = _parameters(node)
    slopes = list(dict.fromkeys(attr for attr, _ in attributes(backward)))
    of = {leaf: attr for attr in slopes if (leaf := leaf_of(attr, parameters))}
    if not of:
        return None
    local = {*arguments(backward, method=True), *_values(forward)}
    lost = [a for a in slopes if a not in of.values() and _SLOPE.fullmatch(a) and not {a, a[1:]} & local]
    gradients = ", ".join(f'"{leaf}": net.{attr}' for leaf, attr in of.items())
    return _Kept([*of], _attributes(of), "vars(net).update(p)", "", f"{{{gradients}}}", tuple(lost), of)


_SLOPE = re.compile(r"d(?!elta)\w+|\w*grad\w*")
"""How an attribute of a gradient is called; a delta is one of a value between the layers."""


def _attributes(leaves: Iterable[str]) -> str:
    return "p = {" + ", ".join(f'"{leaf}": net.{leaf}' for leaf in leaves) + "}"


def _parameters(node: ast.ClassDef) -> list[str]:
    """What __init__ and its helpers set, but for None and but for what forward sets anew."""
    forward = methods(node).get("forward")
    anew = {f"self.{attr}" for attr, _ in attributes(forward)} & _made(forward) if forward is not None else set[str]()
    makers = [f for name, f in methods(node).items() if not re.search(r"forward|backward|backprop|loss|cost", name)]
    kept = (attr for f in makers for attr, value in attributes(f)
            if ast.unparse(value) != "None" and f"self.{attr}" not in anew)  # fmt: skip
    return list(dict.fromkeys(kept))


def _values(forward: Function | None) -> set[str]:
    """The names of what forward is given and makes: no parameters."""
    if forward is None:
        return set()
    return {*arguments(forward, method=True), *(text.removeprefix("self.") for text in _made(forward))}


def _made(forward: Function) -> set[str]:
    """What a function sets, but for W = self.W; what is set under an if may be a parameter, made at the first call."""
    lines = (line for line in forward.body if not isinstance(line, ast.If))
    pairs = ((ast.unparse(target), ast.unparse(value)) for line in lines for target, value in assigned(line))
    return {target for target, value in pairs if value != f"self.{target}"}


def by_dict(node: ast.ClassDef, start: Function, backward: Function) -> _Kept | None:
    """self.params["W"], with its gradient in self.grads["W"], or in what backward returns."""
    kept = _dict_of(start)
    if kept is None:
        return None
    leaves, given = subscripts([node], f"self.{kept}"), returned(backward)
    grads = next((attr for attr, value in attributes(node) if attr in GRADIENTS and isinstance(value, ast.Dict)), None)
    if grads is not None:
        return _Kept(leaves, f"p = net.{kept}", f"net.{kept} = p", "", f"net.{grads}")
    if isinstance(given, ast.Dict | ast.Name):
        return _Kept(leaves, f"p = net.{kept}", f"net.{kept} = p", "gradients = ", "gradients")
    return None


def with_x(node: ast.ClassDef, name: str) -> ast.AST:
    """A copy in which the input is called x."""
    copy = ast.parse(ast.unparse(node))
    for inner in ast.walk(copy):
        if isinstance(inner, ast.Name) and inner.id == name:
            inner.id = "x"
    return copy


def arrays(node: ast.ClassDef, start: Function, leaves: list[str], sizes: Sizes) -> str | None:
    """The arguments of a class that takes sizes, or the arrays; a bias is a row where sums keep their axes."""
    given = arguments(start, method=True)
    if not given or set(leaves) != set(given):
        return made_by(start, sizes, method=True)
    n, m = sizes.numbers["in"], sizes.numbers["out"]
    bias = f"(1, {m})" if "keepdims" in ast.unparse(node) else f"{m}"
    return ", ".join(f"draw.normal(size={bias if name.startswith('b') else f'({n}, {m})'})" for name in given)
