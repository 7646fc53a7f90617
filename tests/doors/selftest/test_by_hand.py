"""The reference's steps in torch's place: weights and states are the reference's own, in the module's layout."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reference import SGD
from torch_mirror.doors.selftest.by_hand import ByHand
from torch_mirror.training.places import places


@pytest.mark.parametrize("where", ["weight", "weight.T"])
def test_each_step_and_its_state_are_the_reference_s(where: str) -> None:
    """Three steps, so that the momentum of one is in the next."""
    module = nn.Linear(3, 2, bias=False, dtype=torch.float64)
    turned = where.endswith(".T")
    start = module.weight.detach().numpy().copy()
    p = {"W": start.T.copy() if turned else start}
    sgd = SGD(0.1, 0.9)
    optimizer = ByHand(sgd, places(module, {"W": where}, p), p, {"v": "momentum_buffer"})
    own, state = p, sgd.init(p)
    for t in range(3):
        g = np.random.default_rng(t).normal(size=p["W"].shape)
        module.weight.grad = torch.from_numpy((g.T if turned else g).copy())
        optimizer.step()
        own, state = sgd.step(own, {"W": g}, state, t)
        for kept, expected in ((module.weight.detach(), own["W"]), (held(optimizer, module), state["v"]["W"])):
            assert kept.numpy().tolist() == (expected.T if turned else expected).tolist()


def held(optimizer: ByHand, module: nn.Linear) -> Any:
    return optimizer.state[module.weight]["momentum_buffer"]
