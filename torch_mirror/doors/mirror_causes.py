"""Why the mirror strays: the smallest edit of the reference's own equation that gives what torch has.

A torch program is no code that balls could run through; but its numbers are known, step by step, and so is the point at
which each step starts. There the reference's forward is recorded, its derivative drawn up as an equation, and every
single edit of that equation is tried (tape/edits), as ``check`` does for a backward pass in NumPy; for an update it is
the optimizer's own step. torch's number is given the radius of the reference's own: both evaluate the same formula,
each in its own order of summation, and the balls' premise is that any such evaluation is within it.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from reference.claim.experiment import Experiment
from reference.claim.slots import gradient_of
from reference.claim.tree import named, rebuild, zip_with
from reference.errors import InputError
from reference.optimizers.adagrad import Adagrad
from reference.optimizers.adam import Adam
from reference.optimizers.rmsprop import RMSprop
from reference.optimizers.sgd import SGD
from reference.traces.trace import Trace
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.doors.check.claimed import claim_of, sizes_of, spoken
from torch_mirror.doors.check.runs import Followed, as_taken, followed
from torch_mirror.doors.check.world import world_of
from torch_mirror.tape import causes
from torch_mirror.tape.causes import by_number, in_words
from torch_mirror.tape.edits.explain import explain
from torch_mirror.tape.edits.explain_updates import explain_update
from torch_mirror.tape.edits.gradients import gradient_equation
from torch_mirror.tape.edits.told import Explanation
from torch_mirror.tape.graph import MissingAdjointError


def function_of(e: Experiment) -> Callable[..., Any]:
    """The experiment's objective as ``check`` takes it: (p, *data) -> (loss, gradients)."""
    objective = e.objective

    def network(p: Any, *data: Any) -> Any:
        kept: dict[str, Any] = {}

        def noted(name: str, value: Any, /) -> Any:
            kept[name] = value
            return value

        gradients = objective.gradients(p, data, noted)
        return (kept["loss"] if "loss" in kept else objective.loss_of(kept["y"], data)), gradients

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    called = ["p", *"xt"[: len(e.data)]]  # by which a size of the data is named
    network.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in called])  # type: ignore[attr-defined]  # what inspect asks for
    return network


SOUGHT = (SGD, Adam, RMSprop, Adagrad)
"""The optimizers of whose steps edits are tried."""


class _At(NamedTuple):
    """A step of a trace: its parameters, state, data and gradients, those of the step before as well."""

    p: Any
    state: Any
    data: tuple[Any, ...]
    gradients: dict[str, Any]
    previous: dict[str, Any]
    after: dict[str, Any]


class Told(NamedTuple):
    """What was found out: the cause, or several that are tied; why there is none, in words."""

    causes: tuple[str, ...] = ()
    why: str = ""


def causes_of_gradients(experiment: Experiment, trace: Trace, step: int = 0) -> Told:
    """What is wrong with the gradients that a step of the trace holds.

    trace: torch's own, with the parameters and their gradients
    """
    e, at = experiment, _at(experiment, trace, step)
    claim = claim_of(function_of(e), at.p, at.data)
    with np.errstate(all="ignore"):
        found = followed(claim, world_of(*claim.roots), e.dtype)
        if not isinstance(found, Followed):
            return Told(why="none is sought, as the reference's forward pass cannot be recorded at this step")
        seen = as_taken(found)
        try:
            eq = gradient_equation(seen.loss, {spoken(name): x for name, x in seen.leaves.items()})
        except MissingAdjointError as error:
            return Told(why=f"none is sought, as the reference's derivative cannot be written as an equation: {error}")
    radii = {name: g.radius for name, g in seen.gradients.items() if g is not None}
    own = {spoken(name): Number(g, radii[name]) for name, g in at.gradients.items() if name in radii}
    before = {spoken(name): Number(g, radii[name]) for name, g in at.previous.items() if name in radii}
    sizes = by_number(sizes_of(claim))
    told = explain(eq, own, sizes, previous=before, budget=causes.BUDGET)
    return told_in_words(told, {name: x.value.size for name, x in own.items()}, sizes)


