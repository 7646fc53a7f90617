"""Constants that Python and NumPy round by themselves: right code is never refuted for them, and wrong code is."""

from typing import Any

import numpy as np
import pytest

from reference import SGD
from torch_mirror import check, check_step

W = np.array([1.0, 2.0, 3.0])


def discounted(p: Any, share: float = 1.0) -> Any:
    """0.999^137 by a loop, and by a power: 137 roundings beside one."""
    d = 1.0
    for _ in range(137):
        d *= 0.999
    return d * (p["w"] ** 2).sum(), {"w": share * 0.999**137 * 2 * p["w"]}


def decayed(p: Any, share: float = 1.0) -> Any:
    """Arrays that NumPy makes by itself."""
    v, w = np.exp(-1 / 50.0) ** np.arange(300), np.exp(-np.arange(300) / 50.0)
    return (w * p["a"] ** 2).sum(), {"a": share * 2 * v * p["a"]}


REG = np.float32(0.1)


def regularised(p: Any, share: float = 1.0) -> Any:
    """In float32 REG * w and 0.1 * w are the same numbers."""
    return REG * (p["w"] ** 2).sum(), {"w": share * 2 * 0.1 * p["w"]}


@pytest.mark.parametrize(
    ("function", "p", "told", "seen"),
    [
        (discounted, {"w": W}, "in many steps", 1 + 1e-12),
        (decayed, {"a": np.linspace(1, 2, 300)}, "in many steps", 1 + 1e-12),
        (regularised, {"w": W.astype("f4")}, "rounded to float32 on one side alone", 1 + 1e-6),
    ],
)
def test_right_code_is_not_refuted_for_constants(function: Any, p: Any, told: str, seen: float) -> None:
    result = check(function, p)
    assert result.verdict == "undecided", str(result)
    assert told in result.rows[0].why
    assert "tried" not in result.rows[0].why
    assert check(lambda p: function(p, seen), p).verdict == "refuted"


def test_a_constant_of_float32_in_float64_code_is_refuted() -> None:
    assert check(regularised, {"w": W}).verdict == "refuted"


def test_a_rate_of_float32_is_not_refuted_in_steps_of_float32() -> None:
    p, g = {"w": W.astype("f4")}, {"w": W[::-1].astype("f4")}
    for lr, verdict in ((REG, "undecided"), (REG * np.float32(1 + 1e-5), "refuted")):
        result = check_step(lambda p, g, lr=lr: {"w": p["w"] - lr * g["w"]}, SGD(0.1), p, g)
        assert result.verdict == verdict, str(result)


def test_a_small_step_is_not_excused_by_a_large_parameter() -> None:
    p, g = {"w": 1e6 * W}, {"w": 1e-6 * W}
    assert check_step(lambda p, g: {"w": p["w"] - 0.2 * g["w"]}, SGD(0.1), p, g).verdict == "refuted"


def test_a_constant_in_a_term_that_cancels_refutes_nothing() -> None:
    """At the elements where it does, the constant is off by far more than 1024 u of their own size."""
    draw = np.random.default_rng(0).normal
    w = draw(size=1200)
    e = -0.4 * w * (1 + 1e-6 * draw(size=1200)) + 10.0 * (np.arange(1200) < 10)

    def mine(p: Any, share: float = 1.0) -> Any:
        loss = (1 - 0.9999) * 2000 * (p["w"] ** 2).sum() + (e * p["w"]).sum()
        return loss, {"w": share * 0.0001 * 2 * 2000 * p["w"] + e}

    result = check(mine, {"w": w})
    assert result.verdict == "undecided", str(result)
    assert check(lambda p: mine(p, 1 + 1e-9), {"w": w}, explain=False).verdict == "refuted"
