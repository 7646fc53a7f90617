"""check_forward: a forward pass ported to NumPy, against the torch module that it was ported from.

    def mine(p, x):
        h = np.tanh(x @ p["W1"] + p["b1"])
        return h @ p["W2"] + p["b2"], {"h": h}

    check_forward(mine, module, p, {"W1": "0.weight.T", "b1": "0.bias", ...}, x, values={"h": "1"})

A copy of the module in float64 is given the parameters, and runs on the inputs; the function runs on balls. Each
output of the module has to be what another evaluation of the function's own formula may give: within R radii of the
ball's centre (number.py), the premise of verify. Values that are named on both sides come first, in the order in
which the module computes them, so that the first that is wrong is the first layer that differs. No backward is needed.
What the function gives by itself, on arrays as they are, has to be what the balls say (own.py), or nothing is
certified.
"""

import copy
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reference.arrays import Array
from reference.claim.tree import Tree, named, rebuild
from reference.errors import InputError, UnknownNameError
from reference.layouts import LAYOUTS
from torch_mirror.balls.bools import Bools
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import Format
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import recording
from torch_mirror.doors.check.claimed import copies, data_as
from torch_mirror.doors.check.own import Again, Beside, Own, blinded, floats_of, narrowest_among, own_numbers
from torch_mirror.doors.check.result import Checked
from torch_mirror.doors.check.runs import NotFollowed, given_ball, line_of
from torch_mirror.doors.check.standin import stand_in
from torch_mirror.doors.check.untouched import replace_floats, untouched
from torch_mirror.doors.check.world import world_of
from torch_mirror.doors.forward_causes import causes_of_value
from torch_mirror.tape import compared
from torch_mirror.tape.sweep import leaf
from torch_mirror.tape.told import Fault, Row
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
    ours, own = _of_function(function, parameters, inputs, wanted)
    with np.errstate(all="ignore"):  # a radius that overflows is infinite, and the row says so
        rows = [_row(name, ours[name], array, own.narrow) for name, array in theirs.items()]
    rows = [blinded(row, own.astray or own.blind) for row in rows]
    if all(row.word == "ok" and row.resolution is None for row in rows):
        rows = [row._replace(word="undecided", why="both are 0: it could not have failed") for row in rows]
    name = getattr(function, "__name__", "function")
    faults = _faults(function, parameters, inputs, wanted, rows, theirs)
    what, seconds = "what the module computes", time.perf_counter() - started
    return Checked(name, tuple(rows), faults, notes=(*notes, *own.notes), seconds=seconds, what=what)


def _faults(
    function: Callable[..., Any], parameters: Tree, inputs: tuple[Any, ...], wanted: Mapping[str, str],
    rows: list[Row], theirs: Mapping[str, Array],
) -> tuple[Fault, ...]:  # fmt: skip
    """The first value that is wrong, with what the module has in its place; the others follow from it."""
    wrong = [row.name for row in rows if row.word == "WRONG"]
    if not wrong:
        return ()
    try:
        causes = _causes(function, parameters, inputs, wanted, wrong[0], theirs[wrong[0]])
    except Exception as error:  # noqa: BLE001 - the verdict stands, whatever comes of looking for its cause
        why = f"looking for the cause ended in {type(error).__name__}: {' '.join(str(error).split())}"
        return (Fault((wrong[0],), why=why),)
    return (Fault((wrong[0],), causes=causes, why="" if causes else "no single edit of yours explains it"),)


