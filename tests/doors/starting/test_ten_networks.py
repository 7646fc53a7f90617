"""torch-mirror init on ten networks in ten styles: each is found and judged as it is, and a mistake in it is named."""

from pathlib import Path

import pytest

from tests.doors.starting.ten_networks import NETWORKS
from tests.doors.starting.test_init import folder, run, started

__all__ = ["folder"]  # a fixture that is used by itself

TOLD = {  # a line of the file that is written; what is wrong in another copy, and its cause
    "start returns a tuple": ("x = draw.normal(size=(6, p[0].shape[0]))", "(1 - h * h)", "(1 - h)", "left out"),
    "dict of zeros": ('draw.normal(size=(6, *p["W2"].shape[:-1]))', "+= np.outer(err, a)", "= np.outer(err, a)", ""),
    "arguments": ('backprop(X, y, p["W1"], p["b1"], p["W2"], p["b2"])', "dS /= N", "dS /= N - 1", "a factor"),
    "class that updates itself": ("output = net.forward(X)", "dz2 = 2 * (", "dz2 = (", "a factor 1/2"),
    "list of dicts": ("p = mine.init_network([4, 5, 3])", 'params[i]["W"].T * (1', 'params[i]["W"].T * (2', ""),
    "dataclass": ("x = draw.normal(size=(6, p.W.shape[0]))", "np.where(h > 0, dh, 0)", "dh", "mask"),
    "lists of a class": ("x = draw.normal(size=(4, 1))", "].T @ delta * s", "].T @ delta * (s + 1)", ""),
    "script": ("def loss_and_gradients(p, X, Y):", "dz1 = da1 * (z1 > 0)", "dz1 = da1", "mask"),
    "named tuple": ("xs = draw.normal(size=(2, p.Wx.shape[0]))", "dy + dnext", "dy - dnext", ""),
    "unrolled": ("p = draw.normal(size=43)", "lam / m * W1", "lam * W1", "a factor"),
}  # fmt: skip


@pytest.mark.parametrize("style", TOLD)
def test_a_style_is_found_and_its_mistake_is_told(style: str) -> None:
    line, right, wrong, cause = TOLD[style]
    text, said = started(NETWORKS[style])
    assert ": certified, each is the derivative" in said, f"{said}\n{text}"
    assert line in text, text
    Path("case.py").unlink()
    assert NETWORKS[style].count(right) == 1
    text, said = started(NETWORKS[style].replace(right, wrong), "other.py")
    assert ": refuted" in said, f"{said}\n{text}"
    assert cause in said, said


def test_the_ten_are_all_tried() -> None:
    assert {*TOLD} == {*NETWORKS}


def test_a_start_that_makes_the_data_as_well_is_asked_for_all() -> None:
    source = NETWORKS["start returns a tuple"].replace("return W1, b1, W2, b2", "return (W1, b1, W2, b2), x, t")
    source = source.replace("    W1 = rng", "    x, t = rng.normal(size=(3, 7)), rng.normal(size=(3, 2))\n    W1 = rng")
    text, said = started(source)
    assert "p, x, t = mine.start()" in text
    assert "certified, each is the derivative of the loss (4 tensors, 52 elements)" in said, said


def test_parameters_are_found_by_their_places() -> None:
    unpacked = "W1, b1, W2, b2 = params"
    places = "W1 = params[0]; b1 = params[1]; W2 = params[2]; b2 = params[3]"
    text, said = started(NETWORKS["start returns a tuple"].replace(unpacked, places))
    assert "x = draw.normal(size=(6, p[0].shape[0]))" in text
    assert "certified" in said, said


def test_a_script_of_batches_starts_with_the_first_and_an_optimizer_is_left_out() -> None:
    loops = "v1 = 0\nfor step in range(20):\n  for i in range(0, 8, 4):"
    source = NETWORKS["script"].replace("for step in range(20):", loops)
    body = source.index("    z1 =")
    inside = source[body:].replace("    ", "      ").replace("X.", "X[i:i + 4].").replace("- Y", "- Y[i:i + 4]")
    source = source[:body] + inside.replace("      W1 -=", "      v1 = 0.9 * v1 + dW1\n      print(loss)\n      W1 -=")
    text, said = started(source)
    assert "i = next(iter(range(0, 8, 4)))" in text
    assert "v1 = 0.9" not in text
    assert "print(loss)" not in text
    assert "certified" in said, said


def test_a_loss_that_is_ours_says_so() -> None:
    source = NETWORKS["lists of a class"]
    start, end = source.index("    def cost"), source.index("    def backprop")
    text, said = started(source[:start] + source[end:])
    assert "# half the squared error: put your own loss here" in text
    assert "certified" in said, said


def test_what_alone_is_judged_is_printed() -> None:
    source = """
import numpy as np
class Dense:
    def __init__(self, n, m): self.W = np.random.randn(n, m)
    def forward(self, x): self.x = x; return x @ self.W
    def backward(self, dy): self.dW = self.x.T @ dy; return dy @ self.W.T
class Net:
    def __init__(self, layers): self.layers = layers
    def forward(self, x):
        for layer in self.layers: x = layer.forward(x)
        return x
    def backward(self, dy):
        for layer in reversed(self.layers): dy = layer.backward(dy)
"""
    Path("mine.py").write_text(source, encoding="utf-8")
    result = run("init", "--from", "mine.py")
    assert "The file judges W of each layer, and nothing else" in result.output, result.output
    assert "The file judges W of each layer, and nothing else" in Path("case.py").read_text(encoding="utf-8")
