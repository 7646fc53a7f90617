"""The user's own numbers beside the balls of a narrower run."""

from typing import Any

import numpy as np
import pytest

from torch_mirror.balls.number import Number
from torch_mirror.doors.check.own import Beside, by_which


def number(value: Any, radius: float) -> Number:
    value = np.asarray(value, np.float64)
    return Number(value, np.full(value.shape, radius))


@pytest.mark.parametrize(
    ("narrow", "which"),
    [
        ({}, ""), ({"W": number([1.0, 2.0], 1e-3)}, ""), ({"W": number([1.0, 2.0], 1e-9)}, "W"),
        ({"W": number(1.0, 9.0)}, "W"), ({"W": number([[1.0, 2.0]], 9.0)}, "W"), ({"b": number([1.0, 2.0], 1e-9)}, ""),
    ],
    ids=["none", "explained", "not explained", "a number", "another shape", "another"],
)  # fmt: skip
def test_the_first_result_that_the_narrow_radii_do_not_explain(narrow: dict[str, Number], which: str) -> None:
    """What has another shape in the narrow run explains nothing, however wide it is."""
    with np.errstate(all="ignore"):
        assert by_which([Beside("W", np.array([1.0, 2.0001]), number([1.0, 2.0], 1e-15))], narrow) == which
