"""torch-mirror init on loops: what stands in the wrong order there is not put right by copying it.

Each source is right but for the one thing that its name tells; the lines of its loop are judged as they would run.
"""

import re
from pathlib import Path

import pytest

from tests.doors.starting.test_init import folder, started
from tests.doors.starting.test_loops import GIVEN

__all__ = ["folder"]  # a fixture that is used by itself

BEFORE = """
import numpy as np
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(9, 3)), rng.normal(size=(9, 2))
W1, W2 = rng.normal(size=(3, 4)), rng.normal(size=(4, 2))
lr, v2, params = 0.1, 0.0, [W1, W2]
"""
FORWARD = """
    h = np.tanh(X @ W1)
    out = h @ W2
    loss = np.mean((out - Y) ** 2)
    d = 2 * (out - Y) / Y.size
    dW2 = h.T @ d
"""
EARLY = BEFORE + "{before}\nfor epoch in range(9):\n    {first}" + FORWARD + """
    {early}
    dz = d @ W2.T * (1 - h ** 2)
    {between}
    dW1 = X.T @ dz
    W1 -= lr * dW1
    {late}
"""  # fmt: skip
PLACES = ("before", "first", "early", "between", "late")


def early(**lines: str) -> str:
    return EARLY.format(**{place: lines.get(place, "pass" if place != "before" else "") for place in PLACES})


SGD = "def sgd(w, dw):\n    w -= lr * dw"
OPT = "class Opt:\n    def step(self, w, dw):\n        w -= lr * dw\nopt = Opt()"
KEEPS = (
    "class Opt:\n    def __init__(self, ws):\n        self.ws = ws\n"
    "    def step(self, i, dw):\n        self.ws[i] -= lr * dw\nopt = Opt([W1, W2])"
)
GLOBAL = "def update():\n    global W2\n    W2 = W2 - lr * dW2"
HIDDEN = "def hidden(x):\n    return np.tanh(x @ W1)"
SCALE = "def scale(x):\n    x /= 2.0\ndef halve():\n    global X\n    X = X / 2"
TRAIN = """
import numpy as np
def train(X, y, hidden=5, epochs=10, lr=0.5):
    params = {"W1": np.random.randn(X.shape[1], hidden), "W2": np.random.randn(hidden, 2)}
    for epoch in range(epochs):
        h = np.tanh(X @ params["W1"])
        out = h @ params["W2"]
        loss = np.mean((out - y) ** 2)
        d = 2 * (out - y) / out.size
        grads = {"W2": h.T @ d}
        EARLY
        grads["W1"] = X.T @ (d @ params["W2"].T * (1 - h**2))
        for k in params:
            params[k] -= lr * grads[k]
    return params
"""


@pytest.mark.parametrize(
    "source",
    [
        early(early="W2 -= lr * dW2"), early(early="W2 = W2 - lr * dW2"), early(early="W2[:] = W2 - lr * dW2"),
        early(early="v2 = 0.9 * v2 - lr * dW2; W2 += v2"), early(early="np.subtract(W2, lr * dW2, out=W2)"),
        early(early="params[1] -= lr * dW2"), early(before="V = W2.T", early="V -= lr * dW2.T"),
        early(early="for w, g in ((W2, dW2),): w -= lr * g"),
        early(early="for w, g in zip(params[1:], [dW2]): w -= lr * g"),
        early(before=SGD, early="sgd(W2, dW2)"), early(before=OPT, early="opt.step(W2, dW2)"),
        early(before=SGD, early="if epoch >= 0: sgd(w=W2, dw=dW2)"), early(before=SGD, early="sgd(params[1], dW2)"),
        early(before=GLOBAL, early="update()"), early(before=KEEPS, early="opt.step(1, dW2)"),
        TRAIN.replace("EARLY", 'params["W2"] -= lr * grads["W2"]'),
        GIVEN.replace("    dz = dy", "    if lr > 0: W2 = W2 - lr * dW2\n        dz = dy"),
        TRAIN.replace("EARLY", "for k in grads: params[k] -= lr * grads[k]"),
    ],
)  # fmt: skip
def test_a_parameter_that_is_written_before_a_gradient_reads_it_is_told_and_refuted(source: str) -> None:
    text, said = started(source)
    told = re.search(r'(W2|params\["W2"\]) is written in line (\d+), before line\s(\d+)\sreads\sit\sfor', text)
    assert told is not None, text
    lines = source.splitlines()
    assert re.search("dy? @ ", lines[int(told[3]) - 1]), told[0]
    assert int(told[2]) < int(told[3])
    assert re.search("refuted, d(p.)?W1 is not", said), f"{said}\n{text}"


