"""One step of Adagrad, as a pure function.

    g  = dp                                -dp to maximise
    g  = g + weight_decay p                with weight decay
    s' = s + g^2
    p' = p - lr / (1 + t lr_decay) g / (sqrt(s') + eps)          t from 0

s starts at initial_accumulator_value. Where s' and eps are 0, p' is NaN, as in torch.
Source: torch.optim.Adagrad (documentation; the order of the operations is that of torch/optim/adagrad.py);
Duchi, Hazan and Singer, Adaptive Subgradient Methods for Online Learning and Stochastic Optimization, Journal
of Machine Learning Research 12 (2011), 2121-2159.
"""

from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array, Sow, keep
from reference.claim.tree import zip_with
from reference.optimizers.parts import followed
from reference.optimizers.schedule import at, beside, rate
from reference.options import flag, not_negative, rates


class Adagrad(NamedTuple):
    """Adagrad and its options; ``lr`` is the learning rate, or a sequence of them, one a step."""

    lr: Any = 1e-2
    lr_decay: float = 0.0
    weight_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    eps: float = 1e-10
    maximize: bool = False

    @property
    def elementwise(self) -> bool:
        """Each element of a parameter is updated from its own gradient alone."""
        return True

    def init(self, p: Any) -> dict[str, Any]:
        """The state before the first step: s, a tree like p of initial_accumulator_value."""
        return {"s": zip_with(lambda _, w: np.full_like(w, self.initial_accumulator_value), p)}

    def step(self, p: Any, g: Any, state: dict[str, Any], t: Any, sow: Sow = keep) -> tuple[Any, dict[str, Any]]:
        """The next parameters and state. Sown as ``s.W1``, then all of ``W1``."""
        lr, eps = rate(self.lr, t) / at(lambda step: 1 + step * self.lr_decay, t), self.eps
        g = followed(g, p, self.weight_decay, maximize=self.maximize)
        s = zip_with(lambda name, sw, dw: sow(f"s.{name}", sw + dw * dw), state["s"], g)

        def moved(name: str, w: Array, dw: Array, sw: Array) -> Array:
            return sow(name, w - beside(lr, w, t) * dw / (np.sqrt(sw) + eps))

        return zip_with(moved, p, g, s), {"s": s}

    def checked(self, steps: int) -> "Adagrad":
        """With plain numbers. Raises InputError where torch.optim.Adagrad does, or for a schedule that is too short."""
        of = "torch.optim.Adagrad"
        names = ("lr_decay", "weight_decay", "initial_accumulator_value", "eps")
        numbers = {name: not_negative(name.replace("_", " "), getattr(self, name), of) for name in names}
        return self._replace(lr=rates(self.lr, steps, of), **numbers, maximize=flag("maximize", self.maximize))
