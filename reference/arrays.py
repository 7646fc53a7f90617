"""The types that every equation is written for.

An equation never mentions a dtype, so ``Array`` stands for whatever number type runs through it:
a NumPy array of any floating dtype, a judge's ball, an object array of exact numbers.
"""

from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Shapes: TypeAlias = dict[str, tuple[int, ...]]
FLOATS = (np.float32, np.float64, np.longdouble)


class Sow(Protocol):
    """The one hook: told every named value, it returns the value to go on with."""

    def __call__(self, name: str, value: Array, /) -> Array: ...


def keep(_name: str, value: Array, /) -> Array:
    """Sow nothing: go on with the value as it is."""
    return value


def same(a: Any, b: Any) -> bool:
    """Whether two arrays have one shape and the same numbers, a NaN beside a NaN: NaN is only looked for at need."""
    return np.array_equal(a, b) or (np.asarray(a).dtype.kind in "fc" and np.array_equal(a, b, equal_nan=True))
