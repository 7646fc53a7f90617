"""torch-mirror init drops no gradient: the parameter is found, or it is told and nothing is certified."""

import sys
from pathlib import Path

import pytest

from tests.doors.starting.test_init import folder, left_open, run, started

__all__ = ["folder"]  # a fixture that is used by itself

NAMES = """
import numpy as np
rng = np.random.default_rng(0)
W1 = WEIGHT
b1 = np.zeros(6)
def lossfun(x, t):
    z = x @ W1 + b1
    d = 2 * (z - t) / len(x)
    dW1 = SIGNx.T @ d
    db1 = d.sum(0)
    return ((z - t) ** 2).sum() / len(x), dW1, db1
"""
WAYS = [
    "np.random.randn(5, 6)", "np.random.randn(5, 6) * 0.01", "rng.normal(size=(5, 6))",
    "0.1 * rng.normal(size=(5, 6))",
    "np.sqrt(2 / 5) * rng.standard_normal((5, 6))", "rng.normal(0, 0.6, (5, 6)) / np.sqrt(5)",
    "-np.ones((5, 6)).copy()", "(lambda n, m: np.ones((n, m)))(5, 6)",
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sign", ["", "-"], ids=["right", "wrong"])
def test_a_weight_is_found_however_it_is_made(way: str, sign: str) -> None:
    text, said = started(NAMES.replace("WEIGHT", way).replace("SIGN", sign))
    assert '"W1": dW1, "b1": db1}' in text
    first = "refuted, dW1 is not the derivative" if sign else "certified, each is the derivative of the loss (2 tensors"
    assert first in said, said


RETURNS = {
    "a tuple inside": "return loss, (dW1, db1)",
    "a list by name": "g = [dW1, db1]\n    return loss, g",
    "a dict": 'return loss, {"W1": dW1, "b1": db1}',
    "a dict of dW": 'g = {}\n    g["dW1"], g["db1"] = dW1, db1\n    return loss, g',
    "other names": "grad_W1, b1_grad = dW1, db1\n    return loss, grad_W1, b1_grad",
    "the loss last": "return dW1, db1, loss",
}


def returning(line: str, sign: str = "") -> str:
    """The network, with another last line."""
    body = NAMES.replace("WEIGHT", "rng.normal(size=(5, 6)) * 0.1").replace("SIGN", sign)
    return body[: body.index("    return")] + f"    loss = ((z - t) ** 2).sum() / len(x)\n    {line}\n"


@pytest.mark.parametrize("line", RETURNS.values(), ids=RETURNS)
def test_all_that_is_returned_is_judged_however_it_is_returned(line: str) -> None:
    text, said = started(returning(line))
    assert "certified, each is the derivative of the loss (2 tensors, 36 elements)" in said, f"{said}\n{text}"
    Path("case.py").unlink()
    text, said = started(returning(line, "-"), "other.py")
    assert "refuted, dW1 is not the derivative" in said, f"{said}\n{text}"


LOST = {
    "another name": ("return loss, dV1, db1", "dV1"),
    "no name": ("return loss, x.T @ d, db1", "x.T @ d"),
    "in a dict": ('return loss, {"V1": dW1, "b1": db1}', "V1"),
    "in a tuple": ("return loss, (db1, dV1)", "dV1"),
    "of an argument": ("return loss, dx, db1", "dx"),
}


@pytest.mark.parametrize(("line", "lost"), LOST.values(), ids=LOST)
def test_a_gradient_without_a_parameter_is_told_and_nothing_is_certified(line: str, lost: str) -> None:
    source = returning(f"dV1, dx = dW1, d @ W1.T\n    {line}")
    text, result, report = left_open(source)
    assert f"Not judged: {lost}. The parameter was not found" in result
    assert f"Not judged: {lost}. The parameter was not found" in text.split('"""')[1]
    assert "certified" not in report
    assert f"NotImplementedError: {lost}: returned by lossfun, and which parameter it is of was not found" in report


def test_the_line_that_stops_is_deleted_and_the_rest_is_judged() -> None:
    text, *_ = left_open(returning("dist = 1.0\n    return loss, dW1, db1, dist"))
    start, end = text.index("    raise NotImplementedError("), text.index("    vars(mine)")
    Path("case.py").write_text(text[:start] + text[end:], encoding="utf-8")
    sys.modules.pop("case", None)
    assert "certified, each is the derivative of the loss (2 tensors" in run("check", "case.py:case").output


CLASS = """
import numpy as np
class Net:
    def __init__(self):
        self.W = np.random.randn(3, 2) * 0.1
        self.b: np.ndarray = np.ones(2)
    def forward(self, x):
        self.x = x
        self.y = x @ self.W + self.b
        return self.y
    def LOSS
    def BACKWARD
"""
BY_ITSELF = """loss(self, x, t):
        self.d = self.forward(x) - t
        return (self.d ** 2).sum()"""
OF_OUTPUT = BY_ITSELF.replace("x, t", "y, t").replace("self.forward(x)", "y")
OF_TARGET = BY_ITSELF.replace("x, t", "t").replace("self.forward(x)", "self.y")
DICT = """backward(self):
        return {"W": self.x.T @ (2 * self.d), "b": 2 * self.d.sum(0)}"""
TUPLE = """backward(self):
        dW, db = self.x.T @ (2 * self.d), 2 * self.d.sum(0)
        return dW, db"""
KEPT = """backward(self):
        self.dW, self.db = self.x.T @ (2 * self.d), 2 * self.d.sum(0)"""
FILLED = """backward(self):
        G = self.grads = {}
        G["W"], G["b"] = self.x.T @ (2 * self.d), 2 * self.d.sum(0)
        return G"""
OF_DATA = DICT.replace("backward(self)", "backward(self, x, t)").replace("self.x.T", "x.T")
CLASSES = {
    "a dict": (BY_ITSELF, DICT), "a tuple": (BY_ITSELF, TUPLE), "attributes": (BY_ITSELF, KEPT),
    "a dict that is filled": (BY_ITSELF, FILLED), "backward of the data": (BY_ITSELF, OF_DATA),
    "loss of the output": (OF_OUTPUT, DICT), "loss of the target": (OF_TARGET, KEPT),
}  # fmt: skip


@pytest.mark.parametrize(("loss", "backward"), CLASSES.values(), ids=CLASSES)
def test_a_class_with_loss_and_backward_is_found(loss: str, backward: str) -> None:
    source = CLASS.replace("LOSS", loss).replace("BACKWARD", backward).replace("def def ", "def ")
    text, said = started(source)
    assert "certified, each is the derivative of the loss (2 tensors, 8 elements)" in said, f"{said}\n{text}"
    Path("case.py").unlink()
    text, said = started(source.replace("2 * self.d.sum(0)", "self.d.sum(0)"), "other.py")
    assert "refuted, db is not the derivative" in said, f"{said}\n{text}"


@pytest.mark.parametrize("backward", [DICT, TUPLE, KEPT], ids=["a dict", "a tuple", "attributes"])
def test_a_gradient_of_a_class_without_a_parameter_is_told_and_nothing_is_certified(backward: str) -> None:
    source = CLASS.replace("LOSS", BY_ITSELF).replace("BACKWARD", backward)
    hidden = source.replace("self.b: np.ndarray = np.ones(2)", "setattr(self, 'b', np.ones(2))")
    text, result, report = left_open(hidden)
    assert "Not judged: " in result
    assert "returned by Net.backward" in text
    assert "certified" not in report
    assert "NotImplementedError" in report


def test_each_line_of_a_guessed_shape_says_so() -> None:
    text, _ = started("def loss_grad(w, x, t):\n    e = x @ w - t\n    return (e**2).mean(), 2 * x.T @ e / len(x)\n")
    drawn = [line for line in text.splitlines() if "draw." in line]
    assert len(drawn) == 3
    assert all(line.endswith("# a guess") for line in drawn), drawn
