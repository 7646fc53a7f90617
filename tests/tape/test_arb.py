"""Arb's radii as float64 has them."""

import flint
import numpy as np

from torch_mirror.tape.arb import radii


def test_a_radius_in_float64_is_no_less_than_arb_s() -> None:
    """Rounded to nearest, half of them would be."""
    with flint.ctx.workprec(200):
        balls = np.array([flint.arb(1) / k for k in range(3, 300, 2)], object)
        for ball, radius in zip(balls, radii(balls), strict=True):
            exact = abs(ball - float(ball.mid())).upper()
            assert flint.arb(radius) >= exact
            assert flint.arb(radius) <= exact * (1 + flint.arb(2) ** -40)
    assert radii(np.array([flint.arb(0.5), flint.arb("nan")], object)).tolist() == [0.0, np.inf]
