"""In which way a gradient is wrong, in words; and what is told of numbers that are none."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from torch_mirror import check
from torch_mirror.balls.number import Number
from torch_mirror.tape import patterns
from torch_mirror.tape.compared import Both, both, meets, of, resolution
from torch_mirror.tape.factors import in_words, snapped
from torch_mirror.tape.multiples import factor, index, match

draw = np.random.default_rng(0).standard_normal
W, X = draw((6, 6)), draw((9, 6))


def told(change: Callable[[Any], Any], x: Any = X) -> str:
    """The pattern of a gradient that is changed."""

    def mine(p: Any, x: Any) -> Any:
        y = x @ p
        return 0.5 * np.sum(y * y), change(x.T @ y)

    row = check(mine, W, x).rows[0]
    assert row.word == "WRONG"
    return row.pattern


def one_more(g: Any, at: Any) -> Any:
    changed = g.copy()
    changed[at] = changed[at] + 1
    return changed


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (lambda g: 0.5 * g, "yours / derivative = 0.5 everywhere"),
        (lambda g: -g, "yours / derivative = -1 everywhere"),
        (lambda g: g / 3, "yours / derivative = 1/3 everywhere"),
        (lambda g: g * (1 + 1e-9), "yours / derivative = 1 + 1e-09 everywhere"),
        (lambda g: 0 * g, "yours is 0 everywhere, and the derivative is not"),
        (lambda g: g * np.where(np.arange(6) % 2, 1.0, -1.0), "the sign is turned in 18 of 36 elements"),
        (lambda g: g + 0.25 * W, "yours - derivative = 0.25 x p everywhere"),
        (lambda g: one_more(g, (2, 3)), "one element of 36 is wrong, at [2, 3]"),
        (lambda g: one_more(g, [1, 4, 5]), "three rows of 6 are wrong"),
        (lambda g: one_more(g, (slice(None), 4)), "one column of 6 is wrong, column 4"),
        (lambda g: g + np.outer(np.arange(1.0, 7), np.arange(2.0, 8)), "yours - derivative has rank 1"),
        (lambda g: g / 0.0, "yours is infinite in every element"),
        (lambda g: g * (1 + 1e-7 * np.arange(36).reshape(6, 6)), "yours differs from the derivative by up to 4e-06"),
        (lambda g: g * (3 + 1e-6 * np.arange(36).reshape(6, 6)), "yours / derivative about 3"),
        (lambda g: g[:, :3], "of shape (6, 3), where the parameter has (6, 6)"),
    ],
)
def test_a_pattern_is_told_in_words(change: Any, pattern: str) -> None:
    assert told(change).startswith(pattern)


def test_how_many_are_wrong_is_told_where_it_is_not_all() -> None:
    ratios = 3 + np.arange(36).reshape(6, 6) / 7
    assert told(lambda g: g * ratios) == "yours / derivative from 3 to 8"
    some = np.add.outer(np.arange(6), np.arange(6)) % 3 == 0
    said = told(lambda g: g * np.where(some, ratios, 1))
    assert said == "yours / derivative from 3 to 7.86; 12 of 36 elements are wrong"


def test_a_transposed_square_gradient_is_told() -> None:
    def mine(p: Any, x: Any) -> Any:
        y = np.tanh(x @ p)
        return np.sum(y), (x.T @ (1 - y * y)).T

    assert check(mine, W, X).rows[0].pattern == "yours is the derivative, transposed"


def number(value: Any, radius: Any = 0.0) -> Number:
    value = np.asarray(value, np.float64)
    return Number(value, np.broadcast_to(np.asarray(radius, np.float64), value.shape).copy())


@pytest.mark.parametrize(
    ("b", "d", "word"),
    [
        (number([1.0, 2.0], 1e-3), number([1.0015, 2.0], 1e-3), "ok"),
        (number([1.0, 2.0], 1e-3), number([1.0025, 2.0], 1e-3), "WRONG"),
        (number([1.0, np.nan], 1e-3), number([1.0, 2.0], 1e-3), "WRONG"),
        (number([1.0, np.inf], 1e-3), number([1.0, 2.0], 1e-3), "WRONG"),
        (number([1.0, 5.0], 1e-3), number([1.0, np.nan], 1e-3), "undecided"),
        (number([1.0, 2.0], np.inf), number([7.0, 2.0], 1e-3), "undecided"),
        (number([1.0, 2.0], 5.0), number([3.0, 2.0], 1e-3), "undecided"),
        (number([0.0, 0.0], 0.0), number([0.0, 0.0], 0.0), "ok"),
        (number([1e-30, 0.0], 0.0), number([0.0, 0.0], 0.0), "WRONG"),
    ],
)
def test_two_balls_are_the_same_number_only_if_they_meet(b: Number, d: Number, word: str) -> None:
    assert of("dW", both(b, d)).word == word
    assert meets(b, d) is (word != "WRONG")


def test_what_python_rounds_is_equal_at_working_precision_and_no_more() -> None:
    for change, word in ((4e-16, "ok"), (2e-15, "WRONG")):
        row = of("dW", both(number([0.3, 0.6] + 0 * np.ones(2)), number(np.array([0.3, 0.6]) * (1 + change))))
        assert row.word == word
    assert 0 < (resolution(Both(np.ones(2), np.ones(2), np.zeros(2))) or 0) < 1e-14


@pytest.mark.parametrize("c", [1.0, -1.0, 6.0, 1 / 6, 0.5, 24.0, 2 / 3])
def test_a_multiple_is_found_by_value_and_its_transpose_is_none(c: float) -> None:
    d = number(draw((4, 7)), 1e-14)
    known = index([(5, d), (6, number(draw((4, 7)), 1e-14))])
    for v in (c * d.value, c * d.value[:, None]):
        found = match(known, number(v, 1e-13))
        assert found is not None
        assert (found.number, snapped(found.factor)) == (5, snapped(c))
    assert match(known, number(c * d.value.T, 1e-13)) is None
    assert match(known, number(c * d.value + 1e-9, 1e-13)) is None
    assert match(known, number(draw((4, 7)), 1e-13)) is None


def test_few_elements_and_wide_radii_are_multiples_of_nothing_by_chance() -> None:
    assert factor(number([3.0, 3.0]), number([1.0, 1.0])) is None  # but one size
    assert factor(number([3.0, 3.0]), number([3.0, 3.0])) == 1
    assert factor(number([1.0, 2.0, 3.0], 0.1), number([2.0, 4.0, 6.0])) is None
    assert factor(number([1.0, 2.0, 3.0]) , number(np.array([1.0, 2.0, 3.0]) * 0.4218796)) is None  # nobody means that
    assert patterns.constant(np.ones(3), np.ones(3), np.full(3, 0.5)) is None


@pytest.mark.parametrize(
    ("c", "words"),
    [
        (6.0, "6 = N (the batch)"), (1 / 6, "1/6 = 1 / N (the batch)"), (0.5, "0.5"), (-6.0, "-6 = -N (the batch)"),
        (1.2, "1.2 = N / (N - 1)"), (30.0, "30 = N x W.shape[0]"), (3.0, "3"), (0.123, "0.123"), (12.0, "12"),
        (1 / 12, "1/12 = 1 / (2 N)"),
    ],
)  # fmt: skip
def test_a_factor_is_named_by_what_it_is(c: float, words: str) -> None:
    assert in_words(c, {"N (the batch)": 6, "W.shape[0]": 5}) == words
