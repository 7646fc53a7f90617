"""What a fixed tolerance does to a training run of correct code, beside what the radius does.

Two errors of torch against NumPy are measured, element by element:

    local       torch's value against the equation, which NumPy evaluates on torch's own operands
    free runs   torch's value against NumPy's, each from its own run, as the runs have drifted apart

The radius bounds the first, and is what the judge allows there (``judge.compare.allowed``). The second is
what people compare. A fixed tolerance is numpy.testing.assert_allclose(torch, NumPy, rtol, atol=0): an element
fails if not |torch - NumPy| <= rtol |NumPy|. So that all of them have one unit, errors and radii are
divided by |value|: a relative error is 0 where there is no error, and infinite where the value is 0 and the
error is not. A median is taken over the elements whose value is not 0, and is 0 if there are none.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.errors import InputError
from reference.traces import training as reference_training
from reference.traces.training import segment_steps
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.judge.compare import allowed
from torch_mirror.judge.replay import Part, evaluate, judge_givens, loss_of, parts
from torch_mirror.judge.stacking import stacking_flaw
from torch_mirror.training import loop as torch_training
from torch_mirror.training.memory import keep_freed_memory
from torch_mirror.training.session import Session, gradients_on, session, session_by
from torch_mirror.training.threads import one_thread

RTOLS = (1e-5, 1e-7)
"""The fixed tolerances that are looked at; 1e-7 is the default of numpy.testing.assert_allclose."""


class Error(NamedTuple):
    """Of one tensor at every step: the relative error, and what the fixed tolerances say to it."""

    worst: Array    # (steps,)
    failing: Array  # (len(RTOLS), steps): how many elements fail


class Measured(NamedTuple):
    """One tensor at every step. Radii are relative, as the errors are."""

    elements: Array        # (steps,): how many the tensor has
    local: Error
    free: Error
    radius_median: Array   # (steps,)
    radius_largest: Array  # (steps,)
    share: Array           # (steps,): the worst local error / radius of the same element


def measure(
    experiment: Experiment,
    progress: Callable[[int], None] | None = None,
    using: Callable[[Experiment], Session] = session,
) -> dict[str, Measured]:
    """Train both frameworks, and measure every tensor of every step that torch's trace holds.

    Returns them by name, in the order of evaluation. What torch does not tell propagates, as in the judge.

    progress: called with the number of further steps finished. using: as ``verify`` takes it.
    Raises InputError when the experiment has no steps, or a torch module does not offer what the equations name.
    """
    e = experiment
    if not e.steps:
        raise InputError("steps", "1 or more, as every figure is of a step", e.steps)
    rows: dict[str, Measured] = {}
    keep_freed_memory()
    with one_thread(), gradients_on(), np.errstate(all="ignore"):  # overflow is infinite, and shown so
        stacks = stacking_flaw(e) is None
        size = segment_steps(e)
        of_torch = torch_training.segments(e, size=size, using=session_by(using, e))
        for torch, numpy in zip(of_torch, reference_training.segments(e, size=size), strict=True):
            if torch.first == 0:
                _, givens = judge_givens(e, torch, "torch")
            both = (parts(e, trace, givens, stacks=stacks) for trace in (torch, numpy))
            for part, other in zip(*both, strict=True):
                _measure_part(e, part, other, rows)
            if progress:
                progress(torch.steps)
    return rows


def _measure_part(e: Experiment, part: Part, other: Part, rows: dict[str, Measured]) -> None:
    """Fill in the steps of a part of torch's trace; other: the same steps of NumPy's."""
    fmt = format_of(e.dtype)

    def held(part: Part, name: str) -> Array:
        values: Mapping[str, Array] = part.after if name in part.after else part.tensors
        return values[name]

    def look(name: str, equation: Any) -> Ball:
        seen, radius = held(part, name), np.broadcast_to(allowed(equation), equation.shape)
        if name not in rows:
            rows[name] = _empty(e.steps)
        for t, *values in zip(part.steps, seen, equation.value, radius, held(other, name), strict=True):
            _measure_step(rows[name], t, *values)
        return Ball(seen, 0, fmt)

    def plant(name: str, equation: Any) -> Any:
        planted: Any = look(name, equation) if name in part.after or name in part.tensors else equation
        if name == "y" and e.objective.deferred:
            look("loss", loss_of(e, part, planted))
        return planted

    evaluate(e, part, plant)


def _empty(steps: int) -> Measured:
    def numbers() -> Array:
        return np.full(steps, np.nan)

    def error() -> Error:
        return Error(numbers(), np.zeros((len(RTOLS), steps), int))

    return Measured(np.zeros(steps, int), error(), error(), numbers(), numbers(), numbers())


def _measure_step(row: Measured, t: int, seen: Array, expected: Array, radius: Array, free: Array) -> None:
    """Fill in one step. seen, expected, radius, free: what torch has, the equation's value and its radius, NumPy's."""
    error = np.abs(seen - expected)
    row.elements[t] = seen.size
    _note_error(row.local, t, error, expected)
    _note_error(row.free, t, np.abs(seen - free), free)
    of_value = relative(radius, expected)
    row.radius_median[t] = np.median(of_value[expected != 0]) if np.any(expected) else 0.0
    row.radius_largest[t] = of_value.max()
    row.share[t] = relative(error, radius).max()


def _note_error(row: Error, t: int, error: Array, value: Array) -> None:
    row.worst[t] = relative(error, value).max()
    for i, rtol in enumerate(RTOLS):
        row.failing[i, t] = np.count_nonzero(~(error <= rtol * np.abs(value)))


def relative(distance: Array, value: Array) -> Array:
    """distance / |value|, elementwise in float64: 0 where the distance is 0, else infinite where the value is 0."""
    share: Array = np.divide(distance, np.abs(value), dtype=np.float64)
    return np.where(distance == 0, 0, share)


def radii(m: Measured, rtol: float) -> float:
    """How blind rtol is: rtol |value| in radii, at the median element of the median step; infinite if that is exact."""
    with np.errstate(divide="ignore"):
        return float(np.divide(rtol, np.median(m.radius_median)))
