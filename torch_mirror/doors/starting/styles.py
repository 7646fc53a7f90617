"""The ways in which people write a network, and what of them a file has: the first that fits counts.

    a function      loss(p, X, y) -> loss, gradients
    functions       forward(X, p), cost(output, Y), backward(p, cache, X, Y)
    a class         loss(X, y) with self.params; or forward(x) and backward(dy), with self.W and self.dW
    globals         lossFun(inputs, targets) -> loss, dW, db, with W and b of the module

Each is told by the names that people use, and by what is returned.
"""

import ast
import re
from collections.abc import Callable
from typing import NamedTuple

from torch_mirror.doors.starting.guesses import guessed_parameters
from torch_mirror.doors.starting.plan import Plan, made_by, maker_of, subscripts
from torch_mirror.doors.starting.sizes import Sizes, shapes_told, sizes_of
from torch_mirror.doors.starting.source import (
    INPUTS,
    PARAMETERS,
    TARGETS,
    Function,
    Source,
    arguments,
    attributes,
    methods,
    returned,
)

GRADIENTS = frozenset({"grads", "gradients", "grad", "dparams"})
"""What people call a dict of gradients that an object keeps."""

LOSSES = re.compile(r"loss|cost|objective|grad|error|backprop|step", re.IGNORECASE)


def plan_of(source: Source) -> Plan | None:
    """What the file has; None if nothing in it looks like a network with a backward pass."""
    for style in (_function, _functions, _class_with_loss, _class_with_backward, _globals):
        plan = style(source)
        if plan is not None:
            return plan
    return None


def _pair(function: Function) -> bool:
    """Whether it returns two things: a loss and gradients."""
    value = returned(function)
    return isinstance(value, ast.Tuple) and len(value.elts) == 2


def _gradients_by_name(function: Function) -> bool:
    """Whether it returns something, and then gradients: by that name, or in a dict by names of the parameters."""
    value = returned(function)
    second = value.elts[1] if isinstance(value, ast.Tuple) and len(value.elts) == 2 else None
    if isinstance(second, ast.Dict):
        keys = {key.value for key in second.keys if isinstance(key, ast.Constant)}
        return any(keys and keys <= {*subscripts([function], name)} for name in PARAMETERS)
    return isinstance(second, ast.Name) and second.id.startswith("grad")


def _function(source: Source) -> Plan | None:
    """A function of the parameters that returns the loss and its gradients, by itself or by another one's call."""
    fits = [
        f for name, f in source.functions.items()
        if (_gradients_by_name(f) or (LOSSES.search(name) and (_pair(f) or _hands_on(f))))
        and len(arguments(f)) > 1 and set(arguments(f)) & PARAMETERS
    ]  # fmt: skip
    if not fits:
        return None
    f = max(fits, key=lambda f: (f.name in ("loss", "loss_and_gradients"), f.lineno))
    names = arguments(f)
    given = next(name for name in names if name in PARAMETERS)
    data = [name for name in names if name != given]
    adapter: tuple[str, ...] = ()
    function = f"{{module}}.{f.name}"
    if names[0] != given:
        function = "loss_and_gradients"
        inside = ", ".join("p" if name == given else name for name in names)
        adapter = (f"def loss_and_gradients(p, {', '.join(data)}):", f"    return {{module}}.{f.name}({inside})")
    found = f"{f.name}({', '.join(names)}), which returns the loss and its gradients"
    plan = Plan(found, function, [], data, _scope(source), [], shapes_told(f), adapter=adapter)
    return _with_parameters(source, plan, f, given)


def _hands_on(function: Function) -> bool:
    value = returned(function)
    return isinstance(value, ast.Call) and bool(LOSSES.search(ast.unparse(value.func)))


def _scope(source: Source) -> list[ast.AST]:
    return [*source.functions.values(), *source.classes.values()]


