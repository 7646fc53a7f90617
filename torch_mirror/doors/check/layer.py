"""check_layer: one layer with its backward, for an upstream gradient that is drawn.

    check_layer(affine_forward, affine_backward, x, w, b)     # (out, cache), and dx, dw, db of (dout, cache)
    check_layer(layer.forward, layer.backward, x, parameters=("W", "b"))
    check_layer(lstm_step, lstm_step_backward, x, h, c, Wx, Wh, b, outputs=2)   # (h, c, cache), of (dh, dc, cache)

What is asked is check's question for the loss L = sum(out dout), whose derivative by out is dout; of several outputs
the sum of these. dout is drawn: an upstream gradient of ones, or of equal rows, hides that a backward forgets it, sums
over it or turns it.
"""

import dis
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import reduce
from numbers import Integral
from operator import add
from typing import Any

import numpy as np

from reference.arrays import Array
from reference.errors import InputError, UnknownNameError
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.recording import Node, Place, Recording, current
from torch_mirror.doors.check.derivative import check
from torch_mirror.doors.check.result import Checked
from torch_mirror.doors.check.untouched import untouched
from torch_mirror.doors.check.world import world_of


def check_layer(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    *inputs: Any,
    parameters: Sequence[str] = (),
    outputs: int | None = None,
    seed: int = 0,
) -> Checked:
    """Judge a layer's backward against the derivative of its forward.

    forward:    (*inputs) -> out, or (out, cache); a function, or a method of a layer
    backward:   (dout), or (dout, cache) where forward gives one -> the gradient of the first input, or a tuple with
                those of the first few, None for one that has none; inputs that are no floats may be left out
    parameters: names of arrays that the layer keeps as attributes; backward leaves their gradients in ``dW``, or
                ``grad_W``, or an entry of ``grads``
    outputs:    how many of the values that forward returns, from the first on, have an upstream gradient, which
                backward takes in their order; the others are handed to it behind these, as the cache. 1 where forward
                returns one or two, unless backward names the second as a gradient; of more it is asked for
    seed:       of the upstream gradients: (shape of the output), standard normal

    Raises InputError for what is none of these, UnknownNameError for a parameter that the layer does not have, and
    whatever the layer raises by itself.
    """
    owner = getattr(forward, "__self__", None)
    if parameters and owner is None:
        raise InputError("parameters of check_layer", "none, unless forward is a method of a layer", parameters)
    parameters = (parameters,) if isinstance(parameters, str) else parameters
    _check_keeps(owner, parameters)
    _check_apart(parameters, _names(forward, len(inputs)))
    _check_takes("forward", forward, len(inputs), f"a function of the {len(inputs)} inputs that check_layer is given")
    given = {name: x for name, x in zip(_names(forward, len(inputs)), inputs, strict=True) if _is_float(x)}
    with untouched(world_of(forward, backward, inputs)):
        returned = _returned(forward, inputs)
        count = _outputs(returned, outputs, backward)
        outs = [_output(out, i) for i, out in enumerate(returned[:count], 1)]
    _check_takes("backward", backward, len(returned), _expected(len(returned), count))
    draws = np.random.default_rng(seed)
    douts = [draws.standard_normal(out.shape).astype(out.dtype) for out in outs]
    own = {name: np.asarray(getattr(owner, name)) for name in parameters}

    def layer(p: dict[str, Any], *data: Any) -> tuple[Any, dict[str, Any]]:
        for name in parameters:
            setattr(owner, name, p[name])
        _set_to_0(owner, parameters)
        douts, left = data[:count], iter(data[count:])
        arguments = [p[name] if name in given else next(left) for name in _names(forward, len(inputs))]
        returned = _returned(forward, arguments)
        outs, cache = returned[:count], returned[count:]
        loss = reduce(add, (np.sum(y * dout) for y, dout in zip(outs, douts, strict=True)))  # before backward may write
        dys, tape = [dout.copy() for dout in douts], current()
        made = [_node(dy) for dy in dys]
        result = backward(*dys, *cache)
        if tape is not None:
            _place(made, tape, backward)
        gradients = _of_inputs(result, _names(forward, len(inputs)), given)
        gradients |= {name: _kept(owner, name) for name in parameters}
        return loss, {name: g for name, g in gradients.items() if g is not None and name in p}

    rest = {name: x for name, x in zip(_names(forward, len(inputs)), inputs, strict=True) if name not in given}
    layer.__name__ = getattr(forward, "__qualname__", "layer")
    layer.__dict__["__signature__"] = _signature_of([*_upstream(backward, count), *rest])  # by which check names data
    return check(layer, {**given, **own}, *douts, *rest.values())


