"""Each element is judged by its own size: what is known of a large one is not said of a small one beside it."""

from typing import Any

import numpy as np
import pytest

from reference import SGD
from torch_mirror import Checked, check, check_layer, check_step
from torch_mirror.doors.check import closer
from torch_mirror.tape import causes, compared, enclosures, ladder, segments


def covered(factors: Any, big: Any) -> Any:
    """v^2, under numbers that cancel: of a derivative 2 v float64 knows no more than the rounding of ``big``."""

    def function(p: Any, b: Any) -> Any:
        return (p**2).sum() + (p * b).sum() - (p * b).sum(), factors * 2 * p + b - b

    point = np.random.default_rng(0).uniform(1, 2, np.shape(big))
    return lambda: check(function, point, np.asarray(big))


BIG = np.array([0.0, 0.0, 2.0**57, 2.0**57])


def no_more_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise ImportError

    monkeypatch.setattr(enclosures, "flint", missing)


def test_elements_whose_radius_exceeds_them_are_looked_at_in_more_bits() -> None:
    result = covered(np.array([1, 1, 3.5, 3.5]), BIG)()
    (row,) = result.rows
    assert (result.verdict, row.outside) == ("refuted", 2)
    assert covered(1.0, BIG)().certified
    assert not covered(1.0, BIG)().unjudged


def test_the_fault_is_found_element_by_element(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted hole: by the resolution of its largest element alone the whole passed."""
    none = lambda seen, *_: np.zeros(seen.shape, bool)  # noqa: E731 - one line, one use
    monkeypatch.setattr(compared, "hidden", none)
    assert covered(np.array([1, 1, 3.5, 3.5]), BIG)().certified


@pytest.mark.parametrize("seed", range(12))
def test_a_fault_is_found_whatever_covers_it(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing that is right is outside. A gradient that is seen to be wrong is not looked at in more bits."""
    monkeypatch.setattr(causes, "BUDGET", 0.0)  # which is asked elsewhere
    draw = np.random.default_rng(seed)
    big = 2.0 ** draw.integers(0, 70, 6) * draw.integers(0, 2, 6)
    wrong = draw.integers(0, 3, 6) == 0
    result = covered(np.where(wrong, draw.choice([-1, 0, 1.01, 2, 7], 6), 1.0), big)()
    (row,) = result.rows
    assert result.verdict == ("refuted" if wrong.any() else "certified"), str(result)
    assert row.outside <= wrong.sum() <= row.outside + row.unjudged


def test_what_stays_open_is_no_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    no_more_bits(monkeypatch)
    result = covered(np.array([1, 1, 3.5, 3.5]), 2.0**80 * (BIG > 0))()
    assert result.verdict == "undecided"
    assert "2 of 4 elements are not judged" in result.rows[0].why
    assert "pip install" in result.rows[0].why


def test_small_elements_that_stay_open_are_counted_in_the_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they are, it is less than a hundredth of the largest element."""
    no_more_bits(monkeypatch)

    def function(p: Any, b: Any, c: Any) -> Any:
        return (c * p**2).sum() + (p * b).sum() - (p * b).sum(), 2 * c * p + b - b

    big, curved = np.array([0, 0, 2.0**70]), np.array([2.0**40, 2.0**40, 1])
    result = check(function, np.array([1.0, 1.5, 1.25]), big, curved)
    assert (result.verdict, result.unjudged) == ("certified", 1)
    assert "but for 1 element that could not be told" in str(result).splitlines()[0]
    assert "1 of 3 elements is not judged" in result.rows[0].why
    assert '"unjudged": 1' in result.json()


def behind(factors: Any, seed: int) -> Checked:
    """A derivative by z that is covered as above; x z' is made of it, and is known as well as it."""
    draw = np.random.default_rng(seed)
    p, x = np.append(draw.uniform(1, 2, 3) * 1e12, draw.uniform(1, 2, 3)), draw.uniform(1, 2, 6)
    b = np.append(np.zeros(3), draw.uniform(1, 2, 3) * 2.0 ** draw.integers(50, 56))
    w = draw.uniform(1, 2, 6)

    def mine(p: Any, x: Any) -> Any:
        z = x * p
        dz = factors * 2 * z
        return (z**2).sum() + (z * b * w).sum() - (z * w * b).sum(), x * dz

    return check(mine, p, x)


FAULTY = np.array([1, 1, 1, 3.5, 1, 1.5])


def test_a_value_of_which_nothing_is_known_is_not_taken_for_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causes, "BUDGET", 0.0)
    assert all(behind(1.0, seed).certified for seed in range(6))
    assert all(behind(FAULTY, seed).verdict == "refuted" for seed in (15, 19, 33))
    monkeypatch.setattr(segments, "_where_told", lambda stored, *_: stored)  # the planted hole
    assert all(behind(FAULTY, seed).certified for seed in (15, 19, 33))


