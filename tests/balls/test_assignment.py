"""Assignment in place, at its edges: NumPy's semantics, and radii that are those of what an operation was given."""

import gc
from collections.abc import Callable
from copy import copy, deepcopy
from typing import Any

import numpy as np
import pytest

from reference.arrays import Array
from tests.attack.adversary import (
    F32,
    rational,
    worst,
)
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number


def ball(radius: float = 0.5, shape: tuple[int, ...] = (2, 3)) -> Any:
    return Ball(np.arange(1.0, 1 + np.prod(shape)).reshape(shape), np.full(shape, radius))


def test_an_open_mask_yields_both_branches() -> None:
    z: Any = Ball(np.array([2.0, 0.1, -2.0]), np.array([0.5, 0.5, 0.5]))
    dz: Any = Ball(np.full(3, 8.0))
    dz[z <= 0] = 0
    assert dz.value.tolist() == [8, 8, 0]
    assert dz.radius.tolist() == [0, 8, 0]


def test_where_the_number_of_elements_is_open_it_says_so() -> None:
    z: Any = Ball(np.array([4.0, 0.1, -2.0]), np.array([0.5, 0.5, 0.5]))
    x: Any = Ball(np.ones(3))
    with pytest.raises(TypeError, match=r"number of elements that an index selects .* leave 1 of 3 open"):
        x[z > 0]
    with pytest.raises(TypeError, match=r"y of shape \(2,\): the radii leave open how many elements"):
        x[z > 0] = np.ones(2)
    with pytest.raises(TypeError, match="leave 1 of 3 open"):
        np.ones((3, 2), like=x)[z > 0, 0] = 1
    with pytest.raises(IndexError, match="does not fit"):
        np.ones(2, like=x)[z > 0] = 1
    x[z > 0] = np.ones(1)  # of which there is one for each, however many
    assert x[z > 2].shape == (1,)  # decided


def test_numbers_are_rebound_and_arrays_written_in_place_as_in_numpy() -> None:
    x = ball()
    total = x.sum()
    before = total
    total += 1
    assert (before.value, total.value) == (21, 22)
    with pytest.raises(ValueError, match="read-only"):
        total[...] = 1
    corner = x[0, ..., 0]  # an array of no axes, and a view
    corner += 1
    assert x.value[0, 0] == 2


@pytest.mark.parametrize("look", [lambda s: s[None], lambda s: s.reshape(1), lambda s: np.asarray(s, like=s)])
def test_nothing_that_is_made_of_a_number_writes_to_it(look: Callable[[Any], Any]) -> None:
    """Neither does an array that NumPy makes of a float64."""
    total = ball().sum()
    made = look(total)
    made[...] = 1
    assert (total.value, made.value.max()) == (21, 1)


def test_an_array_of_no_axes_is_written_through() -> None:
    x: Any = Ball(np.array(2.0), np.array(0.5))
    x[None][:0] = 7  # none of its elements
    assert (x.value, x.radius) == (2, 0.5)
    x[None, None][0] = 3
    assert (x.value, x.radius, x.shape) == (3, 0, ())


@pytest.mark.parametrize("look", [np.diagonal, lambda x: np.broadcast_to(x, (4, 2, 3)), lambda x: x[0, 0]])
def test_what_numpy_does_not_write_to_is_read_only(look: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match="read-only"):
        look(ball())[...] = 1


def test_the_array_that_a_ball_was_made_of_is_left_alone() -> None:
    array = np.ones((2, 2))
    x: Any = Ball(array)
    x[0] = 5
    x += 1
    assert array.tolist() == [[1, 1], [1, 1]]


def test_an_array_or_index_that_changes_later_changes_no_radius() -> None:
    x, array, index, mask = ball(), np.ones((2, 3)), [0, 0], np.array([True, False])
    results: list[Any] = [x * array, (x @ np.eye(3))[index], np.where(mask[:, None], x, 0)]
    same: list[Any] = [x * np.ones((2, 3)), (x @ np.eye(3))[[0, 0]], np.where([[True], [False]], x, 0)]
    before = [b.radius.tolist() for b in same]
    array[...], index[:], mask[:] = 100, [1, 1], [False, True]
    assert [b.radius.tolist() for b in results] == before


