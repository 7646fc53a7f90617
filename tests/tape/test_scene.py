"""What a value hands on to its operands, in numbers without radii: at a kink by the side that is told of it."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from torch_mirror.balls.recording import recording
from torch_mirror.tape.scene import _roughly_passed_on
from torch_mirror.tape.sweep import leaf


@pytest.mark.parametrize(
    ("side", "expected"),
    [("first", 3.0), ("last", -3.0), ("even", 0.0), ({"own": "last"}, -3.0), ({"own": "even"}, 0.0), ({}, 3.0),
     ({"other": "last"}, 3.0)],
)  # fmt: skip
def test_a_kink_has_its_own_side_and_the_first_where_none_is_told(side: Any, expected: float) -> None:
    """3 times the derivative of |x| at 0: 1, -1, or 0 between them."""
    with recording():
        x: Any = leaf(np.zeros(2), "x")
        y = np.abs(x).settled()
    if isinstance(side, dict):
        numbers = {"own": y.node.number, "other": y.node.number + 100}
        side = {numbers[which]: told for which, told in side.items()}
    scene: Any = SimpleNamespace(side=side)
    assert _roughly_passed_on(scene, y, np.full(2, 3.0))[x.settled().node.number].tolist() == [expected] * 2
