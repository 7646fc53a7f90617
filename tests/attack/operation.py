"""What an operation of the bulk attack is made of."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tests.attack.domains import Operands
from tests.attack.evaluations import Evaluation
from torch_mirror.balls.format import Format


class Operation(NamedTuple):
    """An equation, the other ways to evaluate it, and the numbers that it is to be attacked with."""

    shapes: tuple[tuple[int, ...], ...]                # of each operand in one case
    equation: Callable[..., Any]
    torch: Callable[..., Any] | None = None            # of tensors
    others: Mapping[str, Evaluation] = {}              # of arrays
    constants: Callable[[np.random.Generator], tuple[Any, ...]] = lambda _: ()
    exact: Callable[..., Any] | None = None            # where the equation does not run on exact numbers
    domain: Callable[[Format, np.random.Generator, Operands], Operands] = lambda _f, _rng, operands: operands
    attained: float = 0.4                              # error / radius that exact operands must reach: see below
    share: float = 1                                   # of the elements, against other operations'


E = ()  # elementwise
COPIES: Any = {"attained": 0.0}  # nothing is rounded: error / radius is 0 unless operands are moved
