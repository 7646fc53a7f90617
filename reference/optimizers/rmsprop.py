"""One step of RMSprop, as a pure function.

    g  = dp                                  -dp to maximise
    g  = g + weight_decay p                  with weight decay
    v' = alpha v + (1 - alpha) g^2
    m' = m + (1 - alpha) (g - m)             centred: which is alpha m + (1 - alpha) g
    d  = sqrt(v') + eps                      sqrt(v' - m'^2) + eps, centred
    d  = sqrt(v' + eps)                      instead (less m'^2, centred), with eps inside: torch does not offer it
    p' = p - lr g / d                        without momentum
    b' = momentum b + g / d                  with momentum
    p' = p - lr b'

v, m and b start at 0. Centred, v' - m'^2 is not below 0 but for its rounding, and p' is NaN where it is.
Source: torch.optim.RMSprop (documentation; the order of the operations is that of torch/optim/rmsprop.py);
Hinton, Neural Networks for Machine Learning, lecture 6; Graves, Generating Sequences With Recurrent Neural
Networks (2013), section 4.2, for the centred version.
"""

from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array, Sow, keep
from reference.claim.tree import zip_with
from reference.optimizers.parts import followed, lerp
from reference.optimizers.schedule import beside, rate
from reference.options import flag, not_negative, rates


class RMSprop(NamedTuple):
    """RMSprop and its options; ``lr`` is the learning rate, or a sequence of them, one a step."""

    lr: Any = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False
    maximize: bool = False
    eps_inside: bool = False

    @property
    def elementwise(self) -> bool:
        """Each element of a parameter is updated from its own gradient alone."""
        return True

    def init(self, p: Any) -> dict[str, Any]:
        """The state before the first step: v, m where centred, b with momentum; trees of zeros like p."""
        names = ["v", *(["m"] if self.centered else []), *(["b"] if self.momentum else [])]
        return {name: zip_with(lambda _, w: np.zeros_like(w), p) for name in names}

    def step(self, p: Any, g: Any, state: dict[str, Any], t: Any, sow: Sow = keep) -> tuple[Any, dict[str, Any]]:
        """The next parameters and state. Sown as ``v.W1``, then all of ``m.W1``, ``b.W1`` and ``W1``."""
        lr, alpha, momentum = rate(self.lr, t), self.alpha, self.momentum
        g = followed(g, p, self.weight_decay, maximize=self.maximize)
        v = zip_with(lambda name, vw, dw: sow(f"v.{name}", alpha * vw + (1 - alpha) * dw * dw), state["v"], g)
        after = {"v": v}
        spread = v
        if self.centered:
            m = zip_with(lambda name, mw, dw: sow(f"m.{name}", lerp(mw, dw, 1 - alpha)), state["m"], g)
            after["m"] = m
            spread = zip_with(lambda _, vw, mw: vw - mw * mw, v, m)
        d = zip_with(lambda _, r: self._divisor(r), spread)
        if not momentum:
            return zip_with(lambda name, w, dw, r: sow(name, w - beside(lr, w, t) * dw / r), p, g, d), after
        b = zip_with(lambda name, bw, dw, r: sow(f"b.{name}", momentum * bw + dw / r), state["b"], g, d)
        after["b"] = b
        return zip_with(lambda name, w, bw: sow(name, w - beside(lr, w, t) * bw), p, b), after

    def _divisor(self, v: Array) -> Array:
        return np.sqrt(v + self.eps) if self.eps_inside else np.sqrt(v) + self.eps

    def checked(self, steps: int) -> "RMSprop":
        """With plain numbers. Raises InputError where torch.optim.RMSprop does, or for a schedule that is too short."""
        of = "torch.optim.RMSprop"
        names = ("alpha", "eps", "weight_decay", "momentum")
        options: dict[str, Any] = {n: not_negative(n.replace("_", " "), getattr(self, n), of) for n in names}
        options |= {name: flag(name, getattr(self, name)) for name in ("centered", "maximize", "eps_inside")}
        return self._replace(lr=rates(self.lr, steps, of), **options)
