"""surrogate: a derivative that is declared, where a forward pass is not meant to have its own.

    a = surrogate(np.sign(z), np.clip(z, -1, 1))    # straight-through: the value of one, the derivative of the other
    m = surrogate(m, 0.0)                           # a gradient that is stopped: m counts as a constant
    h = surrogate(h, -h)                            # a gradient that is reversed

The value is the first, as it is. The derivative, wherever check and verify ask for it, is that of the second: in torch
``b + (y - b).detach()``. Without the declaration a backward pass that is not the derivative of its forward is wrong,
and is told to be.

On the tape the value is held: nothing that it is made of has a derivative through it, nor a kink.
Sources: Bengio, Leonard & Courville, Estimating or Propagating Gradients Through Stochastic Neurons (2013), for
straight-through; Ganin & Lempitsky, Unsupervised Domain Adaptation by Backpropagation (2015), for reversal.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from reference.errors import InputError
from torch_mirror.balls import adjoints
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Kind, elementary


def surrogate(value: Any, backward: Any) -> Any:
    """The value, whose derivative is declared to be that of ``backward``.

    value:    what the forward pass goes on with, an array of any shape and float dtype
    backward: what the backward pass differentiates in its place: an array of that shape, made of the same parameters
              and values; or one number, a constant, for a gradient that is stopped here

    A forward pass in which the backward one goes straight through the sign:

        def mine(p, x, t):
            z = x @ p["W"]
            a = surrogate(np.sign(z), z)
            d = 2 * (a - t)
            return ((a - t) ** 2).sum(), {"W": x.T @ d}

    On arrays it gives the value itself, unchanged. Raises InputError for another shape, and for tensors of torch, whose
    own words for it are ``backward + (value - backward).detach()``; TypeError on numbers of exact arithmetic, whose
    difference quotients know nothing of a declaration.
    """
    if any(type(x).__module__.partition(".")[0] == "torch" for x in (value, backward)):
        raise InputError("surrogate", "arrays of NumPy", "a tensor: write backward + (value - backward).detach()")
    if np.shape(backward) not in ((), np.shape(value)):
        raise InputError("backward of surrogate", f"shape {np.shape(value)}, or one number", np.shape(backward))
    if (seen := _declarations.get()) is not None:
        seen.append(None)
    numbers = [x.settled() if hasattr(x, "settled") else x for x in (value, backward)]
    like = next((x for x in numbers if isinstance(x, Number)), None)
    if like is None:
        if np.asarray(value).dtype == object:
            raise TypeError("surrogate has no derivative in exact arithmetic")
        return value
    own, instead = (like.operand(x) for x in numbers)
    return Ball(declared(held(own), instead))


@elementary(Kind.DECISION)
def held(value: Number) -> Number:
    """The same numbers, with no derivative."""
    return value.derived(value.value, None if value.exact else value.e)


@elementary((lambda g, *_: adjoints.constant(g, 0.0), lambda g, *_: g), "surrogate")
def declared(value: Number, backward: Number) -> Number:  # noqa: ARG001 - what only its adjoint is about
    return value.derived(value.value, None if value.exact else value.e)


# --- whether a run has declared anything ----------------------------------------------------------------------------

_declarations: ContextVar[list[None] | None] = ContextVar("the declarations that are counted", default=None)


@contextmanager
def declarations() -> Iterator[Callable[[], int]]:
    """Within the block, how often a derivative has been declared: difference quotients know nothing of it."""
    seen: list[None] = []
    token = _declarations.set(seen)
    try:
        yield lambda: len(seen)
    finally:
        _declarations.reset(token)
