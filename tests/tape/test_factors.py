"""Which factors somebody may have meant, and what they may be."""

import math

import pytest

from torch_mirror.tape.factors import meanings_of, plausible
from torch_mirror.tape.guesses import equal


@pytest.mark.parametrize(
    ("c", "yes"),
    [(2 / 3, True), (-64.0, True), (1e6, True), (-1e-6, True), (7 / 64, True), (math.pi, False), (1 / math.pi, False),
     (67 / 71, False), (0.1234567, False)],
)  # fmt: skip
def test_a_factor_that_somebody_may_have_meant(c: float, *, yes: bool) -> None:
    assert plausible(c) is yes


@pytest.mark.parametrize(
    ("c", "meanings"),
    [
        (6.0, ["N"]), (-6.0, ["-N"]), (1 / 6, ["1 / N"]), (-1 / 6, ["-1 / N"]), (6 / 5, ["N / (N - 1)"]),
        (1 / 12, ["1 / (2 N)"]),
        (-1 / 12, ["-1 / (2 N)"]), (12.0, []),
        (66.0, ["N x m"]), (11 / 6, ["m / N"]), (2.0, []), (-1.0, []), (0.5, []), (5.0, []),
    ],
)  # fmt: skip
def test_what_a_factor_may_be_has_its_sign(c: float, meanings: list[str]) -> None:
    assert meanings_of(c, {"N": 6, "m": 11}) == meanings


@pytest.mark.parametrize("c", [1.0, -3.0, 1e-9, 1e9])
def test_two_factors_are_equal_but_for_rounding(c: float) -> None:
    assert equal(c * (1 + 1e-12), c)
    assert not any(equal(c * other, c) for other in (2.0, -1.0, 1 + 1e-6, 1 - 1e-6, 3.0, 0.0))
