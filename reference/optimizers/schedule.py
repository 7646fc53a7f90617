"""Numbers that depend on the step: learning rates, bias corrections.

t is the number of the step, from 0: an int; or where steps are stacked an integer array with as many axes
as the parameters have in front of their own. So a number of the step is one number, or an array (...).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reference.arrays import Array


def at(f: Callable[[int], float], t: Any) -> Any:
    """f of the step: a number for an int; else one for each step, computed as that one would be. (...)."""
    if np.ndim(t) == 0:
        return f(int(t))
    steps = np.asarray(t)
    return np.array([float(f(step)) for step in steps.ravel().tolist()]).reshape(steps.shape)


def rate(lr: Any, t: Any) -> Any:
    """The learning rate of the step: lr itself, or of a sequence of them its own. (...)."""
    return at(lambda step: lr[step], t) if isinstance(lr, (Sequence, np.ndarray)) else lr


def beside(number: Any, w: Array, t: Any) -> Any:
    """A number of the step, in a shape that goes with the leaf w: (..., 1, ...) where steps are stacked.

    A Python float stays one, as it takes on the dtype of what it multiplies. So does an array here, beside another
    array; beside a judge's number it stays as it is, for the judge to see how it is rounded.
    """
    if np.ndim(t) == 0 or isinstance(number, float):
        return number
    c = number[(..., *(None,) * (w.ndim - np.ndim(t)))]
    return c.astype(w.dtype, copy=False) if isinstance(c, np.ndarray) and isinstance(w, np.ndarray) else c
