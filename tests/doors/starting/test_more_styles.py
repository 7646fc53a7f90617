"""torch-mirror init: nested parameters, lists of layers, what a file makes itself, and files that are none."""

import os
from pathlib import Path

import pytest

from tests.doors.starting.test_init import folder, run, started, without

__all__ = ["folder"]  # a fixture that is used by itself

NESTED = """
import numpy as np
def loss(params, x, t):
    h = np.tanh(x @ params["l1"]["W"] + params["l1"]["b"])
    y = h @ params["l2"]["W"] + params["l2"]["b"]
    dy = 2 * (y - t) / y.size
    dz = dy @ params["l2"]["W"].T * (1 - h**2)
    l1 = {"W": x.T @ dz, "b": dz.sum(axis=0)}
    return ((y - t)**2).mean(), {"l1": l1, "l2": {"W": h.T @ dy, "b": dy.sum(axis=0)}}
"""
LAYERS = without("layer_objects", "loss", "init")
OF_SIZES = """
import numpy as np
def init_params(layer_dims, seed=3):
    draw, p = np.random.RandomState(seed), {}
    for l in range(1, len(layer_dims)):
        p[f"W{l}"], p[f"b{l}"] = draw.randn(layer_dims[l], layer_dims[l - 1]), np.zeros((layer_dims[l], 1))
    return p
def forward(X, params):
    A, caches, L = X, [], len(params) // 2
    for l in range(1, L + 1):
        Z = params[f"W{l}"] @ A + params[f"b{l}"]
        caches.append((A, Z))
        A = np.tanh(Z) if l < L else 1 / (1 + np.exp(-Z))
    return A, caches
def compute_cost(A, Y):
    return -(Y * np.log(A) + (1 - Y) * np.log(1 - A)).sum() / Y.shape[1]
def backward(A, Y, caches, params):
    g, dZ = {}, (A - Y) / Y.shape[1]
    for l in range(len(caches), 0, -1):
        A, Z = caches[l - 1]
        g[f"W{l}"], g[f"b{l}"] = dZ @ A.T, dZ.sum(1, keepdims=True)
        dZ = params[f"W{l}"].T @ dZ * (1 - A**2)
    return g
"""
OWN_MAKERS = """
import numpy as np
def loss_and_gradients(params, x, t):
    W, v = params
    h = np.tanh(np.sin(x)[:, None] * W)
    d = h @ v - t
    dh = 2 * d[:, None] * v / len(t) * (1 - h**2)
    return (d**2).mean(), [(dh * np.sin(x)[:, None]).sum(0), 2 * h.T @ d / len(t)]
def start(seed=0):
    return list(np.random.default_rng(seed).normal(size=(2, 7)))
def data(n=9, seed=1):
    return np.linspace(-1, 1, n), np.random.default_rng(seed).normal(size=n)
"""
NO_PRODUCT = OWN_MAKERS[: OWN_MAKERS.index("def data")] + "x, t = np.linspace(-1, 1, 5), np.ones(5)\n"
TINY = """
import numpy as np
class Net:
    def __init__(self): self.W = np.random.randn(3, 2)
    def forward(self, x): self.x = x; return x @ self.W
    def loss(self, x, t): self.d = self.forward(x) - t; return (self.d ** 2).sum()
    def backward(self): return {"W": self.x.T @ (2 * self.d)}
"""
ONE_LINE = """
import numpy as np
def loss_and_grad(params, X, y):
    W1, W2, N = params["W1"], params["W2"], len(X)
    h = np.maximum(0, X.dot(W1)); s = h.dot(W2); p = np.exp(s); p /= p.sum(1, keepdims=True)
    d = p.copy(); d[np.arange(N), y] -= 1; d /= N
    return -np.log(p[np.arange(N), y]).mean(), {"W1": X.T.dot(d.dot(W2.T) * (h > 0)), "W2": h.T.dot(d)}
"""
ODD_NAMES = """
def loss(p, x, t):
    d = x @ p['a"b'] + p["c\\n"] - t
    return (d**2).mean(), {'a"b': 2 * x.T @ d / d.size, "c\\n": 2 * d.sum(0) / d.size}
"""
VECTOR = """
def loss(W, X, y):
    e = X.dot(W) - y
    return e.dot(e) / len(y), 2 * X.T.dot(e) / len(y)
"""

STYLES = [
    ("nested dicts", NESTED, '    "l1": {\n        "W": draw.normal(size=(4, 5)),', 'x = draw.normal(size=(6, p["l1"]'),
    ("a list of layers", LAYERS, 'NAMES = {"W": "dW", "b": "db"}', "mine.Dense(draw.normal(size=(5, 3)"),
    ("a net of the module", LAYERS + "\nnet = Model([Dense(np.ones((4, 3)), np.zeros((1, 3)))])\n",
     "net = mine.net\n", "t = draw.normal(size=(6, "),
    ("names made of numbers", OF_SIZES, "p = mine.init_params([4, 5, 3])", "X = draw.normal(size=(4, 6))"),
    ("start and data", OWN_MAKERS, "p = mine.start()", "x, t = mine.data()"),
    ("data of the module", NO_PRODUCT, "p = mine.start()", "x, t = mine.x, mine.t"),
    ("a class whose loss calls forward", TINY, "net = mine.Net()", "gradients = net.backward()"),
    ("two products in a line", ONE_LINE, '"W2": draw.normal(size=(5, 3))', 'p["W2"].shape[1], size=6)'),
    ("odd names", ODD_NAMES, r'"a\"b": draw.normal(size=', r'"c\n": draw.normal(size='),
    ("a squared vector", VECTOR, "p = draw.normal(size=4)", "y = draw.normal(size=(6, *p.shape[1:]))"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "one", "other"), [row[1:] for row in STYLES], ids=[row[0] for row in STYLES])
