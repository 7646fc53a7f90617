"""Lines and causes where layers, stages or time steps are turns of a loop."""

from typing import Any

import numpy as np

from reference.arrays import Array
from torch_mirror import check


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def residual(p: Any, x: Any, t: Any) -> Any:
    """Each u goes into two sums. The derivative by skip is the same number for all of its turns."""
    h, skip, us, hs = x, 0.0, [], []
    for w in p["w"]:
        u = np.tanh(h @ w)
        us.append(u)
        hs.append(h)
        h = h + u
        skip = skip + u
    r = skip - t
    dskip = 2 * r / r.size
    dh = np.zeros_like(h)
    g = [np.zeros(0)] * 3
    for i in (2, 1, 0):
        dz = (dskip + dh) * (1 - us[i] ** 2)
        g[i] = hs[i].T @ dz
        dh = dz @ p["w"][i].T  # the mistake: dh + dz @ ...
    return (r**2).mean(), {"w": g}


def test_of_two_sums_the_one_that_is_right_is_not_called_missing() -> None:
    (fault,) = check(residual, {"w": list(normal(3, 4, 4))}, normal(6, 4, seed=1), normal(6, 4, seed=2)).faults
    assert fault.gradients == ("dw[0]",)
    assert not fault.note  # it was "the step back through skip + u is missing", which is there
    assert any(line.source.startswith("dh = dz @ ") for line in fault.wrong)
    assert fault.causes[0].startswith("term d(h) left out of d(h) (proof")
