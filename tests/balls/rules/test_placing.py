"""What is put into an array: NumPy's own places, with the radii of what is put there."""

from typing import Any

import numpy as np
import pytest

from torch_mirror.balls.cell import Ball

NEW = 2.0**-4


@pytest.mark.parametrize(
    ("shape", "indices", "axis"),
    [
        ((4,), [2, 0], 0), ((4,), [2, 0], None), ((2, 3), [[1], [2]], 1), ((2, 3), [[1], [2]], -1),
        ((2, 3), [[1, 0, 1]], 0), ((2, 3), [5, 0], None), ((2, 3, 4), np.full((2, 3, 1), 3), -1),
        ((2, 3, 4), np.full((2, 1, 4), 2), 1), ((2, 3, 4), np.full((1, 3, 4), 1), 0),
    ],
)  # fmt: skip
def test_along_an_axis(shape: tuple[int, ...], indices: Any, axis: int | None) -> None:
    indices = np.array(indices)
    plain, x = np.arange(24.0)[: np.prod(shape)].reshape(shape), np.random.default_rng(0).normal(size=indices.shape)
    ball: Any = Ball(plain)
    new: Any = Ball(x, np.full(x.shape, NEW))
    np.put_along_axis(ball, indices, new, axis)
    expected, changed = plain.copy(), np.zeros(shape)
    np.put_along_axis(expected, indices, x, axis)
    np.put_along_axis(changed, indices, NEW, axis)
    assert ball.value.tolist() == expected.tolist()
    assert np.broadcast_to(ball.radius, shape).tolist() == changed.tolist()


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2), (2, 2, 2)])
def test_on_a_diagonal(shape: tuple[int, ...]) -> None:
    plain = np.random.default_rng(1).normal(size=shape)
    ball: Any = Ball(plain)
    np.fill_diagonal(ball, Ball(np.array(0.5), np.array(NEW)))
    expected, changed = plain.copy(), np.zeros(shape)
    for i in range(min(shape)):
        expected[(i,) * len(shape)], changed[(i,) * len(shape)] = 0.5, NEW
    assert ball.value.tolist() == expected.tolist()
    assert np.broadcast_to(ball.radius, shape).tolist() == changed.tolist()


def test_a_diagonal_that_is_wrapped_and_one_of_a_row_are_refused() -> None:
    for shape, wrap in (((4, 2), True), ((4,), False)):
        ball: Any = Ball(np.zeros(shape))
        with pytest.raises(TypeError, match="2 dimensions at least and wrap=False"):
            np.fill_diagonal(ball, 1.0, wrap=wrap)
