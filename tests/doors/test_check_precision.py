"""check of code whose own numbers are of float32 or float16, or in part: right code is never refuted for that."""

import sys
from typing import Any

import numpy as np
import pytest

from tests.attack.adversary import F32, F64
from torch_mirror import check
from torch_mirror.balls.number import Number
from torch_mirror.doors.check.own import Beside, by_which

R = np.random.default_rng(0)
X, Y, W = R.standard_normal((8, 5)), R.standard_normal((8, 1)), R.standard_normal((5, 1))


def linear(p: Any, x: Any, y: Any, factor: float = 1.0) -> Any:
    d = x @ p["W"] - y
    return (d**2).mean(), {"W": factor * (x.T @ (2 * d / d.size))}


def normalised(p: Any, x: Any, y: Any, factor: float = 1.0) -> Any:
    x = x / 255
    return linear(p, (x - x.mean(0)) / x.std(0), y, factor)


def smoothed(p: Any, x: Any, y: Any, factor: float = 1.0) -> Any:
    return linear(p, x, y * 0.9 + 0.1 / 4, factor)


def dropped(p: Any, x: Any, y: Any, factor: float = 1.0) -> Any:
    mask = (np.random.RandomState(0).rand(*x.shape) < 0.7).astype(x.dtype) / x.dtype.type(0.7)
    return linear(p, x * mask, y, factor)


SINGLE = ((255 * np.abs(X)).astype(np.float32), Y.astype(np.float32))
MIXED = [(normalised, SINGLE), (smoothed, (X, SINGLE[1])), (dropped, SINGLE)]


@pytest.mark.parametrize(("mine", "data"), MIXED)
def test_parameters_of_float64_with_data_of_float32(mine: Any, data: Any) -> None:
    assert check(mine, {"W": W}, *data).verdict == "certified"


@pytest.mark.parametrize(("mine", "data"), MIXED)
def test_a_factor_is_refuted_with_such_data_as_ever(mine: Any, data: Any) -> None:
    assert check(lambda p, *d: mine(p, *d, factor=1 + 1e-9), {"W": W}, *data).verdict == "refuted"


def constant(p: Any) -> Any:
    s = np.float32(0.1) * np.float32(0.3)
    return s * p.sum(), s * np.ones(5)


def cast_at_the_end(p: Any, x: Any) -> Any:
    return (p * x).sum() ** 2, (2 * (p * x).sum() * x).astype(np.float32)


def cast_by_name(p: Any, x: Any) -> Any:
    return (p * x).sum() ** 2, (2 * (p * x).sum() * x).astype("float32").astype(float)


@pytest.mark.parametrize(("mine", "data"), [(constant, ()), (cast_at_the_end, (X[0],)), (cast_by_name, (X[0],))])
def test_a_cast_in_a_right_gradient_is_not_refuted(mine: Any, data: Any) -> None:
    assert check(mine, W[:, 0], *data).verdict != "refuted"
    wrong = check(lambda p, *d: (mine(p, *d)[0], 1.01 * mine(p, *d)[1]), W[:, 0], *data)
    assert wrong.verdict == "refuted"


# --- the user's own run ---------------------------------------------------------------------------------------------


def softmax(p: Any, x: Any, t: Any) -> Any:
    e = np.exp(x @ p["W"])
    s = e / e.sum(1, keepdims=True)
    n = len(t)
    d = s.copy()
    d[np.arange(n), t] -= 1
    return -np.log(s[np.arange(n), t]).sum() / n, {"W": x.T @ (d / n)}


def norm(p: Any) -> Any:
    n = np.sqrt((p * p).sum())
    return n, p / n


def test_an_overflow_of_the_user_s_own_run_is_not_certified_and_its_line_is_named() -> None:
    p, t = {"W": 100 * R.standard_normal((5, 3))}, np.arange(8) % 3
    assert check(softmax, p, X, t).certified
    single = {"W": p["W"].astype(np.float32)}, X.astype(np.float32), t
    result = check(softmax, *single)
    assert result.verdict == "undecided"
    assert "your own run in float32 gives nan for the loss" in str(result)
    assert "e = np.exp(x @ p[" in result.rows[0].why


def test_a_gradient_of_0_after_an_overflow_is_not_certified() -> None:
    result = check(norm, np.array([1e20, 2e20], np.float32))
    assert result.verdict == "undecided"
    assert "gives inf for the loss" in str(result)
    assert check(norm, np.array([1e20, 2e20])).certified


