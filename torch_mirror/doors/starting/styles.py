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


def _class_with_backward(source: Source) -> Plan | None:
    """A class with forward(x) and backward(dy), which leaves the gradient of self.W in self.dW, or returns a dict."""
    for name, node in source.classes.items():
        own = methods(node)
        forward, backward, start = (own.get(n) for n in ("forward", "backward", "__init__"))
        if forward is None or backward is None or start is None or len(arguments(backward, method=True)) != 1:
            continue
        made = list(dict.fromkeys(attr for attr, _ in attributes(start)))
        slopes = {attr for attr, _ in attributes(backward)}
        leaves = [attr for attr in made if f"d{attr}" in slopes]
        kept = _dict_of(start)
        by_dict = kept is not None and isinstance(returned(backward), ast.Dict | ast.Name)
        sizes = sizes_of(source, start)
        call = _arrays(start, leaves, sizes) if leaves else made_by(start, sizes, method=True)
        if call is None or not (leaves or by_dict):
            continue
        takes, slope = ("vars(net).update(p)", "net.backward(2 * (y - t) / y.size)")
        if by_dict and not leaves:
            takes, gradients = f"net.{kept} = p", "gradients"
            slope = f"gradients = {slope}"
            p, leaves = f"p = net.{kept}", subscripts([node], f"self.{kept}")
        else:
            gradients = "{" + ", ".join(f'"{leaf}": net.d{leaf}' for leaf in leaves) + "}"
            p = "p = {" + ", ".join(f'"{leaf}": net.{leaf}' for leaf in leaves) + "}"
        adapter = (
            "def loss_and_gradients(p, x, t):",
            f"    {takes}",
            "    y = net.forward(x)",
            f"    {slope}  # of the mean of squares: put your own loss here",
            f"    return ((y - t) ** 2).mean(), {gradients}",
        )
        told = {"x": shapes_told(forward).get(arguments(forward, method=True)[0])}
        renamed = _with_x(node, arguments(forward, method=True)[0])
        return Plan(
            f"class {name} with forward and backward", "loss_and_gradients", [p], ["x", "t"], [renamed], leaves,
            {k: v for k, v in told.items() if v}, before=(f"net = {{module}}.{name}({call})",), adapter=adapter,
        )  # fmt: skip
    return None


def _with_x(node: ast.ClassDef, name: str) -> ast.AST:
    """A copy in which the input is called x."""
    copy = ast.parse(ast.unparse(node))
    for inner in ast.walk(copy):
        if isinstance(inner, ast.Name) and inner.id == name:
            inner.id = "x"
    return copy


def _arrays(start: Function, leaves: list[str], sizes: Sizes) -> str | None:
    """The arguments of a class that takes sizes, or the arrays themselves."""
    given = arguments(start, method=True)
    if set(leaves) <= set(given):
        n, m = sizes.numbers["in"], sizes.numbers["out"]
        shapes = {leaf: f"({n}, {m})" if not leaf.startswith("b") else f"(1, {m})" for leaf in leaves}
        others = [name for name in given if name not in leaves]
        if not others:
            return ", ".join(f"draw.normal(size={shapes[name]})" for name in given)
    return made_by(start, sizes, method=True)


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
