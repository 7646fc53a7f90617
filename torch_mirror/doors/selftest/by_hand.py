"""Steps of the reference's optimizer in torch's place: of one that torch lacks, such as Adam without correction."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reference.claim.tree import named, rebuild, zip_with
from torch_mirror.training.places import Place


class ByHand(torch.optim.Optimizer):
    """An optimizer of the reference's protocol, over torch's weights and their gradients.

    places: of the weights, by the reference's names; in the module they may be transposed, and the state with them.
    p: the start. keys: where torch keeps each part of the state, "v": "exp_avg_sq".
    """

    def __init__(self, optimizer: Any, places: Mapping[str, Place], p: Any, keys: dict[str, str]) -> None:
        super().__init__([place.weight for place in places.values()], {"lr": 0.0})
        self.optimizer, self.places, self.keys, self.t = optimizer, dict(places), keys, 0
        self.p = zip_with(lambda _, a: a.copy(), p)
        self.own = optimizer.init(self.p)

    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # nobody passes a closure
        given = {name: (place, place.weight.grad) for name, place in self.places.items()}
        gradients = {name: place.of(g).numpy().copy() for name, (place, g) in given.items() if g is not None}
        self.p, self.own = self.optimizer.step(self.p, rebuild(self.p, gradients), self.own, self.t)
        self.t += 1
        for name, place in self.places.items():
            place.weight.data.copy_(_as_kept(place, named(self.p)[name]))
            for part, key in self.keys.items():
                state = named(self.own.get(part, {})).get(name)  # a part may be of some parameters only
                if state is not None:
                    self.state[place.weight][key] = _as_kept(place, state)


def _as_kept(place: Place, a: Any) -> Tensor:
    """An array of the reference's in the module's layout."""
    out = torch.empty_like(place.weight)
    place.of(out).copy_(torch.from_numpy(np.array(a, order="C")))
    return out.detach()
