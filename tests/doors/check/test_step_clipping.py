"""What may have been done in the place of clipping, each by its formula on gradients of norm 5: (3, 0) and 4."""

import math

import numpy as np
import pytest

from reference import SGD
from reference.optimizers.clipping import ADDED, ClippedByNorm, ClippedByValue
from torch_mirror.doors.check.step_clipping import clippings

G = {"W": np.array([3.0, 0.0]), "b": np.array([-4.0])}
EACH = "clipped tensor by tensor, each by its own norm, not by that of all gradients together"


def shared(norm: float, most: float = 1.0) -> tuple[float, float]:
    """The factors of both where they have a largest norm of 2 together."""
    return (min(2 / norm, most),) * 2


BY_NORM = {
    "the gradients not clipped": (1.0, 1.0), EACH: (2 / (3 + ADDED), 2 / (4 + ADDED)),
    f"{EACH}, and without the {ADDED:g} added to it": (2 / 3, 2 / 4),
    "divided by the norm where it is smaller than the largest one as well": shared(5 + ADDED, math.inf),
    f"the {ADDED:g} that is added to the norm left out": shared(5), "clipped by value, not by norm": (2 / 3, 2 / 4),
    "the root left out of the norm": shared(25 + ADDED),
}  # fmt: skip
BY_VALUE = {
    "the gradients not clipped": (1.0, 1.0), "clipped by norm, not by value": shared(5 + ADDED),
    "clipped from above alone": (2 / 3, 1.0),
}  # fmt: skip


@pytest.mark.parametrize("optimizer", [ClippedByNorm(SGD(0.1), 2.0), ClippedByValue(SGD(0.1), 2.0)])
def test_each_is_its_formula(optimizer: ClippedByNorm | ClippedByValue) -> None:
    """Products of a few roundings: to within a millionth of a millionth, where the nearest two are 2e-7 apart."""
    expected = BY_NORM if isinstance(optimizer, ClippedByNorm) else BY_VALUE
    found = {words: clip(G) for words, clip in clippings(optimizer)}
    assert found.keys() == expected.keys()
    for words, factors in expected.items():
        for (name, g), factor in zip(G.items(), factors, strict=True):
            assert (np.abs(np.asarray(found[words][name]) - factor * g) <= 1e-12).all(), (words, name)


def test_a_norm_below_the_largest_is_left_as_it_is_but_by_who_always_divides() -> None:
    small = {name: g / 100 for name, g in G.items()}
    for words, clip in clippings(ClippedByNorm(SGD(0.1), 2.0)):
        moved = any((np.asarray(clip(small)[name]) != g).any() for name, g in small.items())
        assert moved is words.startswith("divided by the norm where it is smaller")
