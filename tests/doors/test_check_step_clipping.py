"""check_step of gradients that are clipped: what was done in the place of it is told where it makes all the steps."""

from typing import Any

import numpy as np
import pytest

from reference import SGD, Adam, ClippedByNorm
from torch_mirror import check_step


def clipped_by(way: str, *, largest: float = 1.0, lr: float = 0.1) -> Any:
    """SGD with clipped gradients, by hand."""

    def update(p: Any, g: Any) -> None:
        squares = {name: (dw**2).sum() for name, dw in g.items()}
        whole = np.sqrt(sum(squares.values()))
        for name, dw in g.items():
            norm = np.sqrt(squares[name]) if way.startswith("tensor") else whole
            added = 0.0 if "without" in way else 1e-6
            share = largest / (norm**2 if way == "no root" else norm + added)
            share = share if way == "always" else min(1, share)
            p[name] -= lr * (dw if way == "not" else dw * share)

    return update


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("tensor", "clipped tensor by tensor, each by its own norm, not by that of all gradients together (proof"),
        ("tensor without", "together, and without the 1e-06 added to it (proof"),
        ("without", "the 1e-06 that is added to the norm left out (proof"),
        ("not", "the gradients not clipped (proof"),
        ("always", "divided by the norm where it is smaller than the largest one as well (proof"),
    ],
)
def test_another_way_to_clip_is_told(way: str, words: str) -> None:
    draw = np.random.default_rng(4).normal
    p, g = ({"W": scale * draw(size=(3, 4)), "b": scale * draw(size=4)} for scale in (1.0, 0.3))
    right = ClippedByNorm(SGD(0.1), 1.0)
    assert check_step(clipped_by("whole"), right, p, g).certified
    result = check_step(clipped_by(way), right, p, g)
    assert [words in cause for cause in result.causes] == [True], str(result)


def test_of_a_clipping_that_none_of_the_ways_is_it_is_said_so() -> None:
    draw = np.random.default_rng(4).normal
    p, g = ({"W": draw(size=(3, 4)), "b": draw(size=4)} for _ in range(2))
    right = ClippedByNorm(Adam(0.1), 1.0)
    result = check_step(clipped_by("whole", largest=0.99), right, p, g)
    assert not result.causes
    assert "other ways to clip or to step makes all your steps" in str(result)


def test_a_mistake_of_the_optimizer_that_is_given_the_clipped_gradients_is_told() -> None:
    draw = np.random.default_rng(4).normal
    p, g = ({"W": draw(size=(3, 4)), "b": draw(size=4)} for _ in range(2))
    mean: dict[str, Any] = {}
    square: dict[str, Any] = {}
    t = [0]

    def update(p: Any, g: Any) -> None:
        t[0] += 1
        share = min(1, 1 / (np.sqrt(sum((dw**2).sum() for dw in g.values())) + 1e-6))
        for name, dw in g.items():
            mean[name] = 0.9 * mean.get(name, 0) + 0.1 * dw * share
            square[name] = 0.99 * square.get(name, 0) + 0.01 * (dw * share) ** 2
            m, v = mean[name] / (1 - 0.9 ** t[0]), square[name] / (1 - 0.99 ** t[0])
            p[name] -= 0.1 * m / (np.sqrt(v) + 1e-8)

    result = check_step(update, ClippedByNorm(Adam(0.1), 1.0), p, g)
    assert [cause.startswith("as if beta2 were 0.99, not 0.999") for cause in result.causes] == [True], str(result)


def test_what_is_right_beside_what_is_not_is_in_no_fault() -> None:
    p, g = {"W": np.ones(3), "b": np.ones(1)}, {"W": np.array([3.0, 1.0, 2.0]), "b": np.zeros(1)}
    result = check_step(clipped_by("not"), ClippedByNorm(SGD(0.1), 1.0), p, g)
    assert [fault.gradients for fault in result.faults] == [("W",)]
