"""Right gradients in other forms than the derivative's own are certified: another form of a formula is no fault."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.special import erf, expit  # type: ignore[import-untyped]  # it ships no stubs

from tests.doors.of_the_field import in_dtype
from torch_mirror import check

draw = np.random.default_rng(1).standard_normal
P = {"W": draw((5, 4)), "b": draw(4)}
X = draw((7, 5))
T = (draw((7, 4)) > 0) * 1.0


def logits(p: Any, x: Any, t: Any) -> Any:
    z = x @ p["W"] + p["b"]
    d = (expit(z) - t) / t.size
    return np.mean(np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))), {"W": x.T @ d, "b": d.sum(0)}


def logits_by_logaddexp(p: Any, x: Any, t: Any) -> Any:
    z = x @ p["W"] + p["b"]
    d = (1 / (1 + np.exp(-z)) - t) / t.size
    return np.mean(np.logaddexp(0, z) - z * t), {"W": x.T @ d, "b": d.sum(0)}


def test_a_partial_has_the_name_of_its_function() -> None:
    def scaled(factor: float, p: Any, x: Any) -> Any:
        return factor * np.sum(p * x), factor * x

    result = check(partial(partial(scaled), 2.0), X[0], X[1])
    assert (result.subject, result.verdict) == ("scaled", "certified")


def elu(p: Any, x: Any, t: Any) -> Any:
    z = x @ p["W"] + p["b"]
    a = np.where(z > 0, z, np.exp(z) - 1)
    dz = (a - t) / len(x) * np.where(z > 0, 1, a + 1)
    return 0.5 * np.sum((a - t) ** 2) / len(x), {"W": x.T @ dz, "b": dz.sum(0)}


def layer_norm(p: Any, x: Any, t: Any) -> Any:
    z = x @ p["W"] + p["b"]
    s = 1 / np.sqrt(z.var(1, keepdims=True) + 1e-5)
    h = (z - z.mean(1, keepdims=True)) * s
    d, n = (h - t) / len(x), z.shape[1]
    dz = s / n * (n * d - d.sum(1, keepdims=True) - h * (d * h).sum(1, keepdims=True))
    return 0.5 * np.sum((h - t) ** 2) / len(x), {"W": x.T @ dz, "b": dz.sum(0)}


def gelu(p: Any, x: Any, t: Any) -> Any:
    z = x @ p["W"] + p["b"]
    phi = 0.5 * (1 + erf(z / np.sqrt(2)))
    d = (z * phi - t) / len(x)
    dz = d * (phi + z * np.exp(-z * z / 2) / np.sqrt(2 * np.pi))
    return 0.5 * np.sum((z * phi - t) ** 2) / len(x), {"W": x.T @ dz, "b": dz.sum(0)}


def einsum(p: Any, x: Any, t: Any) -> Any:
    d = np.einsum("ni,ij->nj", x, p["W"]) + p["b"] - t
    return 0.5 * np.einsum("ij,ij->", d, d), {"W": np.einsum("ni,nj->ij", x, d), "b": np.einsum("nj->j", d)}


def absolute(p: Any, x: Any, t: Any) -> Any:
    z = x @ p["W"] + p["b"]
    d = np.sign(z - t) / z.size
    loss = np.abs(z - t).mean() + 0.1 * np.abs(p["W"]).sum()
    return loss, {"W": x.T @ d + 0.1 * np.sign(p["W"]), "b": d.sum(0)}


def huber(p: Any, x: Any, t: Any) -> Any:
    e = x @ p["W"] + p["b"] - t
    d = np.clip(e, -1, 1)
    return np.where(np.abs(e) <= 1, 0.5 * e**2, np.abs(e) - 0.5).sum(), {"W": x.T @ d, "b": d.sum(0)}


def dropout(p: Any, x: Any, t: Any) -> Any:
    mask = (np.random.default_rng(3).random(t.shape) < 0.8) / 0.8
    z = np.maximum(x @ p["W"] + p["b"], 0) * mask
    dz = 2 * (z - t) / z.size * mask * (z != 0)
    return np.mean((z - t) ** 2), {"W": x.T @ dz, "b": dz.sum(0)}


def attention(p: Any, x: Any, t: Any) -> Any:
    q, k, v = x @ p["q"], x @ p["k"], x @ p["v"]
    s = q @ k.T / np.sqrt(q.shape[-1])
    a = np.exp(s - s.max(-1, keepdims=True))
    a /= a.sum(-1, keepdims=True)
    dy = a @ v - t
    da = dy @ v.T
    ds = a * (da - (da * a).sum(-1, keepdims=True)) / np.sqrt(q.shape[-1])
    return 0.5 * np.sum((a @ v - t) ** 2), {"q": x.T @ (ds @ k), "k": x.T @ (ds.T @ q), "v": x.T @ (a.T @ dy)}


def lstm(p: Any, xs: Any, t: Any) -> Any:
    h, c = np.zeros((1, 3)), np.zeros((1, 3))
    cache = []
    for x in xs:
        z = np.concatenate([x[None], h], 1)
        i, f, o, u = np.split(z @ p["W"] + p["b"], 4, axis=1)
        i, f, o, u = expit(i), expit(f), expit(o), np.tanh(u)
        before, c = c, f * c + i * u
        h = o * np.tanh(c)
        cache.append((z, i, f, o, u, before, c))
    loss, dh, dc = 0.5 * np.sum((h - t) ** 2), h - t, np.zeros_like(c)
    dW, db = np.zeros_like(p["W"]), np.zeros_like(p["b"])
    for z, i, f, o, u, before, c in reversed(cache):
        dc = dc + dh * o * (1 - np.tanh(c) ** 2)
        gates = [dc * u * i * (1 - i), dc * before * f * (1 - f), dh * np.tanh(c) * o * (1 - o), dc * i * (1 - u**2)]
        dg = np.hstack(gates)
        dW += z.T @ dg
        db += dg.sum(0)
        dh, dc = (dg @ p["W"].T)[:, -3:], dc * f
    return loss, {"W": dW, "b": db}


def embedding(p: Any, index: Any, y: Any) -> Any:
    s = p["E"][index] @ p["W"]
    e = np.exp(s - s.max(1, keepdims=True))
    d = e / e.sum(1, keepdims=True)
    loss = -np.log(d[np.arange(len(y)), y]).sum()
    d[np.arange(len(y)), y] -= 1
    dE = np.zeros_like(p["E"])
    np.add.at(dE, index, d @ p["W"].T)
    return loss, {"E": dE, "W": p["E"][index].T @ d}


FORMS: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    *((f, (P, X, T)) for f in (
        logits, logits_by_logaddexp, elu, layer_norm, gelu, einsum, absolute, huber, dropout,
    )),
    (attention, ({"q": draw((5, 3)), "k": draw((5, 3)), "v": draw((5, 4))}, X, T)),
    (lstm, ({"W": 0.5 * draw((8, 12)), "b": draw(12)}, draw((6, 5)), draw((1, 3)))),
    (embedding, ({"E": draw((6, 3)), "W": draw((3, 4))}, np.array([0, 2, 2, 5]), np.array([1, 0, 3, 2]))),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("function", "given"), FORMS, ids=[f.__name__ for f, _ in FORMS])
def test_another_form_of_the_right_formula_is_certified(function: Any, given: Any, dtype: str) -> None:
    result = check(function, *in_dtype(given, dtype))
    assert result.certified, str(result)
    assert result.resolution is not None
    assert result.resolution < 1e-10


@pytest.mark.parametrize(("function", "given"), FORMS, ids=[f.__name__ for f, _ in FORMS])
def test_a_millionth_more_is_not(function: Any, given: Any) -> None:
    def mine(p: Any, *data: Any) -> Any:
        loss, gradients = function(p, *data)
        return loss, {**gradients, "W" if "W" in p else "q": gradients["W" if "W" in p else "q"] * 1.000001}

    assert check(mine, *given).verdict == "refuted"


class Kept:
    """Anything with attributes."""


def in_an_object(m: Any, x: Any, t: Any) -> Any:
    e = x @ m.w + m.c - t
    g = Kept()
    g.w, g.c = 2 * x.T @ e / len(t), m.factor * e.sum() / len(t)  # type: ignore[attr-defined]  # any attributes
    return (e**2).mean(), g


def an_object(c: Any, factor: float) -> Any:
    m: Any = Kept()
    m.w, m.c, m.factor = np.array([0.3, -1.2, 0.7]), c, factor
    return m


@pytest.mark.parametrize("c", [np.array(0.3), np.float64(0.3), np.float32(0.25)], ids=["array", "float64", "float32"])
def test_a_scalar_of_numpy_s_in_an_object_is_a_parameter_and_a_gradient(c: Any) -> None:
    """The sum of an array is an np.float64, which is a float to Python, and was taken for a setting."""
    draw = np.random.default_rng(6).normal
    data = draw(size=(5, 3)), draw(size=5)
    assert [row.name for row in check(in_an_object, an_object(c, 2.0), *data).rows] == ["dw", "dc"]
    assert check(in_an_object, an_object(c, 2.0), *data).certified
    assert check(in_an_object, an_object(c, 3.0), *data).verdict == "refuted"


def test_a_plain_float_in_an_object_of_gradients_is_one_too() -> None:
    def mine(m: Any, x: Any, t: Any) -> Any:
        loss, g = in_an_object(m, x, t)
        g.c = float(g.c)
        return loss, g

    draw = np.random.default_rng(6).normal
    data = draw(size=(5, 3)), draw(size=5)
    assert check(mine, an_object(np.array(0.3), 2.0), *data).certified
    assert check(mine, an_object(np.array(0.3), 3.0), *data).verdict == "refuted"


def test_what_the_code_returns_for_one_type_alone_is_told_with_the_run_that_has_it() -> None:
    def mine(p: Any, x: Any) -> Any:
        db = 2 * p["b"] * x.sum() if type(p["b"]) is np.ndarray else None
        return (x * p["b"]**2).sum() + p["a"], {"a": 1.0, "b": db}

    result = check(mine, {"a": np.array(0.5), "b": np.array([0.3, 2.0])[:1]}, np.array([1.5, 2.5]))
    assert "db is returned in your own run alone: the code looks at types" in str(result)


def test_an_array_and_a_list_are_called_as_the_code_calls_them() -> None:
    def one(weights: Any, x: Any) -> Any:
        e = x @ weights
        return (e**2).sum(), 3 * x.T @ e

    def several(weights: Any, x: Any) -> Any:
        e = x @ weights[0] + weights[1]
        return (e**2).sum(), [3 * x.T @ e, 2 * e.sum(0)]

    x, w = np.arange(12.0).reshape(4, 3) - 4.3, np.array([[0.3, 1.0], [-0.7, 0.2], [1.1, -0.4]])
    result = check(one, w, x)
    assert [row.name for row in result.rows] == ["dweights"]
    assert "at d(weights) " in result.causes[0]
    result = check(several, [w, np.array([0.4, -0.2])], x)
    assert {row.name for row in result.rows} == {"gradients[0]", "gradients[1]"}
    assert "at d(weights[0]) " in result.causes[0]
