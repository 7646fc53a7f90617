"""Arrays that are alike, or multiples of each other."""

from typing import Any

import numpy as np
import pytest

from torch_mirror.tape.edits.shown import _alike, factor_between

B = np.array([[0.5, -3.0], [2.0, 0.0]])


@pytest.mark.parametrize("c", [1.0, -1.0, 0.25, -3e9])
def test_the_factor_between_two_arrays(c: float) -> None:
    assert factor_between(c * B, B) == c
    assert _alike(c * B, B, scaled=True)
    assert _alike(c * B, B, scaled=False) is (c == 1)


@pytest.mark.parametrize(
    ("a", "b"),
    [(B + 1, B), (0 * B, B), (B, 0 * B), (0 * B, 0 * B), (B[0], 2 * B[0]), (B, B[:1]), (B > 0, B > 0)],
    ids=["another", "none of it", "of nothing", "nothing", "two elements", "another shape", "bools"],
)
def test_there_is_none(a: Any, b: Any) -> None:
    assert factor_between(a, b) is None


def test_what_is_alike_is_so_to_a_share_of_the_largest_element() -> None:
    assert _alike(B + 1e-12, B, scaled=False)
    assert not _alike(B + 1e-3, B, scaled=False)
    assert not _alike(B[:, 0], B[0], scaled=True)
    assert not _alike(B[0, :1], B[0, :1], scaled=False)  # of one element any two would be, scaled
