"""Whether what was made several times is told as turns of a loop or as calls of a function."""

from typing import Any

import numpy as np
import pytest

from torch_mirror import check

draw = np.random.default_rng(2).normal
P = {"W": draw(size=(4, 3))}


def tower(p: Any, x: Any) -> Any:
    return np.tanh(x @ p["W"])


def called(p: Any, x: Any, y: Any) -> Any:
    a, b = tower(p, x), tower(p, y)
    e = a - b
    da, db = 2 * e * (1 - a * a), -2 * e * (1 - a * a)  # the mistake: b
    return (e**2).sum(), {"W": x.T @ da + y.T @ db}


def looped(p: Any, x: Any, y: Any) -> Any:
    a, b = [np.tanh(z @ p["W"]) for z in (x, y)]
    e = a - b
    da, db = 2 * e * (1 - a * a), -2 * e * (1 - a * a)  # the mistake: b
    return (e**2).sum(), {"W": x.T @ da + y.T @ db}


@pytest.mark.parametrize(("mine", "word"), [(called, "call"), (looped, "turn")])
def test_two_calls_are_not_told_as_turns(mine: Any, word: str) -> None:
    (cause,) = check(mine, P, draw(size=(6, 4)), draw(size=(6, 4))).causes
    assert f" of another {word} for " in cause
    assert f", in the last of 2 {word}s (proof" in cause
