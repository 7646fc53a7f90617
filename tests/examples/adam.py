"""Adam written by hand, as a class with two dicts and a counter, which writes to the weights it is given."""

from typing import Any

import numpy as np


class Adam:
    def __init__(self, lr: float = 0.01, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        self.lr, self.beta1, self.beta2, self.eps = lr, beta1, beta2, eps
        self.m: dict[str, Any] = {}
        self.v: dict[str, Any] = {}
        self.t = 0

    def update(self, params: dict[str, Any], grads: dict[str, Any]) -> None:
        self.t += 1
        for name, g in grads.items():
            m, v = self.m.get(name, np.zeros_like(g)), self.v.get(name, np.zeros_like(g))
            self.m[name] = m = self.beta1 * m + (1 - self.beta1) * g
            self.v[name] = v = self.beta2 * v + (1 - self.beta2) * g**2
            m_hat = m / (1 - self.beta1**self.t)
            v_hat = v / (1 - self.beta2**self.t)
            params[name] -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)


def made() -> Any:
    """The method itself is what check_step takes."""
    return Adam().update
