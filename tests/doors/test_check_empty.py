"""Arrays of no element: of a mixture in which no sample chose an expert."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from torch_mirror import check

NONE = np.array([], int)

OF_NO_ROW: dict[str, Callable[[Any], Any]] = {
    "@": lambda y: y @ np.ones((3, 2)),
    "dot": lambda y: np.dot(y, np.ones((3, 2))),
    "no term": lambda y: y.T @ y,
    "max": lambda y: np.exp(y - y.max(axis=1, keepdims=True)),
    "prod": lambda y: y.prod(axis=1),
}


@pytest.mark.parametrize("name", OF_NO_ROW)
def test_what_nobody_chose_has_no_part_in_the_derivative(name: str) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(5, 4))

    def loss(p: Any, factor: float) -> Any:
        nobody = OF_NO_ROW[name]((x @ p["W"])[NONE])
        return (nobody**2).sum() + (p["W"] ** 2).sum(), {"W": factor * p["W"]}

    p = {"W": draw.normal(size=(4, 3))}
    assert check(lambda p: loss(p, 2.0), p).verdict == "certified"
    assert check(lambda p: loss(p, 2.0000001), p).verdict == "refuted"
