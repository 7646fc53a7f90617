"""check_layer: one layer with its backward, for an upstream gradient that is drawn.

    check_layer(affine_forward, affine_backward, x, w, b)     # (out, cache), and dx, dw, db of (dout, cache)
    check_layer(layer.forward, layer.backward, x, parameters=("W", "b"))

What is asked is check's question for the loss L = sum(out dout), whose derivative by out is dout. dout is drawn: an
upstream gradient of ones, or of equal rows, hides that a backward forgets it, sums over it or turns it.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from reference.errors import InputError
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

    Raises InputError for what is none of these, and whatever the layer raises by itself.
    """
    owner = getattr(forward, "__self__", None)
    if parameters and owner is None:
        raise InputError("parameters of check_layer", "none, unless forward is a method of a layer", parameters)
    given = {name: x for name, x in zip(_names(forward, len(inputs)), inputs, strict=True) if _is_float(x)}
    with untouched(world_of(forward, backward, inputs)):
        out = np.asarray(_forwarded(forward, inputs)[0])
    dout = np.random.default_rng(seed).standard_normal(out.shape).astype(out.dtype)
    own = {name: np.asarray(getattr(owner, name)) for name in parameters}

    def layer(p: dict[str, Any], dout: Any, *others: Any) -> tuple[Any, dict[str, Any]]:
        for name in parameters:
            setattr(owner, name, p[name])
        _set_to_0(owner, parameters)
        left = iter(others)
        arguments = [p[name] if name in given else next(left) for name in _names(forward, len(inputs))]
        y, cache = _forwarded(forward, arguments)
        dy = dout.copy()
        result = backward(dy, *cache)
        gradients = dict(zip(_names(forward, len(inputs)), _of_inputs(result, len(inputs)), strict=False))
        gradients |= {name: _kept(owner, name) for name in parameters}
        return np.sum(y * dout), {name: g for name, g in gradients.items() if g is not None and name in p}

    layer.__name__ = getattr(forward, "__qualname__", "layer")
    rest = [x for x in inputs if not _is_float(x)]
    return check(layer, {**given, **own}, dout, *rest)


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
