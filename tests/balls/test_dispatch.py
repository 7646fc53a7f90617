"""What has a rule and what has none, and how the two are told apart."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from torch_mirror.balls.cell import Ball

SQUARE: Any = Ball(np.ones((2, 2)), np.full((2, 2), 0.5))
BALL: Any = Ball(np.arange(6.0).reshape(2, 3), np.arange(1.0, 7.0).reshape(2, 3))


@pytest.mark.parametrize(("call", "name"), [
    (lambda: np.deg2rad(SQUARE), "deg2rad"), (lambda: np.trapezoid(SQUARE), "trapezoid"),
    (lambda: np.fft.fft(SQUARE), r"fft\.fft"),
])  # fmt: skip
def test_a_function_without_a_rule_says_its_name_and_how_to_register_one(call: Callable[[], Any], name: str) -> None:
    with pytest.raises(TypeError, match=rf"no radius is known for numpy\.{name}; @Ball\.rule\(numpy\.{name}\)"):
        call()


@pytest.mark.parametrize(("call", "message"), [
    (lambda: np.sum(SQUARE, dtype=np.float32), r"to a narrower one: expected float64 or wider, got float32"),
    (lambda: np.add(SQUARE, 1, signature="dd->d"), r"numpy\.add with signature"),
    (lambda: np.subtract.reduce(SQUARE), r"numpy\.subtract\.reduce; .*@Ball\.rule\(numpy\.subtract\.reduce\)"),
    (lambda: np.divide.at(SQUARE, 0, 1), r"numpy\.divide\.at; only for add"),
    (lambda: np.add.reduceat(SQUARE, [0, 1]), r"numpy\.add\.reduceat; the function of each part"),
    (lambda: np.logical_or.reduce(SQUARE, where=[True, False]), r"numpy\.logical_or\.reduce with where"),
    (lambda: np.divmod(SQUARE, 2, out=(SQUARE, SQUARE)), r"numpy\.divmod with out"),
    (lambda: np.dot(SQUARE, SQUARE[None]), r"numpy\.dot of 2 and 3 dimensions"),
])  # fmt: skip
def test_an_argument_without_a_rule_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize(("call", "message"), [
    (lambda: np.pad(BALL, 1, mode="mean"), "numpy.pad with mode mean, only with constant"),
    (lambda: np.pad(BALL, 1, end_values=3), "numpy.pad with end_values"),
    (lambda: np.max(BALL, 0, BALL[0]), "numpy.max with 3 arguments that have no names"),
    (lambda: np.reshape(BALL, (3, 2), order="F"), "numpy.reshape with order"),
    (lambda: np.linalg.inv(BALL), r"numpy\.linalg\.inv; "),
])  # fmt: skip
def test_an_option_without_a_rule_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=f"no radius is known for {message}"):
        call()
