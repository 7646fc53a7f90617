"""What the tensors of a run are to each other, by name.

The first dry run gives every tensor a slot; from then on nobody looks at the spelling of a name or counts axes. A
value may be called ``distance`` or ``drop``: it is no gradient, as it is sown by the forward pass.
"""

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

Role: TypeAlias = Literal["data", "constant", "parameter", "state", "value", "gradient", "loss"]
"""data: x, t and their parts. constant: computed once, before the first step. parameter, state (of the optimizer):
what a step hands on to the next. value: sown in a step. gradient: of one of all these. loss: what is descended."""


class Slot(NamedTuple):
    """One tensor of a run."""

    name: str
    role: Role
    shape: tuple[int, ...]  # at one step; of data and constants, as a whole
    dtype: np.dtype[Any]
    of: str | None = None   # whose gradient or state it is


Slots: TypeAlias = Mapping[str, Slot]
"""Every tensor of a run by name; those of a step in the order in which it evaluates them."""

STEP: tuple[Role, ...] = ("value", "gradient", "loss")
"""What a step yields, besides the parameters and the state that it hands on."""


def names(slots: Slots, *roles: Role) -> list[str]:
    """The names of these roles, in order."""
    return [name for name, slot in slots.items() if slot.role in roles]


def gradient_of(slots: Slots, name: str) -> str | None:
    """The name of the gradient of a tensor; None if there is none."""
    return next((slot.name for slot in slots.values() if slot.role == "gradient" and slot.of == name), None)


def parameter_gradients(slots: Slots) -> list[str]:
    """The names of the parameters' gradients, in the order of the parameters."""
    return [own for name in names(slots, "parameter") if (own := gradient_of(slots, name)) is not None]


def size(slots: Iterable[Slot]) -> int:
    """How many numbers these have at one step."""
    return sum(prod(slot.shape) for slot in slots)
