"""Numbers of a step: a learning rate of its own, and whatever else depends on which step it is.

t is the number of the step, from 0: an int; or an array of ints, where the steps are stacked along axes in front of
a parameter's own. A number of the step is then such an array, too.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from reference.arrays import Array
from reference.errors import InputError
from reference.options import checked_number

Rate: TypeAlias = Any
"""A learning rate: a float; or one a step, as a sequence of floats."""

Step: TypeAlias = Any
"""The number of a step, or an array of them."""


def rate(lr: Rate, t: Step) -> Any:
    """The learning rate of step t: a float, or an array (...) of them for the steps of an array."""
    if not isinstance(lr, Sequence):
        return lr
    return lr[t] if not hasattr(t, "shape") or np.ndim(t) == 0 else np.array(lr)[t]


def beside(number: Any, w: Array, t: Step) -> Any:
    """The number of each step with the axes of a parameter behind them; a single number as it is."""
    if not isinstance(number, np.ndarray) or number.ndim == 0:
        return number
    placed = number[(..., *(None,) * (w.ndim - np.ndim(t)))]
    return placed.astype(w.dtype) if isinstance(w, np.ndarray) and w.dtype != object else placed


def checked_rate(lr: Rate, steps: int) -> Rate:
    """The learning rate as a float or a tuple of them. Raises InputError for anything else, or for too few of them."""
    if isinstance(lr, Sequence) and not isinstance(lr, str):
        if len(lr) < steps:
            raise InputError("learning rate", f"one for each of {steps} steps", f"{len(lr)} of them")
        return tuple(checked_number("learning rate", one, least=0) for one in lr)
    return checked_number("learning rate", lr, least=0)