def _causes(
    function: Callable[..., Any], parameters: Tree, inputs: tuple[Any, ...], wanted: Mapping[str, str],
    name: str, theirs: Array,
) -> tuple[str, ...]:  # fmt: skip
    """Of a value of the function's, recorded from the parameters on, beside the module's."""
    world = world_of(function, parameters, inputs)

    others = {n: Number(np.asarray(a, np.float64)) for n, a in named(parameters).items()}

    def ball(a: Any) -> Ball:
        return given_ball(a, np.float64)

    with untouched(world), np.errstate(all="ignore"), recording():
        p = rebuild(parameters, {n: leaf(ball(a), n) for n, a in named(parameters).items()})
        data = [
            leaf(ball(x), f"x{k or ''}") if isinstance(x, np.ndarray) and x.dtype.kind == "f" else data_as(x, ball)
            for k, x in enumerate(inputs)
        ]
        replace_floats(world, ball)
        stand_in(world.namespaces, ball, np.float64)
        right = _values(function(p, *data), wanted)[name]
        if not isinstance(right, Ball) or right.shape != theirs.shape:
            return ()
        number = right.settled()
        radius = number.slack * np.asarray(number.radius) * (1 + compared.DEEPEST * number.format.u)
        return causes_of_value("the module", name, right, Number(theirs, radius, number.format), others).causes


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

        def keep(_: nn.Module, __: Any, out: Any, name: str = name, what: str = f"the output of {part}") -> None:
            found[name] = _tensor_of(what, out).detach().numpy().copy()

        parts[part].register_forward_hook(keep)
    with torch.no_grad():
        out = module(*(_tensor(x) for x in inputs))
    return {**found, "output": _tensor_of("the module's output", out).numpy()}


def _tensor_of(what: str, out: Any) -> Tensor:
    """Raises InputError for anything else, such as the tuple that nn.LSTM returns."""
    if not isinstance(out, Tensor):
        expected = "one tensor; a module around it can return the part that is meant, as in return self.m(x)[0]"
        raise InputError(what, expected, type(out).__name__)
    return out


def _tensor(x: Any) -> Any:
    if not isinstance(x, np.ndarray):
        return x
    return torch.tensor(x.astype(np.float64) if x.dtype.kind == "f" else x)


def _of_function(
    function: Callable[..., Any], parameters: Tree, inputs: tuple[Any, ...], wanted: Mapping[str, str]
) -> tuple[dict[str, Number], Own]:
    """Its values on balls, and what those of its own run, on the arrays as they are, say beside them."""
    world = world_of(function, parameters, inputs)

    def on_balls(dtype: Any) -> dict[str, Number]:
        def ball(a: Any) -> Ball:
            return given_ball(a, dtype)

        with untouched(world), np.errstate(all="ignore"):
            p, data = copies(parameters, ball), [data_as(x, ball) for x in inputs]
            replace_floats(world, ball)
            stand_in(world.namespaces, ball, dtype)
            return {name: _number(x) for name, x in _values(function(p, *data), wanted).items()}

    def again(dtype: np.dtype[Any]) -> Again | NotFollowed:
        try:
            return Again(on_balls(dtype))
        except Exception as error:  # noqa: BLE001 - whatever it is, the run in float64 has not raised it
            return NotFollowed(None, f"{type(error).__name__}: {error}")

    with untouched(world):  # whatever is wrong with it is its own
        plain = _values(function(copies(parameters), *(data_as(x, np.copy) for x in inputs)), wanted)
    try:
        ours = on_balls(np.float64)
    except TypeError as error:
        line = line_of(error)
        raise InputError("the function", "code that can be followed on balls", f"{error} {line or ''}") from error
    results = [Beside(name, np.asarray(plain[name]), x) for name, x in ours.items()]
    given = (*named(parameters).values(), *floats_of(inputs), *world.arrays, *plain.values())
    return ours, own_numbers(results, narrowest_among(given), again)


def _values(result: Any, wanted: Mapping[str, str]) -> dict[str, Any]:
    output, others = result if isinstance(result, tuple) else (result, {})
    for name in wanted:
        if name not in others:
            raise UnknownNameError("value of the function", name, others)
    return {**{name: others[name] for name in wanted}, "output": output}


def _number(x: Any) -> Number:
    return x.settled() if isinstance(x, (Ball, Bools)) else Number(np.asarray(x, np.float64))


def _row(name: str, ours: Number, theirs: Array, narrow: Format | None) -> Row:
    """The module's value is another evaluation of the function's formula, or it is another formula."""
    if ours.shape != theirs.shape:
        shapes = f"of shape {ours.shape}, where the module's is {theirs.shape}"
        return Row(name, "WRONG", theirs.size, theirs.size, float("inf"), pattern=shapes)
    allowed = ours.slack * np.asarray(ours.radius) * (1 + compared.DEEPEST * ours.format.u)
    pair = compared.Both(np.asarray(ours.value), theirs, allowed)
    row = compared.unless_constants(compared.of(name, pair), pair, narrow)
    pattern = row.pattern.replace("the derivative", "the module's").replace("derivative", "the module's")
    return row._replace(pattern=pattern)
