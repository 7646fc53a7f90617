"""One step of an experiment, run on copies to learn its tensors and to see that the user's code keeps to its side.

What somebody wrote may fall short of what a trace and its judge rely on; it is told here, by the name of the
tensor, before any training. Nothing that was given is changed.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import numpy as np

from reference.arrays import Array, Sow, keep, same
from reference.claim.objective import Supervised, checked_output
from reference.claim.slots import Role, Slot, Slots
from reference.claim.tree import beside_leaves, named, zip_with
from reference.claim.update import declared
from reference.errors import InputError, TorchMirrorError


class Claim(Protocol):
    """What is rehearsed: of an experiment."""

    @property
    def objective(self) -> Any: ...
    @property
    def optimizer(self) -> Any: ...
    @property
    def parameters(self) -> Any: ...
    @property
    def steps(self) -> int: ...
    @property
    def named_data(self) -> Mapping[str, Array]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def seen(self, data: Any, step: int) -> Any: ...
    def data_of(self, values: Mapping[str, Any]) -> Any: ...
    def parameters_of(self, values: Mapping[str, Any]) -> Any: ...


def rehearse(experiment: Claim) -> Slots:
    """The slot of every tensor of the run.

    Raises InputError where a network does not sow what it must, where a shape or dtype is not what it is to be,
    where the user's code writes to what it is given, or gives two results from one input.
    """
    e = experiment
    given = {**e.named_data, **named(e.parameters)}
    copies = {name: np.array(a) for name, a in given.items()}
    data, p = e.data_of(copies), e.parameters_of(copies)
    once: dict[str, Array] = {}
    first, second = _Sown(), _Sown(copies=False)
    with _told():
        seen = e.seen(e.objective.prepare(data, _note(once)), 0)
        if isinstance(e.objective, Supervised):
            _check_target(e.objective, p, seen)
        for sown in (first, second):
            sown.gradients = named(e.objective.gradients(p, seen, sown.sow))
            if e.objective.deferred and "y" in sown.values:
                sown.loss = e.objective.loss_of(sown.values["y"], seen)
            _check_untouched(given, copies)
    each = _in_order(e, first)
    if e.objective.deferred:
        _check_output(each)
    if np.ndim(each["loss"]) != 0:
        raise InputError("loss", "one number", f"shape {np.shape(each['loss'])}")
    _check_gradients(p, first)
    _check_dtypes(e, once | each)
    first.check_kept()
    _check_repeated(first, second)
    state = _rehearse_update(e, p, first.gradients)
    _check_untouched(given, copies)
    _check_names(e, [*once, *first.values], named(state), given)
    return _slots(e, given, once, each, state)


def shapes_at(experiment: Claim, step: int) -> dict[str, tuple[int, ...]]:
    """The shapes of what that step sows, and of the loss: of a batch smaller than the first."""
    e = experiment
    sown = _Sown(copies=False)
    copies = {name: a.copy() for name, a in {**e.named_data, **named(e.parameters)}.items()}
    with _told():
        seen = e.seen(e.objective.prepare(e.data_of(copies)), step)
        e.objective.gradients(e.parameters_of(copies), seen, sown.sow)
    return {name: np.shape(value) for name, value in sown.values.items()} | {"loss": ()}


def _rehearse_update(e: Claim, p: Any, gradients: dict[str, Array]) -> Any:
    """The optimizer's state before the first step, after three updates on copies.

    Raises InputError where the update's results are not of the form of what it was given, where what it hands on is
    no array, and where the same numbers do not give the same ones again after others: what an optimizer remembers in
    an object of its own a judge cannot set back.
    """
    with _told("the optimizer"):
        state = e.optimizer.init(p)
    for name, a in named(state).items():
        if not isinstance(a, (np.ndarray, np.generic)):
            raise InputError(f"state {name} of the optimizer", "an array", type(a).__name__)
        if a.dtype != e.dtype:
            raise InputError(f"state {name} of the optimizer", f"dtype {e.dtype}, as the parameters have", a.dtype)
    if not e.steps:
        return state
    for name in named(state).keys() & named(p).keys():
        expected = "a name that no parameter has: let the state be a dict, such as {'v': [...]}, which names its parts"
        raise InputError(f"state {name} of the optimizer", expected, f"{name}, as a parameter is called")
    results = []
    for factor in (1, -2, 1):
        g = zip_with(lambda name, _, c=factor: gradients[name] * e.dtype.type(c), p)
        sown: dict[str, Array] = {}
        with _told("the optimizer"), np.errstate(all="ignore"):
            after, next_state = e.optimizer.step(p, g, state, 0, _note(sown))
        results.append(_after_update(e, p, state, after, next_state, sown))
    for name, a in results[0].items():
        if not same(a, results[2][name]):
            expected = "to be the same from the same numbers each time"
            came = "another one after other gradients: is something kept in an object? Own's start makes a state of it"
            raise InputError(f"tensor {name} after an update", expected, came)
    if declared(e.optimizer):
        _check_elementwise(e, p, gradients, state, results[0])
    return state


LEAP = 2.0**20
"""How many times the largest gradient one element becomes: a norm that bounds an update is beyond its bound then."""


def _check_elementwise(e: Claim, p: Any, gradients: dict[str, Array], state: Any, once: dict[str, Array]) -> None:
    """Raise InputError where the optimizer says that each element is updated by itself, and others change with one.

    One element of each parameter, with its gradient and state, becomes 0 and then large. It is a trial, no proof.
    """
    parameters = named(p)
    largest = max((np.abs(a).max(initial=0) for a in gradients.values()), default=0)
    sizes = {name: a.size for name, a in parameters.items()}
    sizes |= {name: sizes[of] for name, of in _owners(state, parameters).items()}

    def changed(name: str, a: Array, value: Any) -> Array:
        a = a.copy()
        if a.size and a.size == sizes.get(name):
            a.flat[a.size // 2] = value
        return a

    for value in (0, LEAP * (1 + largest)):
        of_p = zip_with(lambda name, a, c=value: changed(name, a, c), p)
        of_state = zip_with(lambda name, a, c=value: changed(name, a, c), state)
        g = zip_with(lambda name, _, c=value: changed(name, gradients[name], c), p)
        after, next_state = {}, {}
        with suppress(Exception), np.errstate(all="ignore"):  # it may guard itself against what the run never has
            after, next_state = e.optimizer.step(of_p, g, of_state, 0, keep)
        for name, a in {**named(after), **named(next_state)}.items():
            before = once[name]
            others = np.flatnonzero((a != before) & ~(np.isnan(a) & np.isnan(before)))
            others = others[others != a.size // 2]
            if len(others) and a.size == sizes.get(name):
                index = [int(i) for i in np.unravel_index(others[0], a.shape)]
                expected = "each element to be updated by itself, as elementwise=True says"
                came = f"{name}{index}, which changed with another element alone: leave elementwise=True out"
                raise InputError("the optimizer", expected, came)


def _after_update(
    e: Claim, p: Any, state: Any, after: Any, next_state: Any, sown: dict[str, Array]
) -> dict[str, Array]:
    """Copies of the parameters and states after an update. Raises InputError where their form is another."""
    before, result = {**named(p), **named(state)}, {**named(after), **named(next_state)}
    for name, a in before.items():
        came = result.get(name)
        if came is None:
            raise InputError(f"tensor {name} after an update", "an array", "nothing")
        if name not in sown:
            raise InputError(f"tensor {name}", "to be sown by the optimizer", ", ".join(sown) or "nothing")
        if np.shape(came) != np.shape(a):
            raise InputError(f"tensor {name} after an update", f"shape {np.shape(a)}", f"shape {np.shape(came)}")
        if np.asarray(came).dtype != e.dtype:
            raise InputError(f"tensor {name} after an update", f"dtype {e.dtype}", f"dtype {np.asarray(came).dtype}")
    others = beside_leaves(next_state)
    for name, value in beside_leaves(state).items():
        if others.get(name) != value:
            expected = "an array if it changes, or the number of the step as the update's fourth argument"
            raise InputError(f"state {name} of the optimizer", expected, f"{value!r} and then {others.get(name)!r}")
    return {name: np.array(a) for name, a in result.items()}


@contextmanager
def _told(what: str = "the network") -> Iterator[None]:
    """Say of whatever the user's code raises that it was the user's code; its own traceback is kept."""
    try:
        yield
    except TorchMirrorError:
        raise
    except Exception as error:
        came = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError(what, "to run on the parameters and data that were given", came) from error


class _Sown:
    """What one run of the equations sows, and copies of it as it was sown."""

    def __init__(self, *, copies: bool = True) -> None:
        self.copied = copies
        self.values: dict[str, Array] = {}
        self.copies: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}
        self.loss: Array | None = None

    def sow(self, name: str, value: Array, /) -> Array:
        if name in self.values:
            raise InputError(f"tensor {name}", "to be sown once a step", "a second value")
        self.values[name] = value
        if self.copied:
            self.copies[name] = np.array(value)
        return value

    def check_kept(self) -> None:
        """A trace holds what was sown, not a copy of it; nothing may write to it later in the step."""
        for name, copy in self.copies.items():
            if not same(self.values[name], copy):
                came = "one overwritten in place: copy it"
                raise InputError(f"tensor {name}", "a value that stays as it was sown", came)


def _note(values: dict[str, Array]) -> Sow:
    def sow(name: str, value: Array, /) -> Array:
        if name in values:
            raise InputError(f"tensor {name}", "to be sown once", "a second value")
        values[name] = value
        return value

    return sow


def _in_order(e: Claim, sown: _Sown) -> dict[str, Array]:
    """What a step sows, with the loss behind what its forward pass does."""
    if not e.objective.deferred or sown.loss is None:
        return dict(sown.values)
    each: dict[str, Array] = {}
    for name, value in sown.values.items():
        if name == "dy":
            each["loss"] = sown.loss
        each[name] = value
    return each


def _check_untouched(given: dict[str, Array], copies: dict[str, Array]) -> None:
    """Raise InputError if the user's code wrote to what it was given, which was a copy."""
    for name, array in given.items():
        if not np.array_equal(array, copies[name]):
            raise InputError(f"tensor {name}", "to be left as it is by the network", "one written to: copy it")