@pytest.mark.parametrize("duplicate", [copy, deepcopy, np.copy, np.array, lambda x: +x, lambda x: x.astype(x.dtype)])
def test_a_copy_is_one(duplicate: Callable[[Any], Any]) -> None:
    x = ball()
    y: Any = np.array(x, like=x) if duplicate is np.array else duplicate(x)
    x[...] = 0
    assert y.value.tolist() == ball().value.tolist()
    assert (y.radius == 0.5).all()


def test_fill_and_iteration() -> None:
    x = ball()
    for row in x:
        row[0] = 0
    assert x.value[:, 0].tolist() == [0, 0]
    assert x.radius[:, 0].tolist() == [0, 0]
    x[1].fill(2)
    assert (x.value[1].tolist(), len(x)) == ([2, 2, 2], 2)


@pytest.mark.parametrize("write", [
    lambda a, x: a.__setitem__(..., x), lambda a, x: a.__iadd__(x), lambda a, x: np.add(x, x, out=a),
    lambda a, x: a.__setitem__(slice(None), [x[0], x[1]]), np.copyto, lambda a, x: np.sum(x, out=a),
    lambda _, x: np.asarray(x), lambda _, x: float(x), lambda _, x: np.array([x, x]),
])  # fmt: skip
def test_an_ordinary_array_takes_no_ball_and_the_error_says_what_does(write: Callable[[Array, Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"start from np\.zeros_like\(x\) or np\.zeros\(shape, like=x\)"):
        write(np.zeros((2, 3)), ball())


def test_one_element_of_an_ordinary_array_takes_no_ball_either() -> None:
    """The ValueError is NumPy's own; its cause is ours."""
    with pytest.raises(ValueError, match="setting an array element") as error:
        np.zeros(3)[0] = ball()
    assert "np.zeros_like(x)" in str(error.value.__cause__)


def test_a_value_of_another_format_is_refused() -> None:
    with pytest.raises(TypeError, match="float32 takes no value of float64"):
        Ball(np.zeros(2, np.float32))[...] = Ball(np.ones(2))


def test_numbers_that_the_format_cannot_hold_bring_their_rounding() -> None:
    x: Any = Ball(np.zeros(3, np.float32))
    with np.errstate(over="ignore"):
        x[...] = np.array([0.1, 0.5, 1e300])
    assert x.radius[1] == 0
    assert x.radius[0] >= abs(float(np.float32(0.1)) - 0.1) > 0
    assert np.isinf(x.radius[2])


def test_nothing_is_left_of_a_step_that_is_over() -> None:
    """No cycle of references, which would keep the memory of whole steps until the collector runs."""

    def steps() -> None:
        x, W = ball(), Ball(np.ones((2, 3))).remember()
        for _ in range(3):
            z: Any = x @ W.mT
            z += 1
            z[z <= 0] = 0
            z.mT[0] = 1
            x.mT[:2] = z
            W -= 0.1 * z @ x
        W.forget()

    def balls() -> int:
        return sum(type(o) in (Ball, Number) for o in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = balls()
        steps()
        assert balls() == before
    finally:
        gc.enable()


def test_a_loop_that_updates_in_place_keeps_no_history() -> None:
    """Its radii are evaluated as it goes: no chain of operations is as long as the loop, too long for Python."""
    w, g = ball(0.0), ball(1e-3)
    for _ in range(2000):
        w -= 0.5 * g
        w[0] = 1
    assert 1 <= w.radius[1, 0] < 1.001
    assert w.radius[0].tolist() == [0, 0, 0]


def test_products_that_are_kept_are_not_changed_by_one_who_got_them() -> None:
    x, W = ball(), Ball(np.ones((2, 3))).remember()
    first = x @ W.mT
    first[...] = 0
    assert (x @ W.mT).value.tolist() == [[6, 6], [15, 15]]
    W.mT[...] = 2  # and a view of what is kept is written through
    assert (x @ W.mT).value.tolist() == [[12, 12], [30, 30]]
    W.forget()


def test_a_fraction_s_own_rounding() -> None:
    x: Any = Ball(np.zeros(1, np.float32), 0, F32)
    x[0] = 0.1
    assert worst(x, rational(np.array([0.1])), [np.array([0.1], np.float32)]) <= 1
