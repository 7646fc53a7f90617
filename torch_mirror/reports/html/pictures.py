"""What a report shows of gradients that ``check`` looked at, beside its rows and faults. Plain data."""

from collections.abc import Mapping
from typing import NamedTuple

from reference.arrays import Array


class Sheet(NamedTuple):
    """A wrong gradient of two axes."""

    name: str
    ratio: Array  # (rows, columns), |yours - derivative| / (sum of both radii): infinite where nothing is allowed


class Valued(NamedTuple):
    """What a line of the user's code gave, at one element of it."""

    file: str
    number: int
    shape: tuple[int, ...]
    index: tuple[int, ...]  # type: ignore[assignment]  # of the element; hides tuple.index, which nobody calls
    value: float
    derivative: float | None  # dL / d value; of a gradient that was returned, what it should be; None where unknown


class Branch(NamedTuple):
    """A value of the backward pass, and below it what it was made of."""

    text: str              # how it is written, or its operation
    place: str             # nn.py:41; empty where no line made it
    kind: str              # right, suspect, forward, other
    below: tuple["Branch", ...] = ()


class Pictures(NamedTuple):
    """All of them, and what cannot be shown, with the reason."""

    sheets: tuple[Sheet, ...] = ()
    values: tuple[Valued, ...] = ()
    graphs: Mapping[str, Branch] = {}  # by the wrong gradient; never written to
    script: str = ""
    missing: Mapping[str, str] = {}
