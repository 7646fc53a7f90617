"""Gradient clipping, around any optimizer.

ClippedByNorm      g' = c g,  c = min(1, largest / (|g| + 1e-6))       |g|^2 = sum over all parameters of |dW|^2
ClippedByValue     g' = max(-largest, min(g, largest))                 element by element

What is clipped is the gradient alone, before weight decay and momentum. |g| is the norm of all gradients
together, those of all groups; each step has its own, where steps are stacked.
Source: torch.nn.utils.clip_grad_norm_ and clip_grad_value_ (documentation; the order of the operations is that of
torch/nn/utils/clip_grad.py: the norm of the parameters' norms); Pascanu, Mikolov and Bengio, On the difficulty of
training recurrent neural networks (ICML 2013), algorithm 1.
"""

from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array, Sow, keep
from reference.claim.tree import named, zip_with
from reference.claim.update import checked_optimizer
from reference.optimizers.schedule import beside
from reference.options import number_that

ADDED = 1e-6
"""What torch adds to the norm."""


class ClippedByNorm(NamedTuple):
    """The optimizer, with gradients whose norm is at most ``largest``."""

    optimizer: Any
    largest: float

    def init(self, p: Any) -> dict[str, Any]:
        """The optimizer's own state; clipping has none."""
        return self.optimizer.init(p)

    def step(self, p: Any, g: Any, state: dict[str, Any], t: Any, sow: Sow = keep) -> tuple[Any, dict[str, Any]]:
        """The optimizer's step from the clipped gradients."""
        norms = [_norm(dw, np.ndim(t)) for dw in named(g).values()]
        c = np.minimum(self.largest / (np.sqrt(sum(n * n for n in norms)) + ADDED), 1)
        return self.optimizer.step(p, zip_with(lambda _, dw: dw * beside(c, dw, t), g), state, t, sow)

    def checked(self, steps: int) -> "ClippedByNorm":
        """With plain numbers. Raises InputError where the optimizer does, or for a negative ``largest``."""
        return self._replace(optimizer=checked_optimizer(self.optimizer, steps), largest=_checked(self.largest))


class ClippedByValue(NamedTuple):
    """The optimizer, with gradients of which no element is larger than ``largest`` in size."""

    optimizer: Any
    largest: float

    def init(self, p: Any) -> dict[str, Any]:
        """The optimizer's own state; clipping has none."""
        return self.optimizer.init(p)

    def step(self, p: Any, g: Any, state: dict[str, Any], t: Any, sow: Sow = keep) -> tuple[Any, dict[str, Any]]:
        """The optimizer's step from the clipped gradients."""
        clipped = zip_with(lambda _, dw: np.clip(dw, -self.largest, self.largest), g)
        return self.optimizer.step(p, clipped, state, t, sow)

    def checked(self, steps: int) -> "ClippedByValue":
        """With plain numbers. Raises InputError where the optimizer does, or for a negative ``largest``."""
        return self._replace(optimizer=checked_optimizer(self.optimizer, steps), largest=_checked(self.largest))


def _norm(dw: Array, lead: int) -> Array:
    """|dW| of each step. dw: (..., its own axes), ``lead`` axes of steps in front; returns (...)."""
    return np.sqrt((dw * dw).sum(axis=tuple(range(lead, dw.ndim))))


def _checked(largest: Any) -> float:
    return number_that("largest gradient", largest, lambda n: n >= 0, "0 or more")
