"""check_forward: a forward pass ported to NumPy, against the torch module that it was ported from.

    def mine(p, x):
        h = np.tanh(x @ p["W1"] + p["b1"])
        return h @ p["W2"] + p["b2"], {"h": h}

    check_forward(mine, module, p, {"W1": "0.weight.T", "b1": "0.bias", ...}, x, values={"h": "1"})

A copy of the module in float64 is given the parameters, and runs on the inputs; the function runs on balls. Each
output of the module has to be what another evaluation of the function's own formula may give: within R radii of the
ball's centre (number.py), the premise of verify. Values that are named on both sides come first, in the order in
which the module computes them, so that the first that is wrong is the first layer that differs. No backward is needed.
"""

import copy
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reference.arrays import Array
from reference.claim.tree import Tree, named
from reference.errors import InputError, UnknownNameError
from reference.layouts import LAYOUTS
from torch_mirror.balls.bools import Bools
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.doors.check.claimed import copies, data_as
from torch_mirror.doors.check.result import Checked
from torch_mirror.doors.check.runs import line_of
from torch_mirror.doors.check.standin import stand_in
from torch_mirror.doors.check.untouched import replace_floats, untouched
from torch_mirror.doors.check.world import world_of
from torch_mirror.tape import compared
from torch_mirror.tape.told import Row
from torch_mirror.training.places import parted


def check_forward(
    function: Callable[..., Any],
    module: nn.Module,
    parameters: Tree,
    names: Mapping[str, str],
    *inputs: Any,
    values: Mapping[str, str] | None = None,
) -> Checked:
    """Judge a forward pass in NumPy against a torch module.

    function:   (p, *inputs) -> the output, an array; or (output, {name: value}) with values of other layers
    names:      of each parameter's leaf the module's name for it, ``0.weight``; ``0.weight.T`` where torch has it
                transposed, ``0.bias[:, None]`` for a column, as a session takes them. What is not named stays as the
                module has it, and is told
    inputs:     arrays, which the module takes as tensors in the same order
    values:     of names among the function's values the submodule whose output it is

    The module is run as it is, in training mode or not, and is not written to. Raises InputError or UnknownNameError
    for what does not fit together, and what either side raises by itself.
    """
    started = time.perf_counter()
    wanted = dict(values or {})
    leaves = {name: np.asarray(a, np.float64) for name, a in named(parameters).items()}
    theirs, notes = _of_module(_twin(module, leaves, names), inputs, wanted), _unnamed(module, names)
    ours = _of_function(function, parameters, inputs, wanted)
    rows = tuple(_row(name, ours[name], array) for name, array in theirs.items())
    name = getattr(function, "__name__", "function")
    return Checked(name, rows, notes=notes, seconds=time.perf_counter() - started, what="what the module computes")


def _twin(module: nn.Module, leaves: Mapping[str, Array], names: Mapping[str, str]) -> nn.Module:
    """The module in float64 with these parameters."""
    twin = copy.deepcopy(module).double()
    own = {**dict(twin.named_parameters()), **dict(twin.named_buffers())}
    for name, array in leaves.items():
        if name not in names:
            raise UnknownNameError("parameter without a name in the module:", name, names)
        theirs, layout = parted(names[name], own)
        if theirs not in own:
            raise UnknownNameError("parameter of the module", theirs, own)
        if layout and own[theirs].ndim != LAYOUTS[layout].axes:
            raise InputError(f"parameter {name}", f"no {layout} of shape {tuple(own[theirs].shape)}", names[name])
        target = LAYOUTS[layout].view(own[theirs]) if layout else own[theirs]
        if array.shape != tuple(target.shape):
            raise InputError(f"parameter {name} as {names[name]}", f"shape {tuple(target.shape)}", array.shape)
        with torch.no_grad():
            target.copy_(torch.tensor(array))
    return twin


def _unnamed(module: nn.Module, names: Mapping[str, str]) -> tuple[str, ...]:
    own = [name for name, _ in (*module.named_parameters(), *module.named_buffers())]
    named_too = {parted(name, own)[0] for name in names.values()}
    left = [name for name in own if name not in named_too]
    return (f"as the module has it, named by nothing: {', '.join(left)}",) if left else ()


def _of_module(module: nn.Module, inputs: tuple[Any, ...], wanted: Mapping[str, str]) -> dict[str, Array]:
    """The values that are asked for, in the order in which they are computed, and ``output``."""
    parts, found = dict(module.named_modules()), dict[str, Array]()
    for name, part in wanted.items():
        if part not in parts:
            raise UnknownNameError("submodule", part, parts)

        def keep(_: nn.Module, __: Any, out: Tensor, name: str = name) -> None:
            found[name] = out.detach().numpy().copy()

        parts[part].register_forward_hook(keep)
    with torch.no_grad():
        out = module(*(_tensor(x) for x in inputs))
    return {**found, "output": out.numpy()}


def _tensor(x: Any) -> Any:
    if not isinstance(x, np.ndarray):
        return x
    return torch.tensor(x.astype(np.float64) if x.dtype.kind == "f" else x)


def _of_function(
    function: Callable[..., Any], parameters: Tree, inputs: tuple[Any, ...], wanted: Mapping[str, str]
) -> dict[str, Number]:
    def ball(a: Any) -> Ball:
        return Ball(np.array(a, np.float64))

    world = world_of(function, parameters, inputs)
    with untouched(world):
        function(copies(parameters), *(data_as(x, np.copy) for x in inputs))  # whatever is wrong with it is its own
    with untouched(world), np.errstate(all="ignore"):
        p, data = copies(parameters, ball), [data_as(x, ball) for x in inputs]
        replace_floats(world, ball)
        stand_in(world.namespaces, Ball, np.float64)
        try:
            result = function(p, *data)
        except TypeError as error:
            line = line_of(error)
            raise InputError("the function", "code that can be followed on balls", f"{error} {line or ''}") from error
        output, others = result if isinstance(result, tuple) else (result, {})
        for name in wanted:
            if name not in others:
                raise UnknownNameError("value of the function", name, others)
        return {name: _number(x) for name, x in {**{n: others[n] for n in wanted}, "output": output}.items()}


def _number(x: Any) -> Number:
    return x.settled() if isinstance(x, (Ball, Bools)) else Number(np.asarray(x, np.float64))


def _row(name: str, ours: Number, theirs: Array) -> Row:
    """The module's value is another evaluation of the function's formula, or it is another formula."""
    if ours.shape != theirs.shape:
        shapes = f"of shape {ours.shape}, where the module's is {theirs.shape}"
        return Row(name, "WRONG", theirs.size, theirs.size, float("inf"), pattern=shapes)
    allowed = ours.slack * np.asarray(ours.radius) * (1 + compared.DEEPEST * ours.format.u)
    row = compared.of(name, compared.Both(np.asarray(ours.value), theirs, allowed))
    pattern = row.pattern.replace("the derivative", "the module's").replace("derivative", "the module's")
    return row._replace(pattern=pattern)