def causes_of_update(experiment: Experiment, trace: Trace, step: int = 0) -> Told:
    """What is wrong with the update that a step of the trace made of its own gradients."""
    e, at = experiment, _at(experiment, trace, step)
    if not isinstance(e.optimizer, SOUGHT):
        known = ", ".join(kind.__name__ for kind in SOUGHT)
        return Told(why=f"none is sought of an update by {type(e.optimizer).__name__}, but of one by {known}")
    g, before = (rebuild(e.parameters, gradients) if gradients else None for gradients in (at.gradients, at.previous))
    with np.errstate(all="ignore"):
        before_it = {key: _balls(tree) for key, tree in at.state.items()}
        p, state = e.optimizer.step(_balls(at.p), _balls(g), before_it, step)
        right = {**named(p), **named(state)}
        held = {name: a for name, a in at.after.items() if np.isfinite(a).all()}  # NaN: torch has no such state
        seen = {name: Number(a, right[name].settled().radius) for name, a in held.items()}
        told = explain_update(e.optimizer, at.p, g, at.state, step, seen, before, causes.BUDGET)
    return told_in_words(told, {name: x.value.size for name, x in seen.items()}, {}, "update")


def _balls(tree: Any) -> Any:
    return zip_with(lambda _, a: Ball(a), tree)


def point_at(e: Experiment, trace: Trace, step: int) -> tuple[Any, tuple[Any, ...]]:
    """The parameters and the data of a step of the trace."""
    i = step - trace.first
    p = e.parameters_of({name: trace.parameters[name][i].copy() for name in named(e.parameters)})
    return p, tuple(e.seen(e.objective.prepare(e.data), step))


def _at(e: Experiment, trace: Trace, step: int) -> _At:
    i = step - trace.first
    names = list(named(e.parameters))

    def gradients(k: int) -> dict[str, Any]:
        own = {name: str(gradient_of(e.slots, name)) for name in names}
        return {name: trace.tensors[g][k].copy() for name, g in own.items() if k >= 0 and g in trace.tensors}

    def parameters(k: int) -> Any:
        return e.parameters_of({name: trace.parameters[name][k].copy() for name in names})

    state = e.optimizer.init(e.parameters)
    held = {name: a[i].copy() for name, a in trace.states.items()}
    if all(np.isfinite(a).all() for a in held.values()) and set(held) == set(named(state)):
        state = rebuild(state, held)
    elif trace.first:
        raise InputError("the trace", "the optimizer's state, or every step from the first on", f"step {trace.first}")
    else:  # torch's optimizer keeps none: that of the right one, from the gradients that there were
        for k in range(i):
            _, state = e.optimizer.step(parameters(k), rebuild(e.parameters, gradients(k)), state, trace.first + k)
    after = {name: a[i + 1].copy() for name, a in {**trace.parameters, **trace.states}.items()}
    p, data = point_at(e, trace, step)
    return _At(p, state, data, gradients(i), gradients(i - 1), after)


def told_in_words(
    told: Explanation, elements: Mapping[str, int], sizes: Mapping[str, float], right: str = "equation"
) -> Told:
    """The causes, one after the other; none where something is left unexplained, or one of several mistakes is tied.

    right: what was edited
    """
    if told.facts:  # a NaN or an infinity: what is born there is all that is wrong with it
        return Told(told.facts)
    if told.complete and not told.tried:
        return Told()  # nothing that was asked of is wrong, as of a gradient on the way where the parameters' are right
    if told.unexplained or not told.findings:
        late = f"none was found within {causes.BUDGET:g} seconds"  # how many were tried differs from run to run
        return Told(why=causes.unexplained(told, right) if told.complete else late)
    constants = told.constants if sizes else {}
    if len(told.findings) == 1:
        return Told(tuple(in_words([cause], elements, constants) for cause in told.findings[0].causes))
    if any(len(found.causes) > 1 for found in told.findings):
        many = len(told.findings)
        return Told(why=f"none is named, as {many} mistakes are in it, and several edits explain one of them")
    return Told((in_words([found.causes[0] for found in told.findings], elements, constants),))
