"""The user's function as check calls it: what it returns, and how rough the loss is where quotients are taken."""

from typing import Any

import numpy as np
import pytest

from reference.arrays import Array
from reference.errors import InputError
from torch_mirror import check
from torch_mirror.doors.check.quotients import _is_rough


def test_a_loss_is_rough_where_the_parameters_are() -> None:
    """With steps of 2^-20 beyond 1/2, as of a cast inside of the code, and none nearer to 0."""

    def loss(p: dict[str, Array]) -> float:
        x = float(p["W"][0])
        return round(x * 2**20) / 2**20 if x > 0.5 else x

    assert _is_rough({"W": np.array([1.0])}, loss)
    assert not _is_rough({"W": np.array([0.25])}, loss)


@pytest.mark.parametrize(("given", "came"), [([1.0, 2.0], "got list"), ((1.0, 2.0, 3.0), "got 3 values")])
def test_what_a_function_returns_is_a_pair(given: object, came: str) -> None:
    with pytest.raises(InputError, match=rf"expected to return \(loss, gradients\), {came}"):
        check(lambda _: given, np.ones(1))


class Late:
    """It returns the gradients of the call before, which at the same parameters are the right ones."""

    before: Array | None = None

    def loss_and_gradient(self, w: Array, x: Array, y: Array) -> tuple[Any, Array]:
        d = x @ w - y
        gradient = x.T @ (2 * d / d.size)
        given, self.before = gradient if self.before is None else self.before, gradient
        return (d**2).mean(), given


def test_a_gradient_of_the_call_before_is_refuted_though_that_call_had_the_same_parameters() -> None:
    draws = np.random.default_rng(0)
    w, x, y = draws.normal(size=(5, 1)), draws.normal(size=(8, 5)), draws.normal(size=(8, 1))
    late = Late()
    late.loss_and_gradient(w, x, y)
    result = check(late.loss_and_gradient, w, x, y)
    assert result.verdict == "refuted"
    assert "the gradient of the call before is returned" in str(result)