def _check_target(objective: Supervised, p: Any, data: Any) -> None:
    """Raise InputError where t is not one that the loss takes beside y."""
    if len(data) < 2:
        raise InputError("tensor t", "an array for the loss", "None")
    y, _ = checked_output(objective.network.forward(p, data[0], keep))
    check = getattr(objective.loss, "checked", None)
    if check is not None:
        check(data[1], np.shape(y))


def _check_output(each: dict[str, Array]) -> None:
    if "y" not in each:
        raise InputError("tensor y", "to be sown by forward", ", ".join(each) or "nothing")
    if np.shape(each["dy"]) != np.shape(each["y"]):
        raise InputError("tensor dy", f"shape {np.shape(each['y'])}, that of y", f"shape {np.shape(each['dy'])}")


def _check_dtypes(e: Claim, values: dict[str, Any]) -> None:
    """A number or array of a wider dtype makes the run one of another precision, without a word from NumPy.

    Values may be whole numbers or masks; the loss and the parameters' gradients may not.
    """
    number = {"loss", *(f"d{name}" for name in named(e.parameters))}
    for name, value in values.items():
        came = np.asarray(value).dtype
        if came != e.dtype and (came.kind not in "iub" or name in number):
            raise InputError(f"tensor {name}", f"dtype {e.dtype}, as the parameters have", f"dtype {came}")


