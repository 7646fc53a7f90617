"""What Python itself asks a ball for."""

import copy
from typing import Any

import numpy as np
import pytest

from torch_mirror.balls.cell import Ball

X: Any = Ball(np.array([1.26, -2.5]), np.array([0.0, 2.0**-30]))


def test_round_and_abs_are_numpy_s() -> None:
    for made, plain in ((round(X, 1), np.round(X.value, 1)), (round(X), np.round(X.value)), (abs(X), np.abs(X.value))):
        assert isinstance(made, Ball)
        assert made.value.tolist() == plain.tolist()
    assert abs(X).radius.tolist() == [0.0, 2.0**-30]


def test_a_truth_value_is_a_bool() -> None:
    assert bool(X[0]) is True
    assert bool(X[0] - X[0].value) is False
    assert bool(X[1]) is True


def test_it_has_a_length_and_parts_and_copies() -> None:
    assert len(X) == 2
    assert [float(part.value) for part in X] == [1.26, -2.5]
    for made in (copy.copy(X), copy.deepcopy(X), X.copy()):
        made[0] = 5.0
        assert X.value.tolist() == [1.26, -2.5]


def test_it_is_no_number_of_python_s_unless_it_stands_for_one() -> None:
    for number in (float, int, complex):
        with pytest.raises(TypeError):
            number(X[0])
