"""No warning of NumPy's about our radii reaches a user: one that overflows is infinite, and the verdict says so.

pytest makes an error of each warning here. The quotients below have a divisor of 0.001 whose radius is 16: it may be 0.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import reference
from torch_mirror import Ball, check, check_forward, check_step
from torch_mirror.doors.selftest.backward import beyond_rounding

draw = np.random.default_rng(0)


def quotient(z: Any) -> Any:
    return z / ((z + 1e17) - 1e17 + 0.001)


class Module(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.tensor(draw.normal(size=(3, 2))))

    def forward(self, x: torch.Tensor) -> Any:
        return quotient(x @ self.W)


def test_check_forward_is_quiet() -> None:
    module = Module()
    p = {"W": module.W.detach().numpy().copy()}
    c = check_forward(lambda p, x: quotient(x @ p["W"]), module, p, {"W": "W"}, draw.normal(size=(4, 3)))
    assert (c.verdict, "no finite radius" in str(c)) == ("undecided", True), str(c)


def test_check_step_is_quiet() -> None:
    def update(p: Any, gradients: Any) -> None:
        for name in p:
            p[name] -= 0.1 * gradients[name] + 0 * quotient(gradients[name])

    c = check_step(update, reference.SGD(0.1), {"W": np.ones(3)}, {"W": draw.normal(size=3)})
    assert c.verdict != "refuted", str(c)


def test_check_is_quiet() -> None:
    def mine(p: Any, x: Any) -> Any:
        return (x * p["W"]).sum() + 0 * quotient(p["W"]).sum(), {"W": x}

    assert check(mine, {"W": np.ones(3)}, draw.normal(size=3)).verdict != "refuted"


def test_the_selftest_is_quiet() -> None:
    z = Ball(np.ones(3))
    with np.errstate(all="ignore"):
        wrong, right = quotient(z), quotient(2 * z)
    assert not beyond_rounding(SimpleNamespace(right=right, wrong=wrong), "float64")  # type: ignore[arg-type]  # of Made


def test_a_warning_would_be_seen_here() -> None:
    with pytest.raises(RuntimeWarning, match="divide by zero"):
        quotient(Ball(np.ones(3))).settled().radius  # noqa: B018 - the radius is worked out when it is asked for
