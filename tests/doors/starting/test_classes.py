"""Gradients in the order of a class's parameters."""

import pytest

from torch_mirror.doors.starting.classes import _in_order
from torch_mirror.doors.starting.gradients import Item

NAMED, OTHER = Item("dW", "W", suspect=False), Item("db", "b", suspect=False)
GRADIENT, VALUE = Item("g", "", suspect=True), Item("y", "", suspect=False)


@pytest.mark.parametrize(
    ("found", "fits"),
    [
        ([NAMED, GRADIENT], True), ([GRADIENT, OTHER], True), ([GRADIENT, GRADIENT], True), ([NAMED, OTHER], False),
        ([GRADIENT, NAMED], False), ([OTHER, GRADIENT], False), ([NAMED, VALUE], False),
        ([GRADIENT, Item("dW", "W", suspect=True)], False),
    ],
)  # fmt: skip
def test_each_that_has_a_name_stands_at_its_parameter_and_some_have_none(found: list[Item], *, fits: bool) -> None:
    """``y`` is not known to be a gradient, and where all have names nothing is to be guessed."""
    assert _in_order(found, ["W", "b"]) is fits
