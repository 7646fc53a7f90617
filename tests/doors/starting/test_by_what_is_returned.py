"""torch-mirror init goes by what is returned, by any name: dicts, lists, objects; and layers of two outputs."""

from pathlib import Path

import pytest

from tests.doors.starting.test_init import folder, left_open, started

__all__ = ["folder"]  # a fixture that is used by itself

NET = """
import numpy as np
class P:
    def __init__(self, W, b):
        self.W, self.b = W, b
def net(p, x, t):
    FIRST
    e = x @ p['W'] + p['b'] - t
    loss = (e ** 2).mean()
    dW, db = 2 * x.T @ e / e.size, 2 * e.sum(axis=0) / e.size
    LAST
    return loss, g
"""


def net(last: str, first: str = "pass", returned: str = "g") -> str:
    text = NET.replace("FIRST", first).replace("LAST", last).replace("return loss, g", f"return loss, {returned}")
    return text if "P(" not in returned else text.replace("p['W']", "p.W").replace("p['b']", "p.b")


NESTED = net("pass", returned="{'l': {'W': dW, 'b': db}}").replace("p['", "p['l']['")
FILLED = net("g = P(None, None); g.W = dW; g.b = db").replace("p['W']", "p.W").replace("p['b']", "p.b")
DATA = """
import numpy as np
def net(p, data, t):
    e = data["x"] @ p["W"] - t
    return (e ** 2).mean(), {"W": data["x"].transpose((1, 0)) @ (2 * e) / e.size}
p = {"W": np.ones((4, 2))}
data, t = {"x": np.linspace(0, 1, 12).reshape(3, 4)}, np.linspace(0, 1, 6).reshape(3, 2)
"""
LAYERS = """
import numpy as np
def net(layers, x, t):
    a, acts = x, [x]
    for W, b in layers:
        a = np.tanh(a @ W + b)
        acts.append(a)
    d = 2 * (a - t) / a.size
    g = []
    for (W, b), x_, a_ in zip(reversed(layers), reversed(acts[:-1]), reversed(acts[1:])):
        d = d * (1 - a_ ** 2)
        g.append((x_.T @ d, d.sum(axis=0)))
        d = d @ W.T
    return ((a - t) ** 2).mean(), g[::-1]
"""
COST = """
import numpy as np
class Net:
    def __init__(self, W, b):
        self.W, self.b = W, b
    def cost(self, x, t):
        self.x, self.e = x, x @ self.W + self.b - t
        return (self.e ** 2).mean()
    def grads(self):
        return 2 * self.x.T @ self.e / self.e.size, 2 * self.e.sum(axis=0) / self.e.size
"""
ONE_NAMED = COST.replace("return 2 * self.x.T", "dW = 2 * self.x.T").replace("e.size, 2", "e.size; return dW, 2")
FLOW = """
import numpy as np
class Coupling:
    def __init__(self, d, flip, rng):
        self.Ws, self.Wt, self.flip = rng.normal(size=(d, d)), rng.normal(size=(d, d)), flip
    def forward(self, x):
        self.a, self.b = np.split(x, 2, axis=1)
        self.s = np.tanh(self.a @ self.Ws)
        y = self.b * np.exp(self.s) + self.a @ self.Wt
        return np.concatenate([self.a, y], axis=1), self.s.sum(axis=1)
    def backward(self, dout, dlog):
        da, dy = np.split(dout, 2, axis=1)
        ds = (dy * self.b * np.exp(self.s) + dlog[:, None]) * (1 - self.s ** 2)
        self.dWs, self.dWt = self.a.T @ ds, self.a.T @ dy
        return np.concatenate([da + ds @ self.Ws.T + dy @ self.Wt.T, dy * np.exp(self.s)], axis=1)
def make(rng):
    return [Coupling(2, False, rng), Coupling(2, True, rng)]
"""


@pytest.mark.parametrize(
    ("source", "right", "wrong"),
    [
        (net("g['W'], g['b'] = dW, db", "g = {}"), "2 * x.T", "3 * x.T"),
        (net("g['W'] += dW; g['b'] += db", "g = {k: np.zeros_like(v) for k, v in p.items()}"), "2 * x.T", "3 * x.T"),
        (net("g = dict(dW=dW, db=db)"), "2 * x.T", "3 * x.T"), (net("pass", returned="P(dW, db)"), "2 * x.T", "x.T"),
        (FILLED, "2 * x.T", "x.T"), (ONE_NAMED, "2 * self.x", "self.x"), (DATA, "2 * e", "e"),
        (NESTED, "2 * x.T", "3 * x.T"), (LAYERS, "d * (1 - a_ ** 2)", "d"), (COST, "2 * self.x", "self.x"),
        (FLOW, " + dlog[:, None]", ""), (NET.replace("FIRST", "g = {}").replace("LAST", "g['W'], g['b'] = dW, db")
        + "p = {k: np.ones(s) for k, s in dict(W=(4, 7), b=7).items()}", "2 * x.T", "3 * x.T"),
    ],
    ids=["empty dict", "comprehension", "dict of d", "object", "filled object", "one named", "own data", "nested",
         "rows", "cost and grads", "flow", "own p"],
)  # fmt: skip
def test_gradients_are_found_by_what_is_returned(source: str, right: str, wrong: str) -> None:
    text, said = started(source)
    assert ": certified" in said, f"{said}\n{text}"
    assert ("\np = mine.p\n" in text) == ("\np = " in source)
    assert source.count(right) == 1
    Path("case.py").unlink()
    text, said = started(source.replace(right, wrong), "other.py")
    assert ": refuted" in said, f"{said}\n{text}"


@pytest.mark.parametrize(
    "source",
    [
        LAYERS.replace("def net", "def forward").replace("g[::-1]", "acts"),
        LAYERS.replace("g[::-1]", "acts"), net("pass", "g = {'h': p}"),
        FLOW.replace("dlog", "cache"),
    ],
    ids=["states of a forward pass", "states", "a cache", "a class with a cache"],
)  # fmt: skip
def test_what_is_returned_beside_a_loss_need_not_be_gradients(source: str) -> None:
    text, said, _ = left_open(source)
    assert "example_of_ours" in text
    assert "In mine.py none of the ways is recognised in which networks are written" in said
    assert "looked for was a function of p, params or weights that returns a loss and its gradients" in said
