"""A network of layer objects: a list of them in one object, each with forward and backward, self.W and self.dW."""

import ast

from torch_mirror.doors.starting.classes import arrays, by_attributes
from torch_mirror.doors.starting.gradients import stop
from torch_mirror.doors.starting.plan import Plan, made_by
from torch_mirror.doors.starting.sizes import Sizes, sizes_of
from torch_mirror.doors.starting.source import Function, Source, arguments, assigned, attributes, methods


def class_of_layers(source: Source) -> Plan | None:
    """A class that keeps layers in self.layers, with the classes of the layers; its net, or one of two of them."""
    slopes, lost = _slopes(source)
    model = next((name for name, node in source.classes.items() if _keeps_layers(node)), None)
    made = None if model is None or not slopes else _made(source, model)
    if made is None:
        return None
    inside = ", ".join(f'"{leaf}": "{attr}"' for leaf, attr in slopes.items())
    adapter = (
        f"NAMES = {{{inside}}}  # of each weight where its gradient is kept",
        "",
        "",
        "def loss_and_gradients(p, x, t):",
        *stop(lost, f"the layers of {model}"),
        "    for layer, weights in zip(net.layers, p):",
        "        vars(layer).update(weights)",
        "    y = net.forward(x)",
        "    net.backward(2 * (y - t) / y.size)  # of the mean of squares: put your own loss here",
        "    gradients = [{n: getattr(layer, NAMES[n]) for n in weights} for layer, weights in zip(net.layers, p)]",
        "    return ((y - t) ** 2).mean(), gradients",
    )
    only = f"{', '.join(slopes)} of each layer"
    parameters = ["p = [{n: getattr(layer, n) for n in NAMES if hasattr(layer, n)} for layer in net.layers]"]
    return Plan(
        f"class {model}, which has a list of layers",
        "loss_and_gradients", parameters, ["x", "t"], [*source.classes.values()], [], {}, known=False,
        before=(f"net = {made}",), adapter=adapter, lost=tuple(lost), only=only,
    )  # fmt: skip


def _slopes(source: Source) -> tuple[dict[str, str], list[str]]:
    """Of each weight of the layers the attribute with its gradient, W: dW; and gradients without a weight."""
    slopes, lost = dict[str, str](), list[str]()
    for node in source.classes.values():
        own = methods(node)
        if not _is_layer(own) or _keeps_layers(node):
            continue
        kept = by_attributes(node, own["forward"], own["backward"])
        if kept is not None:
            slopes |= kept.slopes
            lost += kept.lost
    return slopes, lost


def _is_layer(own: dict[str, Function]) -> bool:
    return all(name in own and len(arguments(own[name], method=True)) == 1 for name in ("forward", "backward"))


def _keeps_layers(node: ast.ClassDef) -> bool:
    return _is_layer(methods(node)) and "layers" in {attr for attr, _ in attributes(node)}


def _made(source: Source, model: str) -> str | None:
    """What makes the network: a name of the module that is one, or a call; None where its arguments say nothing."""
    for node in source.tree.body:
        for target, value in assigned(node):
            of_it = isinstance(value, ast.Call) and ast.unparse(value.func) == model
            if of_it and isinstance(target, ast.Name):
                return f"{{module}}.{target.id}"
    start = methods(source.classes[model]).get("__init__")
    if start is None:
        return None
    sizes = sizes_of(source, start)
    if arguments(start, method=True) != ["layers"]:
        given = made_by(start, sizes, method=True)
        return None if given is None else f"{{module}}.{model}({given})"
    row = _in_a_row(source, sizes)
    return f"{{module}}.{model}([{', '.join(row)}])" if row else None


def _in_a_row(source: Source, sizes: Sizes) -> list[str]:
    """A layer with weights, one without where there is such, and one with weights; none where no layer has weights."""
    ways = (("in", "hidden"), ("hidden", "out"))
    with_weights, between = list[str](), list[str]()
    for name, node in source.classes.items():
        own = methods(node)
        start = own.get("__init__")
        if not _is_layer(own) or _keeps_layers(node):
            continue
        kept = by_attributes(node, own["forward"], own["backward"])
        if kept is None:
            between += [f"{{module}}.{name}()"] if start is None or not arguments(start, method=True) else []
        elif start is not None and not with_weights:
            for a, b in ways:
                apart = Sizes({**sizes.numbers, "in": sizes.numbers[a], "out": sizes.numbers[b]})
                given = arrays(node, start, kept.leaves, apart)
                with_weights += [] if given is None else [f"{{module}}.{name}({given})"]
    return [with_weights[0], *between[:1], with_weights[1]] if len(with_weights) == 2 else []
