"""Lines and causes where layers, stages or time steps are turns of a loop."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reference.arrays import Array
from torch_mirror import check
from torch_mirror.tape import recomputed


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


def stage(z: Any, p: Any) -> Any:
    return np.tanh(z @ p["A"] + p["b"]) @ p["B"]


def back(z: Any, p: Any, a: Any, g: Any) -> Any:
    h = np.tanh(z @ p["A"] + p["b"])
    g["B"] += h.T @ a
    du = (a @ p["B"].T) * (1 - h * h)
    g["A"] += z.T @ du
    g["b"] += du.sum(0)
    return du @ p["A"].T


def runge_kutta(p: Any, x: Any, t: Any, steps: int = 3) -> Any:
    """The classical method; each stage is computed once more on the way back, the second one at k2 where k1 is due."""
    dt, z, tape = 1.0 / steps, x, []
    for _ in range(steps):
        k1 = stage(z, p)
        k2 = stage(z + dt / 2 * k1, p)
        k3 = stage(z + dt / 2 * k2, p)
        k4 = stage(z + dt * k3, p)
        tape.append((z, k1, k2, k3))
        z = z + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    g = {name: np.zeros_like(w) for name, w in p.items()}
    a = 2 * (z - t)
    loss = ((z - t) ** 2).sum()
    for z, k1, k2, k3 in reversed(tape):
        s4 = back(z + dt * k3, p, dt / 6 * a, g)
        s3 = back(z + dt / 2 * k2, p, dt / 3 * a + dt * s4, g)
        s2 = back(z + dt / 2 * k2, p, dt / 3 * a + dt / 2 * s3, g)  # the mistake: k1
        s1 = back(z + 0 * k1, p, dt / 6 * a + dt / 2 * s2, g)
        a = a + s1 + s2 + s3 + s4
    return loss, g


ODE = {"A": normal(3, 5), "b": normal(5, seed=1), "B": normal(5, 3, seed=2)}


def test_a_stage_that_is_computed_once_more_from_another_value_is_one_mistake() -> None:
    result = check(runge_kutta, ODE, normal(7, 3, seed=3), normal(7, 3, seed=4))
    (fault,) = result.faults
    assert set(fault.gradients) == {"dA", "db", "dB"}
    assert [line.source[:12] for line in fault.wrong] == ["s2 = back(z "]
    (cause,) = fault.causes
    assert cause.startswith("dt / 2 * k2 where dt / 2 * k1 (test_check_loops.py:")
    assert "is due, in each of 3 turns (proof: with it all 35 elements are within their radius; it alone fits" in cause
    assert cause in str(result)


def explained(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each value that is computed once more from another one, whether it explains what is wrong."""
    found = list[bool]()
    own = recomputed._explains

    def explains(*given: Any) -> bool:
        found.append(own(*given))
        return found[-1]

    monkeypatch.setattr(recomputed, "_explains", explains)
    return found


def test_of_right_stages_with_another_mistake_no_value_is_called_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every gradient is twice what it should be in one stage: no value of the forward pass explains that."""
    found = explained(monkeypatch)

    def mine(p: Any, x: Any, t: Any) -> Any:
        loss, g = runge_kutta(p, x, t, 1)
        return loss, {**g, "b": 2 * g["b"]}

    assert not any("is due" in cause for cause in check(mine, ODE, normal(7, 3, seed=3), normal(7, 3, seed=4)).causes)
    assert found
    assert not any(found)


def test_where_time_is_up_nobody_says_that_nothing_else_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    found = explained(monkeypatch)
    monkeypatch.setattr(recomputed, "time", SimpleNamespace(process_time=lambda: 1e9 if any(found) else 0.0))
    (cause,) = check(runge_kutta, ODE, normal(7, 3, seed=3), normal(7, 3, seed=4)).causes
    assert "there was no time to try all" in cause
    assert "it alone fits" not in cause
