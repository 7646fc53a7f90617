"""A mistake planted in somebody's NumPy code: it computes as before, but for one tensor.

Nothing is subclassed or written to. A network is wrapped in one that hands its own functions another ``sow``, a loss in
one with another gradient, a function in one that changes what comes out; so it works for code that nobody here wrote.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Sow, keep
from reference.claim.experiment import Experiment
from reference.claim.objective import Function, matched
from reference.claim.slots import gradient_of
from reference.claim.tree import named, zip_with
from reference.errors import TorchMirrorError
from reference.traces.training import train
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.balls.recording import Place, caller
from torch_mirror.doors.check.standin import stand_in
from torch_mirror.doors.check.untouched import replace_floats, untouched
from torch_mirror.doors.check.world import World, world_of
from torch_mirror.doors.selftest.wrongs import Seen, Wrong
from torch_mirror.tape.edits.rounded import TELLS
from torch_mirror.tape.edits.search import CAST_BITS


class Target(NamedTuple):
    """The tensor that is to be wrong, and what is known of it and of the network."""

    tensor: str
    of: str            # what it is the gradient of; "" for a value
    upstream: str      # the last gradient of a value of the same shape before it; "" for none
    batch: int
    outputs: int


class Made(NamedTuple):
    """What a planted mistake made, each time that it could be made: of arrays, or of balls."""

    right: Any
    wrong: Any
    place: Place | None  # the line that computed the tensor


def tells(wrong: Wrong, made: Sequence[Made]) -> bool:
    """Whether a cast changes as many elements as it takes to tell it from other casts; True of any other mistake.

    Of fewer no cause is named (CAST_BITS in tape/edits/search.py), and none is asked for.
    """
    to = next((to for to in TELLS if wrong.name.startswith(f"a cast to {to}")), None)
    arrays = [m for m in made if not hasattr(m.right, "settled")]
    return to is None or any(TELLS[to] * np.count_nonzero(m.right != m.wrong) >= CAST_BITS for m in arrays)


@dataclass(frozen=True)
class Planting:
    """A mistake for one run. ``check`` puts back all that a user's code can reach, but nothing in a class of ours.

    change: (name, value) to the value, or to what stands in its place
    note:   is told every value by name as the step goes on with it, the parameters first
    made:   filled by change, in order
    """

    change: Callable[[str, Any], Any]
    note: Callable[[str, Any], None]
    made: list[Made]


def targets(e: Experiment, wrong: Wrong) -> list[Target]:
    """The tensors of a step in which a kind of mistake may be made, in the order of the equations."""
    own = {str(gradient_of(e.slots, name)): name for name in named(e.parameters)}
    batch = e.batch_length(0)
    outputs = int(np.prod(e.slots["y"].shape)) // batch if "y" in e.slots else 1
    found, passed = [], dict[tuple[int, ...], str]()
    for name, slot in e.slots.items():
        of_value = slot.role == "gradient" and name not in own and bool(slot.of)
        fits = {
            "gradient": of_value or name in own,
            "parameter's gradient": name in own,
            "value's gradient": of_value,
            "value": slot.role == "value" and slot.dtype.kind == "f",
            "loss": slot.role == "loss",
        }
        if fits[wrong.where]:
            of, upstream = own.get(name) or slot.of or "", passed.get(slot.shape, "")
            found.append(Target(name, of, upstream if of_value else "", batch, outputs))
        if of_value:
            passed[slot.shape] = name
    return found


def planting(wrong: Wrong, target: Target) -> Planting:
    """A mistake for one run: what it makes depends on what came before."""
    values: dict[str, Any] = {}
    before: dict[str, Any] = {}
    made: list[Made] = []

    def note(name: str, value: Any) -> None:
        if name in values:  # computed once more: the next step
            before.clear()
            before.update(values)
            values.clear()
        values[name] = value

    def change(name: str, value: Any) -> Any:
        if name != target.tensor:
            return value
        seen = Seen(values, before, target.batch, target.outputs, target.of, target.upstream)
        with np.errstate(all="ignore"):
            other = wrong.change(value, seen)
        if other is None:
            return value
        other = other if hasattr(value, "settled") else np.asarray(other, np.asarray(value).dtype)
        made.append(Made(value, other, caller()))
        return other

    return Planting(change, note, made)


def planted(e: Experiment, plant: Planting) -> Experiment:
    """The experiment whose own code makes the mistake, in its backward pass or in its loss's gradient."""
    objective = e.objective
    if isinstance(objective, Function):
        return replace(e, network=function_with(objective, plant))
    parts = frozenset() if e.penalty is None else frozenset(f"d{name}" for name in named(e.parameters))
    return replace(e, network=_Network(e.network, plant, parts), loss=_Loss(e.loss, plant))


