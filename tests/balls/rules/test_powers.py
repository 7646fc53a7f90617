"""Powers, at their edges; in bulk they are attacked in tests/attack."""

from typing import Any

import numpy as np
import pytest

from torch_mirror.balls.cell import Ball


@pytest.mark.parametrize("n", [-2.0, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("of", ["an array", "a number"])
def test_an_exponent_has_a_radius_though_its_centre_is_a_whole_number(n: float, of: str) -> None:
    """A centre that squares says nothing of an evaluation that does not."""
    e = 2.0**-10
    base: Any = np.array([1.5, 0.25, 1.0]) if of == "an array" else 1.5
    exponent = np.full_like(base, n)
    ball: Any = Ball(base) ** Ball(exponent, np.full_like(base, e))
    for end in (exponent - e, exponent + e):
        assert (np.abs(base**end - ball.value) <= ball.radius).all()
