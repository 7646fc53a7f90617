"""Every tensor of one step of NumPy's own code, evaluated once more: as it is, in longdouble, or on balls."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.slots import names
from reference.claim.tree import zip_with

Lift = Callable[[str, Array], Any]
Made = Callable[[Any], Any]


def as_it_is(_: str, a: Array) -> Array:
    return np.array(a)  # a copy: the code may write to it


def in_longdouble(_: str, a: Array) -> Array:
    return a.astype(np.longdouble)


def own_values(
    e: Experiment, p: Mapping[str, Array], t: int, lift: Lift = as_it_is, made: Made = np.array
) -> dict[str, Any]:
    """Every value and gradient of a step of NumPy's own code, in the order of evaluation.

    lift: what an array of floats is for the code, by its name. made: what is kept of a value.
    """
    found: dict[str, Any] = {}

    def noted(name: str, value: Any, /) -> Any:
        found[name] = made(value)
        return value

    def given(name: str, a: Array) -> Any:
        return lift(name, a) if a.dtype.kind == "f" else np.array(a)

    parameters = zip_with(given, e.parameters_of(p))
    data = tuple(zip_with(given, part) for part in e.seen(e.objective.prepare(e.data), t))
    e.objective.gradients(parameters, data, noted)
    if e.objective.deferred and "y" in found:
        after = list(found)
        found["loss"] = made(e.objective.loss_of(found["y"], data))
        order = [*after[: after.index("y") + 1], "loss", *after[after.index("y") + 1 :]]
        found = {name: found[name] for name in order}
    return {name: a for name, a in found.items() if name in names(e.slots, "value", "gradient", "loss")}
