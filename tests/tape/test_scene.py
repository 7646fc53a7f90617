"""What a value hands on to its operands, in numbers without radii: at a kink by the side that is told of it."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from torch_mirror.balls.recording import recording
from torch_mirror.tape import scene
from torch_mirror.tape.multiples import Match
from torch_mirror.tape.sweep import leaf, seeded


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
    given: Any = SimpleNamespace(side=side)
    assert scene._roughly_passed_on(given, y, np.full(2, 3.0))[x.settled().node.number].tolist() == [expected] * 2


def test_the_match_by_an_x_that_has_no_name_is_that_by_what_it_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """-1 times the derivative by the -z of exp(-z) is the derivative by z; and by a -z that has a name it stays."""
    with recording() as tape:
        z: Any = leaf(np.array([0.5, -1.0, 2.0]), "z")
        x: Any = -z
        loss = np.sum(np.exp(x))
    own, by = (number.settled().node.number for number in (z, x))
    leaves = {"z": z.settled()}
    given: Any = SimpleNamespace(tape=tape, leaves=leaves, inner=frozenset())
    view = scene.view_of(given, seeded(loss.settled()).numbers)
    for name, number, factor in (("", own, 1.0), ("negative", by, -1.0)):
        monkeypatch.setattr(scene, "called", lambda _, n, name=name: name if n == by else "")
        found = scene._nearer(view, Match(by, -1.0))
        assert (found.number, found.factor) == (number, factor)
        assert scene._nearer(view, Match(own, 2.0)) == Match(own, 2.0)
