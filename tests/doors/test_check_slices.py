"""Causes of what is taken from a place that is off: a convolution's stride and padding, another variable's row."""

from typing import Any

import numpy as np
import pytest

from torch_mirror import check

draw = np.random.default_rng(0).normal
P = {"k": draw(size=3), "V": draw(size=(3, 7))}
X, T = draw(size=(5, 3)), draw(size=(5, 4))


def convolution(p: Any, x: Any, t: Any, slip: str) -> Any:
    """Of stride 2, one channel, padded by one, behind a layer of tanh."""
    h = np.tanh(x @ p["V"])
    padded = np.pad(h, ((0, 0), (1, 1)))
    y = np.zeros(t.shape)
    for i in range(t.shape[1]):
        y[:, i] = padded[:, 2 * i : 2 * i + 3] @ p["k"]
    dy = 2 * (y - t)
    dk, dpadded = np.zeros(3), np.zeros_like(padded)
    for i in range(t.shape[1]):
        j, k = (i if slip == name else 2 * i for name in ("taken", "back"))
        dk += padded[:, j : j + 3].T @ dy[:, i]
        dpadded[:, k : k + 3] += np.outer(dy[:, i], p["k"])
    dh = dpadded[:, 2:] if slip == "padding" else dpadded[:, 1:-1]
    return ((y - t) ** 2).sum(), {"k": dk, "V": x.T @ (dh * (1 - h * h))}


def test_the_right_convolution_is_certified() -> None:
    assert check(lambda p, x, t: convolution(p, x, t, ""), P, X, T).certified


@pytest.mark.parametrize(("slip", "gradient", "told"), [
    ("back", "dV", "the stride, 2, left out where the slices of padded are taken back"),
    ("taken", "dk", "the stride, 2, left out of the slices of padded in a derivative"),
    ("padding", "dV", "d(padded) shifted by -1 along axis 1"),
])  # fmt: skip
def test_a_slip_of_a_convolution_is_named(slip: str, gradient: str, told: str) -> None:
    (fault,) = check(lambda p, x, t: convolution(p, x, t, slip), P, X, T).faults
    assert fault.gradients == (gradient,)
    assert len(fault.causes) == 1
    assert fault.causes[0].startswith(told)
    assert "(proof: with it all" in fault.causes[0]


def test_another_variable_s_element_is_named() -> None:
    def mine(p: Any, ratings: Any) -> Any:
        a, b = np.zeros_like(p["a"]), np.zeros_like(p["b"])
        cost = 0.0
        for u, i, r in ratings:
            e = p["a"][u] + p["b"][i] - r
            cost += e**2 + 0.1 * (p["a"][u] ** 2 + p["b"][i] ** 2)
            a[u] += 2 * (e + 0.1 * p["a"][u])
            b[i] += 2 * (e + 0.1 * p["a"][u])  # the mistake: p["b"][i]
        return cost, {"a": a, "b": b}

    rated = [(0, 1, 3.0), (1, 2, 4.0), (3, 4, 1.0), (2, 0, 5.0), (0, 3, 2.0), (1, 1, 3.5)]
    (fault,) = check(mine, {"a": draw(size=4), "b": draw(size=5)}, rated).faults
    assert fault.gradients == ("db",)
    assert fault.causes[0].startswith("""p["a"][u] for p["b"][i] in """)
