"""The equations of one step of a trace by itself, on any number type: floats, balls, exact numbers.

A refuted tensor is looked at by itself: ``equation`` evaluates it on the operands that the trace holds,
``backward`` and ``loss_by`` evaluate the reference's gradient and its loss from a point of the trace.
"""

import dataclasses
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np

from reference.arrays import Array, Sow
from reference.claim.experiment import Experiment
from reference.claim.objective import Data, Objective, step
from reference.claim.slots import gradient_of, names
from reference.claim.tree import Tree, named, zip_with
from reference.claim.update import HOME, Own, Sowing, declared, of_parameter
from reference.traces.trace import Trace
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.exact import Exact, IrrationalError, TooManyError, UndecidedError
from torch_mirror.balls.format import Format
from torch_mirror.judge.findings import Finding
from torch_mirror.judge.quotients import Value
from torch_mirror.judge.replay import Part, Start, judge_givens, only_step, parts
from torch_mirror.judge.verdict import Words

Kind = Literal["forward", "update", "gradient", "implied gradient", "other"]
"""Of a tensor. A gradient is implied where the trace holds what it updates, but not the gradient itself."""


Change = Callable[[Any], Any]
"""Of an array, to what an evaluation goes on with in its place."""


class UnfitError(Exception):
    """What an equation raised on numbers that it was not written for."""


class NotByItselfError(UnfitError):
    """An update of which one element cannot be looked at alone; it says why, and the way out."""


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


def exact_arrays(by: Exact) -> System:
    """Exact numbers, but for the constants: what Python makes of them, it rounds, as in a run (1 - 0.999**t)."""
    return System(by.array, lambda c: c)


class Case(NamedTuple):
    """A finding, and what the trace holds of its step; no array has an axis for steps."""

    experiment: Experiment
    finding: Finding
    kind: Kind
    part: Part
    constants: Mapping[str, Array]  # x, t, and features: all samples
    held: Mapping[str, Array]       # what is taken from the trace, by name; end to end nothing, but for an update
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
    once = names(e.slots, "constant")
    sown = names(e.slots, "value") if not e.objective.deferred else _before_the_loss(e)
    values = {name: np.asarray(a[0]) for name, a in {**part.tensors, **part.after}.items()}
    seen, at = one.constants[f.tensor] if f.tensor in once else values[f.tensor], f.index
    handed_on = e.slots[f.tensor].role in ("parameter", "state")  # from a gradient, which is judged by itself
    held = values if f.check == "local" or handed_on else {}
    kind: Kind = "forward" if f.tensor in [*once, *sown, "loss"] else _kind(e, f.tensor, held)
    if kind == "update":
        seen, at = seen[at].reshape(1), (0,)
    return Case(e, f, kind, part, one.constants, held, sown, seen, at)


EITHER = (
    "either may be the one that is meant: of an update of your own nothing but its code says what it should be "
    "(check_step holds it against a known one)"
)
"""Of an update of the user's own and another one of torch's."""


def of_other_update(case: Case) -> tuple[Words, str]:
    """What a ruling says where torch's update is not what the equation gives, and NumPy's is; with its note.

    The reference's own optimizers are those of their sources. One that the user wrote has no such authority.
    """
    return ("updates differ", EITHER) if users_own(case) else ("the mirror strays", "its update is not the reference's")


def users_own(case: Case) -> bool:
    """Whether the optimizer that makes the tensor is one of the user's own; of groups that of its parameter."""
    return declared(of_parameter(case.experiment.optimizer, updated(case.experiment, case.finding.tensor)))


def _before_the_loss(e: Experiment) -> list[str]:
    each = names(e.slots, "value", "loss", "gradient")
    return each[: each.index("loss")]


def _kind(e: Experiment, tensor: str, held: Mapping[str, Array]) -> Kind:
    role = e.slots[tensor].role
    if role in ("parameter", "state"):
        return "update" if gradient_of(e.slots, updated(e, tensor)) in held else "implied gradient"
    return "gradient" if role == "gradient" else "other"


def updated(e: Experiment, tensor: str) -> str:
    """The parameter that a parameter, or a tensor of the state after the step, belongs to."""
    return e.slots[tensor].of or tensor


