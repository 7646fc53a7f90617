"""The radii of some elements, which are asked for where few need a look, are those of all of them at these places."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special  # type: ignore[import-untyped]  # it ships no stubs

from torch_mirror.balls.cell import Ball
from torch_mirror.judge.compare import block

ONE: dict[str, Callable[[Any], Any]] = {
    **{name: getattr(np, name) for name in (
        "negative", "absolute", "square", "sqrt", "log", "exp", "tanh", "sin", "cos", "tan", "arcsin", "arccos",
        "arctan", "sinh", "cosh", "arcsinh", "arctanh", "exp2", "log2", "log10", "log1p", "expm1", "cbrt", "reciprocal",
    )},
    "arccosh": lambda x: np.arccosh(1 + x), "expit": scipy.special.expit, "erf": scipy.special.erf,
    "cube": lambda x: x**3, "half": lambda x: x / 2, "third": lambda x: x / 3, "twice": lambda x: 2 * x,
    "root": lambda x: x**0.5, "cumprod": lambda x: np.cumprod(x, axis=1), "prod": lambda x: x.prod(axis=0),
    "cumsum": lambda x: np.cumsum(x, axis=1), "sum": lambda x: x.sum(axis=1), "mean": lambda x: x.mean(axis=0),
    "clip": lambda x: np.clip(x, 0.25, 0.5), "max": lambda x: x.max(axis=1), "relu": lambda x: np.maximum(x, 0.3),
}  # fmt: skip
TWO: dict[str, Callable[[Any, Any], Any]] = {
    name: getattr(np, name)
    for name in ("add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "logaddexp", "hypot", "matmul")
}


def check_taken(made: Callable[[], Any]) -> None:
    """Of blocks of elements that have nothing in common with the shape, each made anew, as radii are remembered."""
    whole: Any = made()
    shape = whole.shape
    radius = np.broadcast_to(whole.radius, shape).reshape(-1)
    assert len(set(radius.tolist())) > 1
    for here in (slice(2, 3), slice(1, 8, 2), slice(0, whole.size)):
        taken = np.broadcast_to(made().e(block(shape, here)), radius[here].shape)
        assert taken.tolist() == radius[here].tolist()


VALUES = np.random.default_rng(3).uniform(0.05, 0.9, (3, 3))
RADII = VALUES * 2.0 ** np.random.default_rng(4).integers(-40, -3, (3, 3))
RADII[0, 1] = RADII[1, 2] = 0


@pytest.mark.parametrize("name", [*ONE])
def test_of_one_operand(name: str) -> None:
    check_taken(lambda: ONE[name](Ball(VALUES, RADII)))


@pytest.mark.parametrize("name", [*TWO])
@pytest.mark.parametrize("exact", [True, False])
def test_of_two_operands_one_of_which_is_broadcast(name: str, *, exact: bool) -> None:
    other = Ball(VALUES[:1]) if exact else Ball(VALUES[:1], RADII[:1])
    check_taken(lambda: TWO[name](Ball(VALUES, RADII), other if name != "matmul" else other.mT))
    if name != "matmul":
        check_taken(lambda: TWO[name](other, Ball(VALUES, RADII)))
