"""Difference quotients, of code that balls cannot follow: where they look, and how rough a loss may be."""

import numpy as np

from reference.arrays import Array
from torch_mirror.doors.check.quotients import _is_rough


def test_a_loss_is_rough_where_the_parameters_are() -> None:
    """With steps of 2^-20 beyond 1/2, as of a cast inside of the code, and none nearer to 0."""

    def loss(p: dict[str, Array]) -> float:
        x = float(p["W"][0])
        return round(x * 2**20) / 2**20 if x > 0.5 else x

    assert _is_rough({"W": np.array([1.0])}, loss)
    assert not _is_rough({"W": np.array([0.25])}, loss)