def saturated(p: Any, x: Any) -> Any:
    """A softmax whose gradient sums to 0, and as it is stored to 1e-17, which is much beside its other elements."""
    z = x @ p
    e = np.exp(z - z.max(axis=1, keepdims=True))
    h = e / e.sum(axis=1, keepdims=True)
    d = np.array([1.0, -0.7, 0.3]) * np.ones_like(h)
    return (h * d).sum(), x.T @ (h * (d - (d * h).sum(axis=1, keepdims=True)))


SATURATED = np.array([[28.0, 0.0, 1.0], [0.0, 100.0, 3.0]]), np.eye(2)


def test_what_pieces_object_to_because_of_what_they_start_from_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(saturated, *SATURATED).certified
    monkeypatch.setattr(closer, "_unless_rounded", lambda piece, *_: piece)  # the planted hole
    assert check(saturated, *SATURATED).verdict == "refuted"


def test_a_hidden_element_is_climbed_for_and_told_from_one_that_is_apart() -> None:
    d, room = np.array([1.0, 1e-3, 1e-3, 0.0]), np.array([1e-9, 1e-2, 1e-2, 1e-310])
    pair = ladder.Pair(d, np.array([0.0, 0.0, 0.5, 0.0]), room, d)
    assert pair.hidden.tolist() == [False, True, False, False]
    assert pair.hides == 10
    rung = ladder.Rung("float64", 53, {"W": pair}, 0.0)
    assert not rung.tells(1.0)
    assert rung._replace(pairs={"W": pair._replace(room=1e-9 * room)}).tells(1.0)


def test_of_a_layer_as_well() -> None:
    def forward(x: Any, b: Any) -> Any:
        return x**2 + x * b - x * b, (x, b)

    def backward(dout: Any, cache: Any) -> Any:
        x, b = cache
        return dout * (2 * np.array([1, 1, 3.5, 3.5]) * x + b - b), dout * 0.0

    result = check_layer(forward, backward, np.array([1.0, 1.5, 1.25, 1.75]), BIG)
    assert (result.verdict, result.rows[0].outside) == ("refuted", 2)


def stepped(p: Any, g: Any, factors: Any = 1.0) -> Checked:
    return check_step(lambda p, g: {"W": p["W"] - 0.1 * factors * g["W"]}, SGD(0.1), {"W": p}, {"W": g}, 3)


def test_of_a_step_each_element_is_told_by_how_far_it_was_moved() -> None:
    """No step of 0.1 moves 1e17 in float64: a factor 50 there is not seen, and not certified either."""
    large, small, g = np.array([1e17, 1e17, 1.0, 2.0]), np.ones(4), np.arange(1.0, 5)
    factors = np.array([50, 50, 1, 1])
    result = stepped(large, g, factors)
    assert result.verdict == "undecided"
    assert "2 of 4 elements are not judged" in result.rows[0].why
    assert stepped(small, g, factors).verdict == "refuted"
    assert stepped(small, g).certified


def test_of_a_step_that_nothing_moves_nothing_is_certified() -> None:
    result = stepped(np.ones(4), np.zeros(4), 50)
    assert result.verdict == "undecided"
    assert "it could not have failed" in result.rows[0].why
