"""Blame: mistakes planted in networks of the field are found at their line, with all that follows and nothing else."""

from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests import sample
from tests.doors.of_the_field import NETWORKS, claim
from tests.doors.planting import line_of, planted
from tests.unruled import unexplained
from torch_mirror import Checked, check

FAULTS = [
    ("dicts", '2 * REG * p["W2"], "b2"', 'REG * p["W2"], "b2"', "W2"),
    ("dicts", "dhidden[hidden <= 0] = 0", "dhidden[hidden > 0] = 0", "W1 b1"),
    ("dicts", '"b2": np.sum(dscores, axis=0)', '"b2": np.sum(dscores ** 2, axis=0)', "b2"),
    ("dicts", "X.T.dot(dhidden) +", "X.T.dot(dhidden) -", "W1"),
    ("dicts", "dscores[np.arange(N), y] -= 1", "dscores[np.arange(N), y] -= 2", "W2 b2 W1 b1"),
    ("dicts", "dscores[np.arange(N), y] -= 1", "dscores[np.arange(N - 1), y[:-1]] -= 1", "W2 b2 W1 b1"),
    ("dicts", "np.sum(dhidden, axis=0)", "np.mean(dhidden, axis=0)", "b1"),
    ("pairs", "delta = error / len(x)", "delta = error / x.size", "2.0 2.1 1.0 1.1 0.0 0.1"),
    ("pairs", "(1 - activations[i] ** 2)", "(1 - activations[i])", "1.0 1.1 0.0 0.1"),
    ("pairs", "(delta @ W.T)", "(delta @ W.T[:, ::-1])", "1.0 1.1 0.0 0.1"),
    ("pairs", "activations[i].T @ delta", "activations[i].T @ delta ** 2", "2.0 1.0 0.0"),
    ("pairs", "delta.sum(axis=0)", "delta[0]", "2.1 1.1 0.1"),
    ("columns", 'dZ2 = cache["A2"] - Y', 'dZ2 = (cache["A2"] - Y) / m', "W2 b2 W1 b1"),
    ("columns", "dW1 = np.dot(dZ1, X.T) / m", "dW1 = np.dot(dZ1, X.T)", "W1"),
    ("columns", '1 - np.power(cache["A1"], 2)', '1 - np.power(cache["Z1"], 2)', "W1 b1"),
    ("columns", "db1 = np.sum(dZ1, axis=1, keepdims=True)", "db1 = np.ones((5, 1)) * np.sum(dZ1)", "b1"),
    ("columns", 'np.dot(dZ2, cache["A1"].T)', 'np.dot(dZ2, cache["Z1"].T)', "W2"),
    ("layer_objects", "2 * error / error.size", "error / error.size", "2 3 0 1"),
    ("layer_objects", "grad, 0.125 * grad)", "grad, 0 * grad)", "0 1"),
    ("layer_objects", "return grad @ self.W.T", "return grad @ self.W.T * 2", "0 1"),
    ("layer_objects", "grad.sum(axis=0, keepdims=True)", "grad.mean(axis=0, keepdims=True)", "3 1"),
    ("layer_objects", "self.dW = self.x.T @ grad", "self.dW = self.x.T @ (grad - grad.mean(axis=0))", "2 0"),
    ("per_sample", "return sigmoid(z) * (1 - sigmoid(z))", "return z * (1 - z)", "b.1 b.0 w.1 w.0"),
    ("per_sample", "sp = sigmoid_prime(z)", "sp = sigmoid_prime(z) + 0.25", "b.0 w.0"),
    ("per_sample", "activations[-l - 1].transpose())", "activations[-l - 1].transpose() ** 2)", "w.0"),
    ("two_layer_class", 'grads["W1"] += self.reg * W1', 'grads["W1"] += 2 * self.reg * W1', "W1"),
    ("two_layer_class", "dz1[z1 <= 0] = 0", "dz1[z1 <= 0.5] = 0", "W1 b1"),
    ("two_layer_class", "dscores /= N", "dscores /= N - 1", "W2 b2 W1 b1"),
    ("two_layer_class", "da1 = np.dot(dscores, W2.T)", "da1 = np.dot(probs - 1, W2.T)", "W1 b1"),
    ("char_rnn_globals", "(1 - hs[t] * hs[t]) * dh", "(1 - hs[t]) * dh", "Wxh Whh bh"),
    ("char_rnn_globals", "dh = np.dot(Why.T, dy) + dhnext", "dh = np.dot(Why.T, dy)", "Wxh Whh bh"),
    ("char_rnn_globals", "np.dot(dhraw, hs[t - 1].T)", "np.dot(dhraw, hs[t].T)", "Whh"),
    ("char_rnn_globals", "dby += dy", "dby += 2 * dy", "by"),
    ("char_rnn_globals", "dhnext = np.dot(Whh.T, dhraw)", "dhnext = np.dot(Whh, dhraw)", "Wxh Whh bh"),
    ("convolution", "np.add.at(padded, (slice(None), k, i, j), reshaped)", "padded[:, k, i, j] = reshaped", "K1 c1"),
    ("convolution", "(flat @ cols.T).reshape(w.shape)", "(flat @ cols.T).reshape(w.shape)[:, :, ::-1]", "K2 K1"),
    ("convolution", "np.sum(dout, axis=(0, 2, 3))", "np.sum(dout, axis=(0, 2, 3)) / 16", "c2 c1"),
    ("convolution", "dy = (y - t) / N", "dy = y - t", "W b K2 c2 K1 c1"),
]  # fmt: skip
"""Network, what stands there, the mistake, and the parameters whose gradients it makes wrong."""

