"""Options of losses and optimizers, checked: numbers and flags as plain Python values."""

from typing import Any

import numpy as np

from reference.errors import InputError


def checked_number(what: str, value: Any, *, least: float | None = None, below: float | None = None) -> float:
    """The value as a float. Raises InputError for what is no finite number, below ``least``, or not ``below``."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    with np.errstate(all="ignore"):
        held = number and bool(abs(value) <= np.finfo(float).max)  # not so NaN, and a whole number beyond all floats
    if not held:
        raise InputError(what, "a finite number", repr(value))
    if least is not None and value < least:
        raise InputError(what, f"{least} or more, as torch.optim does", repr(value))
    if below is not None and value >= below:
        raise InputError(what, f"a number below {below}, as torch.optim does", repr(value))
    return float(value)  # a number of a NumPy type would decide the dtype of what it multiplies


def checked_flag(what: str, value: Any) -> bool:
    """The value as a bool. Raises InputError for anything else."""
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(what, "True or False", repr(value))
    return bool(value)
