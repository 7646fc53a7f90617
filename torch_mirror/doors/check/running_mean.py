"""The radius of a running mean, m + w (g - m), which the right optimizer of check_step goes on with.

On balls m stands twice in it, and nothing knows that both are one number: its radius r becomes r + w (r + r_g), and
grows by 1 + w a step, to 1e12 times what it was in 300 steps of w = 0.1. The same number is (1 - w) m + w g, in which m
stands once: r becomes (1 - w) r + w r_g, which does not grow.

Both balls hold the one exact result. With c and r of the first, c' and r' of the second: it is within r' of c', so
within |c - c'| + r' of c. So the first ball may have the smaller of r and |c - c'| + r', widened by what its own
evaluation may round (DEEPEST). 1 - w is rounded as well: it is within u of what NumPy makes of it, for 0 <= w <= 1.
Source: Moore, Interval Analysis (1966), on a variable that stands twice in an expression ("dependency").
"""

from typing import Any

import numpy as np

from reference.arrays import Sow, keep
from reference.claim.tree import named
from reference.optimizers.adam import Adam
from reference.optimizers.parts import followed
from reference.optimizers.rmsprop import RMSprop
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.tape.compared import DEEPEST


def narrowing(optimizer: Any, p: Any, g: Any, state: Any) -> Sow:
    """The sow of a step of Adam or of a centred RMSprop; of any other optimizer one that changes nothing.

    p, g, state: trees of balls, before the step
    """
    if not isinstance(optimizer, (Adam, RMSprop)) or "m" not in state:
        return keep
    weight = 1 - (optimizer.betas[0] if isinstance(optimizer, Adam) else optimizer.alpha)
    decay = 0 if getattr(optimizer, "decoupled", False) else optimizer.weight_decay
    before, given = named(state["m"]), named(followed(g, p, decay, maximize=optimizer.maximize))

    def narrowed(name: str, value: Any, /) -> Any:
        kind, _, leaf = name.partition(".")
        return mean(value, before[leaf], given[leaf], weight) if kind == "m" and leaf in before else value

    return narrowed


def mean(m: Ball, before: Ball, g: Ball, weight: float) -> Ball:
    """m, a ball of before + weight (g - before), with the smaller of its radii."""
    one = m.settled()
    u = one.format.u
    rest = Ball(Number(np.asarray(1 - weight, one.value.dtype), u, one.format))
    other = (rest * before + weight * g).settled()
    with np.errstate(all="ignore"):
        apart = (np.abs(one.value - other.value) + np.asarray(other.radius)) * (1 + DEEPEST * u)
    radius = np.fmin(np.broadcast_to(one.radius, one.shape), apart)
    return Ball(Number(one.value, radius, one.format))
