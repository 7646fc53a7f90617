"""In which tensor a mistake is planted: the first from a place on that has several elements, if there is one."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from torch_mirror.doors.selftest import planting
from torch_mirror.doors.selftest.planting import Target

SHAPES = {"one": (1,), "loss": (), "some": (2, 3), "more": (4,)}


@pytest.mark.parametrize(
    ("tensors", "first", "unchanged", "taken"),
    [
        ("one some more", 0, "", "some"), ("one some more", 2, "", "more"), ("one some more", 1, "some", "more"),
        ("one loss", 0, "", "one"), ("one loss", 1, "", "loss"), ("one some", 0, "some", "one"),
        ("some more", 0, "some more", None),
    ],
)  # fmt: skip
def test_the_first_with_several_elements_is_taken_that_changes(
    tensors: str, first: int, unchanged: str, taken: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    e: Any = SimpleNamespace(slots={name: SimpleNamespace(shape=shape) for name, shape in SHAPES.items()})
    wrong: Any = SimpleNamespace(steps=1, where="gradient")

    def made(_: Any, target: Target) -> Any:
        changed = target.tensor not in unchanged.split()
        return SimpleNamespace(made=[SimpleNamespace(right=np.ones(1), wrong=np.ones(1) + changed)])

    for name in ("train", "planted", "replace"):
        monkeypatch.setattr(planting, name, lambda *_, **__: None)
    monkeypatch.setattr(planting, "planting", made)
    monkeypatch.setattr(planting, "targets", lambda *_: [Target(name, "", "", 7, 1) for name in tensors.split()])
    found = planting.chosen(e, wrong, first)
    assert (found and found.tensor) == taken