def test_a_gradient_that_is_nan_beside_a_finite_loss_is_not_certified() -> None:
    def mine(p: Any) -> Any:
        return p.sum(), (p * p) / (p * p)

    result = check(mine, np.array([1.0, 1e20], np.float32))
    assert result.verdict == "undecided"
    assert "gives nan at dp[1], where the formula gives 1" in str(result)
    assert check(mine, np.array([1.0, 1e20])).certified


def looks(p: Any, x: Any, y: Any) -> Any:
    return linear(p, x, y, factor=3.0 if type(p["W"]) is np.ndarray else 1.0)


HALF = {"W": W.astype(np.float16)}


@pytest.mark.parametrize(("mine", "data"), [(linear, (X.astype(np.float16), Y.astype(np.float16))), (looks, (X, Y))])
def test_a_run_in_float16_is_compared_with_nothing_and_not_certified(mine: Any, data: Any) -> None:
    result = check(mine, HALF, *data)
    assert result.verdict == "undecided"
    assert "your own run in float16" in str(result)


def test_parameters_of_float16_beside_data_of_float64_are_judged_as_float64() -> None:
    assert check(linear, HALF, X, Y).certified
    assert check(lambda p, x, y: linear(p, x, y, 1 + 1e-9), HALF, X, Y).verdict == "refuted"


# --- numbers that become text -----------------------------------------------------------------------------------------


def scaled(p: Any, x: Any, y: Any, by: Any) -> Any:
    """Whose gradient takes the scale for a constant."""
    s = by(np.abs(p["W"]).max())
    d = x @ p["W"] * s - y
    return (d**2).mean(), {"W": x.T @ (2 * d / d.size) * s}


def test_a_number_that_was_text_in_between_is_no_constant() -> None:
    result = check(lambda p, x, y: scaled(p, x, y, lambda m: float(f"{m:.17g}")), {"W": W}, X, Y)
    assert result.verdict == "refuted"
    assert "formatted at " in str(result)
    assert "test_check_precision.py" in str(result)


def test_a_gradient_that_is_right_for_such_a_number_is_not_refuted() -> None:
    def mine(p: Any) -> Any:
        return p[0] * float(f"{p[0]:.17g}"), np.array([2 * p[0]])

    assert check(mine, np.array([0.7])).verdict == "consistent"


def test_a_loss_that_is_printed_is_certified_and_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    def mine(p: Any, x: Any, y: Any) -> Any:
        loss, gradients = linear(p, x, y)
        sys.stdout.write(f"loss {loss:.12f}\n")
        return loss, gradients

    assert check(mine, {"W": W}, X, Y).certified
    assert set(capsys.readouterr().out.splitlines()) == {f"loss {linear({'W': W}, X, Y)[0]:.12f}"}


# --- where the radius of a gradient is too wide to tell anything of the user's own number ---------------------------


def attention(p: Any, x: Any, t: Any, end: Any = lambda g: g) -> Any:
    """Masked by -infinity, as it is usually done: from end to end the radii are infinite."""
    s = (x @ p["Q"]) @ x.T
    s = np.where(np.tril(np.ones(s.shape)) > 0, s, -np.inf)
    e = np.exp(s - s.max(axis=1, keepdims=True))
    a = e / e.sum(axis=1, keepdims=True)
    o = a @ x
    do = 2 * (o - t)
    da = do @ x.T
    ds = a * (da - (a * da).sum(axis=1, keepdims=True))
    return ((o - t) ** 2).sum(), {"Q": end(x.T @ ds @ x)}


def recurrence(p: Any, x: Any, t: Any, end: Any = lambda g: g) -> Any:
    """80 turns, in each of which everything grows."""
    hs = [x]
    for _ in range(80):
        hs.append(np.sin(hs[-1] @ p["Q"]))
    d, dQ = 2 * (hs[-1] - t), np.zeros_like(p["Q"])
    for h in hs[-2::-1]:
        d = d * np.cos(h @ p["Q"])
        dQ += h.T @ d
        d = d @ p["Q"].T
    return ((hs[-1] - t) ** 2).sum(), {"Q": end(dQ)}


def on_arrays(f: Any) -> Any:
    return lambda g: f(g) if type(g) is np.ndarray else g


