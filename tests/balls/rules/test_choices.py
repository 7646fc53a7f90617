"""What chooses between operands: decided branches, and open ones that span both."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from reference.activations import relu, relu_backward
from tests.attack.adversary import (
    worst,
)
from torch_mirror.balls.cell import Ball


def test_a_decided_radius_is_that_of_the_branch_and_an_open_one_spans_both() -> None:
    z: Any = Ball(np.array([2.0, -2.0, 0.5, 0.0]), np.array([0.5, 0.5, 0.5, 0.0]))
    g: Any = Ball(np.full(4, 8.0), np.full(4, 1.0))
    a: Any = relu(z)
    dz: Any = relu_backward(g, z, z)
    assert a.radius.tolist() == [0.5, 0.0, 0.5, 0.0]
    # undecided: 0 on one side; on the other, the centre's 8 is one radius from the exact 9, that one from 10
    assert dz.radius.tolist() == [1.0, 0.0, 10.0, 0.0]


@pytest.mark.parametrize("x", [0.0, 1e-3, -1e-3])
def test_a_sign_that_the_radius_leaves_open_spans_both(x: float) -> None:
    s = np.sign(Ball(np.array([x]), np.array([1e-2])))
    assert worst(s, np.array([Fraction(1)]), [np.array([-1.0])]) <= 1


def test_an_operand_is_left_out_only_if_it_is_below_in_every_evaluation() -> None:
    """1 plus a radius that its own rounding swallows still exceeds 1: the larger is not decided."""
    x: Any = Ball(np.array([1.0]), np.array([2.0**-60]))
    y: Any = Ball(np.array([1.0]))
    both = np.concatenate([x, y])
    for ball in (np.maximum(x, y), np.maximum(y, x), np.minimum(x, y), both.max()[None], both.min()[None]):
        assert ball.radius.tolist() == [2.0**-60]
    assert np.maximum(x, 2 * y).radius.tolist() == [0.0]
    assert np.concatenate([x, 2 * y]).max().radius == 0.0