@dataclass(frozen=True)
class _Network:
    """The network, whose values are changed before they are sown.

    parts: gradients that a penalty adds to, which are sown as ``dW1.data``
    """

    network: Any
    plant: Planting
    parts: frozenset[str]

    def __getattr__(self, name: str) -> Any:
        if name == "network" or name.startswith("__"):  # while it is copied there is no network yet
            raise AttributeError(name)
        return getattr(self.network, name)

    def forward(self, p: Any, x: Any, sow: Sow = keep) -> tuple[Any, Any]:
        for name, w in named(p).items():
            self.plant.note(name, w)
        result: tuple[Any, Any] = self.network.forward(p, x, through(self.plant, sow))
        return result

    def backward(self, p: Any, c: Any, dy: Any, sow: Sow = keep) -> Any:
        self.plant.note("dy", dy)
        return self.network.backward(p, c, dy, through(self.plant, sow, self.parts))


@dataclass(frozen=True)
class _Loss:
    """The loss, whose gradient is changed."""

    loss: Any
    plant: Planting

    def value(self, y: Any, t: Any) -> Any:
        return self.loss.value(y, t)

    def gradient(self, y: Any, t: Any) -> Any:
        return self.plant.change("dy", self.loss.gradient(y, t))


def through(plant: Planting, sow: Sow = keep, parts: frozenset[str] = frozenset()) -> Sow:
    """The sow of a run that makes the mistake, in front of another one.

    parts: names that are sown as ``dW1.data`` in the run
    """

    def passed(name: str, value: Any, /) -> Any:
        value = sow(name, plant.change(f"{name}.data" if name in parts else name, value))
        plant.note(name, value)
        return value

    return passed


def function_with(own: Function, plant: Planting) -> Callable[..., Any]:
    """The function, whose values and gradients are changed; its arguments keep their names."""

    @functools.wraps(own.function)
    def planted(p: Any, *data: Any, sow: Sow = keep) -> Any:
        sown: set[str] = set()
        for name, w in named(p).items():
            plant.note(name, w)

        def inner(name: str, value: Any, /) -> Any:
            sown.add(name)
            return passed(name, value)

        passed = through(plant, sow)
        loss, dp = own.function(p, *data, sow=inner) if own.sows else own.function(p, *data)
        return loss, zip_with(lambda n, dw: dw if f"d{n}" in sown else plant.change(f"d{n}", dw), matched(dp, p))

    return planted


def chosen(e: Experiment, wrong: Wrong, first: int, batch: int = 0) -> Target | None:
    """The tensor to plant a kind of mistake in: of those where it changes a bit, the first from a place on; or none.

    One of several elements is taken, if there is one: a single number is a multiple of any other.
    batch: the samples of a step, where the experiment does not know them
    """
    possible = targets(e, wrong)
    turned = [possible[(first + i) % len(possible)] for i in range(len(possible))]
    for one in sorted(turned, key=lambda t: int(np.prod(e.slots[t.tensor].shape)) == 1):
        target = one._replace(batch=batch or one.batch)
        plant = planting(wrong, target)
        if wrong.steps > 1 or wrong.where in ("value", "loss"):
            train(replace(e, steps=wrong.steps), plant=through(plant))
        else:
            train(replace(planted(e, plant), steps=1))
        if any(np.asarray(m.right).tobytes() != np.asarray(m.wrong).tobytes() for m in plant.made):
            return target
    return None


def room_of(e: Experiment) -> Mapping[str, float]:
    """How much of each tensor its dtype may round away in a step: the largest radius over the largest value.

    Code that no balls can run through has no radii, and none is known of its tensors.
    """
    world = world_of(e.objective, *e.data)
    for everything in (True, False):  # as check does (runs.py)
        found = _radii(e, world, everything=everything)
        if found is not None:
            return found
    return {}


def _radii(e: Experiment, world: World, *, everything: bool) -> Mapping[str, float] | None:
    """everything: whether all arrays of floats that the code reaches are balls. None where it does not run on them."""
    fmt, room = format_of(e.dtype), dict[str, float]()

    def ball(a: Any) -> Ball:
        return Ball(np.array(a, e.dtype), 0, fmt)

    def noted(name: str, value: Any, /) -> Any:
        x = value.settled() if hasattr(value, "settled") else None
        if x is not None and x.size:
            largest = float(np.abs(x.value).max()) or 1.0
            room[name] = float(np.asarray(x.radius).max()) / largest
        return value

    p, data = zip_with(lambda _, a: ball(a), e.parameters), e.seen(e.objective.prepare(e.data), 0)
    with untouched(world), np.errstate(all="ignore"):
        if everything:
            replace_floats(world, ball)
        stand_in(world.namespaces, ball, e.dtype)
        try:
            e.objective.gradients(p, data, noted)
        except TorchMirrorError:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, the run on arrays has not raised it
            return None
    return room


def differ(made: list[Made], room: float) -> bool:
    """Whether a mistake made another array somewhere, by more than that share of its largest element."""
    return any(_differs(np.asarray(m.right), np.asarray(m.wrong), room) for m in made)


def _differs(right: Any, wrong: Any, room: float) -> bool:
    with np.errstate(all="ignore"):
        allowed = room * np.abs(right).max(initial=0)
        return bool((~(np.abs(wrong - right) <= allowed)).any())
