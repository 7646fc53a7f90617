"""A ball as an array: NumPy's methods, and a number where its radius is 0."""

from typing import Any

import numpy as np
import pytest

import torch_mirror
from torch_mirror.balls.ball import Ball

BALL: Any = Ball(np.arange(6.0).reshape(2, 3), np.arange(1.0, 7.0).reshape(2, 3))


def test_methods_are_numpy_s() -> None:
    array = BALL.value
    for method, arguments in {
        "sum": (0,), "mean": (1,), "prod": (0,), "cumsum": (1,), "max": (0,), "min": (1,), "trace": (), "diagonal": (),
        "swapaxes": (0, 1), "ravel": (), "flatten": (), "repeat": (2,), "take": ([1],), "reshape": (3, 2),
        "transpose": (1, 0), "copy": (), "clip": (1, 3), "squeeze": (), "dot": (array.T,),
    }.items():  # fmt: skip
        got, expected = getattr(BALL, method)(*arguments), getattr(array, method)(*arguments)
        assert got.value.tolist() == expected.tolist()
    assert BALL.reshape((3, -1)).shape == BALL.transpose().shape == (3, 2)
    assert (np.atleast_1d(BALL[0, 0]).shape, [a.ndim for a in np.atleast_3d(BALL, 1.0)]) == ((1,), [3, 3])
    assert "radius" in repr(BALL)
    assert (f"{BALL[0, 2]:.2f}", f"{BALL}") == ("2.00", repr(BALL))


def test_a_number_whose_radius_is_0_is_a_number() -> None:
    exact: Any = Ball(np.array([[2.5]]))
    assert (float(exact), exact.item(), bool(exact)) == (2.5, 2.5, True)
    with pytest.raises(TypeError, match="a ball is no number, unless its radius is 0"):
        float(BALL[0, 0])
    with pytest.raises(TypeError, match="a ball is no index"):
        BALL[exact]


def test_the_ball_is_public() -> None:
    assert torch_mirror.Ball is Ball