TAKEN = sample.some(FAULTS)

CAUSES = {
    ("convolution", "padded[:, k, i, j] = reshaped"): "only the last of equal indices in d(padded)",
    ("dicts", 'REG * p["W2"], "b2"'): "a factor 1/2 at d(W2^2) * (2 * W2)",
    ("dicts", "dhidden[hidden > 0] = 0"): "mask (((X @ W1) + b1) > 0) inverted",
    ("dicts", "X.T.dot(dhidden) -"): "a factor -1 at d(W1^2) * (2 * W1)",
    ("dicts", "dscores[np.arange(N), y] -= 2"): "a factor 2 at d(probs / sum(probs)) in",
    ("dicts", "dscores[np.arange(N - 1), y[:-1]] -= 1"): "last of axis 0 of d(probs / sum(probs)) in",
    ("dicts", "np.mean(dhidden, axis=0)"): "mean for sum in d(b1)",
    ("pairs", "delta = error / x.size"): "a factor 0.25 (here 1/(x.shape[1] or layers[0][0].shape[0])) at d(error)",
    ("pairs", "(1 - activations[i])"): "the square left out of (1 - tanh(",
    ("pairs", "(delta @ W.T[:, ::-1])"):
        "layers[2][0].T reversed along axis 1, and layers[1][0].T reversed along axis 1",
    ("pairs", "delta[0]"): "only the first row of d(",
    ("columns", 'dZ2 = (cache["A2"] - Y) / m'): "a factor 1/6 (here 1/N, N the batch) at d(Z2)",
    ("columns", "dW1 = np.dot(dZ1, X.T)"): "a factor 6 (here N, N the batch) at d(W1)",
    ("columns", '1 - np.power(cache["Z1"], 2)'): "1 - Z1^2 for (1 - A1^2)",
    ("columns", "db1 = np.ones((5, 1)) * np.sum(dZ1)"): "d(b1) summed over all axes",
    ("columns", 'np.dot(dZ2, cache["Z1"].T)'): "Z1 for A1",
    ("layer_objects", "grad, 0 * grad)"): "term d(0.125 * ((x @ weights[0]) + weights[1])) * 0.125 left out of",
    ("layer_objects", "grad.mean(axis=0, keepdims=True)"): "a factor 1/6 (here 1/N, N the batch) at d(weights[3])",
    ("two_layer_class", 'grads["W1"] += 2 * self.reg * W1'): "a factor 2 at d(W1^2) * (2 * W1)",
    ("char_rnn_globals", "(1 - hs[t]) * dh"): "the square left out of (1 - hs[t]^2), in each turn",
    ("char_rnn_globals", "dh = np.dot(Why.T, dy)"): "term Whh.T @ d(",
    ("char_rnn_globals", "np.dot(dhraw, hs[t].T)"): "hs[t] of another turn for hs[t], in each turn",
    ("char_rnn_globals", "dby += 2 * dy"): "a factor 2 at d(by)",
    ("char_rnn_globals", "dhnext = np.dot(Whh, dhraw)"): "Whh.T transposed, in each turn",
    ("convolution", "(flat @ cols.T).reshape(w.shape)[:, :, ::-1]"): "d(K2) reversed along axis 2, each time",
    ("convolution", "np.sum(dout, axis=(0, 2, 3)) / 16"): "a factor 1/16 (here 1/2 * 1/W.shape[0]) at d(c2)",
}
"""How the cause of each begins that has one."""

