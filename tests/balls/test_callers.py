"""What an error says: the function as it is written, the line of the user's code, and a way out that works."""

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special  # type: ignore[import-untyped]  # it ships no stubs

from torch_mirror.balls import callers
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.rules import refused

X: Any = Ball(np.array([[0.5, 1.0, 2.0], [3.0, -1.0, 0.25]]))
WIDE: Any = Ball(np.array([0.5, 1.0, 2.0]), np.full(3, 0.5))


@pytest.mark.parametrize(("call", "name", "way_out"), [
    (lambda: np.linalg.inv(X), "numpy.linalg.inv", "Ball.rule(numpy.linalg.inv)"),
    (lambda: np.lib.stride_tricks.as_strided(X, (2,), (8,)), "numpy.lib.stride_tricks.as_strided", "sliding_window"),
    (lambda: np.random.normal(X, 1), "numpy.random.normal", "hand them in as data"),  # noqa: NPY002 - what people write
    (lambda: np.random.default_rng(0).permutation(X), "numpy.random.default_rng(0).permutation", "as data"),
    (lambda: np.array([X, X]), "numpy.array", "np.stack"),
    (lambda: np.array(X, copy=True), "numpy.array", "x.copy()"),
    (lambda: np.r_[X, X], "numpy.r_", "np.concatenate"),
    (lambda: np.c_[X, X], "numpy.c_", "np.column_stack"),
    (lambda: np.vectorize(abs)(X), "numpy.vectorize", "whole array"),
    (lambda: np.testing.assert_allclose(X, X), "numpy.testing.assert_allclose", "np.allclose(x, y)"),
    (lambda: np.interp(X, [0, 1], [0, 1]), "numpy.interp", "np.where"),
    (lambda: np.quantile(X, 0.5), "numpy.quantile", "np.sort"),
    (lambda: np.subtract.reduce(X), "numpy.subtract.reduce", "one element after the other"),
    (lambda: np.divide.at(X, 0, 1.0), "numpy.divide.at", "x[index] = f(x[index], y)"),
    (lambda: np.add.reduceat(X, [0, 1]), "numpy.add.reduceat", "of each part"),
    (lambda: np.linalg.norm(X, 2), "numpy.linalg.norm", "'fro'"),
    (lambda: scipy.special.softmax(X), "scipy.special.softmax", "e / e.sum"),
    (lambda: scipy.special.logsumexp(X), "scipy.special.logsumexp", "np.log"),
    (lambda: scipy.special.erfc(X), "scipy.special.erfc", "1 - scipy.special.erf(x)"),
    (lambda: math.tanh(X[0, 0]), "math.tanh", "np.tanh(x)"),
    (lambda: math.atan(X[0, 0]), "math.atan", "np.arctan(x)"),
    (lambda: float(X[0, 0]), "float", "x.item()"),
    (lambda: int(X[0, 0]), "int", "np.trunc(x)"),
    (lambda: np.argmax(WIDE), "numpy.argmax", "x == np.max"),
    (lambda: WIDE.argsort(axis=0), "numpy.argsort", "numpy.sort"),
    (lambda: WIDE.astype(int), "whole numbers", "np.floor"),
    (lambda: X.astype(np.float32), "narrower", "start from inputs"),
    (lambda: X.tobytes("C"), "tobytes", "numpy's functions"),
    (lambda: X.partition(1), "partition", "np.sort"),
    (lambda: X.reshape(3, 2, order="F"), "reshape", "x.T.reshape"),
    (lambda: X.flatten(order="F"), "flatten", "x.T.ravel()"),
    (lambda: X.ravel(order="K"), "ravel", "x.T.ravel()"),
    (lambda: bool((WIDE > 0.6).all()), "a truth value", "np.where"),
])  # fmt: skip
def test_an_error_names_the_function_the_line_and_a_way_out(call: Callable[[], Any], name: str, way_out: str) -> None:
    with pytest.raises(TypeError) as error:
        call()
    message = str(error.value)
    assert name in message
    assert way_out in message
    assert f"{Path(__file__).name}:{inspect.getsourcelines(call)[1]}" in message
    assert message.count("called at") == 1


@pytest.mark.parametrize(("function", "name"), [
    (np.sin, "numpy.sin"), (np.linalg.norm, "numpy.linalg.norm"), (scipy.special.erf, "scipy.special.erf"),
    (np.lib.stride_tricks.as_strided, "numpy.lib.stride_tricks.as_strided"), (np.fft.fft, "numpy.fft.fft"),
])  # fmt: skip
def test_a_function_is_named_as_it_is_written(function: Any, name: str) -> None:
    assert callers.name_of(function) == name


def test_a_function_of_nobody_s_is_named_by_itself() -> None:
    def mine() -> None: ...

    assert callers.name_of(mine) == "mine"


def test_an_attribute_that_a_ball_has_not_is_missing_to_hasattr() -> None:
    assert not hasattr(X, "tobytes")
    assert not hasattr(X, "no_such_thing")
    with pytest.raises(AttributeError, match="neither has an array"):
        _ = X.no_such_thing


def test_what_computes_without_a_radius_gets_no_number() -> None:
    """math.tanh(x) of an exact x once was a number, whose product with a ball had the radius 0."""
    exact: Any = Ball(np.array([0.3]))
    with pytest.raises(TypeError, match=r"math\.tanh takes ordinary numbers"):
        math.tanh(exact[0])
    assert (np.tanh(exact[0].item()) * np.ones_like(exact)).radius > 0
    assert (f"{exact[0]:.3f}", f"{exact.tolist()[0]:.1f}") == ("0.300", "0.3")


@pytest.mark.parametrize("name", refused.WAYS_OUT)
def test_every_way_out_is_of_a_function_that_there_is(name: str) -> None:
    *module, last = name.split(".")
    found: Any = {"numpy": np, "scipy": scipy, "math": math}.get(module[0]) if module else __builtins__
    for part in module[1:]:
        found = getattr(found, part)
    assert last in found if isinstance(found, dict) else hasattr(found, last)
