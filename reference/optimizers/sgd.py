"""One step of stochastic gradient descent, as a pure function.

    g  = dp                                      -dp to maximise
    g  = g + weight_decay p                      with weight decay
    v' = momentum v + (1 - dampening) g          with momentum; at the first step v' = g, undampened
    g  = v'                                      with momentum; g + momentum v' with Nesterov's
    p' = p - lr g

v is the momentum buffer, 0 before the first step. Source: torch.optim.SGD (documentation, its algorithm).
"""

from typing import Any, NamedTuple, TypeVar

import numpy as np

from reference.arrays import Sow, keep
from reference.claim.tree import zip_with
from reference.errors import InputError
from reference.optimizers.parts import followed
from reference.optimizers.schedule import beside, rate
from reference.options import flag, not_negative, number, rates

P = TypeVar("P")


class SGD(NamedTuple):
    """Gradient descent and its options; ``lr`` is the learning rate, or a sequence of them, one a step."""

    lr: Any
    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False
    maximize: bool = False

    def checked(self, steps: int) -> "SGD":
        """The same with plain floats. Raises InputError for what torch.optim.SGD refuses, and for too few rates."""
        of = "torch.optim.SGD"
        lr, momentum = rates(self.lr, steps, of), not_negative("momentum", self.momentum, of)
        dampening, decay = number("dampening", self.dampening), not_negative("weight decay", self.weight_decay, of)
        nesterov, maximize = flag("nesterov", self.nesterov), flag("maximize", self.maximize)
        if nesterov and (momentum == 0 or dampening != 0):
            came = f"momentum {self.momentum} and dampening {self.dampening}"
            raise InputError("nesterov", "a momentum and no dampening, as torch.optim.SGD does", came)
        return self._replace(  # of its own class: a step that somebody overrides stays overridden
            lr=lr, momentum=momentum, dampening=dampening, weight_decay=decay, nesterov=nesterov, maximize=maximize
        )

    @property
    def elementwise(self) -> bool:
        """Each element of a parameter is updated from its own gradient alone."""
        return True

    def init(self, p: P) -> dict[str, P]:
        """The momentum buffers before the first step; none without momentum."""
        return {"v": zip_with(lambda _, w: np.zeros_like(w), p)} if self.momentum else {}

    def step(self, p: P, dp: P, state: dict[str, P], t: Any, sow: Sow = keep) -> tuple[P, dict[str, P]]:
        """The next parameters and momentum buffers, from the gradients and the buffers.

        Each buffer is sown as ``v.W1``, and each parameter under its own name. t: number of the step, from 0, or an
        array (...) of them where p has those axes in front of its own.
        """
        lr, momentum, g = self.lr, self.momentum, dp
        if self.maximize or self.weight_decay:
            g = followed(g, p, self.weight_decay, maximize=self.maximize)
        if momentum:
            kept = self._kept(t)
            v = zip_with(
                lambda name, vw, dw: sow(f"v.{name}", momentum * vw + beside(kept, dw, t) * dw), state["v"], g
            )
            g = zip_with(lambda _, dw, vw: dw + momentum * vw, g, v) if self.nesterov else v
            state = {"v": v}
        if isinstance(lr, float):  # the usual case, and the cheapest question
            return zip_with(lambda name, w, dw: sow(name, w - lr * dw), p, g), state
        lr = rate(lr, t)
        return zip_with(lambda name, w, dw: sow(name, w - beside(lr, w, t) * dw), p, g), state

    def _kept(self, t: Any) -> Any:
        """What a buffer takes of the gradient: all of it at the first step."""
        if np.ndim(t):
            return np.where(t == 0, 1.0, 1 - self.dampening) if self.dampening else 1.0
        return 1.0 if t == 0 else 1 - self.dampening
