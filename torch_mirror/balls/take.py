"""Which elements of a radius are asked for.

A rule computes the radius of an operation for the elements that ``take`` selects, and takes the same
elements of the operands, broadcast to the result's shape.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

Take: TypeAlias = Callable[[Any], Any]
Rule: TypeAlias = Callable[[Take], Any]


def everything(array: Any) -> Any:
    """Select all of them."""
    return array
