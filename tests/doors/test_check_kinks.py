"""check where many sides of kinks meet, or where only quotients are left: right code is never refuted for that."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from torch_mirror import check
from torch_mirror.doors.check import quotients
from torch_mirror.doors.check.result import Checked

R = np.random.default_rng(0)
X, Y = R.standard_normal((8, 5)), R.standard_normal((8, 1))
X[0] = 0  # whose row is at the kink of every relu, as biases are 0


def penalised(factors: dict[str, Any]) -> Checked:
    """Two relus and the absolute values of six tensors, three of them 0: far more conventions than are tried."""
    p = {"W1": R.standard_normal((5, 4)), "b1": np.zeros(4), "W2": R.standard_normal((4, 4)), "b2": np.zeros(4)}
    p |= {"W3": R.standard_normal((4, 1)), "b3": np.zeros(1)}

    def mine(p: Any, x: Any, y: Any) -> Any:
        z1 = x @ p["W1"] + p["b1"]
        a1 = np.maximum(z1, 0)
        z2 = a1 @ p["W2"] + p["b2"]
        a2 = np.maximum(z2, 0)
        d = a2 @ p["W3"] + p["b3"] - y
        loss = (d**2).mean() + 0.01 * sum(np.abs(v).sum() for v in p.values())
        g = 2 * d / d.size
        d2 = (g @ p["W3"].T) * (z2 > 0)
        d1 = (d2 @ p["W2"].T) * (z1 > 0)
        found = {"W3": a2.T @ g, "b3": g.sum(0), "W2": a1.T @ d2, "b2": d2.sum(0), "W1": x.T @ d1, "b1": d1.sum(0)}
        return loss, {k: factors.get(k, 1) * (found[k] + 0.01 * np.sign(p[k])) for k in p}

    return check(mine, p, X, Y)


def test_more_conventions_than_are_tried_refute_nothing() -> None:
    assert penalised({}).verdict == "certified"


def test_what_no_convention_touches_is_refuted_though_not_all_were_tried() -> None:
    result = penalised({"W3": 2.0})
    assert result.verdict == "refuted"
    assert [row.name for row in result.rows if row.word == "WRONG"] == ["dW3"]


def test_what_a_convention_may_explain_is_undecided_if_not_all_were_tried() -> None:
    result = penalised({"b1": 1.5})
    assert result.verdict == "undecided"
    assert "none of the conventions that were tried" in str(result)


# --- what is told of another mistake --------------------------------------------------------------------------------


def half_a_bias(mask: Callable[[Any], Any], relu: Callable[[Any], Any]) -> Any:
    """Half of the rows are 0 and so are the biases, as at the first call: which side is taken there shows in db1."""
    x = X.copy()
    x[::2] = 0
    p = {"W1": R.standard_normal((5, 4)), "b1": np.zeros(4), "W2": R.standard_normal((4, 1))}

    def mine(p: Any, x: Any, y: Any) -> Any:
        z = x @ p["W1"] + p["b1"]
        a = relu(z)
        g = 2 * (a @ p["W2"] - y)
        dz = (g @ p["W2"].T) * mask(z)
        return ((a @ p["W2"] - y) ** 2).sum(), {"W1": x.T @ dz, "b1": dz.sum(0) / 2, "W2": a.T @ g}

    return mine, p, x, Y


def relu(z: Any) -> Any:
    return np.maximum(z, 0)


@pytest.mark.parametrize("relu", [relu, lambda z: np.where(z > 0, z, 0), lambda z: z * (z > 0)])
@pytest.mark.parametrize("mask", [lambda z: z > 0, lambda z: z >= 0])
def test_the_convention_of_the_code_is_told_from_another_mistake(mask: Any, relu: Any) -> None:
    """db / 2 is wrong under each. The line of the mask is not, and a factor 1/2 is the cause under that of the mask."""
    told_of_the_bias_alone(check(*half_a_bias(mask, relu)))


def test_the_even_share_is_a_convention_of_a_maximum() -> None:
    told_of_the_bias_alone(check(*half_a_bias(lambda z: (z > 0) / 2 + (z >= 0) / 2, relu)))


def told_of_the_bias_alone(result: Checked) -> None:
    (fault,) = result.faults
    assert fault.gradients == ("db1",)
    assert [line.source[:6] for line in fault.wrong] == ["return"], str(result)
    assert [right.name for right in fault.right] == ["z"]
    assert "a factor 1/2 at d(b1)" in str(result)


def test_where_a_comparison_is_taken_in_both_ways_no_line_is_told() -> None:
    function, p, x, y = half_a_bias(lambda z: z >= 0, lambda z: z * (z > 0))

    def mine(p: Any, x: Any, y: Any) -> Any:
        z = x @ p["W1"] + p["b1"]
        on = z > 0
        e = (z * on) @ p["W2"] - y
        dz = (2 * e @ p["W2"].T) * (z >= 0)
        return (e**2).sum(), {"W1": x.T @ dz, "b1": dz.sum(0) / 2, "W2": (z * on).T @ (2 * e)}

    assert check(function, p, x, y).faults[0].wrong
    (fault,) = check(mine, p, x, y).faults
    assert fault.gradients == ("db1",)
    assert not fault.wrong
    assert not fault.causes
    assert "no line is told" in fault.note


def test_the_mask_itself_is_told_where_it_is_wrong_under_each_convention() -> None:
    """Ties of a maximum over an axis; the code takes the first, and turns the mask of the relu before it round."""

    def pooled(p: Any, x: Any, t: Any) -> Any:
        z = np.maximum(x @ p["W"], 0)
        w = z.reshape(len(x), -1, 2)
        m = w.max(axis=2)
        dw = np.zeros_like(w)
        np.put_along_axis(dw, w.argmax(axis=2)[:, :, None], (2 * (m - t))[:, :, None], axis=2)
        dz = dw.reshape(z.shape) * (z < 0)
        return ((m - t) ** 2).sum(), {"W": x.T @ dz}

    draw = np.random.default_rng(0).normal
    W = draw(size=(4, 6))
    W[:, 1] = W[:, 0]
    (fault,) = check(pooled, {"W": W}, draw(size=(7, 4)), draw(size=(7, 3))).faults
    assert [line.source[:5] for line in fault.wrong] == ["dz = "]
    assert fault.right[0].line.source.startswith("np.put_along_axis")


# --- an element and its copy, where no sides meet ---------------------------------------------------------------------


def gated(loss_gate: Callable[[Any, Any], Any], own_gate: Callable[[Any, Any], Any], largest: int, W: Any) -> Checked:
    """The squares of what passes a gate beside the k-th largest of each row."""

    def mine(p: Any, x: Any) -> Any:
        z = np.tanh(x @ p["W"])
        k = np.sort(z, axis=1)[:, -largest][:, None]
        return (z**2 * loss_gate(z, k)).sum(), {"W": x.T @ (2 * z * own_gate(z, k) * (1 - z * z))}

    return check(mine, {"W": W}, np.random.default_rng(2).normal(size=(6, 5)), explain=False)


def at_least(z: Any, k: Any) -> Any:
    return z >= k


def above(z: Any, k: Any) -> Any:
    return z > k


GATES: list[Callable[[Any, Any], Any]] = [at_least, lambda z, k: ~(z < k), lambda z, k: z - k >= 0]


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("largest", [1, 3])
def test_a_gate_that_drops_the_k_th_largest_is_refuted(gate: Callable[[Any, Any], Any], largest: int) -> None:
    """z >= k holds of the k-th largest number wherever that lies: there is no kink, of which z > k were a side."""
    W = np.random.default_rng(3).normal(size=(5, 8))
    right, wrong = gated(gate, at_least, largest, W), gated(gate, above, largest, W)
    assert (right.verdict, wrong.verdict) == ("certified", "refuted")
    assert "kink" not in str(right) + str(wrong)
    assert gated(above, at_least, largest, W).verdict == "refuted"  # at 1 the loss is 0, and depends on nothing


def test_a_gate_between_equal_columns_has_a_kink_there_and_the_other_rows_none() -> None:
    W = np.random.default_rng(3).normal(size=(5, 8))
    W[:, 1] = W[:, 0]
    assert gated(at_least, at_least, 3, W).verdict == "certified"
    assert gated(at_least, above, 3, W).verdict == "refuted"


@pytest.mark.parametrize("gate", [lambda z, k: z <= k, lambda z, k: z < k])
def test_a_gradient_of_the_others_than_the_largest_is_not_told_that_the_derivative_is_0(gate: Any) -> None:
    def mine(p: Any, x: Any) -> Any:
        z = np.tanh(x @ p["W"])
        k = z.max(axis=1, keepdims=True)
        return (z * (z >= k)).sum(), {"W": x.T @ (gate(z, k) * (1 - z * z))}

    draw = np.random.default_rng(1).normal
    x = draw(size=(6, 5))
    result = check(mine, {"W": draw(size=(5, 8))}, x, explain=False)
    assert result.verdict == "refuted"
    assert "the derivative is 0" not in str(result)


# --- radii that are too large from end to end, behind a kink ----------------------------------------------------------


def deep(own: Callable[[Any], Any], penalty: Callable[[Any], Any], factor: float) -> Checked:
    """Twenty layers behind a relu at 0, of which the backward pass takes the other side; judged piece by piece."""
    draw = np.random.default_rng(0).normal
    x, n = draw(size=(6, 8)), 20
    x[0] = 0
    p = {f"W{i}": draw(size=(8, 8)) / 2 for i in range(n)} | {"b": np.zeros(8), "q": np.zeros(3)}

    def mine(p: Any, x: Any) -> Any:
        z = x @ p["W0"] + p["b"]
        hs = [z * (z > 0)]
        for i in range(1, n):
            hs.append(np.tanh(hs[-1] @ p[f"W{i}"]))
        d, g = 2 * (hs[-1] - 0.3), {"q": penalty(p["q"])}
        for i in range(n - 1, 0, -1):
            d = d * (1 - hs[i] ** 2)
            g[f"W{i}"] = hs[i - 1].T @ d
            d = d @ p[f"W{i}"].T
        d = d * own(z)
        g |= {"W0": x.T @ d, "b": factor * d.sum(0)}
        return ((hs[-1] - 0.3) ** 2).sum() + np.abs(p["q"]).sum(), g

    return check(mine, p, x, explain=False)


SIGNS: list[Any] = [np.sign, lambda q: np.where(q >= 0, 1.0, -1.0), lambda q: np.where(q > 0, 1.0, -1.0)]


@pytest.mark.parametrize("own", [lambda z: z > 0, lambda z: z >= 0])
@pytest.mark.parametrize("penalty", SIGNS)
def test_pieces_behind_a_kink_go_as_the_convention_has_it(own: Any, penalty: Any) -> None:
    right, wrong = deep(own, penalty, 1), deep(own, penalty, 1.001)
    assert right.verdict == "certified", str(right)
    assert "piece by piece" in str(right)
    assert [row.name for row in wrong.rows if row.word == "WRONG"] == ["db"]


# --- quotients ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("curvature", [0.0, 1.0, -3.0])
@pytest.mark.parametrize("jump", [1.0, -0.2])
def test_one_kink_anywhere_near_is_seen_or_has_room(jump: float, curvature: float) -> None:
    for c in np.concatenate([np.linspace(-1.5, 1.5, 301), np.geomspace(1e-5, 1, 200), [0.0]]):

        def loss(p: Any, at: float = float(c) * quotients.STEP) -> Any:
            x = p["x"][0]
            return 2 * x + curvature * x * x / 2 + jump * np.maximum(x - at, 0)

        q = quotients._quotient("x", 0, {"x": np.zeros(1, np.longdouble)}, loss)
        right = 2.0 if c >= 0 else 2.0 + jump
        assert q.kink or abs(q.value - right) <= q.room, c


def test_a_smooth_loss_is_at_no_kink() -> None:
    for x in np.linspace(-3, 3, 61):
        q = quotients._quotient("x", 0, {"x": np.array([x], np.longdouble)}, lambda p: np.tanh(p["x"][0]))
        assert not q.kink
        assert abs(q.value - (1 - np.tanh(x) ** 2)) <= q.room


@pytest.mark.parametrize(("n", "seed"), [(200, 11), (1000, 0), (1000, 8), (1000, 13)])
@pytest.mark.parametrize(("factor", "expected"), [(1.0, "consistent"), (1.001, "refuted")])
def test_quotients_do_not_refute_a_relu_that_has_a_kink_near_by(
    n: int, seed: int, factor: float, expected: str
) -> None:
    r = np.random.default_rng(seed)
    X, Y = r.standard_normal((n, 5)), r.standard_normal((n, 1))
    p = {"W1": r.standard_normal((5, 16)), "b1": 0.1 * r.standard_normal(16), "W2": r.standard_normal((16, 1))}
    p["b2"] = np.zeros(1)

    def mine(p: Any, x: Any, y: Any) -> Any:
        z = x @ p["W1"] + p["b1"]
        a = np.maximum(z, 0)
        d = a @ p["W2"] + p["b2"] - y
        g = 2 * d / d.size
        dz = (g @ p["W2"].T) * (z > 0)
        found = {"W1": x.T @ dz, "b1": dz.sum(0), "W2": a.T @ g, "b2": factor * g.sum(0)}
        return np.nansum(d * d) / d.size, found  # which has no rule

    assert check(mine, p, X, Y).verdict == expected


SMALL = {"a": np.array([1e-4, 2e-4, 3e-4])}


def of_logarithms(p: Any, share: float = 1.0) -> Any:
    """Cannot be followed; and a step of 2^-10 from the element is no number."""
    z = np.vectorize(lambda z: z)(np.log(p["a"]))
    return (z**2).sum(), {"a": share * 2 * np.log(p["a"]) / p["a"]}


@pytest.mark.filterwarnings("ignore:.*encountered in log:RuntimeWarning")
def test_a_quotient_that_is_no_number_agrees_with_nothing() -> None:
    assert check(of_logarithms, SMALL).verdict == "consistent"
    assert check(lambda p: of_logarithms(p, -1.0), SMALL).verdict != "consistent"

    def nowhere(p: Any) -> Any:
        return np.vectorize(lambda z: z)(np.sqrt(p["a"] ** 2 - 1)).sum(), {"a": 7 * p["a"]}

    result = check(nowhere, {"a": np.ones(3)})
    assert result.verdict == "undecided"
    assert "NaN or infinite nearby" in result.rows[0].why


def test_a_number_of_the_user_s_that_is_none_agrees_with_no_quotient() -> None:
    def gives_nan(p: Any) -> Any:
        return np.vectorize(lambda z: z * z)(p["a"]).sum(), {"a": np.array([2.0, np.nan, 2.0])}

    assert check(gives_nan, {"a": np.ones(3)}).verdict == "refuted"


def test_a_derivative_of_0_at_a_kink_is_told_as_that_of_one_side() -> None:
    def mine(p: Any, x: Any) -> Any:
        z = x * p
        return np.maximum(z, 0).sum(), (x * np.where(z == 0, -1.0, 1.0 * (z > 0))).sum(0)  # neither 0 nor 1

    result = check(mine, np.zeros(3), np.ones((2, 3)))
    assert result.verdict == "refuted"
    assert "0 on the side of the kinks that is taken here" in result.rows[0].pattern
    assert not any("declare it" in note for note in result.notes)
