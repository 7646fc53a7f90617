"""A layer of several outputs: forward(x) returns y and log, and backward(dy, dlog) keeps the gradients."""

import ast
import re

from torch_mirror.doors.starting.classes import arrays, by_attributes, by_dict, with_x
from torch_mirror.doors.starting.gradients import stop
from torch_mirror.doors.starting.plan import GENERATORS, Plan
from torch_mirror.doors.starting.sizes import shapes_told, sizes_of
from torch_mirror.doors.starting.source import Source, arguments, methods, returned


def class_with_outputs(source: Source) -> Plan | None:
    """A layer with several outputs: forward(x) -> y, log, and backward(dy, dlog), which keeps the gradients.

    Judged is the sum of each output times its upstream gradient: these are the derivatives of that by the outputs.
    """
    for name, node in source.classes.items():
        own = methods(node)
        forward, backward, start = (own.get(n) for n in ("forward", "backward", "__init__"))
        if forward is None or backward is None or start is None:
            continue
        upstream, value = arguments(backward, method=True), returned(forward)
        many = len(value.elts) if isinstance(value, ast.Tuple) else 0
        fits = 1 < many == len(upstream) and all(_UPSTREAM.match(one) for one in upstream)  # of a cache it is none
        kept = (by_attributes(node, forward, backward) or by_dict(node, start, backward)) if fits else None
        given = arguments(forward, method=True)
        if kept is None or len(given) != 1:
            continue
        call = arrays(node, start, kept.leaves, sizes_of(source, start)) or call_in(source, name)
        if call is None:
            continue
        names = ", ".join(upstream)
        adapter = (
            f"def loss_and_gradients(p, x, {names}):",
            *stop(kept.lost, f"{name}.backward"),
            f"    {kept.takes}",
            "    outputs = net.forward(x)",
            f"    loss = sum((y * dy).sum() for y, dy in zip(outputs, ({names})))  # whose derivative by y is dy",
            f"    {kept.gives}net.backward({names})",
            f"    return loss, {kept.gradients}",
        )
        return Plan(
            f"class {name} with forward and backward, which have {many} outputs", "loss_and_gradients", [kept.p],
            ["x", *upstream], [with_x(node, given[0])], kept.leaves, shapes_told(forward),
            before=(f"net = {{module}}.{name}({call})",), adapter=adapter, lost=kept.lost, only=f"one {name}",
            drawn=(f"{names} = (draw.normal(size=np.shape(y)) for y in net.forward(x))",),
        )  # fmt: skip
    return None


_UPSTREAM = re.compile(r"d|g|up")
"""How the derivative by an output is called: dout, grad_y, gy, upstream."""


def call_in(source: Source, name: str) -> str | None:
    """The arguments that the file itself makes a class with: constants, and generators, which become ``draw``."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name and node.args and not node.keywords:
            texts = ["draw" if isinstance(a, ast.Name) and a.id in GENERATORS else ast.unparse(a) for a in node.args]
            if all(text == "draw" or isinstance(a, ast.Constant) for text, a in zip(texts, node.args, strict=True)):
                return ", ".join(texts)
    return None
