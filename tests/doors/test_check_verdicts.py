"""No wrong verdict: right code is not refuted where numbers saturate or vanish, and wrong code is not certified.

Each test is a case that once had the wrong verdict.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reference.errors import InputError
from tests.unruled import unexplained
from torch_mirror import check, check_layer
from torch_mirror.doors.check.result import Checked
from torch_mirror.tape import causes, enclosures
from torch_mirror.tape.told import Row


@pytest.fixture(autouse=True)
def _no_cause_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verdict has none; that a wrong one has is tested elsewhere."""
    monkeypatch.setattr(causes, "BUDGET", 0.0)


draw = np.random.default_rng(0)
PIXELS = draw.integers(0, 256, (8, 16)).astype(float)
TARGET = draw.normal(size=8)
W, V = draw.normal(size=(16, 5)), draw.normal(size=5)

# --- saturated: the rounding of 1 - h, where h is 1 in float64 --------------------------------------------------


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def by_sigmoid(p: Any, x: Any, t: Any, factor: float = 1) -> Any:
    h = sigmoid(x @ p["W"])
    e = h @ p["v"] - t
    d = np.outer(2 * e / len(e), p["v"])
    return (e**2).mean(), {"W": factor * (x.T @ (d * h * (1 - h))), "v": h.T @ (2 * e / len(e))}


def by_tanh(p: Any, x: Any, t: Any, factor: float = 1) -> Any:
    h = np.tanh(x @ p["W"])
    e = h @ p["v"] - t
    d = np.outer(2 * e / len(e), p["v"])
    return (e**2).mean(), {"W": factor * (x.T @ (d * (1 - h**2))), "v": h.T @ (2 * e / len(e))}


def by_decay(p: Any, x: Any, t: Any, factor: float = 1) -> Any:
    """h = 1 - exp(-z^2), and by it 1 - h."""
    z = x @ p["W"]
    h = 1 - np.exp(-(z**2))
    e = h @ p["v"] - t
    d = np.outer(2 * e / len(e), p["v"])
    return (e**2).mean(), {"W": factor * (x.T @ (d * 2 * z * (1 - h))), "v": h.T @ (2 * e / len(e))}


def by_softmax(p: Any, x: Any, t: Any, factor: float = 1) -> Any:
    """A softmax within the network, whose derivative has 1 - h as well."""
    z = x @ p["W"]
    e = np.exp(z - z.max(axis=1, keepdims=True))
    h = e / e.sum(axis=1, keepdims=True)
    r = h @ p["v"] - t
    d = np.outer(2 * r / len(r), p["v"])
    dz = h * (d - (d * h).sum(axis=1, keepdims=True))
    return (r**2).mean(), {"W": factor * (x.T @ dz), "v": h.T @ (2 * r / len(r))}


SATURATED = (by_sigmoid, by_tanh, by_decay, by_softmax)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("network", SATURATED)
def test_right_code_is_not_refuted_where_it_saturates(network: Callable[..., Any], scale: float, dtype: Any) -> None:
    p = {"W": (scale * W).astype(dtype), "v": V.astype(dtype)}
    result = check(network, p, PIXELS.astype(dtype), TARGET.astype(dtype))
    assert result.verdict != "refuted", str(result)