def forward_operations(case: Case) -> int:
    """About how many operations a forward pass takes: each sample meets each weight, in a product and a sum."""
    weights = sum(w.size for w in named(case.experiment.parameters).values())
    return 2 * case.experiment.batch_length(case.part.steps[0]) * weights


def equation(case: Case, system: System) -> Any:
    """The tensor's equation on the operands that the trace holds: shaped as ``case.seen``."""
    e, tensor = case.experiment, case.finding.tensor
    held = {**case.constants, **case.held}
    if case.kind == "update":
        index = case.finding.index
        gradient = held[str(gradient_of(e.slots, updated(e, tensor)))]
        return update(case, index, system, system.array(_element(gradient, index)))

    def plant(name: str, value: Array, /) -> Array:
        return system.array(held[name]) if name in held else value

    if tensor in case.constants:
        data = e.data_of({name: _lift(system, case.constants[name]) for name in e.named_data})
        return _reach(tensor, lambda sow: e.objective.prepare(data, sow), plant)
    (p, state, data, t), objective = _given(case, system), _exact_loss(e.objective, system)
    if tensor == "loss" and objective.deferred:
        return _running(lambda: objective.loss_of(_output(objective, p, data, plant), data))
    options = _options(e.optimizer, system)
    return _reach(tensor, lambda sow: step(objective, p, data, options, state, t, sow), plant)


def update(case: Case, index: tuple[int, ...], system: System, gradient: Any) -> Any:
    """One element of a parameter or a state after the step, (1,), by the optimizer, from a gradient (1,)."""
    e, start, tensor = case.experiment, only_step(case.part), case.finding.tensor
    name = updated(e, tensor)
    if not getattr(e.optimizer, "elementwise", False):
        raise NotByItselfError(_not_by_itself(e.optimizer))

    def element(of: str | None, a: Any) -> Any:
        value = _value(a)
        return system.array(_element(value, index) if of == name else value.reshape(-1)[:1])

    p = zip_with(element, start.p)  # of the others any element: each is updated by itself
    state = zip_with(lambda s, a: element(e.slots[s].of, a), start.state)
    dp = zip_with(lambda parameter, w: gradient if parameter == name else 0 * w, p)

    def plant(sown: str, value: Array, /) -> Array:
        if sown == tensor or updated(e, sown) != name or sown not in case.held:
            return value
        return system.array(_element(case.held[sown], index))

    optimizer = _options(e.optimizer, system)
    after, states = _running(lambda: optimizer.step(p, dp, state, start.t, plant))
    return (named(states) | named(after))[tensor]


ALONE = "exact arithmetic looks at one element of an update, and "
FROM_ITS_OWN = "element is updated from its own gradient alone"


def _not_by_itself(optimizer: Any) -> str:
    """Why one element's update cannot be looked at alone, with the way out where there is one.

    Of groups it is the first such one's; of an optimizer that does not sow, its own.
    """
    for _, own in getattr(optimizer, "groups", ()):
        if not getattr(own, "elementwise", False):
            return _not_by_itself(own)
    if type(optimizer) is Sowing:
        return _not_by_itself(optimizer.optimizer)
    if type(optimizer) is Own:
        return f"{ALONE}yours does not say that each {FROM_ITS_OWN}; if it is, write Own(update, elementwise=True)"
    called = type(optimizer).__name__
    if type(optimizer).__module__.startswith(f"{HOME}."):  # whose word is not the user's to give
        return f"{ALONE}an update by {called} is taken only as a whole"
    return f"{ALONE}{called} does not say that each {FROM_ITS_OWN}; if it is, give it elementwise = True"


def _element(a: Array, index: tuple[int, ...]) -> Array:
    """The one at that index, (1,). Raises UnfitError where the index is of another tensor's axes."""
    if np.ndim(a) != len(index):
        raise UnfitError("an update whose state has not the axes of its parameter")
    return a[index].reshape(1)


def backward(case: Case, name: str, system: System, tell: Sow) -> Any:
    """The reference's gradient of a value, from the trace's own forward up to it.

    tell: a sow that sees whatever else is computed on the way.
    """
    planted = _up_to(case, name)

    def plant(sown: str, value: Array, /) -> Array:
        return tell(sown, system.array(planted[sown]) if sown in planted else value)

    start, objective = _given(case, system), _exact_loss(case.experiment.objective, system)
    own = str(gradient_of(case.experiment.slots, name))
    return _reach(own, lambda sow: objective.gradients(start.p, start.data, sow), plant)


