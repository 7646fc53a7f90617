"""A class that keeps what it computes (self.a1) and updates its weights in place, with momentum."""

from typing import Any

import numpy as np


class NeuralNetwork:
    def __init__(self, inputs: int = 4, hidden: int = 5, outputs: int = 3) -> None:
        draws = np.random.default_rng(0)
        self.W1, self.b1 = draws.standard_normal((inputs, hidden)), np.zeros((1, hidden))
        self.W2, self.b2 = draws.standard_normal((hidden, outputs)), np.zeros((1, outputs))
        self.lr, self.momentum = 0.05, 0.9
        self.v = {name: np.zeros_like(getattr(self, name)) for name in ("W1", "b1", "W2", "b2")}

    def forward(self, X: Any) -> Any:
        self.X = X
        self.z1 = X @ self.W1 + self.b1
        self.a1 = np.tanh(self.z1)
        self.out = self.a1 @ self.W2 + self.b2
        return self.out

    def cost(self, T: Any) -> Any:
        return np.mean((self.out - T) ** 2)

    def backward(self, T: Any) -> None:
        self.dout = 2 * (self.out - T) / T.size
        self.dW2 = self.a1.T @ self.dout
        self.db2 = self.dout.sum(axis=0, keepdims=True)
        self.dz1 = self.dout @ self.W2.T
        self.dz1 *= 1 - self.a1**2
        self.dW1 = self.X.T @ self.dz1
        self.db1 = self.dz1.sum(axis=0, keepdims=True)

    def update(self) -> None:
        for name in self.v:
            self.v[name] *= self.momentum
            self.v[name] += getattr(self, f"d{name}")
            weight = getattr(self, name)
            weight -= self.lr * self.v[name]

    def train(self, X: Any, T: Any) -> Any:
        self.forward(X)
        self.backward(T)
        self.update()
        return self.cost(T)


NET = NeuralNetwork()


def init(draws: np.random.Generator) -> dict[str, Any]:
    return {name: draws.standard_normal(v.shape) for name, v in NET.v.items()}


def loss(p: dict[str, Any], X: Any, T: Any) -> tuple[Any, dict[str, Any]]:
    """X: (N, 4), T: (N, 3)."""
    vars(NET).update(p)
    NET.forward(X)
    NET.backward(T)
    return NET.cost(T), {name: getattr(NET, f"d{name}") for name in p}


def update(p: dict[str, Any], g: dict[str, Any], state: dict[str, Any]) -> tuple[Any, Any]:
    """Its update alone, for check_step."""
    vars(NET).update(p, v=state, **{f"d{name}": d for name, d in g.items()})
    NET.update()
    return p, NET.v


def zeros(p: dict[str, Any]) -> dict[str, Any]:
    """The momentum before the first step."""
    return {name: np.zeros_like(a) for name, a in p.items()}