def _with_parameters(source: Source, plan: Plan, function: Function, given: str) -> Plan | None:
    """The plan with what makes its parameters: a function of the file, or numbers of shapes that are guessed."""
    maker = maker_of(source)
    sizes = sizes_of(source, maker)
    leaves = subscripts([function, *plan.scope], given)
    if maker is not None and (call := made_by(maker, sizes)) is not None:
        lines = [f"p = {{module}}.{maker.name}({call})"]
        return plan._replace(parameters=lines, leaves=leaves, known=bool(leaves))
    return guessed_parameters(plan, [function, *plan.scope], given, leaves, sizes)


# --- functions that are apart -------------------------------------------------------------------------


def _functions(source: Source) -> Plan | None:
    """Forward, cost and backward, each a function."""
    forward = _named(source, r"forward|predict", lambda f: bool(set(arguments(f)) & PARAMETERS))
    cost = _named(source, r"cost|loss", lambda f: len(arguments(f)) >= 2)
    backward = _named(source, r"backward|backprop|grad", lambda f: len(arguments(f)) >= 2)
    if forward is None or cost is None or backward is None:
        return None
    given = next(name for name in arguments(forward) if name in PARAMETERS)
    two = isinstance(returned(forward), ast.Tuple)
    output = next((name for name in arguments(cost) if name not in TARGETS | PARAMETERS), "y")
    x = next((name for name in arguments(forward) if name in INPUTS), "x")
    t = next((name for name in arguments(cost) if name in TARGETS - {output}), "t")
    known = {"cache": "cache", "caches": "cache", **dict.fromkeys(PARAMETERS, "p")}
    known |= {**dict.fromkeys(INPUTS, x), **dict.fromkeys(TARGETS, t), output: output}
    calls = [_call(f, known) for f in (forward, cost, backward)]
    if None in calls:
        return None
    adapter = (
        f"def loss_and_gradients(p, {x}, {t}):",
        f"    {f'{output}, cache' if two else output} = {calls[0]}",
        f"    return {calls[1]}, {calls[2]}",
    )
    found = f"{forward.name}, {cost.name} and {backward.name}, which are apart"
    told = {**shapes_told(cost), **shapes_told(forward), **shapes_told(backward)}
    plan = Plan(found, "loss_and_gradients", [], [x, t], _scope(source), [], told, adapter=adapter)
    return _with_parameters(source, plan, forward, given)


def _named(source: Source, pattern: str, fits: Callable[[Function], bool]) -> Function | None:
    found = [f for name, f in source.functions.items() if re.search(pattern, name) and fits(f)]
    return found[-1] if found else None


def _call(function: Function, known: dict[str, str]) -> str | None:
    """``{module}.forward(x, p)``; None where an argument is not known."""
    given = [known.get(name) for name in arguments(function)]
    return None if None in given else f"{{module}}.{function.name}({', '.join(filter(None, given))})"


# --- classes ------------------------------------------------------------------------------------------


def _class_with_loss(source: Source) -> Plan | None:
    """A class whose loss(X, y) returns the loss and a dict of gradients, with its parameters in self.params."""
    for name, node in source.classes.items():
        own = methods(node)
        loss = next((f for f in own.values() if LOSSES.search(f.name) and _pair(f) and arguments(f, method=True)), None)
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


class _Kept(NamedTuple):
    """How a class keeps its parameters, as lines: p, what takes it, what backward returns, and the gradients."""

    leaves: list[str]
    p: str
    takes: str
    gives: str
    gradients: str