TIES = {
    ("layer_objects", "error / error.size"): ("a factor 0.5 (here 1/(t.shape[1] or", "a factor 1/2 at d(error)"),
    ("layer_objects", "return grad @ self.W.T * 2"): ("a factor 2 (here (t.shape[1] or", "a factor 2 at d(where("),
    ("two_layer_class", "dscores /= N - 1"): ("a factor 1.166667 (here N * 1/", "a factor 1.166667 (here N/(N - 1)"),
    ("convolution", "dy = y - t"): ("a factor 3 (here (K1.shape[2] or K1", "a factor 3 (here N, N the batch)"),
}
"""How each of the causes begins that are equal here: 2 outputs, 7 samples and 6 hidden units, kernels of 3."""

TWICE = ("per_sample", "return z * (1 - z)")
"""Two layers by two values of one function: blame tells two faults, each with the same cause."""


@cache
def found(name: str, right: str, wrong: str) -> tuple[Checked, ModuleType]:
    """The verdict on a planted mistake, which several tests read, and the module with it."""
    module = planted(NETWORKS[name][0], right, wrong)
    return check(*claim(name, module)), module


@pytest.mark.parametrize(("name", "right", "wrong", "gradients"), TAKEN, ids=[f"{f[0]}: {f[2]}" for f in TAKEN])
def test_a_planted_mistake_is_found_at_its_line(name: str, right: str, wrong: str, gradients: str) -> None:
    result, module = found(name, right, wrong)
    names = {row.name for row in result.rows if row.word == "WRONG"}
    assert names == {spelled(name) for name in gradients.split()}, str(result)
    lines = {line.number for fault in result.faults for line in fault.wrong}
    assert line_of(module, wrong) in lines, str(result)
    assert len(lines) <= 4
    assert len(str(result).splitlines()) <= 20
    if (name, wrong) == TWICE:
        assert len(result.causes) == len(result.faults) == 2
        assert all(" for sigmoid(" in cause for cause in result.causes)
        return
    one = CAUSES.get((name, wrong))
    expected = TIES.get((name, wrong), () if one is None else (one,))
    assert len(result.causes) == len(expected), str(result)
    for cause, beginning in zip(result.causes, expected, strict=True):
        assert cause.startswith(beginning), str(result)
        assert "within their radius" in cause
    assert ("cannot be told apart" in str(result)) is (len(expected) > 1)
    assert ("no single edit of the right equation explains it" in str(result)) is (not expected)


def spelled(name: str) -> str:
    first, *rest = name.split(".")
    return (f"gradients[{first}]" if first.isdigit() else f"d{first}") + "".join(f"[{part}]" for part in rest)


FOLLOWING = [f for f in FAULTS if len(f[3].split()) > 1][:12]


