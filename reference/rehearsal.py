"""One step of an experiment, run to learn its tensors and to see that the network keeps to its side.

A network that somebody wrote may fall short of what a trace and its judge rely on; it is told here, by
the name of the tensor, before any training.
"""

import math
from typing import Any

import numpy as np

from reference.arrays import Array, Sow
from reference.errors import InputError
from reference.experiment import Experiment
from reference.network import features
from reference.parameters import named, zip_with
from reference.step import gradients


def tensor_names(experiment: Experiment) -> tuple[list[str], list[str]]:
    """Names in the order of evaluation: what features sow once, and what every step sows (with ``loss``).

    Raises InputError where the network does not sow what it must, or where a shape is not what it is to be.
    """
    e = experiment
    once: dict[str, Array] = {}
    each: dict[str, Array] = {}
    x, t = features(e.network, e.x, _note(once))[e.rows(0)], e.t[e.rows(0)]
    result = e.network.forward(e.parameters, x, _note(each))
    if not isinstance(result, tuple) or len(result) != 2:
        raise InputError("forward of the network", "to return (y, cache)", type(result).__name__)
    y, cache = result
    if np.shape(y) != t.shape:
        raise InputError("tensor y", f"shape {t.shape}, that of t", f"shape {np.shape(y)}")
    _check_sown("y", each, "forward")
    forward = list(each)
    each["dy"] = e.loss.gradient(y, t)
    _check_gradients(e, e.network.backward(e.parameters, cache, each["dy"], _note(each)), each)
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


def check_stacking(experiment: Experiment) -> None:
    """Raise InputError unless the equations leave leading axes alone, as steps are stacked there.

    Two steps' parameters are stacked (and the data, where each step has its own), and every tensor must be
    two of those of one step.
    """
    e = experiment
    one: dict[str, Array] = {}
    two: dict[str, Array] = {}
    x, t = features(e.network, e.x)[e.rows(0)], e.t[e.rows(0)]
    gradients(e.network, e.parameters, x, t, e.loss, _note(one))
    if e.batches is not None:
        x, t = np.stack([x, x]), np.stack([t, t])
    stacked = zip_with(lambda _, a: np.stack([a, a]), e.parameters)
    advice = "write x @ W.mT, b[..., None, :], sum(axis=-2)"
    try:
        gradients(e.network, stacked, x, t, e.loss, _note(two))
    except (ValueError, IndexError) as error:
        missing = next((name for name in one if name not in two), "y")
        expected = f"to stand any axes in front of its own: {advice}"
        raise InputError(f"equation of {missing}", expected, str(error)) from error
    for name, value in one.items():
        if two[name].shape != (2, *value.shape):
            expected = f"shape {(2, *value.shape)} for two steps at once ({advice})"
            raise InputError(f"tensor {name}", expected, f"shape {two[name].shape}")


def _note(values: dict[str, Array]) -> Sow:
    def sow(name: str, value: Array, /) -> Array:
        if name in values:
            raise InputError(f"tensor {name}", "to be sown once a step", "a second value")
        values[name] = value
        return value

    return sow


def _check_sown(name: str, sown: dict[str, Array], where: str) -> None:
    if name not in sown:
        raise InputError(f"tensor {name}", f"to be sown by {where}", ", ".join(sown) or "nothing")


def _check_gradients(e: Experiment, dp: Any, sown: dict[str, Array]) -> None:
    if type(dp) is not type(e.parameters):
        raise InputError("gradients", f"a {type(e.parameters).__name__}, as the parameters are", type(dp).__name__)
    came = named(dp)
    for name, parameter in named(e.parameters).items():
        _check_sown(f"d{name}", sown, "backward")
        for gradient in (came.get(name), sown[f"d{name}"]):
            if gradient is None:
                raise InputError(f"gradient of {name}", f"shape {parameter.shape}", "None")
            if np.shape(gradient) != parameter.shape:
                raise InputError(f"gradient of {name}", f"shape {parameter.shape}", f"shape {np.shape(gradient)}")


def _check_names(e: Experiment, once: dict[str, Array], each: dict[str, Array]) -> None:
    parameters = named(e.parameters)
    for name in [*once, *each]:
        if name in parameters or name in e.buffers or name in ("x", "t", "loss"):
            raise InputError(f"tensor {name}", "a name that nothing else has", "a second tensor of that name")
        if name.startswith("d") and not (name[1:] in parameters or name[1:] in each):
            expected = f"a gradient of something sown: {name[1:]} is not"
            raise InputError(f"tensor {name}", expected, ", ".join(each))