def _signature_of(data: Sequence[str]) -> inspect.Signature:
    """That of a function of parameters and these data; the name of one that is there twice, or is none, is our own."""
    names: list[str] = ["p"]
    for i, name in enumerate(data, 1):
        names.append(name if name.isidentifier() and name not in names else f"input_{i}")
    return inspect.Signature([inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in names])


def _upstream(backward: Callable[..., Any], count: int) -> list[str]:
    """What backward calls the upstream gradients."""
    names = list(_signature(backward) or [])[:count]
    return names if len(names) == count else [f"dout{i}" for i in range(1, count + 1)]


def _returned(forward: Callable[..., Any], inputs: Sequence[Any]) -> tuple[Any, ...]:
    """What forward returns, as a tuple."""
    result = forward(*inputs)
    return result if isinstance(result, tuple) else (result,)


def _outputs(returned: Sequence[Any], told: int | None, backward: Callable[..., Any]) -> int:
    """How many of these have an upstream gradient. Raises InputError where that is not told and cannot be known."""
    most = len(returned)
    if told is not None:
        if isinstance(told, bool) or not isinstance(told, Integral) or not 1 <= told <= most:
            raise InputError("outputs of check_layer", f"from 1 to {most}, as forward returns so many values", told)
        return int(told)
    second = list(_signature(backward) or [])[1:2]
    named = any(name.startswith(("d", "grad")) for name in second) and most == 2 and _is_float(returned[1])
    if most > 2 or named:
        why = f"backward calls the second {second[0]}" if named else "the others go to backward as they are"
        expected = f"from 1 to {most}: of how many of the values of forward does backward take a gradient?"
        raise InputError("outputs of check_layer", expected, f"none, and forward returns {most} ({why})")
    return 1


def _output(out: Any, place: int) -> Array:
    """Raises InputError for an output that has no derivative."""
    if out is None or isinstance(out, (tuple, list, Mapping)) or np.asarray(out).dtype.kind != "f":
        came = f"{out.dtype}" if isinstance(out, np.ndarray) else type(out).__name__
        raise InputError(f"output {place} of forward", "an array of floats, which has a derivative", came)
    return np.asarray(out)


def _expected(returned: int, count: int) -> str:
    """What backward is to take."""
    douts = "dout" if count == 1 else ", ".join(f"dout{i}" for i in range(1, count + 1))
    if returned == count:
        return f"({douts}), as forward returns out alone" if count == 1 else f"({douts}), one for each output"
    outs = douts.replace("dout", "out")
    others = ", ".join(["cache"] if returned == count + 1 else [f"cache{i}" for i in range(1, returned - count + 1)])
    return f"({douts}, {others}), as forward returns ({outs}, {others})"


def _node(dout: Any) -> Node | None:
    return dout.settled().node if isinstance(dout, Ball) else None


def _place(made: Sequence[Node | None], tape: Recording, backward: Callable[..., Any]) -> None:
    """Put each upstream gradient where backward first uses it: we make it, and not where check_layer is called."""
    for name, node in zip(_upstream(backward, len(made)), made, strict=True):
        if node is None:
            continue
        uses = (x.node.place for x in tape.values if any(o.node is node for o in x.node.operands))
        use = next((place for place in uses if place is not None), None)
        if use is not None:
            node.place = next((Place(use.code, at) for at in reversed(_loads(use, name))), use)


def _loads(use: Place, name: str) -> list[int]:
    """The instructions that read a name, in front of where it is used; one may read two, from Python 3.13 on."""
    before = (i for i in dis.get_instructions(use.code) if i.offset < use.instruction and i.opname.startswith("LOAD"))
    return [i.offset for i in before if name in (i.argval if isinstance(i.argval, tuple) else (i.argval,))]