@pytest.mark.parametrize("fault", [f for f in FOLLOWING if f in TAKEN], ids=lambda f: f"{f[0]}: {f[2]}")
def test_what_follows_is_shown_to_follow(fault: tuple[str, str, str, str]) -> None:
    result, _ = found(*fault[:3])
    assert len(result.faults) == 1, str(result)
    assert result.faults[0].shown
    assert len(result.faults[0].gradients) == len(fault[3].split())


@pytest.mark.parametrize(
    ("name", "right", "wrong", "missing"),
    [
        ("dicts", "dhidden[hidden <= 0] = 0", "pass", "np.maximum(0"),
        ("columns", ' * (1 - np.power(cache["A1"], 2))', "", "np.tanh(Z1)"),
        ("convolution", "dz1 = da1 * (z1 > 0)", "dz1 = da1", "np.maximum(z1, 0)"),
    ],
)
def test_a_derivative_that_is_never_taken_is_named(name: str, right: str, wrong: str, missing: str) -> None:
    result, _ = found(name, right, wrong)
    assert "it is computed nowhere: the step back through" in str(result)
    assert missing in result.faults[0].note


def two(p: Any, x: Any, t: Any, first: float = 1.0, second: float = 0.0, third: float = 1.0) -> Any:
    """Three layers: a wrong factor in dW3, a wrong derivative of tanh at the second, a wrong factor in dW1."""
    a1 = np.tanh(x @ p["W1"])
    a2 = np.tanh(a1 @ p["W2"] + p["b2"])
    y = a2 @ p["W3"]
    dy = (y - t) / len(x)
    dW3 = a2.T @ dy * first
    dz2 = dy @ p["W3"].T * (1 - a2**2 + second * a2)
    dW2 = a1.T @ dz2
    db2 = dz2.sum(axis=0)
    dz1 = dz2 @ p["W2"].T * (1 - a1**2)
    dW1 = x.T @ dz1 * third
    return 0.5 * np.sum((y - t) ** 2) / len(x), {"W1": dW1, "W2": dW2, "b2": db2, "W3": dW3}


def given() -> tuple[Any, ...]:
    draw = np.random.default_rng(3)
    shapes = {"W1": (4, 5), "W2": (5, 6), "b2": (6,), "W3": (6, 3)}
    p = {name: draw.standard_normal(shape) for name, shape in shapes.items()}
    return p, draw.standard_normal((7, 4)), draw.standard_normal((7, 3))


def test_several_mistakes_are_each_told() -> None:
    result = check(two, *given(), 2.0, 0.5, 3.0)
    by_first = {fault.gradients[0]: fault for fault in result.faults}
    assert set(by_first) == {"dW3", "dW2", "dW1"}
    sources = {name: [line.source for line in fault.wrong] for name, fault in by_first.items()}
    assert sources["dW3"] == ["dW3 = a2.T @ dy * first"]
    assert sources["dW2"] == ['dz2 = dy @ p["W3"].T * (1 - a2**2 + second * a2)']
    assert sources["dW1"] == ["dW1 = x.T @ dz1 * third"]
    assert by_first["dW2"].gradients == ("dW2", "db2")
    assert by_first["dW1"].note == "(with the mistake told at dW2 set aside)"  # dW1 is made of dz2
    assert not by_first["dW3"].note
    assert by_first["dW3"].causes[0].startswith("a factor 2 at d(W3) (proof")
    assert by_first["dW1"].causes[0].startswith("a factor 3 (here (t.shape[1] or third)) at d(W1) (proof")
    assert not by_first["dW2"].causes


def test_the_order_is_that_of_the_backward_pass() -> None:
    result = check(two, *given())
    assert result.certified
    assert [row.name for row in result.rows] == ["dW3", "dW2", "db2", "dW1"]


def test_what_is_the_same_in_other_words_is_no_tie() -> None:
    """The sum over softmax's derivatives is 0 at any numbers, so that it is a factor 0 as well."""
    result, _ = found("dicts", '"b2": np.sum(dscores, axis=0)', '"b2": np.sum(dscores) * np.ones(3)')
    assert len(result.causes) == 1
    assert result.causes[0].startswith("d(b2) summed over all axes")