def _check_gradients(p: Any, sown: _Sown) -> None:
    for name, parameter in named(p).items():
        own = f"d{name}"
        if own not in sown.values:
            raise InputError(f"tensor {own}", "to be sown by backward", ", ".join(sown.values) or "nothing")
        for gradient in (sown.gradients.get(name), sown.values[own]):
            if gradient is None:
                raise InputError(f"gradient of {name}", f"shape {parameter.shape}", "None")
            if np.shape(gradient) != parameter.shape:
                raise InputError(f"gradient of {name}", f"shape {parameter.shape}", f"shape {np.shape(gradient)}")
        came, value = sown.gradients[name], sown.values[own]
        if came is not value and not same(came, value):
            raise InputError(f"gradient of {name}", f"the value that was sown as {own}", "another one")


def _check_repeated(first: _Sown, second: _Sown) -> None:
    """Raise InputError if the same numbers gave other ones the second time, as with a mask drawn at random."""
    for name, value in first.copies.items():
        again = second.values.get(name)
        if again is None or not same(value, again):
            expected = "the same value from the same numbers each time"
            came = "another one at the second call: is something drawn at random?"
            raise InputError(f"tensor {name}", expected, came)


def _check_names(e: Claim, sown: list[str], state: Collection[str], given: dict[str, Array]) -> None:
    seen = {*given, *(["loss"] if e.objective.deferred else [])}
    for name in sown:
        if name in seen:
            raise InputError(f"tensor {name}", "a name that nothing else has", "a second tensor of that name")
        seen.add(name)
    for name in state:
        if name in seen:
            expected = "a name that no data and no value have (an update may take the number of the step, t, fourth)"
            raise InputError(f"state {name} of the optimizer", expected, f"a second tensor called {name}")


def _owners(state: Any, parameters: dict[str, Array]) -> dict[str, str]:
    """Which parameter each leaf of the state belongs to, by its name: a part may lack some, as one of a group does."""
    parts = state.items() if isinstance(state, Mapping) else ()
    leaves = {key: list(named(part)) for key, part in parts}
    return {f"{key}.{name}": name for key, part in leaves.items() if parameters.keys() >= set(part) for name in part}


def _slots(e: Claim, given: Any, once: Any, each: Any, state: Any) -> Slots:
    slots: dict[str, Slot] = {}
    parameters = named(e.parameters)

    def add(role: Role, values: dict[str, Any], of: Callable[[str], str | None] = lambda _: None) -> None:
        for name, a in values.items():
            slots[name] = Slot(name, role, np.shape(a), np.asarray(a).dtype, of(name))

    add("data", {name: a for name, a in given.items() if name not in parameters})
    add("constant", once)
    add("parameter", parameters)
    add("state", named(state), _owners(state, parameters).get)
    backward = not e.objective.deferred  # which tells its passes apart by dy
    for name, a in each.items():
        backward = backward or name in ("dy", "loss")
        base = name[1:] if name[:1] == "d" else ""
        gradient = base in slots and slots[base].shape == np.shape(a)
        gradient = gradient and (backward or base in parameters) and slots[base].role not in ("gradient", "loss")
        role: Role = "loss" if name == "loss" else "gradient" if gradient else "value"
        slots[name] = Slot(name, role, np.shape(a), np.asarray(a).dtype, base if gradient else None)
    return slots

