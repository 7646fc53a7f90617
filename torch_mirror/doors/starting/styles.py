"""The ways in which people write a network, and what of them a file has: the first that fits counts.

    a function      loss(p, X, y) -> loss, gradients
    functions       forward(X, p), cost(output, Y), backward(p, cache, X, Y)
    a class         loss(X, y) with self.params; loss(x, t), then backward(); or forward(x) and backward(dy)
    outputs         forward(x) -> y, log, and backward(dy, dlog), of a layer with several outputs
    lists           self.weights, self.biases, and backprop(x, y) -> nabla_b, nabla_w
    layers          self.layers, a list of objects with forward(x) and backward(dy) each
    globals         lossFun(inputs, targets) -> loss, dW, db, with W and b of the module
    an object       cost(m, data) -> loss, g, where m.W and g.W are arrays
    a loop          train(x, t, W1, b1), which computes the loss and dW1, db1 in a loop
    arguments       backprop(X, y, W1, b1, W2, b2) -> loss, dW1, db1, dW2, db2

Each is told by the names that people use, and by what is returned: a dict whose keys are those that p is asked for.
"""

import ast
import re
from collections.abc import Callable

from torch_mirror.doors.starting.apart import fields, in_rows, made_of, place, taken_apart
from torch_mirror.doors.starting.classes import class_with_backward, class_with_loss, class_with_loss_and_backward
from torch_mirror.doors.starting.given import parameters_as_arguments
from torch_mirror.doors.starting.gradients import LOSSES, is_filled, is_pair, keys_of, leaf_of, whole_of
from torch_mirror.doors.starting.guesses import guessed_object, guessed_parameters
from torch_mirror.doors.starting.layers import class_of_layers
from torch_mirror.doors.starting.lists import class_of_lists
from torch_mirror.doors.starting.loops import training_function
from torch_mirror.doors.starting.names import names_of_the_module
from torch_mirror.doors.starting.objects import dict_of_the_module, object_of_the_module
from torch_mirror.doors.starting.outputs import class_with_outputs
from torch_mirror.doors.starting.plan import Plan, made_by, maker_of, subscripts
from torch_mirror.doors.starting.products import INSIDE
from torch_mirror.doors.starting.sizes import shapes_told, sizes_of
from torch_mirror.doors.starting.source import (
    INPUTS,
    PARAMETERS,
    TARGETS,
    Function,
    Source,
    arguments,
    assigned,
    is_called_by_place,
    keys_in,
    returned,
)


def plan_of(source: Source) -> Plan | None:
    """What the file has; None if nothing in it looks like a network with a backward pass."""
    for style in (
        _function, _functions, class_with_loss, class_of_lists, class_with_loss_and_backward, class_of_layers,
        class_with_backward, class_with_outputs, names_of_the_module, parameters_as_arguments, training_function,
        object_of_the_module,
    ):
        plan = style(source)
        if plan is not None:
            return plan
    return None


def _gradients_by_name(source: Source, function: Function) -> bool:
    """Whether it returns something, and then gradients: by that name, or in a dict by names of the parameters.

    The parameters' names are those that it asks for, or those of a dict of the module; or nobody knows.
    """
    value = returned(function)
    second = whole_of(value.elts[1]) if isinstance(value, ast.Tuple) and len(value.elts) == 2 else None
    given = {*arguments(function)} & PARAMETERS
    if keys := keys_in(second) or keys_of(second, function):
        outer = [{leaf.partition(INSIDE)[0] for leaf in subscripts([function], name)} for name in given]
        asked = any(all(key in names or leaf_of(key, names) for key in keys) for names in outer)
        first = keys_in(second) and arguments(function)[:1]
        return asked or dict_of_the_module(source, keys) is not None or bool({*first} & PARAMETERS)
    if isinstance(second, ast.Name) and second.id.startswith("grad"):
        return True
    if is_filled(second, function) and not re.search("forward|predict", function.name):
        return any(in_rows([function], name) for name in given)
    return _class_of_gradients(source, function) is not None