def test_a_gradient_that_is_a_constant_is_told() -> None:
    def mine(p: Any, x: Any) -> Any:
        return np.sum(x @ p["W"]) + np.sum(p["b"] ** 3), {"W": np.zeros((3, 2)), "b": 3 * p["b"] ** 2}

    result = check(mine, {"W": np.ones((3, 2)), "b": np.ones(2)}, np.arange(12.0).reshape(4, 3))
    assert "yours is 0 everywhere" in str(result)
    assert "computed from no parameter" in str(result)


def of_one_line(result: Checked) -> tuple[list[str], list[str]]:
    """The lines where the right values end, and the wrong ones, of all faults."""
    right = [r.line.source for fault in result.faults for r in fault.right]
    return right, [line.source for fault in result.faults for line in fault.wrong]


def transposed(p: Any, x: Any, t: Any) -> Any:
    d = (x @ p["W"] - t) / len(x)
    dW = x.T @ d
    dW = dW.T
    dW = dW + 0.2 * p["W"]
    return 0.5 * np.sum((x @ p["W"] - t) ** 2) / len(x) + 0.1 * np.sum(p["W"] ** 2), {"W": dW}


def test_a_transposed_value_is_not_right() -> None:
    draw = np.random.default_rng(3)
    x, t = draw.standard_normal((7, 4)), draw.standard_normal((7, 4))
    right, wrong = of_one_line(check(transposed, {"W": draw.standard_normal((4, 4))}, x, t))
    assert right == ["dW = x.T @ d", '0.2 * p["W"]']  # which is right where it is added
    assert wrong == ["dW = dW.T"]


