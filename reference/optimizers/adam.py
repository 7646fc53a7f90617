"""One step of Adam or AdamW, as a pure function.

    g   = dp                                          -dp to maximise
    g   = g + weight_decay p                          with weight decay
    p   = p (1 - lr weight_decay)                     instead, where the decay is decoupled: AdamW
    m'  = m + (1 - beta1) (g - m)                     which is beta1 m + (1 - beta1) g
    v'  = beta2 v + (1 - beta2) g^2
    x'  = max(x, v')                                  with AMSGrad; x' then stands for v' below
    p'  = p - (lr / c1) m' / (sqrt(v') / sqrt(c2) + eps)
    p'  = p - (lr / c1) m' / sqrt(v' / c2 + eps)      instead, with eps inside: torch does not offer it

    c1 = 1 - beta1^(t + 1),  c2 = 1 - beta2^(t + 1)   t from 0; both 1 without bias correction

m, v and x start at 0. Where v' and eps are 0, p' is NaN, as in torch.
Source: torch.optim.Adam and AdamW (documentation; the order of the operations is that of torch/optim/adam.py);
Kingma and Ba, Adam (ICLR 2015), algorithm 1; Loshchilov and Hutter, Decoupled Weight Decay Regularization
(ICLR 2019), algorithm 2; Reddi, Kale and Kumar, On the Convergence of Adam and Beyond (ICLR 2018), algorithm 2.
"""

from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array, Sow, keep
from reference.claim.tree import zip_with
from reference.errors import InputError
from reference.optimizers.parts import followed, lerp
from reference.optimizers.schedule import at, beside, rate
from reference.options import flag, not_negative, number_that, rates


class Adam(NamedTuple):
    """Adam and its options; ``lr`` is the learning rate, or a sequence of them, one a step."""

    lr: Any = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = False
    maximize: bool = False
    decoupled: bool = False
    bias_correction: bool = True
    eps_inside: bool = False

    @property
    def elementwise(self) -> bool:
        """Each element of a parameter is updated from its own gradient alone."""
        return True

    def init(self, p: Any) -> dict[str, Any]:
        """The state before the first step: m, v and with AMSGrad x, trees of zeros like p."""
        names = ("m", "v", "x") if self.amsgrad else ("m", "v")
        return {name: zip_with(lambda _, w: np.zeros_like(w), p) for name in names}

    def step(self, p: Any, g: Any, state: dict[str, Any], t: Any, sow: Sow = keep) -> tuple[Any, dict[str, Any]]:
        """The next parameters and state. Sown as ``m.W1``, then all of ``v.W1``, ``x.W1`` and ``W1``."""
        (beta1, beta2), lr, decay = self.betas, rate(self.lr, t), self.weight_decay
        g = followed(g, p, 0 if self.decoupled else decay, maximize=self.maximize)
        if decay and self.decoupled:
            p = zip_with(lambda _, w: w * beside(1 - lr * decay, w, t), p)
        m = zip_with(lambda name, mw, dw: sow(f"m.{name}", lerp(mw, dw, 1 - beta1)), state["m"], g)
        v = zip_with(lambda name, vw, dw: sow(f"v.{name}", beta2 * vw + (1 - beta2) * dw * dw), state["v"], g)
        after = {"m": m, "v": v}
        if self.amsgrad:
            after["x"] = zip_with(lambda name, xw, vw: sow(f"x.{name}", np.maximum(xw, vw)), state["x"], v)
        size = lr / self._corrected(beta1, t)

        def moved(name: str, w: Array, mw: Array, vw: Array) -> Array:
            return sow(name, w - beside(size, w, t) * mw / self._divisor(vw, t))

        return zip_with(moved, p, m, after["x" if self.amsgrad else "v"]), after

    def _corrected(self, beta: float, t: Any, power: float = 1.0) -> Any:
        """c^power with c = 1 - beta^(t + 1); 1 without bias correction."""
        return at(lambda s: (1 - beta ** (s + 1)) ** power, t) if self.bias_correction else 1.0

    def _divisor(self, v: Array, t: Any) -> Array:
        """sqrt(v) / sqrt(c2) + eps, or sqrt(v / c2 + eps)."""
        beta2 = self.betas[1]
        if self.eps_inside:
            return np.sqrt(v / beside(self._corrected(beta2, t), v, t) + self.eps)
        return np.sqrt(v) / beside(self._corrected(beta2, t, 0.5), v, t) + self.eps

    def checked(self, steps: int) -> "Adam":
        """With plain numbers. Raises InputError where torch.optim.Adam does, or for a schedule that is too short."""
        of = "torch.optim.AdamW" if self.decoupled else "torch.optim.Adam"
        if not isinstance(self.betas, (tuple, list)) or len(self.betas) != 2:
            raise InputError("betas", "two numbers", repr(self.betas))
        beta1, beta2 = (
            number_that(f"beta{i}", beta, lambda n: 0 <= n < 1, f"0 or more and below 1, as {of} does")
            for i, beta in enumerate(self.betas, 1)
        )
        numbers = not_negative("eps", self.eps, of), not_negative("weight decay", self.weight_decay, of)
        names = ("amsgrad", "maximize", "decoupled", "bias_correction", "eps_inside")
        flags = {name: flag(name, getattr(self, name)) for name in names}
        eps, decay = numbers
        lr = rates(self.lr, steps, of)
        return self._replace(lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=decay, **flags)


def AdamW(
    lr: Any = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    amsgrad: bool = False,  # noqa: FBT001, FBT002 - an option, as those of Adam are
    maximize: bool = False,  # noqa: FBT001, FBT002 - as above
    **more: bool,
) -> Adam:
    """Adam with decoupled weight decay. more: ``bias_correction`` and ``eps_inside``."""
    return Adam(lr, betas, eps, weight_decay, amsgrad, maximize, decoupled=True, **more)
