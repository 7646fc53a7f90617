"""Arrays as Python text, which a minimal example is made of."""

import numpy as np
import pytest

from reference.arrays import Array
from torch_mirror.doors.source import array


@pytest.mark.parametrize(("value", "text"), [
    (np.zeros((2, 3)), "np.zeros((2, 3))"), (np.array([0.0, -0.0]), "np.array([0.0, -0.0])"),
    (np.array([0.0, 0.5]), "np.array([0.0, 0.5])"), (np.zeros(1, np.float32), "np.zeros((1,), dtype=np.float32)"),
])  # fmt: skip
def test_zeros_are_short_but_where_one_has_a_sign(value: Array, text: str) -> None:
    assert array(value) == text
