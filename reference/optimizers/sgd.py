"""One step of stochastic gradient descent, as a pure function.

    g  = dp                                      -dp to maximise
    g  = g + weight_decay p                      with weight decay
    v' = momentum v + (1 - dampening) g          with momentum; at the first step v' = g, undampened
    g  = v'                                      with momentum; g + momentum v' with Nesterov's
    p' = p - lr g

v is the momentum buffer. Source: torch.optim.SGD (documentation, its algorithm). Without momentum a
buffer that an earlier step left is neither read nor changed, as in torch.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from reference.arrays import Array, Sow, keep
from reference.claim.tree import zip_with

P = TypeVar("P", bound=tuple[object, ...])


Rate: TypeAlias = Any
"""A learning rate: a float; or one a step, as a sequence of floats, or an array of them where steps are stacked."""


class SGD(NamedTuple):
    """Gradient descent and its options; ``lr`` is the learning rate, or a sequence of them, one a step."""

    lr: Rate
    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False
    maximize: bool = False

    def at(self, step: int) -> "SGD":
        """The settings of one step of a run: its own learning rate, where there is a sequence of them."""
        return self._replace(lr=self.lr[step]) if isinstance(self.lr, Sequence) else self

    def step(self, p: P, dp: P, v: P | None = None, sow: Sow = keep) -> tuple[P, P | None]:
        """The next parameters and momentum buffers, from the gradients and the buffers (None before the first step).

        Each parameter is sown under its own name, ``W1``, and its buffer as ``vW1``. lr is one number here, or an
        array (...) where p has those leading axes in front of its own; ``at`` picks it from a sequence.
        """
        lr, momentum, decay = self.lr, self.momentum, self.weight_decay
        g = dp
        if self.maximize:
            g = zip_with(lambda _, dw: -dw, g)
        if decay:
            g = zip_with(lambda _, dw, w: dw + decay * w, g, p)
        if momentum:
            kept = 1 - self.dampening
            if v is None:
                v = zip_with(lambda name, dw: sow(f"v{name}", dw), g)
            else:
                v = zip_with(lambda name, vw, dw: sow(f"v{name}", momentum * vw + kept * dw), v, g)
            g = zip_with(lambda _, dw, vw: dw + momentum * vw, g, v) if self.nesterov else v
        if isinstance(lr, float) or not hasattr(lr, "ndim"):  # a float is the usual case, and the cheaper question
            return zip_with(lambda name, w, dw: sow(name, w - lr * dw), p, g), v
        return zip_with(lambda name, w, dw: sow(name, w - _beside(lr, w) * dw), p, g), v


def _beside(lr: Rate, w: Array) -> Any:
    """The learning rates of stacked steps with the axes of one step's parameter behind them."""
    return lr[(..., *(None,) * (w.ndim - lr.ndim))]
