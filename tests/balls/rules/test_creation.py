"""New arrays: of numbers, of a kind of their own, and empty ones."""

from typing import Any

import numpy as np
import pytest

from torch_mirror.balls.cell import Ball

BALL: Any = Ball(np.arange(6.0).reshape(2, 3), np.arange(1.0, 7.0).reshape(2, 3))


def test_a_number_that_the_format_cannot_hold_fills_with_its_rounding() -> None:
    like: Any = Ball(np.zeros(2, np.float32))
    assert (np.full_like(like, 0.1).radius > 0).all()
    assert np.full_like(like, 0.5).exact
    assert np.zeros_like(BALL).exact


def test_what_is_empty_is_vacuous_until_something_is_assigned() -> None:
    empties: list[Any] = [np.empty_like(BALL), np.empty((2, 3), like=BALL)]
    for empty in empties:
        empty[0] = BALL[0]
        assert np.isinf(empty.radius).tolist() == [[False] * 3, [True] * 3]
        with np.errstate(all="ignore"):
            assert np.isinf((empty @ BALL.T).radius[1]).all()
            assert np.isinf(empty.sum().radius)


def test_an_array_of_another_kind_is_an_ordinary_one() -> None:
    for array in (np.zeros_like(BALL, dtype=bool), np.ones(3, int, like=BALL), np.empty(3, bool, like=BALL),
                  np.full_like(BALL, 2, dtype=int), np.asarray([1, 2], int, like=BALL)):  # fmt: skip
        assert type(array) is np.ndarray
    other = np.float32
    with pytest.raises(TypeError, match="float64 does not change its dtype: expected that, got"):
        np.zeros_like(BALL, dtype=other)
    with pytest.raises(TypeError, match="to a narrower one: expected float64 or wider, got float32"):
        BALL.astype(other)


def test_arrays_of_a_ball_s_own_kind() -> None:
    x: Any = BALL.copy()
    np.asarray(x, like=x)[0] = 7  # no copy, as NumPy's is none
    np.array(x, like=x)[1] = 7    # a copy
    assert (x.value[0].tolist(), x.value[1].tolist()) == ([7, 7, 7], BALL.value[1].tolist())
    assert BALL.astype(float, copy=False) is BALL
    rows: Any = np.asarray([[BALL[0, 0], 2.0], [3.0, BALL[1, 2]]], like=BALL)
    assert (rows.value.tolist(), rows.radius.tolist()) == ([[0, 2], [3, 5]], [[1, 0], [0, 6]])
    assert np.zeros_like(BALL, shape=(2,)).shape == np.ones_like(BALL[0, :2]).shape == (2,)
    tenths: Any = np.full((2,), 0.1, like=Ball(np.zeros(1, np.float32)))
    assert (tenths.radius > 0).all()
    assert (np.shape(BALL), np.ndim(BALL)) == ((2, 3), 2)
    assert (np.size(BALL), np.size(BALL, 1), len(BALL)) == (6, 3, 2)
