"""A mirror that strays as a script of NumPy alone: torch's number is in it, and the equation that it contradicts.

A torch program cannot be copied as a network in NumPy can: what makes it is a function of somebody's session. But what
it gave is known, and so is the point at which it did; the script evaluates the reference's own equations there.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from reference.claim.experiment import Experiment
from reference.claim.objective import Function, Silent
from reference.claim.slots import names
from reference.claim.tree import named, rebuild, zip_with
from reference.errors import InputError
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.doors.reproduce_places import place_of, spellings
from torch_mirror.doors.reproduce_sources import Copied, beside, called, literal
from torch_mirror.doors.shrink import smallest
from torch_mirror.doors.verify import verify
from torch_mirror.judge.findings import Finding
from torch_mirror.training.loop import train
from torch_mirror.training.session import Session

EVALUATIONS = 60
"""Runs of both sides, for simpler numbers."""


class Strayed(NamedTuple):
    """A step of torch's run: where it starts, what it sees, and the tensor that is wrong in it.

    room: how far the equations' own numbers may be from each other's, from the same start
    """

    tensor: str
    step: int
    parameters: Any
    data: tuple[Any, ...]
    seen: Any
    room: float


def strayed(experiment: Experiment, using: Callable[[Experiment], Session]) -> Strayed | None:
    """The first wrong value or gradient of the mirror's, in a run as small as it may be; None where none is."""
    e = experiment
    first = _first(e, using)
    if first is None:
        return None

    def fails(candidate: Experiment) -> bool:
        found = _first(candidate, using)
        return found is not None and found.tensor == first.tensor and _far(found) >= _far(first) / 2

    e = replace(e, steps=first.step + 1)
    e = smallest(_of_fewer(e, fails), fails, EVALUATIONS)
    found = _first(e, using) or first
    t = found.step
    trace = train(e, using=using(e))
    p = rebuild(e.parameters, {name: trace.parameters[name][t].copy() for name in named(e.parameters)})
    data = tuple(e.seen(e.objective.prepare(e.data), t))
    return Strayed(found.tensor, t, p, data, trace.tensors[found.tensor][t].copy(), _room(e, p, data, found.tensor))


def _first(e: Experiment, using: Callable[[Experiment], Session]) -> Finding | None:
    """The first finding, if it is of a tensor that a step's equations give."""
    try:
        found = verify(e, using=using, explain=False).first
    except InputError:  # of fewer samples the mirror may not run
        return None
    known = names(e.slots, "value", "gradient", "loss")
    return found if found is not None and found.side != "numpy" and found.tensor in known else None


def _far(f: Finding) -> float:
    """How far the element is from what the equation gives, relative to the larger of both."""
    if not np.isfinite(f.seen):
        return np.inf
    return abs(f.seen - f.expected) / (max(abs(f.seen), abs(f.expected)) or 1.0)


def _of_fewer(e: Experiment, fails: Callable[[Experiment], bool]) -> Experiment:
    """The experiment with fewer samples, where all are seen at each step."""
    if e.batches is not None or e.accumulate != 1:
        return e
    for n in (1, 2, 4, 8, 16, 32):
        if n < e.samples:
            x, t = (zip_with(lambda _, a, n=n: a[:n], part) for part in (e.x, e.t))
            candidate = replace(e, x=x, t=t)
            if fails(candidate):
                return candidate
    return e


def _room(e: Experiment, p: Any, data: tuple[Any, ...], tensor: str) -> float:
    """Twice the largest radius of the tensor: both sides are within one of the exact number."""
    fmt, found = format_of(e.dtype), dict[str, float]()

    def note(name: str, value: Any, /) -> Any:
        if hasattr(value, "settled"):
            found[name] = 2 * float(np.asarray(value.settled().radius).max(initial=0))
        return value

    with np.errstate(all="ignore"):
        e.objective.gradients(zip_with(lambda _, a: Ball(a.copy(), 0, fmt), p), data, note)
        if tensor == "loss" and tensor not in found:
            return found.get("y", 0.0) * data[0].size  # of the largest sum over y that a loss may be
    return found.get(tensor, 0.0)