def test_a_style_is_found_and_runs_as_it_is(source: str, one: str, other: str) -> None:
    text, said = started(source)
    assert ": certified, each is the derivative" in said, f"{said}\n{text}"
    assert one in text, text
    assert other in text, text


@pytest.mark.parametrize(
    ("source", "right", "wrong", "told"),
    [
        (NESTED, "h.T @ dy", "h.T @ dy / 2", "a factor 1/2"),
        (LAYERS, "self.x.T @ grad", "-self.x.T @ grad", "a factor -1"),
        (OWN_MAKERS, "(1 - h**2)", "(1 - h)", "the square left out"),
    ],
    ids=["nested", "layers", "own makers"],
)
def test_a_mistake_in_the_file_is_found(source: str, right: str, wrong: str, told: str) -> None:
    assert source.count(right) == 1
    text, report = started(source.replace(right, wrong))
    assert "refuted" in report, f"{report}\n{text}"
    assert told in report, report


def test_a_gradient_of_a_layer_without_its_weight_stops_the_file() -> None:
    source = LAYERS.replace("self.dW =", "self.dK =") + "\nnet = Model([Dense(np.ones((4, 3)), np.zeros((1, 3)))])\n"
    Path("mine.py").write_text(source, encoding="utf-8")
    result = run("init", "--from", "mine.py", "-o", "case.py")
    assert (result.exit_code, "Not judged: dK" in result.output) == (1, True), result.output


def test_a_function_with_an_argument_by_name_alone_is_not_called_without_it() -> None:
    Path("mine.py").write_text(NESTED.replace("x, t):", "x, t, *, k):"), encoding="utf-8")
    assert run("init", "--from", "mine.py", "-o", "case.py").exit_code == 1


@pytest.mark.parametrize(
    ("source", "came"),
    [("x = " + "1 + " * 100_000 + "1", "nested less deeply, got"), ("x = " + "-" * 100_000 + "1", "got")],
    ids=["a long sum", "many signs"],
)
def test_code_that_is_nested_too_deeply_is_a_message(source: str, came: str) -> None:
    Path("deep.py").write_text(source, encoding="utf-8")
    result = run("init", "--from", "deep.py")
    assert (result.exit_code, came in result.output, "please report" in result.output) == (2, True, False)


def test_a_pipe_is_not_waited_for() -> None:
    os.mkfifo("pipe.py")
    result = run("init", "--from", "pipe.py")
    assert (result.exit_code, "expected a file that can be read, got a pipe or a device" in result.output) == (2, True)

KEPT = """
import numpy as np
class Net: pass
draw = np.random.default_rng(1)
net = Net()
def mine(params, x, t):
    vars(net).update(params)
    net.h = np.tanh(x @ net.W)
    e = net.h @ net.v - t
    net.dv = 2 * net.h.T @ e / len(t)
    net.dW = x.T @ (2 * np.outer(e, net.v) / len(t) * (1 - net.h**2))
    return (e**2).mean(), {"W": net.dW, "v": net.dv}
start = {"W": draw.normal(size=(4, 3)), "v": draw.normal(size=3)}
"""
CALLED = KEPT.replace('{"W": net.dW, "v": net.dv}', "dict(W=net.dW, v=net.dv)")
GLOBALS = """
import numpy as np
W = b = None
def loss_and_grads(x, t):
    e = x @ W + b - t
    return (e**2).mean(), dict(W=2 * x.T @ e / len(t), b=2 * e.mean())
kept = dict(W=np.array([0.3, -1.2, 0.7]), b=np.array(0.1))
"""
OBJECT = """
import numpy as np
class Factors: pass
def cost(m, x, t):
    g = Factors()
    e = m.U @ x + m.c - t
    g.U, g.c = np.zeros_like(m.U), 2 * e
    g.U += 2 * e * x
    return e**2, g
m = Factors()
m.U, m.c = np.array([0.3, -1.2]), np.array(0.4)
x, t = np.array([1.5, 0.5]), np.array(0.7)
"""


@pytest.mark.parametrize(
    ("source", "line"),
    [(KEPT, "p = mine.start\n"), (CALLED, "p = mine.start\n"), (GLOBALS, "p = mine.kept\n"), (OBJECT, "p = mine.m\n")],
)
def test_gradients_of_attributes_in_a_dict_or_an_object_are_found(source: str, line: str) -> None:
    text, said = started(source)
    assert line in text
    assert ": certified" in said, text + said


def test_a_dict_with_other_names_is_none_of_the_parameters() -> None:
    text, _ = started(KEPT.replace('"W": draw', '"M": draw'))
    assert "mine.start" not in text
    assert '"W": draw.normal(size=(4, 5)),  # a guess' in text, text
