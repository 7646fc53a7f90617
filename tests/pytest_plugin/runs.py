"""Runs of pytest on files such as users write: what such a file begins with, and what comes of it."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

GIVEN = """
import numpy as np
import torch_mirror

draw = np.random.default_rng(0)
X, y = draw.normal(size=(20, 3)), draw.normal(size=20)
P = {"w": draw.normal(size=3), "b": np.array(0.5)}

def right(p, X, y):
    r = X @ p["w"] + p["b"] - y
    return (r**2).mean(), {"w": 2 * X.T @ r / len(y), "b": 2 * r.mean()}

def wrong(p, X, y):
    loss, gradients = right(p, X, y)
    return loss, {"w": gradients["w"] / 2, "b": gradients["b"]}

def untold(p, X, y):
    loss, gradients = right(p, X, y)
    return float(str(loss)), gradients
"""

ALL = GIVEN + """
def test_right(check):
    assert check(right, P, X, y).certified

def test_wrong(check):
    check(wrong, P, X, y)

def test_untold(check):
    check(untold, P, X, y)

def test_input(check):
    check(right, P, X[:7], y)

def test_no_function(check):
    check("right", P, X, y)

def test_nothing_of_ours():
    pass
"""

CLAIMS = GIVEN + """
from dataclasses import astuple, replace
from reference import experiments
from reference.networks.two_layer_linear import TwoLayerLinear

class Doubled(TwoLayerLinear):
    def backward(self, p, cache, dy, sow):
        return super().backward(p, cache, dy, lambda name, v: sow(name, 2 * v if name == "dW1" else v))

def linear(dtype):
    return replace(experiments.load("two-layer-linear", dtype), steps=3)

def doubled(dtype):
    e = linear(dtype)
    return replace(e, network=Doubled(*astuple(e.network)))

claims = {
    "linear": linear,
    "doubled": doubled,
    "one": linear("float32"),
    "right": lambda: torch_mirror.check(right, P, X, y),
    "wrong": lambda: (wrong, P, X, y),
    "odd": lambda: 7,
}
"""


def run(pytester: pytest.Pytester, text: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(text)
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)


def counts(result: pytest.RunResult) -> dict[str, int]:
    return {name: count for name, count in result.parseoutcomes().items() if name != "deselected"}


JSON = "--torch-mirror-json", "j.json", "--junitxml", "j.xml"


def assert_written(folder: Path) -> None:
    """Of tests ``right`` and ``wrong``."""
    whole = json.loads((folder / "j.json").read_text(encoding="utf-8"))
    judged = {record["claim"]: record for record in whole["judged"]}
    assert whole["schema"] == 1
    assert {claim: record["verdict"] for claim, record in judged.items()} == {"right": "certified", "wrong": "refuted"}
    assert judged["right"]["test"].endswith("test_right")
    assert judged["right"]["elements"] == 4
    assert 0 < judged["right"]["worst"] < 1 < judged["wrong"]["worst"]
    properties = ET.parse(folder / "j.xml").iterfind(".//testcase[@name='test_right']//property")  # noqa: S314 - pytest's own
    assert {p.get("name"): p.get("value") for p in properties}["torch_mirror.verdict"] == "certified"