def test_data_that_are_changed_between_the_passes_stay_changed() -> None:
    for line in ("scale(X)", "X *= 0.5", "X = X / 2", "scale(x=X)", "halve()"):
        text, said = started(early(before=SCALE, early=line))
        assert f"    {line}\n" in text
        assert "refuted, dW1 is not" in said, f"{said}\n{text}"
        Path("case.py").unlink()


@pytest.mark.parametrize(
    "source",
    [
        early(between="W2 -= lr * dW2"), early(late="W2 -= lr * dW2; loss = np.mean((np.tanh(X @ W1) @ W2 - Y) ** 2)"),
        early(first="W2 *= 0.99", late="W2 -= lr * dW2"), early(early="print(W2.shape, W2)", late="W2 -= lr * dW2"),
        early(early="dead = np.zeros_like(W2)", between="W2 -= lr * dW2"),
        early(before=HIDDEN, late="W2 -= lr * dW2").replace("h = np.tanh(X @ W1)", "h = hidden(X)"),
        early(before=SGD, late="sgd(W1, dW1); sgd(W2, dW2)"),
        TRAIN.replace("EARLY", "history = []"),
    ],
)  # fmt: skip
def test_updates_in_the_right_order_are_left_out(source: str) -> None:
    text, said = started(source)
    assert ": certified" in said, f"{said}\n{text}"
    assert "is written in line" not in text
    assert "lr" not in text.partition("def loss_and_gradients")[2]


SUMS = """
import numpy as np
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(9, 3)), rng.normal(size=(9, 1))
W, lr = rng.normal(size=(3, 1)), 0.1
dW = np.zeros_like(W)
for epoch in range(3):
    FIRST
    for i in range(9):
        INNER
        x, y = X[i:i + 1], Y[i:i + 1]
        e = x @ W - y
        loss = (e ** 2).sum()
        dW += 2 * x.T @ e
        LAST
    OUTER
"""


def sums(**lines: str) -> str:
    text = SUMS
    for place in ("FIRST", "INNER", "LAST", "OUTER"):
        text = text.replace(place, lines.get(place.lower(), "pass"))
    return text


UPDATE = "W -= lr * dW"
DICT_SUMS = TRAIN.replace("EARLY", "FIRST").replace("for epoch", 'grads = {"W1": 0.0, "W2": 0.0}\n    for epoch')
DICT_SUMS = DICT_SUMS.replace('grads = {"W2": h.T @ d}', 'grads["W2"] = h.T @ d')
DICT_SUMS = DICT_SUMS.replace('grads["W1"] = X.T', 'grads["W1"] += X.T')


@pytest.mark.parametrize(
    "source",
    [
        sums(last=UPDATE), sums(outer=UPDATE), sums(last="W = W - lr * dW"), sums(last=f"if i % 4 == 3: {UPDATE}"),
        sums(inner="if i == 0: dW = np.zeros_like(W)", last=UPDATE), sums(first="dW[:] = 0", last=UPDATE),
        sums(last=UPDATE).replace("dW +=", "dW = dW +"), sums(last=UPDATE).replace("dW +=", "dW = 0.9 * dW +"),
        DICT_SUMS.replace("FIRST", "pass"),
    ],
)  # fmt: skip
def test_a_gradient_that_is_never_set_back_is_told_and_refuted(source: str) -> None:
    text, said = started(source)
    told = re.search(r'(dW|grads\["W1"\]) is added to in line (\d+) and\snever\sset\sback\sto\s0', text)
    assert told is not None, text
    assert re.search(r"^ *(dW|grads\[.W1.\]) (\+?=) .*X?x?\.T", source.splitlines()[int(told[2]) - 1])
    assert re.search("refuted, d(p.)?W1? is not", said), f"{said}\n{text}"


@pytest.mark.parametrize(
    "source",
    [
        sums(first="dW = np.zeros_like(W)", outer=UPDATE), sums(outer=f"{UPDATE}; dW = 0 * W"),
        sums(inner="dW[...] = 0", last=UPDATE), sums(last=f"{UPDATE}; dW.fill(0)"), sums(inner="dW *= 0", last=UPDATE),
        sums(last=f"if i % 4 == 3: {UPDATE}; dW[:] = 0"), sums(inner="for g in (dW,): g.fill(0)", last=UPDATE),
        DICT_SUMS.replace("FIRST", 'grads["W1"] = np.zeros_like(params["W1"])'),
    ],
)  # fmt: skip
def test_a_gradient_that_is_set_back_is_not(source: str) -> None:
    text, said = started(source)
    assert ": certified" in said, f"{said}\n{text}"
    assert "never set back" not in " ".join(text.split())
