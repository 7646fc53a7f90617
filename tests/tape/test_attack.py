"""Adjoints are attacked like radii: every operation of the attack, with exact difference quotients."""

from functools import cache

import numpy as np
import pytest

from tests.attack.adversary import FORMATS
from tests.attack.operations import OPERATIONS
from tests.sample import THOROUGH
from tests.tape.attack import Struck, strike
from torch_mirror.balls.format import Format, format_of

EVERY = (*FORMATS, format_of(np.dtype(np.longdouble)))
SMALL = {name: o for name, o in OPERATIONS.items() if sum(int(np.prod(shape)) for shape in o.shapes) < 700}
"""Those of which a quotient by each element is to be had."""

NUMBERS = 120 if THOROUGH else 60
"""Derivatives of each operation in each format, about."""


@cache
def each(fmt: Format) -> dict[str, Struck]:
    return {name: strike(operation, fmt, 1, NUMBERS) for name, operation in SMALL.items()}


@pytest.mark.parametrize("fmt", EVERY, ids=lambda fmt: fmt.dtype.name)
def test_every_derivative_lies_within_its_radius(fmt: Format) -> None:
    outside = {name: found.first for name, found in each(fmt).items() if found.first}
    assert outside == {}
    assert {name for name, found in each(fmt).items() if not found.derivatives} == set()


def test_there_were_enough_of_them_and_few_of_which_nothing_is_claimed() -> None:
    total = sum((found for fmt in EVERY for found in each(fmt).values()), Struck())
    assert total.derivatives >= NUMBERS * 800
    assert total.infinite <= total.derivatives / 200  # of arcsin at 1, and of the deviation of one element
    assert total.worst > 0.9  # a rounding is nearly attained: radii are not merely large
