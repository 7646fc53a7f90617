"""A rule for np.log1p, for as long as balls have none: the losses with a logarithm of 1 + x need it.

Error of the function: 8 u, as that of log (torch_mirror.balls.rules.elementwise). log(1 + x) is increasing and
concave: of two numbers at most e apart, neither below l, the images that are furthest apart are those of l and
l + e, and log(1 + l + e) - log(1 + l) = log(1 + e / (1 + l)).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from torch_mirror.balls.ball import Ball
from torch_mirror.balls.number import Number
from torch_mirror.balls.rules.elementwise import FUNCTION_ROUNDINGS
from torch_mirror.balls.table import TABLE


def log1p(_like: Number, x: Number) -> Number:
    value = np.log1p(x.value)
    fmt, roundings = x.format, FUNCTION_ROUNDINGS["log"]

    def rule(take: Any) -> Any:
        v, e = take(x.value), x.e(take)
        least = 1 + (v - x.slack * e) * (1 + np.sign(-v) * 4 * fmt.u) - 4 * fmt.u
        propagated = np.log1p(e / np.where(least > 0, least, 1))
        largest = np.abs(take(value)) * (1 + 2 * roundings * fmt.u) + x.slack * propagated
        return np.where(least > 0, propagated + roundings * fmt.u * largest + fmt.tiny, np.inf)

    return x.derived(value, rule)


@pytest.fixture
def with_log1p() -> Iterator[None]:
    """Balls know log1p."""
    if np.log1p in TABLE:
        yield
        return
    with Ball.rules({np.log1p: log1p}):
        yield
