"""The equations of one step of a trace by itself, on any number type: floats, balls, exact numbers.

A refuted tensor is looked at by itself: ``equation`` evaluates it on the operands that the trace holds,
``backward`` and ``loss_by`` evaluate the reference's gradient and its loss from a point of the trace.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np

from reference.arrays import Array, Sow
from reference.claim.experiment import Experiment
from reference.claim.objective import features
from reference.claim.rehearsal import tensor_names
from reference.claim.step import gradients, step
from reference.claim.tree import named, zip_with
from reference.traces.trace import Trace
from torch_mirror.balls.ball import Ball
from torch_mirror.balls.exact import Exact
from torch_mirror.balls.format import Format
from torch_mirror.judge.findings import Finding
from torch_mirror.judge.quotients import Value
from torch_mirror.judge.replay import Part, judge_givens, parts

Kind = Literal["forward", "update", "gradient", "implied gradient", "other"]
"""Of a tensor. A gradient is implied where the trace holds what it updates, but not the gradient itself."""


class UnfitError(Exception):
    """What an equation raised on numbers that it was not written for."""


class System(NamedTuple):
    """A number type: how it takes an array of the trace, and a constant of the loss or the optimizer."""

    array: Callable[[Array], Any]
    number: Callable[[float], Any]


def floats() -> System:
    return System(np.array, lambda c: c)  # a copy: equations may write to what they are given


def balls(fmt: Format) -> System:
    return System(lambda a: Ball(a, 0, fmt), lambda c: c)


def rounded(fmt: Format) -> System:
    """Balls of numbers that were all rounded to the format once, so that no operation on them is exact."""
    return System(lambda a: Ball(a, fmt.u * np.abs(a), fmt), lambda c: c)


def exact(by: Exact) -> System:
    return System(by.array, by.number)


class Case(NamedTuple):
    """A finding, and what the trace holds of its step; no array has an axis for steps."""

    experiment: Experiment
    finding: Finding
    kind: Kind
    part: Part
    constants: Mapping[str, Array]  # x, and features of it: all samples
    held: Mapping[str, Array]       # what is taken from the trace, by name; nothing end to end
    sown: list[str]                 # by the forward, in its order
    seen: Array                     # the tensor; of an update the finding's element alone, (1,)
    at: tuple[int, ...]             # that element in ``seen``


def case_of(experiment: Experiment, trace: Trace, finding: Finding) -> Case:
    """The case of a finding about a tensor; the trace holds its step."""
    e, f = experiment, finding
    i = f.step - trace.first
    one = trace.at(slice(i, i + 1))
    _, givens = judge_givens(e, one, f.side)
    (part,) = parts(e, one, givens)
    once, each = tensor_names(e)
    sown = each[: each.index("loss")]
    values = {name: np.asarray(a[0]) for name, a in {**part.tensors, **part.after}.items()}
    seen, at = one.constants[f.tensor] if f.tensor in once else values[f.tensor], f.index
    held = values if f.check == "local" else {}
    kind: Kind = "forward" if f.tensor in [*once, *sown, "loss"] else _kind(e, f.tensor, sown, held)
    if kind == "update":
        seen, at = seen[at].reshape(1), (0,)
    return Case(e, f, kind, part, one.constants, held, sown, seen, at)


def _kind(e: Experiment, tensor: str, sown: list[str], held: Mapping[str, Array]) -> Kind:
    if tensor in named(e.parameters) or tensor in e.buffers:
        return "update" if f"d{updated(e, tensor)}" in held else "implied gradient"
    return "gradient" if tensor[:1] == "d" and tensor[1:] in [*named(e.parameters), *sown] else "other"


def updated(e: Experiment, tensor: str) -> str:
    """The parameter that a parameter or a buffer after the step belongs to."""
    return tensor[1:] if tensor in e.buffers else tensor


def equation(case: Case, system: System) -> Any:
    """The tensor's equation on the operands that the trace holds: shaped as ``case.seen``."""
    e, part, tensor = case.experiment, case.part, case.finding.tensor
    held = {**case.constants, **case.held}
    if case.kind == "update":
        index = case.finding.index
        return update(case, index, system, system.array(held[f"d{updated(e, tensor)}"][index].reshape(1)))

    def plant(name: str, value: Array, /) -> Array:
        return system.array(held[name]) if name in held else value

    if tensor in case.constants:
        x = system.array(case.constants["x"])
        return _reach(tensor, lambda sow: features(e.network, x, sow), plant)
    given = _given(case, system)
    if tensor == "loss":
        return _running(lambda: given.loss.value(e.network.forward(given.p, given.x, plant)[0], given.t))
    v = None if part.v is None else zip_with(lambda _, ball: system.array(ball.value[0]), part.v)
    return _reach(tensor, lambda sow: step(e.network, *given, _sgd(part, system), v, sow), plant)


