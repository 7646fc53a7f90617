"""Steps of the reference's optimizer in torch's place: of one that torch lacks, such as Adam without correction."""

from typing import Any

import torch
from torch import nn

from reference.claim.tree import named, rebuild, zip_with


class ByHand(torch.optim.Optimizer):
    """An optimizer of the reference's protocol, over torch's weights and their gradients.

    weights: by the reference's names. p: the start. keys: where torch keeps each part of the state, "v": "exp_avg_sq".
    """

    def __init__(self, optimizer: Any, weights: dict[str, nn.Parameter], p: Any, keys: dict[str, str]) -> None:
        super().__init__(weights.values(), {"lr": 0.0})
        self.optimizer, self.weights, self.keys, self.t = optimizer, weights, keys, 0
        self.p = zip_with(lambda _, a: a.copy(), p)
        self.own = optimizer.init(self.p)

    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # nobody passes a closure
        gradients = {name: w.grad.numpy().copy() for name, w in self.weights.items() if w.grad is not None}
        self.p, self.own = self.optimizer.step(self.p, rebuild(self.p, gradients), self.own, self.t)
        self.t += 1
        for name, w in self.weights.items():
            w.data.copy_(torch.from_numpy(named(self.p)[name]))
            for part, key in self.keys.items():
                state = named(self.own.get(part, {})).get(name)  # a part may be of some parameters only
                if state is not None:
                    self.state[w][key] = torch.from_numpy(state.copy())