def script(to: Copied, e: Experiment, found: Strayed) -> str:
    """The text of the script. Raises InputError for a penalty beside the network, which no script has."""
    if e.penalty is not None:
        way = "one without penalty, or a function (p, x, t) -> (loss, gradients) that has it in it"
        raise InputError("an experiment to copy", way, "one with a penalty")
    steps = _of_function(to, e.objective, found) if isinstance(e.objective, Function) else _of_network(to, e, found)
    p, seen = literal(to, found.parameters), literal(to, found.seen)
    names = OWN[1 : 1 + len(found.data)]  # x, t
    data = [literal(to, d) for d in found.data]
    copied = str(to).strip()
    own = beside(copied, OWN)
    return SCRIPT.format(
        tensor=found.tensor, step=found.step, copied=copied, own=own, p=p, seen=seen, room=repr(found.room),
        data="\n".join(f"{own[name]} = {text}" for name, text in zip(names, data, strict=True)),
        steps=steps.format(own=own, data=", ".join(own[name] for name in names)),
    )  # fmt: skip


def _of_network(to: Copied, e: Experiment, found: Strayed) -> str:
    """The lines that evaluate a network and a loss, with what each tells of its values."""
    silent = isinstance(e.network, Silent)
    to.texts["_network"] = f"_network = {literal(to, e.network.network if silent else e.network)}"
    to.texts["_loss"] = f"_loss = {literal(to, e.loss)}"
    if not silent:
        return NETWORK
    return SILENT + _gradients(found, e.objective.gradients(found.parameters, found.data))


def _of_function(to: Copied, objective: Function, found: Strayed) -> str:
    """The same of a function that returns the loss and the gradients."""
    call = called(to, objective.function)
    sow = ", sow={own[sow]}" if objective.sows else ""
    result = objective.function(found.parameters, *found.data)
    line = f"{{own[y]}}, {{own[cache]}} = {call}({{own[p]}}, {{data}}{sow})\n"
    return line + '{own[values]}.setdefault("loss", {own[y]})' + _gradients(found, result[1])


def _gradients(found: Strayed, gradients: Any) -> str:
    """The line that takes the wrong gradient from those that were returned; none for another tensor."""
    leaf = next((name for name in named(found.parameters) if f"d{name}" == found.tensor), None)
    if leaf is None:
        return ""
    return f'\n{{own[values]}}.setdefault("{found.tensor}", {{own[cache]}}{place_of(gradients, spellings(leaf))})'


OWN = ("p", "x", "t", "torch_has", "values", "sow", "y", "cache", "expected", "rounding")
"""Names of the script itself, as ``beside`` takes them."""

NETWORK = """\
{own[y]}, {own[cache]} = _network.forward({own[p]}, {own[x]}, {own[sow]})
{own[values]}["loss"] = _loss.value({own[y]}, {own[t]})
{own[values]}["dy"] = _loss.gradient({own[y]}, {own[t]})
_network.backward({own[p]}, {own[cache]}, {own[values]}["dy"], {own[sow]})"""

SILENT = """\
{own[y]}, {own[cache]} = _network.forward({own[p]}, {own[x]})
{own[values]} |= {{"y": {own[y]}, "loss": _loss.value({own[y]}, {own[t]}), "dy": _loss.gradient({own[y]}, {own[t]})}}
{own[cache]} = _network.backward({own[p]}, {own[cache]}, {own[values]}["dy"])"""

SCRIPT = '''"""{tensor} of the torch mirror is not what the reference's equations give. It needs NumPy alone."""

from __future__ import annotations

{copied}

# step {step} of the smallest run that still fails
{own[p]} = {p}
{data}
{own[torch_has]} = {seen}

{own[values]} = {{}}


def {own[sow]}(name, value):
    {own[values]}[name] = value
    return value


{steps}
{own[expected]} = {own[values]}["{tensor}"]
{own[rounding]} = {room}  # how far two right programs may be from each other
print("torch has", {own[torch_has]})
print("equations give", {own[expected]})
assert (abs({own[torch_has]} - {own[expected]}) <= {own[rounding]}).all(), (
    f"{tensor} is {{{own[torch_has]}}} in torch, where the reference's equations give {{{own[expected]}}}"
)
'''
