"""What is taken as given is exact to the forward pass, and to a derivative it is what was made, with its radius."""

from typing import Any

import numpy as np

from torch_mirror.balls.cell import Ball
from torch_mirror.balls.recording import recording
from torch_mirror.tape.replay import Plan, replay
from torch_mirror.tape.sweep import leaf, seeded


def test_a_derivative_knows_the_radius_of_a_given_operand() -> None:
    """Of sum y^2 by y = tanh x it is 2 y, off by twice the radius of y."""
    with recording() as tape:
        x: Any = leaf(np.array([0.3, -0.7]), "x")
        y = np.tanh(x)
        loss = np.sum(y * y)
    own = y.settled()
    again = replay(tape.values, Plan(given=frozenset({own.node.number})))
    d = seeded(again.at(loss.settled())).numbers
    by = next(g for n, g in d.items() if (g.value == 2 * own.value).all() and g.shape == (2,))
    assert (by.radius >= 2 * own.radius).all()
    assert (Ball(own).radius > 0).all()
