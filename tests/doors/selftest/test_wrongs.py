"""What a mistake makes of a tensor, and where it cannot be made: what would be left as it is is no mistake."""

from typing import Any

import numpy as np
import pytest

from torch_mirror.balls.cell import Ball
from torch_mirror.doors.selftest import wrongs
from torch_mirror.doors.selftest.wrongs import Change, Seen

SEEN = Seen({}, {}, batch=4, outputs=1)
V = np.arange(1.0, 7.0).reshape(2, 3)


@pytest.mark.parametrize("ball", [False, True])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (wrongs.times(-2.0), [[-2, -4, -6], [-8, -10, -12]]), (wrongs.reversed_along(-1), [[3, 2, 1], [6, 5, 4]]),
        (wrongs.reversed_along(-2), [[4, 5, 6], [1, 2, 3]]), (wrongs.shifted(-1, 1), [[3, 1, 2], [6, 4, 5]]),
        (wrongs.shifted(-2, 1), [[4, 5, 6], [1, 2, 3]]), (wrongs.dead(-1, 0), [[0, 2, 3], [0, 5, 6]]),
        (wrongs.dead(-1, None), [[1, 0, 3], [4, 0, 6]]), (wrongs.dead(-2, None), [[1, 2, 3], [0, 0, 0]]),
        (wrongs.one_element(0.0), [[1, 2, 3], [4, 0, 6]]), (wrongs.of_batch(lambda n: 1 / n), (V / 4).tolist()),
    ],
)  # fmt: skip
def test_what_a_mistake_makes(change: Change, expected: list[list[float]], *, ball: bool) -> None:
    given: Any = Ball(V) if ball else V
    made = change(given, SEEN)
    assert (made.value if ball else made).tolist() == expected


@pytest.mark.parametrize(
    ("change", "shape"),
    [
        *[(change(-1), (3, 1)) for change in (wrongs.reversed_along, lambda axis: wrongs.shifted(axis, 1),
                                              lambda axis: wrongs.dead(axis, 0))],
        (wrongs.reversed_along(-2), (3,)), (wrongs.shifted(-2, 1), (3,)), (wrongs.dead(-2, None), (1, 3)),
        (wrongs.transposed, (2, 3)), (wrongs.transposed, (3,)), (wrongs.transposed, (1, 1)),
        (wrongs.one_element(0.0), (1, 1)), (wrongs.of_outputs(lambda n: 1 / n), (2, 3)),
    ],
)  # fmt: skip
def test_where_a_mistake_cannot_be_made(change: Change, shape: tuple[int, ...]) -> None:
    """Of one element along an axis none is moved; what is not square, transposed, has another shape."""
    assert change(np.ones(shape), SEEN) is None


def test_a_square_matrix_is_transposed() -> None:
    assert wrongs.transposed(np.array([[1.0, 2.0], [3.0, 4.0]]), SEEN).tolist() == [[1, 3], [2, 4]]
