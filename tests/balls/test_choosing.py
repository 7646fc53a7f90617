"""Which elements may be the largest."""

from typing import Any

import numpy as np
import pytest

from torch_mirror.balls.cell import Ball
from torch_mirror.balls.choosing import _candidates


@pytest.mark.parametrize(
    ("radius", "may_be"),
    [(0.0, [True, False, False]), (2.0**-20, [True, False, False]), (2.0**-4, [True, True, False]), (1.0, [True] * 3)],
)
def test_an_element_is_no_candidate_that_is_below_another_in_every_evaluation(radius: float, may_be: Any) -> None:
    x: Any = Ball(np.array([1.0, 0.95, 0.25]), np.full(3, radius))
    assert _candidates(x, None).tolist() == may_be
    assert _candidates(x[:, None] + np.zeros(2), 0).tolist() == [[yes] * 2 for yes in may_be]


def test_two_that_are_equal_are_both() -> None:
    assert _candidates(np.array([[1.0, 1.0], [0.0, 1.0]]), 1).tolist() == [[True, True], [False, True]]
