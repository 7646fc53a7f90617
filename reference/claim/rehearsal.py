"""One step of an experiment, run to learn its tensors and to see that the network keeps to its side.

A network that somebody wrote may fall short of what a trace and its judge rely on; it is told here, by
the name of the tensor, before any training.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from reference.arrays import Array, Sow
from reference.claim.experiment import Experiment
from reference.claim.objective import checked_gradients, checked_output, features
from reference.claim.step import gradients
from reference.claim.tree import named, zip_with
from reference.errors import InputError


def tensor_names(experiment: Experiment) -> tuple[list[str], list[str]]:
    """Names in the order of evaluation: what features sow once, and what every step sows (with ``loss``).

    Raises InputError where the network does not sow what it must, or where a shape is not what it is to be.
    """
    e = experiment
    once: dict[str, Array] = {}
    each: dict[str, Array] = {}
    as_sown: dict[str, Array] = {}
    with _left_alone(e):
        x, t = features(e.network, e.x, _note(once))[e.rows(0)], e.t[e.rows(0)]
        y, cache = checked_output(e.network.forward(e.parameters, x, _note(each, as_sown)))
        if np.shape(y) != t.shape:
            raise InputError("tensor y", f"shape {t.shape}, that of t", f"shape {np.shape(y)}")
        _check_sown("y", each, "forward")
        forward = list(each)
        each["dy"] = e.loss.gradient(y, t)
        _check_gradients(e, e.network.backward(e.parameters, cache, each["dy"], _note(each, as_sown)), each)
    _check_dtypes(e, once | each)
    _check_kept(each, as_sown)
    _check_names(e, once, each)
    names = list(each)
    return list(once), [*forward, "loss", *names[len(forward) :]]


def tensor_shapes(experiment: Experiment, step: int = 0) -> dict[str, tuple[int, ...]]:
    """The shapes of what that step yields: every sown tensor, the loss, the next buffers and parameters."""
    e = experiment
    values: dict[str, Array] = {}
    x, t = features(e.network, e.x)[e.rows(step)], e.t[e.rows(step)]
    gradients(e.network, e.parameters, x, t, e.loss, _note(values))
    parameters = {name: a.shape for name, a in named(e.parameters).items()}
    buffers = dict(zip(e.buffers, parameters.values(), strict=False))
    return {name: np.shape(value) for name, value in values.items()} | {"loss": ()} | buffers | parameters


def numbers_a_step(experiment: Experiment) -> int:
    """How many numbers the equations of one step yield, intermediate values and all."""
    return sum(math.prod(shape) for shape in tensor_shapes(experiment).values())


def stacking_flaw(experiment: Experiment) -> str | None:
    """Why the equations cannot be evaluated for many steps at once, stacked in front; None if they can.

    Two steps' parameters are stacked (and the data, where each step has its own). Every tensor must be two
    of those of one step, and the first of them must not depend on the parameters of the second.
    """
    e = experiment
    one: dict[str, Array] = {}
    x, t = features(e.network, e.x)[e.rows(0)], e.t[e.rows(0)]
    gradients(e.network, e.parameters, x, t, e.loss, _note(one))
    if e.batches is not None:
        x, t = np.stack([x, x]), np.stack([t, t])
    twice: list[dict[str, Array]] = [{}, {}]
    for values, second in zip(twice, (1.0, 0.5), strict=True):
        stacked = zip_with(lambda _, a, share=second: np.stack([a, a.dtype.type(share) * a]), e.parameters)
        try:
            with np.errstate(all="ignore"):
                gradients(e.network, stacked, x, t, e.loss, _note(values))
        except (ValueError, IndexError, TypeError) as error:
            return f"the equation of {next((name for name in one if name not in values), 'y')}: {error}"
    for name, value in one.items():
        same, other = (values[name] for values in twice)
        if np.shape(same) != (2, *value.shape):
            return f"{name} of two steps has shape {np.shape(same)} and not {(2, *value.shape)}"
        if not np.array_equal(same[0], other[0], equal_nan=True):
            return f"{name} of one step depends on another step's parameters"
    return None


def _note(values: dict[str, Array], copies: dict[str, Array] | None = None) -> Sow:
    def sow(name: str, value: Array, /) -> Array:
        if name in values:
            raise InputError(f"tensor {name}", "to be sown once a step", "a second value")
        values[name] = value
        if copies is not None:
            copies[name] = np.array(value)  # as it is now
        return value

    return sow


@contextmanager
def _left_alone(e: Experiment) -> Iterator[None]:
    """Raise InputError if the network writes to what it is given, which is then put back."""
    given = {"x": e.x, "t": e.t, **named(e.parameters)}
    before = {name: array.copy() for name, array in given.items()}
    yield
    for name, array in given.items():
        if not np.array_equal(array, before[name]):
            array[...] = before[name]
            raise InputError(f"tensor {name}", "to be left as it is by the network", "one written to: copy it")


def _check_dtypes(e: Experiment, values: dict[str, Any]) -> None:
    """A number or array of a wider dtype makes the run one of another precision, without a word from NumPy."""
    for name, value in values.items():
        came = getattr(value, "dtype", type(value).__name__)
        if came != e.dtype:
            raise InputError(f"tensor {name}", f"dtype {e.dtype}, as x has", f"dtype {came}")


def _check_kept(values: dict[str, Array], copies: dict[str, Array]) -> None:
    """A trace holds what was sown, not a copy of it; backward may not write to what forward or itself has sown."""
    for name, copy in copies.items():
        if not np.array_equal(values[name], copy, equal_nan=True):
            raise InputError(f"tensor {name}", "a value that stays as it was sown", "one overwritten in place: copy it")


def _check_sown(name: str, sown: dict[str, Array], where: str) -> None:
    if name not in sown:
        raise InputError(f"tensor {name}", f"to be sown by {where}", ", ".join(sown) or "nothing")


def _check_gradients(e: Experiment, dp: Any, sown: dict[str, Array]) -> None:
    came = named(checked_gradients(dp, e.parameters))
    for name, parameter in named(e.parameters).items():
        _check_sown(f"d{name}", sown, "backward")
        for gradient in (came.get(name), sown[f"d{name}"]):
            if gradient is None:
                raise InputError(f"gradient of {name}", f"shape {parameter.shape}", "None")
            if np.shape(gradient) != parameter.shape:
                raise InputError(f"gradient of {name}", f"shape {parameter.shape}", f"shape {np.shape(gradient)}")
        if came[name] is not sown[f"d{name}"] and not np.array_equal(came[name], sown[f"d{name}"], equal_nan=True):
            raise InputError(f"gradient of {name}", f"the value that was sown as d{name}", "another one")


def _check_names(e: Experiment, once: dict[str, Array], each: dict[str, Array]) -> None:
    parameters = named(e.parameters)
    for name in [*once, *each]:
        if name in parameters or name in e.buffers or name in ("x", "t", "loss"):
            raise InputError(f"tensor {name}", "a name that nothing else has", "a second tensor of that name")
        if name.startswith("d") and not (name[1:] in parameters or name[1:] in each):
            expected = f"a gradient of something sown: {name[1:]} is not"
            raise InputError(f"tensor {name}", expected, ", ".join(each))
