"""Checks of the options of losses and optimizers: each returns the plain value, or raises an InputError that names it.

Plain, because a number of a NumPy type would decide the dtype of what it multiplies.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reference.errors import InputError


def number(what: str, value: Any) -> float:
    """A finite number as a Python float."""
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, bool):
        raise InputError(what, "a finite number", repr(value))
    try:
        plain = float(value)
    except OverflowError:  # a whole number beyond all floats
        plain = math.inf
    if not math.isfinite(plain):
        raise InputError(what, "a finite number", repr(value))
    return plain


def number_that(what: str, value: Any, holds: Callable[[float], bool], expected: str) -> float:
    """A finite number for which ``holds``; expected: which those are, in words."""
    plain = number(what, value)
    if not holds(plain):
        raise InputError(what, expected, repr(value))
    return plain


def not_negative(what: str, value: Any, of: str) -> float:
    """0 or more, as ``of`` asks for."""
    return number_that(what, value, lambda n: n >= 0, f"0 or more, as {of} does")


def whole(what: str, value: Any, least: int = 0) -> int:
    """A whole number, ``least`` or more, as a Python int: NumPy's small types overflow when they are counted with."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise InputError(what, f"a whole number, {least} or more", repr(value))
    return int(value)


def make_whole(thing: Any, *names: str) -> None:
    """Make plain whole numbers of a frozen dataclass's fields. Raises InputError for one that is none, or below 1."""
    for name in names:
        object.__setattr__(thing, name, whole(name, getattr(thing, name), 1))


def flag(what: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(what, "True or False", repr(value))
    return bool(value)


def rates(lr: Any, steps: int, of: str) -> float | tuple[float, ...]:
    """A learning rate, or one for each of ``steps`` steps; none is negative."""
    if isinstance(lr, np.ndarray) and lr.ndim == 1 and not isinstance(lr, np.ma.MaskedArray):
        lr = lr.tolist()
    if not isinstance(lr, Sequence) or isinstance(lr, (str, bytes, bytearray, memoryview)):  # whose items are numbers
        return not_negative("learning rate", lr, of)
    if len(lr) < steps:
        raise InputError("learning rate", f"one for each of {steps} steps", f"{len(lr)} of them")
    return tuple(not_negative("learning rate", rate, of) for rate in lr)
