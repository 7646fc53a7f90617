"""Numbers of the user's forward pass that a gradient forgets: named, and told beside a size that is equal by chance."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reference.arrays import Array
from torch_mirror import Checked, check


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def adapted(p: Any, x: Any, t: Any) -> Any:
    h = x @ p["A"]
    e = 0.25 * h @ p["B"] - t
    d = 2 * e
    return (e**2).sum(), {"A": 0.25 * x.T @ (d @ p["B"].T), "B": h.T @ d}  # 0.25 forgotten in B


def scaled(c: Any) -> Callable[..., Any]:
    def mine(p: Any, x: Any, t: Any) -> Any:
        h = x @ p["A"]
        e = (
            c
            * h
        ) @ p["B"] - t  # fmt: skip
        d = 2 * e
        return (e**2).sum(), {"A": x.T @ (c * d @ p["B"].T), "B": h.T @ d}  # c forgotten in B

    return mine


def cubed(p: Any, x: Any, t: Any) -> Any:
    e = x @ p["A"] @ p["B"] - t
    d = np.sign(e) * e**2  # 3 forgotten
    return (np.abs(e) ** 3).sum(), {"A": x.T @ (d @ p["B"].T), "B": (x @ p["A"]).T @ d}


def averaged(p: Any, x: Any, t: Any) -> Any:
    n = len(x)
    e = x @ p["A"] @ p["B"] - t
    d = 2 * e  # / n forgotten
    return (e**2).sum() / n, {"A": x.T @ (d @ p["B"].T), "B": (x @ p["A"]).T @ d}


def quantised(p: Any, x: Any) -> Any:
    e = p["C"][K] - x
    d = np.zeros_like(p["C"])
    np.add.at(d, K, 2 * e / e.size)  # 1.25 forgotten
    return 1.25 * (e**2).mean(), {"C": d}


K = np.array([0, 3, 1, 4, 2, 0, 3])


def start(outputs: int, batch: int = 7) -> tuple[Any, ...]:
    return {"A": normal(5, 3), "B": normal(3, outputs, seed=1)}, normal(batch, 5, seed=2), normal(batch, outputs)


def told(result: Checked) -> tuple[str, ...]:
    return tuple(cause.split(" (proof")[0] for cause in result.causes)


def test_a_number_that_is_forgotten_is_told_as_it_is_written() -> None:
    result = check(adapted, *start(6))
    assert told(result) == ("a factor 4 (here 1/0.25) at (0.25 * h).T",)
    assert "it alone fits" in result.causes[0]


def test_a_size_that_is_equal_to_it_is_told_beside_it_and_none_fits_alone() -> None:
    result = check(adapted, *start(4))
    assert set(told(result)) == {
        "a factor 4 (here 1/0.25) at (0.25 * h).T", "a factor 4 (here (t.shape[1] or B.shape[1])) at (0.25 * h).T",
    }  # fmt: skip
    assert not any("it alone fits" in cause for cause in result.causes)
    assert "1/0.25 here; other sizes or settings tell them apart" in result.faults[0].why


def test_another_point_tells_the_number_and_the_size_apart() -> None:
    result = check(adapted, *start(4), make=lambda: start(8, 9))
    assert told(result) == ("a factor 4 (here 1/0.25) at (0.25 * h).T",)


@pytest.mark.parametrize(
    ("c", "size"),
    [
        (4.0, "1/(t.shape[1] or B.shape[1])"),
        (1 / 7, "N, N the batch"),
        (np.float64(0.2), "(x.shape[1] or A.shape[0])"),
    ],
)
def test_a_number_that_a_name_stands_for_is_told_by_it(c: float, size: str) -> None:
    causes = told(check(scaled(c), *start(4)))
    assert len(causes) == 2
    assert any("(here 1/c)" in cause for cause in causes)
    assert any(f"(here {size})" in cause for cause in causes)


def test_an_exponent_is_such_a_number() -> None:
    causes = told(check(cubed, *start(4)))
    assert len(causes) == 2
    assert any(cause.startswith("a factor 1/3 at ") for cause in causes)
    assert any(cause.startswith("a factor 1/3 (here 1/(A.shape[1] or B.shape[0])) at ") for cause in causes)


def test_a_length_has_its_one_name() -> None:
    (cause,) = told(check(averaged, *start(4)))
    assert cause.startswith("a factor 7 (here N, N the batch) at ")


@pytest.mark.parametrize("rows", [5, 6])
def test_of_a_factor_0_8_the_number_of_the_code_goes_first(rows: int) -> None:
    result = check(quantised, {"C": normal(rows, 3)}, normal(7, 3, seed=1))
    assert told(result) == ("a factor 0.8 (here 1/1.25) at d(e)",)
    assert ("it alone fits" in result.causes[0]) is (rows == 6)


def test_a_sum_for_a_difference_is_named() -> None:
    def mine(p: Any, x: Any, t: Any) -> Any:
        y = x @ p["A"] @ p["B"]
        d = 2 * (y + t)  # the mistake: y - t
        return ((y - t) ** 2).sum(), {"A": x.T @ (d @ p["B"].T), "B": (x @ p["A"]).T @ d}

    (cause,) = told(check(mine, *start(4)))
    assert cause.startswith("+ for - in y - t")