class _Element(NamedTuple):
    """One element of a parameter, of its gradient or of its buffer: (1,)."""

    w: Any


def update(case: Case, index: tuple[int, ...], system: System, gradient: Any) -> Any:
    """One element of a parameter or buffer after the step, (1,), by the optimizer, from a gradient (1,)."""
    e, part, tensor = case.experiment, case.part, case.finding.tensor
    name = updated(e, tensor)
    held: Any = case.held.get(f"v{name}")

    def of(p: Any) -> _Element | None:
        return None if p is None else _Element(system.array(named(p)[name].value[0][index].reshape(1)))

    def plant(sown: str, value: Array, /) -> Array:
        into_buffer = sown != "vw" or tensor in e.buffers or held is None
        return value if into_buffer else system.array(held[index].reshape(1))

    after, v = _sgd(part, system).step(of(part.p), _Element(gradient), of(part.v), plant)
    return (v if tensor in e.buffers else after).w


def backward(case: Case, name: str, system: System, tell: Sow) -> Any:
    """The reference's gradient of a value, from the trace's own forward up to it.

    tell: a sow that sees whatever else is computed on the way.
    """
    planted = _up_to(case, name)

    def plant(sown: str, value: Array, /) -> Array:
        return tell(sown, system.array(planted[sown]) if sown in planted else value)

    given = _given(case, system)
    return _reach(f"d{name}", lambda sow: gradients(case.experiment.network, *given, sow), plant)


def loss_by(case: Case, name: str, index: tuple[int, ...], by: Exact) -> Callable[[Fraction], Value]:
    """The reference's loss as a function of what is added to an element of a parameter or sown value.

    The forward goes on from the trace's own values up to the sown one.
    """
    system = exact(by)
    given = _given(case, system)
    planted = {sown: system.array(a) for sown, a in _up_to(case, name).items()}

    def moved(value: Array, h: Fraction) -> Array:
        value = np.array(value, dtype=object)
        value[index] = value[index] + h
        return value

    def value_at(h: Fraction) -> Value:
        def sow(sown: str, value: Array, /) -> Array:
            value = np.array(planted[sown]) if sown in planted else value  # a copy: it may be written to
            return moved(value, h) if sown == name else value

        def loss() -> Any:
            p = zip_with(lambda parameter, w: moved(w, h) if parameter == name else w, given.p)
            y, _ = case.experiment.network.forward(p, given.x, sow)
            return given.loss.value(y, given.t)

        by.signs = []
        return Value(by.number(np.asarray(_running(loss))[()]), by.signs)

    return value_at


class _Given(NamedTuple):
    """What a step starts from, in the order of ``gradients``."""

    p: Any
    x: Any
    t: Any
    loss: Any


def _given(case: Case, system: System) -> _Given:
    part, loss = case.part, case.experiment.loss
    x, t = (part.x, part.t) if case.experiment.batches is None else (part.x[0], part.t[0])
    return _Given(
        zip_with(lambda _, ball: system.array(ball.value[0]), part.p),
        system.array(x.value),
        system.array(t.value),
        loss._replace(scale=system.number(loss.scale)),
    )


def _sgd(part: Part, system: System) -> Any:
    options = ("lr", "momentum", "dampening", "weight_decay")
    return part.sgd._replace(**{name: system.number(getattr(part.sgd, name)) for name in options})


def _up_to(case: Case, name: str) -> dict[str, Array]:
    """What the trace holds of the values that the forward sows up to this one; nothing for a parameter."""
    before = case.sown[: case.sown.index(name) + 1] if name in case.sown else []
    return {sown: case.held[sown] for sown in before if sown in case.held}


class _ReachedError(Exception):
    """Carries the tensor that an evaluation was for."""


def _reach(tensor: str, run: Callable[[Sow], Any], plant: Sow) -> Any:
    """The value of a tensor when ``run`` comes to sow it; of all before it, what ``plant`` makes of it."""

    def sow(name: str, value: Array, /) -> Array:
        if name == tensor:
            raise _ReachedError(value)
        return plant(name, value)

    try:
        _running(lambda: run(sow))
    except _ReachedError as reached:
        return reached.args[0]
    raise UnfitError(f"{tensor} is not sown")


def _running(run: Callable[[], Any]) -> Any:
    """What some equations return. What they raise on numbers that they were not written for is told as such."""
    try:
        return run()
    except (TypeError, ValueError, AttributeError, ArithmeticError, LookupError) as error:
        raise UnfitError(error) from error