@pytest.mark.filterwarnings("ignore:.*encountered in cast:RuntimeWarning")
@pytest.mark.parametrize(("mine", "size", "gain"), [(attention, 100.0, 1e-4), (recurrence, 1.0, 2.3)])
def test_the_own_run_is_looked_at_whatever_its_radius(mine: Any, size: float, gain: float) -> None:
    draw = np.random.default_rng(0).normal
    x, t, p = size * draw(size=(5, 3)), size * draw(size=(5, 3)), {"Q": gain * draw(size=(3, 3))}
    assert check(mine, p, x, t).certified
    for wrong in (lambda g: 2 * g, np.zeros_like, lambda g: g * np.inf, lambda g: g * (1 + 1e-9)):
        result = check(lambda p, x, t, wrong=wrong: mine(p, x, t, on_arrays(wrong)), p, x, t)
        assert result.verdict == "undecided", str(result)
        assert "your own run" in result.rows[0].why
    assert not check(lambda p, x, t: mine(p, x, t, lambda g: g.astype(np.float16)), p, x, t).certified


def test_numbers_of_float32_that_are_others_agree_with_nothing() -> None:
    """They are seen to be others, and then it is not enough that the same code in float64 agrees."""
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("f4")
    for f in (lambda g: 2 * g, np.zeros_like):
        mine = lambda p, x, f=f: (((x @ p["w"]) ** 2).sum(), {"w": on_arrays(f)(2 * x.T @ (x @ p["w"]))})  # noqa: E731 - as people do
        result = check(mine, {"w": np.ones(3, "f4")}, x)
        assert result.verdict == "undecided", str(result)


def test_draws_in_float32_are_others_in_float64_and_nothing_is_told_of_them() -> None:
    """On balls float32 stands for float64, and a generator then draws other numbers."""

    def dropout(p: Any, x: Any) -> Any:
        mask = np.random.default_rng(0).random((8, 4), dtype=np.float32) < 0.5
        h = x @ p["w"] * mask
        return (h**2).sum(), {"w": x.T @ (2 * h * mask)}

    result = check(dropout, {"w": np.ones((3, 4))}, np.random.default_rng(1).normal(size=(8, 3)))
    assert result.verdict == "undecided", str(result)
    assert "drawn in float32" in result.rows[0].why


def test_a_gradient_that_the_own_run_does_not_return_is_not_certified() -> None:
    def mine(p: Any) -> Any:
        on_balls = type(p["w"]) is not np.ndarray
        return (p["w"] ** 2).sum() + p["b"].sum(), {"w": 2 * p["w"], "b": np.ones(2) if on_balls else None}

    assert not check(mine, {"w": np.ones(3), "b": np.ones(2)}).certified


@pytest.mark.parametrize(("more", "verdict"), [(0.0, "certified"), (1e-25, "undecided"), (1e-13, "refuted")])
def test_a_bias_before_batch_norm_is_0_though_eps_may_be_rounded(more: float, verdict: str) -> None:
    """eps has a radius on every rung, and so has db; at the eps that is there db is 0 to all bits, or is not."""

    def mine(p: Any, x: Any, t: Any) -> Any:
        z = x @ p["W"] + p["b"]
        centred = z - z.mean(0)
        s = np.sqrt((centred**2).mean(0) + 1e-5)
        y = centred / s
        e = y - t
        d = e / len(x)
        dz = (d - d.mean(0) - y * (d * y).mean(0)) / s
        return (e**2).sum() / 2 / len(x), {"W": x.T @ dz, "b": dz.sum(0) + more}

    r = np.random.default_rng(1)
    p = {"W": r.normal(size=(4, 3)), "b": r.normal(size=3)}
    result = check(mine, p, r.normal(size=(8, 4)), r.normal(size=(8, 3)))
    assert result.verdict == verdict, str(result)
    (db,) = (row for row in result.rows if row.name == "db")
    assert ("could not have failed" in db.why) is (verdict == "certified")
    assert not any("declare it" in note for note in result.notes)


def test_a_narrow_run_of_another_shape_explains_nothing() -> None:
    """Its radius would do for every element, if it were spread over them."""
    own = Beside("W", np.array([1.0, 1.001]), Number(np.ones(2), 0, F64))
    radius = np.full(2, 0.5, np.float32)
    assert not by_which([own], {"W": Number(np.ones(2, np.float32), radius, F32)})
    assert by_which([own], {"W": Number(np.ones(1, np.float32), radius[:1], F32)}) == "W"