def loss_with(case: Case, name: str, system: System) -> Callable[[Change], Any]:
    """The reference's loss as a function of a change that is made to a parameter or sown value.

    The forward goes on from the trace's own values up to the sown one.
    """
    (given, _, data, _), objective = _given(case, system), _exact_loss(case.experiment.objective, system)
    planted = {sown: system.array(a) for sown, a in _up_to(case, name).items()}

    def changed(change: Change) -> Any:
        def sow(sown: str, value: Any, /) -> Any:
            value = planted[sown].copy() if sown in planted else value  # a copy: it may be written to
            return change(value) if sown == name else value

        def loss() -> Any:
            p = zip_with(lambda parameter, w: change(w) if parameter == name else w, given)
            if objective.deferred:
                return objective.loss_of(_output(objective, p, data, sow), data)
            return _reach("loss", lambda told: objective.gradients(p, data, told), sow)

        return _running(loss)

    return changed


def loss_by(case: Case, name: str, index: tuple[int, ...], by: Exact) -> Callable[[Fraction], Value]:
    """The reference's loss as a function of what is added to an element of a parameter or sown value."""
    loss = loss_with(case, name, exact(by))

    def value_at(h: Fraction) -> Value:
        def moved(value: Array) -> Array:
            value = np.array(value, dtype=object)
            value[index] = value[index] + h
            return value

        by.signs = []
        return Value(by.number(np.asarray(loss(moved))[()]), by.signs)

    return value_at


def _given(case: Case, system: System) -> Start:
    """What the step starts from, in numbers of the system."""
    p, state, data, t = only_step(case.part)
    return Start(
        zip_with(lambda _, a: system.array(_value(a)), p),
        zip_with(lambda _, a: system.array(_value(a)), state),
        tuple(zip_with(lambda _, a: _lift(system, _value(a)), tree) for tree in data),
        t,
    )


def _value(ball: Any) -> Array:
    """What the trace holds of it."""
    value: Array = ball.value if isinstance(ball, Ball) else ball
    return value


def _lift(system: System, a: Array) -> Any:
    """Whole numbers, such as labels, stay what they are."""
    return system.array(a) if a.dtype.kind == "f" else a


def _exact_loss(objective: Any, system: System) -> Objective:
    """The objective with the constants of its loss and penalty as numbers of the system."""
    if (whole := getattr(objective, "whole", None)) is not None:
        return dataclasses.replace(objective, whole=_exact_loss(whole, system))
    changes = {
        what: _options(part, system)
        for what in ("loss", "penalty")
        if (part := getattr(objective, what, None)) is not None and not callable(part)
    }
    return dataclasses.replace(objective, **changes) if changes else objective


def _options(part: Any, system: System) -> Any:
    """Options, a NamedTuple, whose floats are numbers of the system; those of what is inside it as well."""
    if isinstance(part, float):
        return system.number(part)
    if isinstance(part, tuple) and hasattr(part, "_fields"):
        return type(part)(*(_options(value, system) for value in part))
    return tuple(_options(value, system) for value in part) if isinstance(part, tuple) else part


def _output(objective: Any, p: Tree, data: Data, sow: Sow) -> Any:
    """y, by the forward pass alone."""
    return objective.network.forward(p, data[0], sow)[0]


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
    except (_ReachedError, IrrationalError, UndecidedError, TooManyError, ImportError):
        raise
    except Exception as error:  # whatever somebody's code raises
        raise (_first_of(error)) from error


def _first_of(error: BaseException) -> Exception:
    """What was raised first: an object matmul goes on after an error, and ends in a SystemError."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    if isinstance(error, (IrrationalError, UndecidedError, TooManyError, ImportError)):
        return error
    if isinstance(error, AttributeError):  # of Python's, whose words are about classes of ours
        return UnfitError(f"they call {error.name}, which numbers of it do not have")
    return UnfitError(" ".join(str(error).split()) or type(error).__name__)
