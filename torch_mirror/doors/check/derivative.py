"""check: is what somebody wrote as a gradient the derivative of what they wrote as a loss?

    def mine(p, x, y):
        net.params = p
        return net.loss(x, y)             # (loss, {name: gradient})

    print(check(mine, net.params, X, y))

The function runs once as it is and once on balls: values with a radius, which say how far rounding may move them.
A recording of the second run gives the derivative of the loss, with a radius too (tape/sweep.py). Where the user's
gradient and the derivative are further apart than both radii, no rounding explains it: the gradient is wrong.
No step size, no tolerance, no torch.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from reference.claim.tree import Tree, named
from reference.errors import InputError
from torch_mirror.balls.cell import Ball
from torch_mirror.doors.check.claimed import Claim, claim_of, gradient_name, sizes_of
from torch_mirror.doors.check.result import Checked
from torch_mirror.doors.check.runs import Followed, NotFollowed, Plain, followed, plain_run
from torch_mirror.doors.check.world import World, world_of
from torch_mirror.tape import compared
from torch_mirror.tape.blame import blame
from torch_mirror.tape.sweep import Derivatives, derivative
from torch_mirror.tape.told import Fault, Row


def check(
    function: Callable[..., Any] | None = None,
    parameters: Tree = None,
    *arrays: Any,
    loss: Callable[..., Any] | None = None,
    gradients: Callable[..., Any] | None = None,
    data: tuple[Any, ...] = (),
) -> Checked:
    """Judge hand-written gradients against the derivative of their own loss, at the given numbers.

    function:   (p, *data) -> (loss, gradients); or None, with the two below
    parameters: an array of floats, or a tree of them: dicts, lists, tuples, objects
    arrays:     the data: arrays of any dtype and shape, or whatever else the function takes. data= is the same
    loss, gradients: functions (p, *data) -> a number, and -> the gradients, as a tree like the parameters

    Of float32 arrays the formulas are judged in float64, and the numbers in float32. Nothing that is given is
    written to, nor anything else that the function can reach. Raises InputError for what cannot be used, and what
    the function raises by itself.
    """
    started = time.perf_counter()
    claim = claim_of(function, parameters, (*arrays, *data), loss=loss, gradients=gradients)
    world = world_of(*claim.roots)
    with np.errstate(all="ignore"):
        plain = plain_run(claim, world)
        seen = followed(claim, world, wide(claim))
        if isinstance(seen, NotFollowed):
            raise NotImplementedError(seen)
        rows, faults, notes = _judged(claim, world, plain, seen)
    name = getattr(function or loss, "__name__", "check")
    return Checked(name, rows, faults, notes, float(plain.loss), time.perf_counter() - started)


def wide(claim: Claim) -> np.dtype[Any]:
    """What formulas are judged in: float64, or longdouble where a parameter is of it."""
    return np.result_type(np.float64, *(np.asarray(a).dtype for a in named(claim.parameters).values()))


def _judged(
    claim: Claim, world: World, plain: Plain, seen: Followed
) -> tuple[tuple[Row, ...], tuple[Fault, ...], tuple[str, ...]]:
    d = _derivative(claim, seen)
    by = {name: d.by(Ball(leaf)).settled() for name, leaf in seen.leaves.items()}
    order = sorted(claim.names, key=lambda name: _place_in_the_pass(seen, name))
    rows = tuple(
        compared.row(gradient_name(name), seen.gradients[name], by[name], {name: seen.leaves[name].value})
        for name in order
    )
    wrong = [name for name in order if _is_wrong(rows, name)]
    given = {name: g for name, g in seen.gradients.items() if g is not None}
    faults = blame(seen.tape, seen.loss, given, seen.leaves, wrong, gradient_name, sizes_of(claim)) if wrong else ()
    return rows, faults, ()


def _derivative(claim: Claim, seen: Followed) -> Derivatives:
    if seen.loss.node is None or not seen.loss.node.active:
        raise InputError(
            "the loss", "to be computed from the parameters that the function is given",
            "one that does not depend on them; a function of an object says net.params = p first",
        )  # fmt: skip
    return derivative(seen.loss)


def _place_in_the_pass(seen: Followed, name: str) -> int:
    g = seen.gradients[name]
    return g.node.number if g is not None and g.node is not None else len(seen.tape.values)


def _is_wrong(rows: tuple[Row, ...], name: str) -> bool:
    return any(row.name == gradient_name(name) and row.word == "WRONG" for row in rows)