def _class_of_gradients(source: Source, function: Function) -> str | None:
    """The class of the file of which it returns an object, P(dW, db), where p.W and p.b are the parameters."""
    value = returned(function)
    second = value.elts[1] if isinstance(value, ast.Tuple) and len(value.elts) == 2 else None
    if isinstance(second, ast.Name):  # g = P(None, None), and then g.W = ...
        pairs = (pair for inner in ast.walk(function) for pair in assigned(inner))
        second = next((v for t, v in pairs if ast.unparse(t) == second.id and isinstance(v, ast.Call)), None)
    node = source.classes.get(ast.unparse(second.func)) if isinstance(second, ast.Call) else None
    own = [] if node is None else made_of(node)
    asked = [fields([function], [node], name, own) for name in {*arguments(function)} & PARAMETERS if node is not None]
    return node.name if node is not None and own and any({*own} <= {*names} for names in asked) else None


def _function(source: Source) -> Plan | None:
    """A function of the parameters that returns the loss and its gradients, by itself or by another one's call."""
    fits = [
        f for name, f in source.functions.items()
        if (_gradients_by_name(source, f) or (LOSSES.search(name) and (is_pair(f) or _hands_on(f))))
        and len(arguments(f)) > 1 and set(arguments(f)) & PARAMETERS and is_called_by_place(f)
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
    scope = [function, *plan.scope]
    value = returned(function)
    keys = keys_in(value.elts[1]) if isinstance(value, ast.Tuple) and len(value.elts) == 2 else []
    leaves = subscripts(scope, given) or keys
    if maker is None and keys and (kept := dict_of_the_module(source, keys)) is not None:
        return plan._replace(parameters=[f"p = {{module}}.{kept}"], leaves=keys)
    if maker is None and _is_made(source, given):
        places = {} if leaves else _places(source, scope, given)
        leaves = leaves or [*places]
        return plan._replace(parameters=[f"p = {{module}}.{given}"], leaves=leaves, known=bool(leaves), places=places)
    if (name := _class_of_gradients(source, function)) is not None and (maker is None or made_by(maker, sizes) is None):
        return guessed_object(plan, name, made_of(source.classes[name]), sizes)
    if maker is not None and (call := made_by(maker, sizes)) is not None:
        places = {} if leaves else _places(source, scope, given)
        leaves = leaves or [*places]
        together = _with_data(maker, plan.data)
        lines = [f"{together or 'p'} = {{module}}.{maker.name}({call})"]
        return plan._replace(
            parameters=lines, leaves=leaves, known=bool(leaves), places=places, together=bool(together)
        )
    return guessed_parameters(plan, scope, given, leaves, sizes)


def _is_made(source: Source, name: str) -> bool:
    """Whether the module gives the name a value of its own."""
    pairs = (pair for node in source.tree.body for pair in assigned(node))
    return any(isinstance(t, ast.Name) and t.id == name and not isinstance(v, ast.Constant) for t, v in pairs)


def _places(source: Source, scope: list[ast.AST], given: str) -> dict[str, str]:
    """Where the parameters are in a list, a tuple or an object: W1 at p[0], or at p.W1."""
    apart = {name: place(path) for name, path in taken_apart(scope, given).items()}
    return apart or {name: f"p.{name}" for name in fields(scope, source.classes.values(), given)}


def _with_data(maker: Function, data: list[str]) -> str:
    """``p, x, t`` where the maker of the parameters returns the data as well; "" where it does not."""
    value = returned(maker)
    names = [ast.unparse(one) for one in value.elts] if isinstance(value, ast.Tuple) else []
    others = [name for name in names if name not in data]
    return ", ".join(name if name in data else "p" for name in names) if data and len(others) == 1 < len(names) else ""


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
