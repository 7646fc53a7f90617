"""Blame: mistakes planted in networks of the field are found at their line, with all that follows and nothing else."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.doors.of_the_field import NETWORKS, claim
from tests.doors.planting import line_of, planted
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


CAUSES = {
    ("dicts", 'REG * p["W2"], "b2"'): "a factor 1/2 at d(W2^2) * (2 * W2)",
    ("dicts", "dhidden[hidden > 0] = 0"): "mask (((X @ W1) + b1) > 0) inverted",
    ("dicts", "X.T.dot(dhidden) -"): "a factor -1 at d(W1^2) * (2 * W1)",
    ("dicts", "dscores[np.arange(N), y] -= 2"): "a factor 2 at d(probs / sum(probs)) in",
    ("dicts", "dscores[np.arange(N - 1), y[:-1]] -= 1"): "last of axis 0 of d(probs / sum(probs)) in",
    ("dicts", "np.mean(dhidden, axis=0)"): "mean for sum in d(b1)",
    ("pairs", "delta = error / x.size"): "a factor 0.25 (here 1/(x.shape[1] or p[0][0].shape[0])) at d(error)",
    ("pairs", "(1 - activations[i])"): "the square left out of (1 - tanh(",
    ("pairs", "(delta @ W.T[:, ::-1])"): "p[2][0].T reversed along axis 1, and p[1][0].T reversed along axis 1",
    ("pairs", "delta[0]"): "only the first row of d(",
    ("columns", 'dZ2 = (cache["A2"] - Y) / m'): "a factor 1/6 (here 1/N, N the batch) at d(Z2)",
    ("columns", "dW1 = np.dot(dZ1, X.T)"): "a factor 6 (here N, N the batch) at d(W1)",
    ("columns", '1 - np.power(cache["Z1"], 2)'): "1 - Z1^2 for (1 - A1^2)",
    ("columns", "db1 = np.ones((5, 1)) * np.sum(dZ1)"): "d(b1) summed over all axes",
    ("columns", 'np.dot(dZ2, cache["Z1"].T)'): "Z1 for A1",
    ("layer_objects", "grad, 0 * grad)"): "term d(0.125 * ((x @ p[0]) + p[1])) * 0.125 left out of",
    ("layer_objects", "grad.mean(axis=0, keepdims=True)"): "a factor 1/6 (here 1/N, N the batch) at d(p[3])",
    ("two_layer_class", 'grads["W1"] += 2 * self.reg * W1'): "a factor 2 at d(W1^2) * (2 * W1)",
    ("char_rnn_globals", "(1 - hs[t]) * dh"): "the square left out of (1 - hs[t]^2), in each turn",
    ("char_rnn_globals", "dh = np.dot(Why.T, dy)"): "term Whh.T @ d(",
    ("char_rnn_globals", "np.dot(dhraw, hs[t].T)"): "hs[t] of another turn for hs[t], in each turn",
    ("char_rnn_globals", "dby += 2 * dy"): "a factor 2 at d(by)",
    ("char_rnn_globals", "dhnext = np.dot(Whh, dhraw)"): "Whh.T transposed, in each turn",
    ("convolution", "(flat @ cols.T).reshape(w.shape)[:, :, ::-1]"): "d(K2) reversed along axis 2, in each turn",
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


def found(name: str, right: str, wrong: str) -> tuple[Checked, ModuleType]:
    module = planted(NETWORKS[name][0], right, wrong)
    return check(*claim(name, module)), module


@pytest.mark.parametrize(("name", "right", "wrong", "gradients"), FAULTS, ids=[f"{f[0]}: {f[2]}" for f in FAULTS])
def test_a_planted_mistake_is_found_at_its_line(name: str, right: str, wrong: str, gradients: str) -> None:
    result, module = found(name, right, wrong)
    names = {row.name.replace("d", "", 1) for row in result.rows if row.word == "WRONG"}
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
    return (f"p[{first}]" if first.isdigit() else first) + "".join(f"[{part}]" for part in rest)


@pytest.mark.parametrize("fault", [f for f in FAULTS if len(f[3].split()) > 1][:12], ids=lambda f: f"{f[0]}: {f[2]}")
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
    assert "it is computed nowhere: the derivative of" in str(result)
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