def _class_with_backward(source: Source) -> Plan | None:
    """A class with forward(x) and backward(dy), which keeps the gradients, or returns them."""
    for name, node in source.classes.items():
        own = methods(node)
        forward, backward, start = (own.get(n) for n in ("forward", "backward", "__init__"))
        if forward is None or backward is None or start is None or len(arguments(backward, method=True)) != 1:
            continue
        kept = _by_attributes(start, backward) or _by_dict(node, start, backward)
        sizes = sizes_of(source, start)
        call = None if kept is None else _arrays(node, start, kept.leaves, sizes)
        given = arguments(forward, method=True)
        if kept is None or call is None or len(given) != 1:
            continue
        adapter = (
            "def loss_and_gradients(p, x, t):",
            f"    {kept.takes}",
            "    y = net.forward(x)",
            f"    {kept.gives}net.backward(2 * (y - t) / y.size)  # of the mean of squares: put your own loss here",
            f"    return ((y - t) ** 2).mean(), {kept.gradients}",
        )
        shapes = shapes_told(forward)
        told = {"x": shapes[given[0]]} if given[0] in shapes else {}
        return Plan(
            f"class {name} with forward and backward", "loss_and_gradients", [kept.p], ["x", "t"],
            [_with_x(node, given[0])], kept.leaves, told, before=(f"net = {{module}}.{name}({call})",), adapter=adapter,
        )  # fmt: skip
    return None


def _by_attributes(start: Function, backward: Function) -> _Kept | None:
    """self.W, with its gradient in self.dW."""
    slopes = {attr for attr, _ in attributes(backward)}
    leaves = [attr for attr in dict.fromkeys(attr for attr, _ in attributes(start)) if f"d{attr}" in slopes]
    if not leaves:
        return None
    p, gradients = (", ".join(f'"{leaf}": net.{d}{leaf}' for leaf in leaves) for d in ("", "d"))
    return _Kept(leaves, f"p = {{{p}}}", "vars(net).update(p)", "", f"{{{gradients}}}")


def _by_dict(node: ast.ClassDef, start: Function, backward: Function) -> _Kept | None:
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


def _with_x(node: ast.ClassDef, name: str) -> ast.AST:
    """A copy in which the input is called x."""
    copy = ast.parse(ast.unparse(node))
    for inner in ast.walk(copy):
        if isinstance(inner, ast.Name) and inner.id == name:
            inner.id = "x"
    return copy


def _arrays(node: ast.ClassDef, start: Function, leaves: list[str], sizes: Sizes) -> str | None:
    """The arguments of a class that takes sizes, or the arrays; a bias is a row where sums keep their axes."""
    given = arguments(start, method=True)
    if not given or set(leaves) != set(given):
        return made_by(start, sizes, method=True)
    n, m = sizes.numbers["in"], sizes.numbers["out"]
    bias = f"(1, {m})" if "keepdims" in ast.unparse(node) else f"{m}"
    return ", ".join(f"draw.normal(size={bias if name.startswith('b') else f'({n}, {m})'})" for name in given)


# --- names of the module ------------------------------------------------------------------------------


def _globals(source: Source) -> Plan | None:
    """A function that returns the loss and then dW, db ..., with W and b among the names of the module."""
    for f in source.functions.values():
        value = returned(f)
        names = [e.id for e in value.elts if isinstance(e, ast.Name)] if isinstance(value, ast.Tuple) else []
        leaves = [name[1:] for name in names if name[:1] == "d" and name[1:] in source.arrays]
        if not leaves or not isinstance(value, ast.Tuple):
            continue
        data = arguments(f)
        targets = ", ".join(name if isinstance(e, ast.Name) and (name := e.id)[1:] in leaves else "_" if i else "loss"
                            for i, e in enumerate(value.elts))  # fmt: skip
        adapter = (
            f"def loss_and_gradients(p, {', '.join(data)}):",
            "    vars({module}).update(p)",
            f"    {targets} = {{module}}.{f.name}({', '.join(data)})",
            "    return loss, {" + ", ".join(f'"{leaf}": d{leaf}' for leaf in leaves) + "}",
        )
        lines = ["p = {", *(f'    "{leaf}": draw.normal(size={{module}}.{leaf}.shape),' for leaf in leaves), "}"]
        found = f"{f.name}, which returns the loss and {', '.join(f'd{leaf}' for leaf in leaves)}"
        return Plan(
            found, "loss_and_gradients", lines, data, [f], leaves, shapes_told(f), adapter=adapter
        )
    return None
