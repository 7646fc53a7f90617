"""Infinite constants replaced by large ones: where nothing else changes by that, and only there."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from torch_mirror.balls.recording import recording
from torch_mirror.tape.endless import LARGE, ended
from torch_mirror.tape.scene import Scene, scene_of
from torch_mirror.tape.sweep import leaf


def scene(made: Callable[[Any], Any]) -> Scene:
    """Of a loss, and 3 for its gradient."""
    with recording() as tape, np.errstate(all="ignore"):
        w = leaf(np.array([0.3, -0.7, 1.1]), "w")
        given = w.settled()
        loss, g = made(w).settled(), (w * 3).settled()
    return scene_of(tape, loss, {"w": g}, {"w": given})


def masked(w: Any, out: float = -np.inf) -> Any:
    return np.exp(np.where(np.array([True, False, True]), w, out)).sum()


def test_behind_exp_a_large_number_is_as_good_as_an_infinite_one() -> None:
    before = scene(masked)
    after = ended(before)
    assert after is not None
    assert after.loss.value == before.loss.value
    assert np.array_equal(after.gradients["w"].value, before.gradients["w"].value)
    assert any((x.value == -LARGE).any() for x in after.tape.values)
    assert all(np.isfinite(x.value).all() for x in after.tape.values)


@pytest.mark.parametrize(
    "made",
    [
        lambda w: (1 / (1 + np.abs(np.where(np.array([True, False, True]), w, -np.inf)))).sum(),
        lambda w: masked(w, -30.0),
    ],
    ids=["it is not", "there is none"],
)
def test_where_it_is_not_nothing_is_replaced(made: Callable[[Any], Any]) -> None:
    assert ended(scene(made)) is None
