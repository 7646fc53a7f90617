"""In what two forwards differ: named by the smallest edit of the reference's layer, in verify and in check_forward."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import erf  # type: ignore[import-untyped]  # it ships no stubs
from torch import Tensor, nn

from reference import SGD, Experiment, SquaredError
from tests.judge.between import Between, F, Module, experiment
from torch_mirror import check_forward, session, verify
from torch_mirror.doors.forward_causes import name_among

ROOT = float(np.sqrt(2))


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def normed(z: Any) -> Any:
    return (z - z.mean(axis=-1, keepdims=True)) / np.sqrt(z.var(axis=-1, keepdims=True) + 1e-5)


def relu(z: Any) -> Any:
    return np.maximum(z, 0)


def gelu(z: Any) -> Any:
    return 0.5 * z * (1 + erf(z / ROOT))


def by_hand(z: Tensor, correction: int = 0, eps: float = 1e-5, outside: float = 0.0) -> Tensor:
    v = z.var(-1, keepdim=True, correction=correction)
    return (z - z.mean(-1, keepdim=True)) / ((v + eps).sqrt() + outside)


Layer = Callable[[Any], Any]

BOTH: dict[str, tuple[Layer, Layer, str]] = {  # in either precision
    "leaky 0.01": (relu, F.leaky_relu, "leaky ReLU of slope 0.01 of z in the place of a"),
    "leaky 0.2": (relu, lambda z: F.leaky_relu(z, 0.2), "leaky ReLU of slope 0.2 of z in the place of a"),
    "ELU": (relu, F.elu, "ELU of alpha 1 of z in the place of a"),
    "SiLU": (relu, F.silu, "SiLU of z in the place of a"),
    "GELU": (relu, F.gelu, "GELU of z in the place of a"),
    "none": (np.tanh, lambda z: z, "z itself in the place of a"),
    "the sigmoid": (np.tanh, torch.sigmoid, "the sigmoid of z in the place of a"),
    "softmax over the other axis": (softmax, lambda z: torch.softmax(z, 0), "softmax over axis 0, not 1, in a"),
    "logits": (softmax, lambda z: z, "z itself in the place of a"),
    "unbiased": (normed, lambda z: by_hand(z, 1), "N - 1 for N, 5, in the variance"),
    "scale": (lambda z: z / z.shape[1] ** 0.5, lambda z: z, "(here (sqrt(z.shape[1]))) at a"),
    "dropout's scale": (lambda z: z * (z > 0) * 2.0, lambda z: z * (z > 0), "a factor 1/2 at a"),
}

FINE: dict[str, tuple[Layer, Layer, str]] = {  # too small for a proof in float32
    "GELU by tanh": (gelu, lambda z: F.gelu(z, approximate="tanh"), "GELU's tanh approximation of z in the place of a"),
    "eps 1e-6": (normed, lambda z: by_hand(z, eps=1e-6), "1e-06 for the constant 1e-05 in"),
    "eps 1e-12": (normed, lambda z: by_hand(z, eps=1e-12), "1e-12 for the constant 1e-05 in"),
    "eps outside": (normed, lambda z: by_hand(z, eps=0.0, outside=1e-5), "1e-05 outside of the root in"),
    "a constant in float32": (lambda z: z * 0.1, lambda z: z * float(np.float32(0.1)), "the constant 0.1 rounded to"),
}

CASES = [(name, dtype, BOTH[name]) for name in BOTH for dtype in ("float32", "float64")]
CASES += [(name, "float64", FINE[name]) for name in FINE]


def why(f: Layer, theirs: Layer, dtype: str) -> tuple[str, ...]:
    e = experiment(Between(f, lambda da, _z, _a: da), dtype, steps=1)
    c = verify(e, using=lambda e: session(e, Module(e, theirs), {"W": "W", "O": "O"}))
    assert c.verdict == "refuted"
    assert c.ruling is not None
    assert (c.ruling.verdict, c.ruling.tensor) == ("forwards differ", "a")
    return c.why


@pytest.mark.parametrize(("dtype", "case"), [c[1:] for c in CASES], ids=[f"{c[0]}, {c[1]}" for c in CASES])
def test_what_torch_has_in_the_place_of_the_references_value(dtype: str, case: tuple[Layer, Layer, str]) -> None:
    f, theirs, cause = case
    (told,) = why(f, theirs, dtype)
    assert told.startswith("cause: torch has ")
    assert cause in told
    assert "all 200 elements are within their radius" in told


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_number_that_is_the_root_of_a_size_is_told_as_both(dtype: str) -> None:
    (told,) = why(lambda z: z * (1 / 5**0.5), lambda z: z, dtype)
    assert told.startswith("cause, one of 2 that cannot be told apart: torch has ")
    for name in ("(sqrt(z.shape[1]))", "1/(1 / 5 ** 0.5)"):
        assert f"a factor 2.236068 (here {name}) at a" in told


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["GELU by tanh", "eps 1e-6"])
def test_what_is_no_single_edit_has_no_cause(name: str, dtype: str) -> None:
    """A tenth of a sine on top of the fault: nothing is named in its stead."""
    f, theirs, _ = FINE[name]
    (said,) = why(f, lambda z: theirs(z) + 0.1 * torch.sin(7 * z), dtype)
    assert said.startswith(("cause: no single edit of the right equation explains it", "cause: none was found within"))


class TwoLayers:
    """Of two layers that start with the same numbers."""

    def forward(self, p: Any, x: Any, sow: Any) -> Any:
        a = sow("a", np.tanh(x @ p["W1"].mT + p["b1"]))
        return sow("y", a @ p["W2"].mT + p["b2"]), (x, a)

    def backward(self, p: Any, kept: Any, dy: Any, sow: Any) -> Any:
        x, a = kept
        dz = (dy @ p["W2"]) * (1 - a * a)
        found = {"W1": dz.mT @ x, "b1": dz.sum(axis=-2), "W2": dy.mT @ a, "b2": dy.sum(axis=-2)}
        return {name: sow(f"d{name}", d) for name, d in found.items()}


class TwoTorchLayers(nn.Module):
    def __init__(self, second: Callable[[Tensor, nn.Linear], Tensor]) -> None:
        super().__init__()
        self.h, self.o, self.second = nn.Linear(3, 3).double(), nn.Linear(3, 3).double(), second

    def forward(self, x: Tensor, sow: Any = lambda _, v: v) -> Tensor:
        a = sow("a", torch.tanh(self.h(x)))
        y: Tensor = sow("y", self.second(a, self.o))
        return y


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (lambda a, o: a @ o.weight.T, ["term b2 left out of y"]),
        (lambda a, o: a @ o.weight + o.bias, ["W1 for W2.T", "W2.T transposed"]),
        (lambda a, o: a @ o.weight.T + 2 * o.bias, ["a factor 2 at b2", "b1 added to y"]),
    ],
)
def test_of_parameters_with_the_same_numbers_the_one_that_is_meant_is_named(second: Any, told: list[str]) -> None:
    draw = np.random.default_rng(0).normal
    W, b = draw(size=(3, 3)), np.full(3, 0.5)
    p = {"W1": W, "b1": b, "W2": W.copy(), "b2": b.copy()}
    e = Experiment(TwoLayers(), p, draw(size=(4, 3)), draw(size=(4, 3)), SquaredError("mean"), SGD(0.1), steps=1)
    names = {"W1": "h.weight", "b1": "h.bias", "W2": "o.weight", "b2": "o.bias"}
    (why,) = verify(e, using=lambda e: session(e, TwoTorchLayers(second), names)).why
    parts = why.partition(": ")[2].partition(" (proof")[0].split(" | ")
    assert sorted(part.removeprefix("torch has ") for part in parts) == told


def test_of_equal_arrays_that_are_kept_elsewhere_all_are_named() -> None:
    a = np.ones(3)
    assert name_among({"b1": np.ones(3), "b2": a, "c": np.zeros(3)}, a[:]) == "b2"
    assert name_among({"b1": np.ones(3), "b2": np.ones(3), "c": np.zeros(3)}, a) == "b1 or b2"
    assert name_among({"c": np.zeros(3)}, a) == "a value"


PARAMETERS = {name: np.random.default_rng(i).normal(size=s) for i, (name, s) in enumerate(
    {"W1": (4, 8), "b1": (8,), "W2": (8, 8), "b2": (8,)}.items())}  # fmt: skip
NAMES = {"W1": "0.weight.T", "b1": "0.bias", "W2": "2.weight.T", "b2": "2.bias"}


def ported(act: Layer, second: Callable[[Any, Any], Any], eps: float = 1e-5, ddof: int = 0) -> Callable[..., Any]:
    def mine(p: Any, x: Any) -> Any:
        h = x @ p["W1"] + p["b1"]
        a = act(h)
        y = second(p, a)
        out = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True, ddof=ddof) + eps)
        return out, {"h": h, "a": a, "y": y}

    return mine


def affine(p: Any, a: Any) -> Any:
    return a @ p["W2"] + p["b2"]


PORTS = {
    "GELU by tanh": (
        ported(lambda h: 0.5 * h * (1 + np.tanh((2 / np.pi) ** 0.5 * (h + 0.044715 * h * h * h))), affine),
        "a", "GELU of h in the place of a",
    ),
    "ReLU": (ported(relu, affine), "a", "GELU of h in the place of a"),
    "transposed": (ported(gelu, lambda p, a: a @ p["W2"].T + p["b2"]), "y", "W2.T transposed"),
    "no bias": (ported(gelu, lambda p, a: a @ p["W2"]), "y", "b2 added to y"),
    "eps": (ported(gelu, affine, eps=1e-6), "output", "1e-05 for the constant 1e-06"),
    "unbiased": (ported(gelu, affine, ddof=1), "output", "N for N - 1, 8, in the variance"),
}  # fmt: skip


def checked(mine: Callable[..., Any]) -> Any:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 8), nn.LayerNorm(8))
    x = np.random.default_rng(9).normal(size=(6, 4))
    return check_forward(mine, module, PARAMETERS, NAMES, x, values={"h": "0", "a": "1", "y": "2"})


@pytest.mark.parametrize("name", PORTS)
def test_what_the_module_has_in_the_place_of_ones_own_value(name: str) -> None:
    mine, tensor, cause = PORTS[name]
    result = checked(mine)
    assert result.verdict == "refuted"
    assert [fault.gradients for fault in result.faults] == [(tensor,)]
    (told,) = result.causes
    assert told.startswith("the module has ")
    assert cause in told
    assert f"cause: {told[:40]}" in str(result)


def test_a_port_that_is_right_has_no_faults() -> None:
    result = checked(ported(gelu, affine))
    assert (result.verdict, result.faults) == ("certified", ())


def test_a_port_that_no_edit_explains_says_so() -> None:
    result = checked(ported(gelu, lambda p, a: 1.01 * (a @ p["W2"]) + 0.7 * p["b2"]))  # two mistakes
    assert result.causes == ()
    assert "no single edit of yours explains it" in str(result)


class Running(nn.Module):
    """The statistic that batch norm would keep after these data: torch's momentum is the share of the new one."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        return 0.9 * self.mean + 0.1 * x.mean(0)


@pytest.mark.parametrize(
    ("old", "new", "cause"), [(0.9, 0.1, ""), (0.1, 0.9, "0.1 and 1 - 0.1 swapped in "), (0.8, 0.2, "")]
)
def test_a_momentum_that_is_the_share_of_the_old_statistic_is_named(old: float, new: float, cause: str) -> None:
    def mine(p: Any, x: Any) -> Any:
        return old * p["mean"] + new * x.mean(axis=0)

    draw = np.random.default_rng(0).normal
    result = check_forward(mine, Running(), {"mean": draw(size=4)}, {"mean": "mean"}, draw(size=(6, 4)))
    assert result.verdict == ("certified" if old == 0.9 else "refuted")
    assert len(result.causes) == bool(cause)
    assert all(told.startswith(f"the module has {cause}") for told in result.causes)
