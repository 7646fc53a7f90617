"""The radius of a few elements, which is what the judge asks for as a rule, is that of all, at those."""

from typing import Any

import numpy as np

from reference.arrays import Array
from tests.attack.adversary import F64
from tests.attack.draws import drawn, numbered
from tests.attack.operations import OPERATIONS
from torch_mirror.balls.cell import Ball
from torch_mirror.judge.compare import DEEPEST


def made(name: str) -> tuple[Ball, Ball]:
    """The result of an operation on balls, or of its first case, twice: no radius of either has been evaluated."""
    operation = OPERATIONS[name]
    draw = drawn(operation, F64, numbered(name, F64, 0, 1)._replace(kinds=("normal",) * 4, environment="", numbers=24))
    one: Any = 0 if operation.alone else slice(None)
    given = [(o.ball.value[one], o.ball.radius[one]) for o in draw.operands]
    first, second = (operation.equation(*(Ball(*a, F64) for a in given), *draw.constants) for _ in range(2))
    return first, second


def same(some: Array, whole: Array) -> bool:
    """Whether two evaluations of the same radii differ by no more than the roundings that the judge has room for."""
    room = 1 + 2 * DEEPEST * F64.u
    near = (some <= whole * room) & (whole <= some * room)
    return bool((near | ~(np.isfinite(whole) | np.isfinite(some))).all())


def test_the_radius_of_some_elements_is_that_of_all() -> None:
    wrong = []
    for name in OPERATIONS:
        with np.errstate(all="ignore"):
            ball, again = made(name)

            def take(a: Any, shape: tuple[int, ...] = ball.shape) -> Array:
                some: Array = np.broadcast_to(a, shape).reshape(-1)[::-3]
                return some

            if not same(take(again.radius), ball.e(take)):
                wrong.append(name)
    assert wrong == []
