"""Hypothesis strategies for a user's own network: what is drawn, and that a stranger's five lines find a fault."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from reference.arrays import Array
from reference.errors import InputError
from torch_mirror import batches_like, check, parameters_like

QUICK = settings(max_examples=200, phases=[Phase.generate], database=None)


class Layer(NamedTuple):
    W: Array
    b: Array
    kept: int = 3


P = {"layers": [Layer(np.zeros((2, 3), np.float32), np.zeros(3)), Layer(np.zeros((3, 1)), np.array(0.5))]}
X, T = np.zeros((5, 4)), np.array([2, 7, 2, 7, 7])


@given(parameters_like(P))
def test_parameters_have_the_form_of_the_given(p: Any) -> None:
    for drawn, given_ in zip(p["layers"], P["layers"], strict=True):
        assert type(drawn) is Layer
        assert (drawn.W.shape, drawn.W.dtype) == (given_.W.shape, given_.W.dtype)
        assert (drawn.b.shape, drawn.b.dtype) == (given_.b.shape, given_.b.dtype)
        assert drawn.kept == 3


@given(batches_like(X, T, "mean"))
def test_batches_have_other_sizes_and_the_same_labels(data: tuple[Array, Array, str]) -> None:
    x, t, word = data
    assert 1 <= len(x) == len(t) <= 8
    assert x.shape[1:] == (4,)
    assert set(t.tolist()) <= {2, 7}
    assert word == "mean"


@given(batches_like(X.T, T[None], axis=1, largest=2))
def test_samples_may_be_columns(data: tuple[Array, Array]) -> None:
    x, t = data
    assert x.shape == (4, t.shape[1])
    assert t.shape[1] in {1, 2}


def test_zeros_and_all_sizes_are_drawn() -> None:
    """A kink, and a batch of one, are what one's own example does not have."""
    assert find(parameters_like(P), lambda p: (p["layers"][0].W == 0).any(), settings=QUICK)
    for samples in (1, 8):
        assert find(batches_like(X, T), lambda data: len(data[0]) == samples, settings=QUICK)  # noqa: B023 - called here


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: parameters_like({"n": 3}), "parameters"),
        (lambda: batches_like(X, T[:3]), "data"),
        (batches_like, "data"),
        (lambda: batches_like(np.zeros((0, 3))), "data"),
        (lambda: batches_like(X, T, largest=0), "largest"),
    ],
)
def test_bad_input(make: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        make()


def mine(p: Any, x: Array, t: Array, n: int | None = None) -> tuple[Any, dict[str, Array]]:
    """A network whose gradients are right for batches of five alone, if n is 5."""
    z = x @ p["W"]
    h = np.maximum(z, 0)
    dy = 2 * (h @ p["v"] - t) / (n or len(x))
    return ((h @ p["v"] - t) ** 2).mean(), {"v": h.T @ dy, "W": x.T @ (np.outer(dy, p["v"]) * (z > 0))}


OWN = {"W": np.ones((4, 3)), "v": np.ones(3)}


@settings(max_examples=10)
@given(parameters_like(OWN), batches_like(X, T.astype(float)))
def test_right_code_is_not_refuted(p: Any, data: Any) -> None:
    assert check(mine, p, *data).verdict != "refuted"


def test_a_fault_that_one_example_does_not_show_is_found() -> None:
    draws = np.random.default_rng(0)
    p = {name: draws.normal(size=a.shape) for name, a in OWN.items()}
    assert check(lambda p, x, t: mine(p, x, t, 5), p, draws.normal(size=X.shape), draws.normal(size=5)).certified

    def refuted(drawn: Any) -> bool:
        return check(lambda p, x, t: mine(p, x, t, 5), drawn[0], *drawn[1]).verdict == "refuted"

    assert find(st.tuples(parameters_like(OWN), batches_like(X, T.astype(float))), refuted, settings=QUICK)
