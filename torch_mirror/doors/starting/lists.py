"""A class that keeps weights and biases in two lists, and whose backprop(x, y) returns the gradients in two lists."""

import ast
import re
from collections.abc import Collection

from torch_mirror.doors.starting.gradients import elements, leaf_of
from torch_mirror.doors.starting.plan import Plan, made_by
from torch_mirror.doors.starting.sizes import sizes_of
from torch_mirror.doors.starting.source import Function, Source, arguments, attributes, methods, returned

_INITIALS = (r"w(eights?)?", r"b(ias(es)?)?")
"""What a list of weights, and one of biases, and their gradients are called by: nabla_w of self.weights."""


def class_of_lists(source: Source) -> Plan | None:
    """One sample at a time, a column, where nothing is summed; many of them, samples as columns, elsewhere."""
    for name, node in source.classes.items():
        own, start = methods(node), methods(node).get("__init__")
        lists = [] if start is None else [attr for attr, value in attributes(start) if isinstance(value, _LISTS)]
        backward = next((f for n, f in own.items() if re.search("backward|backprop|grad", n) and _takes(f, 2)), None)
        call = None if start is None else made_by(start, sizes_of(source, start), method=True)
        if backward is None or call is None:
            continue
        given = [_list_of(ast.unparse(e), lists) for e in elements(returned(backward), backward) or []]
        x, t = arguments(backward, method=True)
        loss = _loss(own, x, t)
        if "" in given or sorted(given) != sorted(lists) or len(given) < 2 or loss is None:
            continue
        inside = ", ".join(f'"{leaf}": d_{leaf}' for leaf in given)
        line, why = loss
        adapter = (
            f"def loss_and_gradients(p, {x}, {t}):",
            "    vars(net).update(p)",
            f"    {', '.join(f'd_{leaf}' for leaf in given)} = net.{backward.name}({x}, {t})",
            *([f"    # {why}"] if why else []),
            f"    return {line}, {{{inside}}}",
        )
        p = "p = {" + ", ".join(f'"{leaf}": net.{leaf}' for leaf in given) + "}"
        samples = "batch" if re.search(r"\.sum\(|\.mean\(", ast.unparse(backward)) else "1"
        return Plan(
            f"class {name}, whose {backward.name} returns the gradients of {' and '.join(given)}", "loss_and_gradients",
            [p], [x, t], [node], [], {x: ["in", samples], t: ["out", samples]}, known=False,
            before=(f"net = {{module}}.{name}({call})",), adapter=adapter,
        )  # fmt: skip
    return None


_LISTS = (ast.List, ast.ListComp)


def _list_of(gradient: str, lists: Collection[str]) -> str:
    """Whose gradient it is; "" where it is of none of the lists."""
    exact = leaf_of(gradient.removeprefix("nabla_"), lists) or leaf_of(gradient, lists)
    letters = re.sub(r"^(nabla|delta|grads?|gradients?|d)_?|_?(grads?|gradients?)$", "", gradient)
    of = next((p for p in _INITIALS if re.fullmatch(p, letters, re.IGNORECASE)), None)
    fits = [] if of is None else [name for name in lists if re.fullmatch(of, name, re.IGNORECASE)]
    return exact or (fits[0] if len(fits) == 1 else "")


def _loss(own: dict[str, Function], x: str, t: str) -> tuple[str, str] | None:
    """A call of the class's own loss of two arguments; else of what its forward gives, and a note that it is ours."""
    loss = next((n for n, f in own.items() if re.fullmatch(r"\w*(loss|cost)", n) and _takes(f, 2)), None)
    forward = next((n for n, f in own.items() if re.search("forward|predict", n) and _takes(f, 1)), None)
    if loss is not None and arguments(own[loss], method=True)[0] == x:
        return f"net.{loss}({x}, {t})", ""
    if forward is None:
        return None
    if loss is not None:
        return f"net.{loss}(net.{forward}({x}), {t})", ""
    return f"0.5 * ((net.{forward}({x}) - {t}) ** 2).sum()", "half the squared error: put your own loss here"


def _takes(f: Function, many: int) -> bool:
    return len(arguments(f, method=True)) == many
