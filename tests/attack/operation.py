"""What an operation of the attack is made of."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tests.attack.domains import Operands
from tests.attack.evaluations import Evaluation
from torch_mirror.balls.format import Format


class Operation(NamedTuple):
    """An equation, the other ways to evaluate it, and the numbers that it is to be attacked with.

    The equation runs on balls, on arrays and on exact numbers. It takes operands (cases, ...) unless it is ``alone``.
    """

    shapes: tuple[tuple[int, ...], ...]                # of each operand in one case
    equation: Callable[..., Any]
    torch: Callable[..., Any] | None = None            # of tensors
    others: Mapping[str, Evaluation] = {}              # of arrays
    constants: Callable[[np.random.Generator], tuple[Any, ...]] = lambda _: ()
    exact: Callable[..., Any] | None = None            # where the equation does not run on exact numbers
    domain: Callable[[Format, np.random.Generator, Operands], Operands] = lambda _f, _rng, operands: operands
    attained: float = 0.4                              # error / radius that exact operands must reach: see ASSUMED
    share: float = 1                                   # of the elements, against other operations'
    alone: bool = False                                # every function here is of one case, without the axis of cases
    fractions: bool = False                            # it compares; Python's fractions decide, where Arb may not
    promotes: bool = False                             # NumPy's whole numbers make it float64 on the way, and that is
    #                                                    rounded in the end

    def of_cases(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """One of the functions here, as one of operands (cases, ...) and constants."""
        if not self.alone:
            return function
        count = len(self.shapes)

        def evaluate(*arguments: Any) -> Any:
            operands, constants = arguments[:count], arguments[count:]
            return np.stack([function(*case, *constants) for case in zip(*operands, strict=True)])

        return evaluate


def alone(
    shapes: tuple[tuple[int, ...], ...], equation: Callable[..., Any], torch: Callable[..., Any] | None = None,
    others: Mapping[str, Evaluation] | None = None, **options: Any,
) -> Operation:  # fmt: skip
    """An operation of one case alone; the rim is what moved operands must reach, not exact ones."""
    options = {"attained": 0.0, "share": 0.25, **options}
    return Operation(shapes, equation, torch, others or {}, alone=True, **options)


E = ()  # elementwise
COPIES: Any = {"attained": 0.0}  # nothing is rounded: error / radius is 0 unless operands are moved
ASSUMED: Any = {"attained": 0.1}
"""What every library must reach. 8 u of the result are allowed to exp, log and tanh, and a result just above a power of
two that is rounded correctly is up to 1 u off, which is 1/8 of that: with enough elements the largest error / radius is
near it or above. Of the 2 u of sqrt it is 1/2."""
