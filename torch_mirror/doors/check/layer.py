"""check_layer: one layer with its backward, for an upstream gradient that is drawn.

    check_layer(affine_forward, affine_backward, x, w, b)     # (out, cache), and dx, dw, db of (dout, cache)
    check_layer(layer.forward, layer.backward, x, parameters=("W", "b"))

What is asked is check's question for the loss L = sum(out dout), whose derivative by out is dout. dout is drawn: an
upstream gradient of ones, or of equal rows, hides that a backward forgets it, sums over it or turns it.
"""

import dis
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

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
    seed: int = 0,
) -> Checked:
    """Judge a layer's backward against the derivative of its forward.

    forward:    (*inputs) -> out, or (out, cache); a function, or a method of a layer
    backward:   (dout), or (dout, cache) where forward gives one -> the gradient of the first input, or a tuple with
                those of the first few, None for one that has none
    parameters: names of arrays that the layer keeps as attributes; backward leaves their gradients in ``dW``, or
                ``grad_W``, or an entry of ``grads``
    seed:       of the upstream gradient: (shape of out), standard normal

    Raises InputError for what is none of these, UnknownNameError for a parameter that the layer does not have, and
    whatever the layer raises by itself.
    """
    owner = getattr(forward, "__self__", None)
    if parameters and owner is None:
        raise InputError("parameters of check_layer", "none, unless forward is a method of a layer", parameters)
    parameters = (parameters,) if isinstance(parameters, str) else parameters
    _check_keeps(owner, parameters)
    _check_takes("forward", forward, len(inputs), f"a function of the {len(inputs)} inputs that check_layer is given")
    given = {name: x for name, x in zip(_names(forward, len(inputs)), inputs, strict=True) if _is_float(x)}
    with untouched(world_of(forward, backward, inputs)):
        first, cache = _forwarded(forward, inputs)
        out = np.asarray(first)
    takes = "(dout, cache), as forward returns (out, cache)" if cache else "(dout), as forward returns out alone"
    _check_takes("backward", backward, 1 + len(cache), takes)
    dout = np.random.default_rng(seed).standard_normal(out.shape).astype(out.dtype)
    own = {name: np.asarray(getattr(owner, name)) for name in parameters}

    def layer(p: dict[str, Any], dout: Any, *others: Any) -> tuple[Any, dict[str, Any]]:
        for name in parameters:
            setattr(owner, name, p[name])
        _set_to_0(owner, parameters)
        left = iter(others)
        arguments = [p[name] if name in given else next(left) for name in _names(forward, len(inputs))]
        y, cache = _forwarded(forward, arguments)
        loss = np.sum(y * dout)  # before backward, which may write to dout
        dy, tape = dout.copy(), current()
        made = _node(dy)
        result = backward(dy, *cache)
        if tape is not None and made is not None:
            _place(made, tape, backward)
        gradients = dict(zip(_names(forward, len(inputs)), _of_inputs(result, len(inputs)), strict=False))
        gradients |= {name: _kept(owner, name) for name in parameters}
        return loss, {name: g for name, g in gradients.items() if g is not None and name in p}

    layer.__name__ = getattr(forward, "__qualname__", "layer")
    rest = [x for x in inputs if not _is_float(x)]
    return check(layer, {**given, **own}, dout, *rest)


def _node(dout: Any) -> Node | None:
    return dout.settled().node if isinstance(dout, Ball) else None


def _place(made: Node, tape: Recording, backward: Callable[..., Any]) -> None:
    """Put the upstream gradient where backward first uses it: it is made by us, and not where check_layer is called."""
    uses = (x.node.place for x in tape.values if any(o.node is made for o in x.node.operands))
    use = next((place for place in uses if place is not None), None)
    if use is not None:
        name = next(iter(_signature(backward) or ["dout"]))
        made.place = next((Place(use.code, i) for i in reversed(_loads(use, name))), use)


def _loads(use: Place, name: str) -> list[int]:
    """The instructions that read a name, in front of where it is used."""
    before = (i for i in dis.get_instructions(use.code) if i.offset < use.instruction and i.opname.startswith("LOAD"))
    return [i.offset for i in before if i.argval == name]


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


def _names(forward: Callable[..., Any], count: int) -> list[str]:
    """What forward calls its arguments."""
    known = list(inspect.signature(forward).parameters)[:count]
    return known + [f"input {i}" for i in range(len(known), count)]


def _is_float(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def _forwarded(forward: Callable[..., Any], inputs: Sequence[Any]) -> tuple[Any, tuple[Any, ...]]:
    """The output, and the cache if there is one."""
    result = forward(*inputs)
    return (result[0], (result[1],)) if isinstance(result, tuple) and len(result) == 2 else (result, ())


def _of_inputs(result: Any, count: int) -> tuple[Any, ...]:
    """The gradients that backward returns, of the inputs in their order. Raises InputError where they are more."""
    several = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    if len(several) > count:
        what = "those of its inputs" if count > 1 else "that of its input"
        expected = f"at most {count}, {what}; the arrays that the layer keeps are named by parameters=, or are inputs"
        raise InputError("the gradients that backward returns", expected, str(len(several)))
    if any(isinstance(g, Mapping) for g in several):
        raise InputError("what backward returns", "an array, or a tuple of one for each input", "a dict")
    return several


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
