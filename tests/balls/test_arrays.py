"""A ball as an array: NumPy's methods, and no number, whatever its radius."""

from typing import Any

import numpy as np
import pytest

import torch_mirror
from torch_mirror.balls.cell import Ball

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


def test_a_ball_is_no_number_even_if_its_radius_is_0() -> None:
    """math.exp(x) would compute without a radius; item() hands out a ball, and a Python number stays one."""
    exact: Any = Ball(np.array([[2.5]]))
    assert (exact.item().value[()], exact.item().shape, bool(exact)) == (2.5, (), True)
    assert float(exact.operand(0.1)) == 0.1
    for ball in (exact, BALL[0, 0]):
        with pytest.raises(TypeError, match=r"float takes ordinary numbers.*x\.item\(\) .*test_arrays\.py:\d+"):
            float(ball)
    with pytest.raises(TypeError, match="a ball is no index"):
        BALL[exact]


def test_the_ball_is_public() -> None:
    assert torch_mirror.Ball is Ball


@pytest.mark.parametrize("axes", [[1, 2, 0], np.array([1, 2, 0])])
def test_a_list_of_axes_or_sizes_may_be_another_one_later(axes: Any) -> None:
    """The radius is asked for when the list has been written to."""
    x: Any = Ball(np.arange(24.0).reshape(2, 3, 4), np.arange(24.0).reshape(2, 3, 4) / 64)
    turned, shaped = x.transpose(axes), x.reshape(sizes := [4, 6])
    wanted = x.radius.transpose(1, 2, 0)
    axes[0], axes[1], sizes[0], sizes[1] = 0, 1, 6, 4
    assert np.array_equal(turned.radius, wanted)
    assert np.array_equal(shaped.radius, x.radius.reshape(4, 6))
