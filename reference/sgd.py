"""One step of stochastic gradient descent, as a pure function.

p' = p - lr * dp

Source: torch.optim.SGD (documentation), with every option at its default.
"""

from typing import NamedTuple, TypeVar

from reference.arrays import Sow, keep
from reference.parameters import zip_with

P = TypeVar("P", bound=tuple[object, ...])


class SGD(NamedTuple):
    """Plain gradient descent; ``lr`` is the learning rate."""

    lr: float

    def step(self, p: P, dp: P, sow: Sow = keep) -> P:
        """The next parameters. Each is sown under its own name: ``W1`` after the step."""
        lr = self.lr
        return zip_with(lambda name, w, dw: sow(name, w - lr * dw), p, dp)
