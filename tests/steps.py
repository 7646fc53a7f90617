"""One training step of a network, from numbers of any kind, with or without axes of stacked steps in front."""

from typing import Any

from reference.arrays import Array, Sow, keep
from reference.claim import objective
from reference.claim.objective import Supervised


def gradients(network: Any, p: Any, x: Any, t: Any, loss: Any, sow: Sow = keep) -> Any:
    """Forward and backward pass: the gradient of each parameter. x is the network's features (..., batch, in)."""
    return Supervised(network, loss._replace(axes=2)).gradients(p, (x, t), sow)


def step(network: Any, p: Any, x: Any, t: Any, loss: Any, optimizer: Any, number: Any = 0, sow: Sow = keep) -> Any:
    """The next parameters of the first step (or another, of an optimizer without a state)."""
    descended = Supervised(network, loss._replace(axes=2))
    after, _ = objective.step(descended, p, (x, t), optimizer, optimizer.init(p), number, sow)
    return after


def value(loss: Any, y: Any, t: Any) -> Array:
    """The loss of each step. y: (..., batch, out); returns (...)."""
    result: Array = loss._replace(axes=2).value(y, t)
    return result