def sigmoid(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def gated(p: Any, x: Any, t: Any, sign: float = 1.0, carried: float = 1.0) -> Any:
    """Three steps of a cell with one gate; sign of the gate's derivative, and a factor in what is carried on."""
    Wz, Wc, h, zs, cs = p["Wz"], p["Wc"], [x], [], []
    for k in range(3):
        z = sigmoid(h[k] @ Wz)
        c = np.tanh(h[k] @ Wc)
        h.append((1 - z) * h[k] + z * c)
        zs.append(z)
        cs.append(c)
    dh = h[-1] - t
    dWz, dWc = np.zeros_like(Wz), np.zeros_like(Wc)
    for k in (2, 1, 0):
        dz = dh * sign * (cs[k] - h[k]) * zs[k] * (1 - zs[k])
        dc = dh * zs[k] * (1 - cs[k] ** 2)
        dWz += h[k].T @ dz
        dWc += h[k].T @ dc
        dh = dh * (1 - zs[k]) + dz @ Wz.T + carried * dc @ Wc.T
    return 0.5 * np.sum((h[-1] - t) ** 2), {"Wz": dWz, "Wc": dWc}


def test_a_turned_sign_is_not_the_right_derivative_by_minus_x() -> None:
    """By the -a inside of sigmoid(a) it is right; by a, which the line is about, it is not."""
    draw = np.random.default_rng(0)
    p = {"Wz": draw.standard_normal((3, 3)), "Wc": draw.standard_normal((3, 3))}
    x, t = draw.standard_normal((5, 3)), draw.standard_normal((5, 3))
    assert check(gated, p, x, t).certified
    with unexplained():
        result = check(gated, p, x, t, -1.0)
    right, wrong = of_one_line(result)
    assert (right, wrong) == (["dh = h[-1] - t"], ["dz = dh * sign * (cs[k] - h[k]) * zs[k] * (1 - zs[k])"])


def test_what_is_carried_on_in_time_is_the_derivative_by_the_step_before() -> None:
    draw = np.random.default_rng(0)
    p = {"Wz": draw.standard_normal((3, 3)), "Wc": draw.standard_normal((3, 3))}
    with unexplained():
        result = check(gated, p, draw.standard_normal((5, 3)), draw.standard_normal((5, 3)), 1.0, 0.9)
    _, wrong = of_one_line(result)
    assert wrong == ["dh = dh * (1 - zs[k]) + dz @ Wz.T + carried * dc @ Wc.T"], str(result)
    assert len(result.faults[0].gradients) == 2


def skipgram(p: Any, center: int, context: int, negatives: Any) -> Any:
    """One sample; the sign of g_pos is turned, which is a number alone."""
    v, u, un = p["in"][center], p["out"][context], p["out"][negatives]
    grad_in, grad_out = np.zeros_like(p["in"]), np.zeros_like(p["out"])
    g_pos = 1 - sigmoid(u @ v)
    g_neg = sigmoid(un @ v)[:, None]
    grad_in[center] += g_pos * u + (g_neg * un).sum(axis=0)
    grad_out[context] += g_pos * v
    np.add.at(grad_out, negatives, g_neg * v)
    return -np.log(sigmoid(u @ v)) - np.sum(np.log(sigmoid(-un @ v))), {"in": grad_in, "out": grad_out}


def test_a_turned_sign_of_a_single_number_is_found() -> None:
    draw = np.random.default_rng(0)
    p = {"in": draw.standard_normal((6, 3)), "out": draw.standard_normal((6, 3))}
    result = check(skipgram, p, 1, 2, np.array([0, 3, 4]))
    right, wrong = of_one_line(result)
    assert wrong == ["g_pos = 1 - sigmoid(u @ v)"]
    assert wrong[0] not in right


def skipgrams(p: Any, pairs: Any, negatives: Any) -> Any:
    """The same, over several samples."""
    W, U = p["in"], p["out"]
    grad_in, grad_out, loss = np.zeros_like(W), np.zeros_like(U), 0.0
    for (center, context), some in zip(pairs, negatives, strict=True):
        v, u, un = W[center], U[context], U[some]
        loss -= np.log(sigmoid(u @ v)) + np.sum(np.log(sigmoid(-un @ v)))
        g_pos = 1 - sigmoid(u @ v)
        g_neg = sigmoid(un @ v)[:, None]
        grad_in[center] += g_pos * u + (g_neg * un).sum(axis=0)
        grad_out[context] += g_pos * v
        np.add.at(grad_out, some, g_neg * v)
    return loss / len(pairs), {"in": grad_in / len(pairs), "out": grad_out / len(pairs)}


def test_what_has_the_other_sign_than_the_right_values_beside_it_is_looked_behind() -> None:
    draw = np.random.default_rng(3)
    p = {"in": draw.standard_normal((7, 5)), "out": draw.standard_normal((7, 5))}
    result = check(skipgrams, p, draw.integers(0, 7, (6, 2)), draw.integers(0, 7, (6, 3)))
    _, wrong = of_one_line(result)
    assert wrong == ["g_pos = 1 - sigmoid(u @ v)"], str(result)
    assert len(result.faults[0].gradients) == 2


def by_sample(p: Any, xs: Any, ts: Any) -> Any:
    """A loop over layers, backwards, inside of one over samples; sigmoid's derivative has the wrong argument."""
    nabla, cost = [np.zeros_like(w) for w in p], 0.0
    for x, t in zip(xs, ts, strict=True):
        a = [x]
        for w in p:
            z = w @ a[-1]
            a.append(sigmoid(z))
        cost += 0.5 * np.sum((a[-1] - t) ** 2)
        delta = (a[-1] - t) * a[-1] * (1 - a[-1])
        nabla[-1] = nabla[-1] + np.outer(delta, a[-2])
        for k in (2, 3):
            delta = (p[1 - k].T @ delta) * sigmoid(a[-k]) * (1 - sigmoid(a[-k]))
            nabla[-k] = nabla[-k] + np.outer(delta, a[-1 - k])
    return cost / len(xs), [dw / len(xs) for dw in nabla]


def test_values_of_nested_loops_are_told_in_their_order() -> None:
    draw = np.random.default_rng(4)
    p = [draw.standard_normal(shape) for shape in ((5, 3), (5, 5), (2, 5))]
    result = check(by_sample, p, draw.standard_normal((6, 3)), draw.random((6, 2)))
    assert len(result.faults) == 1, str(result)
    assert [len(f.gradients) for f in result.faults] == [2]
    _, wrong = of_one_line(result)
    assert wrong[0] == "delta = (p[1 - k].T @ delta) * sigmoid(a[-k]) * (1 - sigmoid(a[-k]))"


def split(p: Any, t: Any) -> Any:
    a, mu, zs = np.split(p["out"], 3)
    loss = (a * (mu - t) ** 2 * np.exp(zs)).sum()
    da = (mu - t) ** 2 * np.exp(zs)
    dmu, dzs = 2 * a * (mu - t) * np.exp(zs), a * (mu - t) ** 2 * np.exp(zs)
    return loss, {"out": np.concatenate([da, dzs, dmu])}


def test_names_of_several_values_are_told_by_position() -> None:
    draw = np.random.default_rng(0)
    result = check(split, {"out": draw.standard_normal(9)}, draw.standard_normal(3))
    assert [r.name for r in result.faults[0].right] == ["a", "mu - t", "zs"], str(result)


@pytest.mark.parametrize("fault", [f for f in FAULTS if f[0] in {"char_rnn_globals", "per_sample"}], ids=lambda f: f[2])
def test_the_line_of_np_zeros_is_neither_right_nor_wrong(fault: tuple[str, str, str, str]) -> None:
    """At the first of the times the state is 0, and so is what it contributes: a sum that starts from 0 is no more."""
    with unexplained():
        result, _ = found(*fault[:3])
    right, wrong = of_one_line(result)
    assert "zeros" not in f"{right}{wrong}", str(result)


def test_the_line_where_a_sum_starts_from_0_is_not_wrong() -> None:
    def undivided(p: Any, xs: Any, ts: Any) -> Any:
        dW, loss = np.zeros_like(p), 0.0
        for x, t in zip(xs, ts, strict=True):
            e = p @ x - t
            loss += (e**2).sum()
            dW += 2 * np.outer(e, x)
        return loss / len(xs), dW

    draw = np.random.default_rng(0)
    shapes = (2, 3), (5, 3), (5, 2)
    result = check(undivided, *(draw.standard_normal(shape) for shape in shapes))
    right, wrong = of_one_line(result)
    assert "zeros_like" not in f"{right}{wrong}"
    start = result.faults[0].wrong[0].place  # of the sum, which is right but for what nobody did afterwards
    assert result.faults[0].note == f"the factor may be put right anywhere from {start} to the return"


def test_a_missing_step_is_told_once() -> None:
    """The mean of the batch is used twice by x.mean() and once by x.var(); all of it is left out."""

    def normed(p: Any, x: Any, t: Any) -> Any:
        z = x @ p
        mean = z.mean(axis=0)
        scale = 1 / np.sqrt(z.var(axis=0) + 1e-5)
        e = (z - mean) * scale - t
        return 0.5 * np.sum(e**2), x.T @ (e * scale)

    draw = np.random.default_rng(0)
    note = check(normed, *(draw.standard_normal(shape) for shape in ((4, 3), (7, 4), (7, 3)))).faults[0].note
    parts = note.removesuffix(" is missing").split(", ")
    assert "the step back through" in note
    assert len(set(parts)) == len(parts), note


def test_a_line_that_forgot_a_step_is_not_right() -> None:
    """What dZ1's line makes is the derivative by A1, which has another line; it is dZ1's that is to be mended."""
    result, _ = found("columns", ' * (1 - np.power(cache["A1"], 2))', "")
    right, wrong = of_one_line(result)
    assert wrong[0].startswith("dZ1 = "), str(result)
    assert not any(line.startswith("dZ1 = ") for line in right)