@pytest.mark.parametrize("scale", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("network", SATURATED)
def test_wrong_code_is_not_certified_where_it_saturates(network: Callable[..., Any], scale: float) -> None:
    def wrong(p: Any, x: Any, t: Any) -> Any:
        return network(p, x, t, 1.25)

    result = check(wrong, {"W": scale * W, "v": V}, PIXELS, TARGET)
    seen = result.rows[0]
    assert result.verdict != "certified" or "could not have failed" in seen.why, str(result)
    assert result.verdict == "refuted" or (network is by_decay and scale == 1), str(result)  # e^-1000 is 0 to float64


# --- 0 on both sides --------------------------------------------------------------------------------------------


def two_layers(p: Any, x: Any, t: Any) -> Any:
    """Both gradients have wrong factors."""
    h = np.tanh(x @ p["W"])
    e = h @ p["v"] - t
    return (e**2).sum(), {"W": 5 * (x.T @ np.outer(2 * e, p["v"])), "v": 17 * (h.T @ (2 * e))}


def test_what_is_0_on_both_sides_everywhere_is_not_certified() -> None:
    result = check(two_layers, {"W": np.zeros((16, 5)), "v": np.zeros(5)}, PIXELS, TARGET)
    assert result.verdict == "undecided"
    assert all("could not have failed" in row.why for row in result.rows)
    assert "take other numbers" in str(result)
    with pytest.raises(AssertionError):
        result.assert_certified()


def test_a_row_that_is_0_beside_others_says_so() -> None:
    def right(p: Any, x: Any, t: Any) -> Any:
        e = x @ p["w"] + p["c"] * 0.0 - t
        return (e**2).sum(), {"w": x.T @ (2 * e), "c": np.zeros(1)}

    result = check(right, {"w": W[:, 0], "c": np.ones(1)}, PIXELS, TARGET)
    assert result.certified
    assert [row.name for row in result.rows if "could not have failed" in row.why] == ["dc"]
    assert "dc: 0 on both sides at every element" in result.notes[-1]


def test_a_batch_of_one_is_0_behind_batch_norm_whatever_its_gradient() -> None:
    """0 within a radius: only more bits tell that it is none that was rounded away."""
    began = time.process_time()
    result = check(by_batch_norm(2), {"W": W, "g": np.ones(5)}, PIXELS[:1], draw.normal(size=(1, 5)))
    assert result.verdict == "undecided"
    assert time.process_time() - began < 5


# --- coarse radii -----------------------------------------------------------------------------------------------


def by_batch_norm(factor: float) -> Callable[..., Any]:
    def function(p: Any, x: Any, y: Any) -> Any:
        z = x @ p["W"]
        s = 1 / np.sqrt(z.var(0) + 1e-5)
        h = (z - z.mean(0)) * s
        d = 2 * (h * p["g"] - y)
        dh = d * p["g"]
        dz = factor * s * (dh - dh.mean(0) - h * (dh * h).mean(0))
        return ((h * p["g"] - y) ** 2).sum(), {"W": x.T @ dz, "g": (d * h).sum(0)}

    return function


@pytest.mark.parametrize("offset", [2e3, 1e5, 1e6, 1e7])
@pytest.mark.parametrize(("factor", "verdict"), [(1, "certified"), (1.01, "refuted"), (1.3, "refuted"), (3, "refuted")])
def test_batch_norm_far_from_0_is_looked_at_until_one_can_tell(factor: float, verdict: str, offset: float) -> None:
    y = draw.normal(size=(8, 5))
    with unexplained():
        result = check(by_batch_norm(factor), {"W": W, "g": np.ones(5)}, draw.normal(size=(8, 16)) + offset, y)
    assert result.verdict == verdict, str(result)
    assert verdict == "refuted" or (result.resolution or 1) < 2.0**-20


@pytest.mark.parametrize("scale", [40, 50, 60, 100])
@pytest.mark.parametrize(("factor", "verdict"), [(1, "certified"), (1.02, "refuted"), (2, "refuted")])
def test_a_saturated_tanh_is_looked_at_until_one_can_tell(factor: float, verdict: str, scale: float) -> None:
    def function(p: Any, x: Any, t: Any) -> Any:
        a = np.tanh(x @ p["w"])
        return ((a - t) ** 2).sum(), {"w": factor * (x.T @ (2 * (a - t) * (1 - a**2)))}

    own = np.random.default_rng(0)
    given = {"w": scale * own.normal(size=4)}, own.normal(size=(6, 4)), own.integers(0, 2, 6)
    assert check(function, *given).verdict == verdict


def test_where_nothing_finer_can_be_had_a_coarse_row_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Arb, and with a backward pass that holds no value to start anew from."""

    def missing() -> Any:
        raise ImportError

    monkeypatch.setattr(enclosures, "flint", missing)

    def function(p: Any, t: Any) -> Any:
        a = np.tanh(p["w"])
        return ((a - t) ** 2).sum(), {"w": 1.01 * (2 * (a - t) * (1 - a) * (1 + a))}

    result = check(function, {"w": np.array([20.5])}, np.array([0.0]))
    assert result.verdict == "undecided", str(result)
    assert "pip install" in result.rows[0].why


def test_a_coarse_verdict_says_so_in_its_first_line() -> None:
    fine, coarse = (Checked("f", (Row("dW", "ok", 4, resolution=r),)) for r in (1e-9, 1e-3))
    assert "only a change of 1e-03" in str(coarse).splitlines()[0]
    assert "only a change" not in str(fine).splitlines()[0]


# --- what is left from one call to the next -----------------------------------------------------------------------


class Net:
    def __init__(self) -> None:
        self.W = np.zeros((16, 5))
        self.dW = np.zeros((16, 5))

    def loss(self, x: Any, y: Any, *, add: bool) -> Any:
        e = x @ self.W - y
        self.dW = (self.dW if add else 0) + 2 * x.T @ e
        return (e**2).sum()


Y = draw.normal(size=(8, 5))


class Layer:
    """One that adds to its gradients, as whoever trains it sets them to 0."""

    def __init__(self) -> None:
        self.W, self.grads = W.copy(), {"W": np.ones((16, 5))}

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.W

    def backward(self, dy: Any) -> Any:
        self.grads["W"] += self.x.T @ dy
        return dy @ self.W.T


def test_a_layer_s_gradients_are_set_to_0_before_it_adds_to_them() -> None:
    layer = Layer()
    assert check_layer(layer.forward, layer.backward, PIXELS, parameters=("W",)).certified
    assert (layer.grads["W"] == 1).all()


@pytest.mark.parametrize("called", [0, 1])
def test_gradients_that_are_never_zeroed_are_told(called: int) -> None:
    net = Net()

    def mine(p: Any, x: Any, y: Any) -> Any:
        net.W = p["W"]
        return net.loss(x, y, add=True), {"W": net.dW}

    for _ in range(called):
        mine({"W": W}, PIXELS, Y)
    result = check(mine, {"W": W}, PIXELS, Y)
    assert result.verdict == "refuted"
    assert result.causes[0].startswith("a gradient that is added to at every call, and never set to 0 (proof: ")
    assert [line.source for line in result.faults[0].wrong] == ["self.dW = (self.dW if add else 0) + 2 * x.T @ e"]
    assert called or not net.dW.any()  # nothing of it is left


def test_a_buffer_that_fades_is_not_taken_for_one_that_is_added_to() -> None:
    """The planted fault: what is kept is 0.9 of it."""
    kept = {"W": np.zeros((16, 5)), "b": np.zeros(5)}

    def mine(p: Any, x: Any, y: Any) -> Any:
        e = x @ p["W"] + p["b"] - y
        kept["W"] = 0.9 * kept["W"] + 2 * x.T @ e
        return (e**2).sum(), {"W": kept["W"], "b": 2 * e.sum(0)}

    with pytest.raises(InputError, match=r"dW at a second call.* at \[0, 0\].*not set to 0"):
        check(mine, {"W": W, "b": np.ones(5)}, PIXELS, Y)


def test_beside_what_is_added_to_other_gradients_are_judged_as_they_are() -> None:
    layer = Layer()

    def mine(p: Any, x: Any, y: Any) -> Any:
        layer.W = p["W"]
        e = layer.forward(x) + p["b"] - y
        layer.backward(2 * e)
        return (e**2).sum(), {"W": layer.grads["W"], "b": 2 * e.sum(0)}

    result = check(mine, {"W": W, "b": np.ones(5)}, PIXELS, Y)
    assert {row.name: row.word for row in result.rows} == {"dW": "WRONG", "db": "ok"}
    assert [fault.gradients for fault in result.faults] == [("dW",)]
    assert result.faults[0].wrong[0].source == 'self.grads["W"] += self.x.T @ dy'


def test_the_gradients_of_the_call_before_are_told_at_the_same_numbers_too() -> None:
    net = Net()

    def mine(p: Any, x: Any, y: Any) -> Any:
        before, net.W = net.dW, p["W"]
        return net.loss(x, y, add=False), {"W": before}

    mine({"W": W}, PIXELS, Y)
    result = check(mine, {"W": W}, PIXELS, Y)
    assert result.verdict == "refuted"
    assert result.causes[0].startswith("the gradient of the call before is returned (proof: ")


def test_a_loss_that_draws_from_a_generator_of_its_own_is_told() -> None:
    def mine(p: Any, x: Any, y: Any) -> Any:
        kept = np.random.default_rng().random(y.shape) < 0.5
        e = (x @ p["W"] - y) * kept
        return (e**2).sum(), {"W": 2 * x.T @ e}

    with pytest.raises(InputError, match=r"the loss at a second call.*draws anew"):
        check(mine, {"W": W}, PIXELS, Y)


def test_a_generator_that_is_put_back_and_a_domain_that_is_left_are_no_fault() -> None:
    drawn = np.random.default_rng(3)

    def mine(p: Any, x: Any, y: Any) -> Any:
        if (p["W"] != W).any():
            raise ValueError("not these")
        e = (x @ p["W"] - y) * (drawn.random(y.shape) < 0.5)
        return (e**2).sum(), {"W": 2 * x.T @ e}

    assert check(mine, {"W": W}, PIXELS, Y).certified


# --- a cast to a narrower dtype, which no ball follows ------------------------------------------------------------


def inside(cast: Callable[[Any], Any], factor: float) -> Callable[..., Any]:
    def function(p: Any, x: Any, y: Any) -> Any:
        e = cast(x @ p["W"]) - y
        return (e**2).sum(), {"W": factor * 2 * x.T @ e}

    return function


CASTS: dict[str, Callable[[Any], Any]] = {
    "by name": lambda a: a.astype(np.float32),
    "by string": lambda a: a.astype("float32"),
    "to half": lambda a: a.astype("f2"),
}


@pytest.mark.parametrize("cast", CASTS)
def test_what_a_cast_has_rounded_is_not_refuted(cast: str) -> None:
    result = check(inside(CASTS[cast], 1), {"W": W}, PIXELS / 256, Y)
    assert result.verdict in ("undecided", "consistent"), str(result)


def test_the_way_out_is_to_take_the_cast_out() -> None:
    result = check(inside(CASTS["by name"], 1), {"W": W}, PIXELS / 256, Y)
    assert result.verdict == "undecided"
    assert "take the cast out" in result.rows[0].why


def test_a_factor_is_refuted_behind_a_cast_that_can_be_taken_out() -> None:
    assert check(inside(CASTS["by name"], 2), {"W": W}, PIXELS / 256, Y).verdict == "refuted"


# --- what is not finite -------------------------------------------------------------------------------------------


def test_a_loss_that_is_nan_names_its_line_at_once() -> None:
    def mine(p: Any, x: Any) -> Any:
        z = x @ p["W"]
        e = np.log(z)
        return (e**2).sum(), {"W": 2 * x.T @ (e / z)}

    with pytest.raises(InputError, match=r"the loss: expected a finite number.*nan from .*py:\d+ e = np.log\(z\)"):
        check(mine, {"W": W}, PIXELS)


def test_a_parameter_or_data_that_is_nan_is_named_with_the_line_that_uses_it() -> None:
    def mine(p: Any, x: Any) -> Any:
        z = x @ p["W"]
        return (z**2).sum(), {"W": 2 * x.T @ z}

    broken = W.copy()
    broken[1, 0] = np.nan
    used = r"used at \S*test_check_verdicts.py:\d+ z = x @ p"
    with pytest.raises(InputError, match=r"nan from W, which is nan at \[1, 0\], " + used):
        check(mine, {"W": broken}, PIXELS)
    with pytest.raises(InputError, match=r"from a number of the data, which is inf at \[0, 2\], " + used):
        check(mine, {"W": W}, np.where(np.arange(PIXELS.size).reshape(PIXELS.shape) == 2, np.inf, PIXELS))


def test_a_derivative_that_is_not_finite_names_its_line_soon() -> None:
    def mine(p: Any) -> Any:
        n = np.sqrt((p["w"] ** 2).sum())
        return n, {"w": p["w"] / (n + 1e-12)}

    began = time.process_time()
    result = check(mine, {"w": np.zeros(3)})
    assert time.process_time() - began < 5
    assert result.verdict == "undecided"
    assert "np.sqrt((p" in result.rows[0].why
    assert "not finite" in result.rows[0].why


# --- what people write --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduce", ["mean", "sum", "max", "min", "std"])
def test_a_list_of_losses_is_reduced(reduce: str) -> None:
    """By whatever name of NumPy's: np is the stand-in there."""

    def mine(p: Any, x: Any) -> Any:
        losses = [(v**2).sum() for v in x @ p]
        return getattr(np, reduce)(losses), p

    assert "cannot be followed" not in str(check(mine, W, PIXELS / 256))


def linear(p: Any, x: Any, y: Any) -> Any:
    e = x @ p["W"] - y
    return (e**2).sum(), {"W": 2 * x.T @ e}


def test_the_mean_of_a_list_of_losses_is_certified() -> None:
    def mine(p: Any, x: Any, y: Any) -> Any:
        e = x @ p["W"] - y
        return np.mean([(v**2).sum() for v in e]), {"W": 2 * x.T @ e / len(x)}

    assert check(mine, {"W": W}, PIXELS, Y).certified


def test_what_takes_a_number_apart_is_told_with_the_way_out() -> None:
    def mine(p: Any, x: Any, y: Any) -> Any:
        loss, gradients = linear(p, x, y)
        assert complex(loss)
        return loss, gradients

    assert 'f"{x:.3f}" prints it' in str(check(mine, {"W": W}, PIXELS, Y))


def test_the_two_results_turned_round_are_told() -> None:
    with pytest.raises(InputError, match="turn the two round"):
        check(lambda p, x, y: linear(p, x, y)[::-1], {"W": W}, PIXELS, Y)


def test_a_gradient_of_nothing_is_told() -> None:
    with pytest.raises(InputError, match="got x as well, which is no parameter: leave it out"):
        check(lambda p, x: (0.0, {"W": p["W"], "x": x}), {"W": W}, PIXELS)


def test_a_net_in_the_place_of_its_gradients_is_told() -> None:
    net = Net()
    net.W = W

    def mine(p: Any, x: Any, y: Any) -> Any:
        net.W = p["W"]
        return net.loss(x, y, add=False), net

    with pytest.raises(InputError, match=r'return its gradients alone, {"W": net.dW}'):
        check(mine, {"W": W}, PIXELS, Y)


def test_gradients_that_an_object_keeps_are_no_parameters() -> None:
    net = Net()
    net.W = W

    def mine(own: Any, x: Any, y: Any) -> Any:
        return own.loss(x, y, add=False), {"W": own.dW}

    result = check(mine, net, PIXELS, Y)
    assert result.verdict == "undecided"
    assert 'hand in the parameters alone, {"W": net.W}' in result.notes[-1]


# --- what is no number, and what is none at all -----------------------------------------------------------------------


def test_nothing_is_certified_where_there_is_no_element() -> None:
    result = check(lambda p: (p["Z"].sum() + 1.0, {"Z": np.zeros(0)}), {"Z": np.zeros(0)})
    assert result.verdict == "undecided", str(result)


@pytest.mark.parametrize("made", [lambda g: g + 5j, lambda g: g.astype(str), lambda g: g.astype(object)])
def test_a_gradient_of_no_real_numbers_is_told(made: Any) -> None:
    with pytest.raises(InputError, match=r"dw: expected an array of real numbers, got (complex128|<U32|object)"):
        check(lambda p: ((p["w"] ** 2).sum(), {"w": made(2 * p["w"])}), {"w": np.ones(3)})


def test_a_loss_of_no_real_number_is_told() -> None:
    with pytest.raises(InputError, match="the loss: expected one real number, got complex128"):
        check(lambda p: ((p["w"] ** 2).sum() + 1j, {"w": 2 * p["w"]}), {"w": np.ones(3)})