def _signature(function: Callable[..., Any]) -> dict[str, inspect.Parameter] | None:
    """The arguments that a function has; None where it does not tell."""
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return None


def _check_takes(what: str, function: Callable[..., Any], given: int, expected: str) -> None:
    """Raise InputError for a function that does not take so many arguments."""
    if _signature(function) is None:
        return
    signature = inspect.signature(function)
    try:
        signature.bind(*range(given))
    except TypeError as error:
        raise InputError(what, expected, f"one of {signature}: {error}") from error


def _check_keeps(owner: Any, parameters: Sequence[str]) -> None:
    """Raise UnknownNameError for a name that is no attribute of the layer."""
    for name in parameters:
        if not hasattr(owner, name):
            own = [other for other, a in getattr(owner, "__dict__", {}).items() if _is_float(a)]
            of = {key for other in own for _, key in _places(owner, other)}  # their gradients
            raise UnknownNameError(f"parameter of {type(owner).__name__}", name, [n for n in own if n not in of])


def _check_apart(parameters: Sequence[str], inputs: Sequence[str]) -> None:
    """Raise InputError for a parameter that is called as an input is: the gradients could not be told apart."""
    for name in parameters:
        if name in inputs:
            expected = "other names than forward's arguments"
            raise InputError("parameters of check_layer", expected, f"{name!r}, which is both: give one another name")


def _names(forward: Callable[..., Any], count: int) -> list[str]:
    """What forward calls its arguments."""
    known = list(inspect.signature(forward).parameters)[:count]
    return known + [f"input {i}" for i in range(len(known), count)]


def _is_float(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def _of_inputs(result: Any, names: Sequence[str], floats: Collection[str]) -> dict[str, Any]:
    """The gradients that backward returns: of the first inputs, or of those alone that are floats.

    Integers, such as the rows of an embedding, have no gradient: one at their place is the next input's. Raises
    InputError where they are more than inputs.
    """
    several = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    count = len(names)
    if len(several) > count:
        what = "those of its inputs" if count > 1 else "that of its input"
        expected = f"at most {count}, {what}; the arrays that the layer keeps are named by parameters=, or are inputs"
        raise InputError("the gradients that backward returns", expected, str(len(several)))
    if any(isinstance(g, Mapping) for g in several):
        raise InputError("what backward returns", "an array, or a tuple of one for each input", "a dict")
    misplaced = any(g is not None and name not in floats for name, g in zip(names, several, strict=False))
    if misplaced and len(several) <= len(floats):
        names = [name for name in names if name in floats]
    return dict(zip(names, several, strict=False))


def _set_to_0(owner: Any, parameters: Sequence[str]) -> None:
    """New zeros for the gradients that the layer keeps, as whoever trains it makes them before each step."""
    for name in parameters:
        for space, key in _places(owner, name):
            if hasattr(space[key], "shape"):
                space[key] = np.zeros_like(space[key])


def _places(owner: Any, name: str) -> list[tuple[dict[str, Any], str]]:
    """Where the layer may keep a parameter's gradient: its attributes first, then entries of grads."""
    own = getattr(owner, "__dict__", {})
    places = [(own, spelled) for spelled in (f"d{name}", f"grad_{name}", f"{name}_grad") if spelled in own]
    holders = [own[kept] for kept in ("grads", "gradients") if isinstance(own.get(kept), dict)]
    return places + [(holder, key) for holder in holders for key in (name, f"d{name}") if key in holder]


def _kept(owner: Any, name: str) -> Any:
    """The gradient that the layer has left behind. Raises InputError where there is none."""
    for spelled in (f"d{name}", f"grad_{name}", f"{name}_grad"):
        if hasattr(owner, spelled):
            return getattr(owner, spelled)
    for holder in (getattr(owner, "grads", None), getattr(owner, "gradients", None)):
        if isinstance(holder, dict):
            found = [holder[key] for key in (name, f"d{name}") if key in holder]
            if found:
                return found[0]
    raise InputError(f"the layer after backward, for {name}", f"an attribute d{name}, or an entry of grads", "neither")
