"""A ruling says nothing false: what the derivative does not settle is said to be open, and why."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import reference
from reference import SGD, Experiment, SquaredError
from tests.judge.between import Between, experiment, judged
from torch_mirror import certify, session, verify
from torch_mirror.judge import ruling as rulings
from torch_mirror.judge.verdict import NEITHER, Certificate, Ruling
from torch_mirror.reports.text import details

F = nn.functional
NOT_ITS_OWN = "the reference's backward does not belong to its own forward"
each_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])


@pytest.fixture(autouse=True)
def _divergence_is_judged_not_warned_of() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


def ruled(c: Certificate) -> Ruling:
    assert c.verdict == "refuted"
    assert c.ruling is not None
    return c.ruling


class Surrogate(torch.autograd.Function):
    """A function, and in the place of its gradient another one."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, f: Any, slope: Any) -> Tensor:
        ctx.save_for_backward(z)
        ctx.slope = slope
        return f(z).clone()

    @staticmethod
    def backward(ctx: Any, da: Tensor) -> tuple[Tensor, None, None]:
        (z,) = ctx.saved_tensors
        return da * ctx.slope(z), None, None


def surrogate(z: Tensor, f: Any, slope: Any) -> Any:
    return Surrogate.apply(z, f, slope)  # type: ignore[no-untyped-call]  # torch's own


# --- gradients that are not meant to be derivatives --------------------------------------------------------


class Meant(NamedTuple):
    f: Callable[[Any], Any]
    slope: Callable[[Any, Any, Any], Any]
    torch: Callable[[Tensor], Tensor]
    theirs: Callable[[Tensor], Any]


MEANT = {
    "straight through": Meant(
        np.sign, lambda da, z, _: da * (np.abs(z) < 1), torch.sign, lambda z: (z.abs() < 1).to(z.dtype)
    ),
    "reversed": Meant(lambda z: 1 * z, lambda da, _z, _a: -da, lambda z: z, lambda _: -1),
}


@each_dtype
@pytest.mark.parametrize("wrong", ["torch", "numpy"])
@pytest.mark.parametrize("meant", MEANT)
def test_what_is_not_meant_to_be_the_derivative_does_not_tell_the_sides_apart(
    meant: str, wrong: str, dtype: str
) -> None:
    f, slope, run, theirs = MEANT[meant]
    right = experiment(Between(f, slope), dtype, steps=1)
    assert judged(right, lambda z: surrogate(z, run, theirs)).verdict == "certified"
    factor = 2 if wrong == "numpy" else 1
    e = replace(right, network=Between(f, lambda da, z, a: factor * slope(da, z, a)))
    r = ruled(judged(e, lambda z: surrogate(z, run, lambda z: (3 - factor) * theirs(z))))
    assert (r.verdict, r.note) == ("no ruling", NEITHER)


# --- a tensor that cancels ------------------------------------------------------------------------------------


class Normalised:
    """A bias in front of a batch norm: its gradient is 0 but for rounding. The gain's is wrong by a factor."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def forward(self, p: Any, x: Any, sow: Any) -> Any:
        z = sow("z", x @ p["W"] + p["b"])
        c = z - z.mean(axis=-2, keepdims=True)
        s = np.sqrt((c * c).mean(axis=-2, keepdims=True) + 1e-5)
        return sow("y", p["g"] * (c / s)), (x, c / s, s)

    def backward(self, p: Any, cache: Any, dy: Any, sow: Any) -> Any:
        x, h, s = cache
        dh = dy * p["g"]
        dz = (dh - dh.mean(axis=-2, keepdims=True) - h * (dh * h).mean(axis=-2, keepdims=True)) / s
        dz = sow("dz", dz)
        db, dg = sow("db", dz.sum(axis=-2)), sow("dg", self.factor * (dy * h).sum(axis=-2))
        return {"W": sow("dW", x.mT @ dz), "b": db, "g": dg}


class NormalisedModule(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for name, shape in (("W", (3, 4)), ("b", (4,)), ("g", (4,))):
            self.register_parameter(name, nn.Parameter(torch.zeros(shape, dtype=torch.float64)))

    def forward(self, x: Tensor, sow: Any = lambda _, value: value) -> Tensor:
        W, b, g = self.parameters()
        return sow("y", F.batch_norm(sow("z", x @ W + b), None, None, g, training=True))


@pytest.mark.parametrize("factor", [-1, 0.125, 10, 1000])
def test_a_gradient_that_cancels_beside_the_wrong_one_hides_nothing(factor: float) -> None:
    draw = np.random.default_rng(0)
    p = {"W": draw.normal(size=(3, 4)), "b": np.zeros(4), "g": np.ones(4)}
    x, t = draw.normal(size=(8, 3)), draw.normal(size=(8, 4))
    e = Experiment(Normalised(factor), p, x, t, SquaredError("mean"), SGD(0.01), 1)
    r = ruled(verify(e, using=lambda e: session(e, NormalisedModule(), {n: n for n in p})))
    assert (r.verdict, r.tensor) == (NOT_ITS_OWN, "dg")


def test_a_wrong_gradient_that_cancels_hides_nothing() -> None:
    """Softmax's rows sum to 0: a bias summed over all axes is 0 but for rounding."""

    def lumped(da: Any, _z: Any, a: Any) -> Any:
        dz = a * (da - (da * a).sum(axis=-1, keepdims=True))
        return 0 * dz + dz.sum(axis=(-2, -1))[..., None, None]

    def f(z: Any) -> Any:
        e = np.exp(z)
        return e / e.sum(axis=-1, keepdims=True)

    r = ruled(judged(experiment(Between(f, lumped), steps=1), lambda z: torch.softmax(z, -1)))
    assert (r.verdict, r.tensor) == (NOT_ITS_OWN, "dz")


# --- what is not found out ------------------------------------------------------------------------------------

TANH = Between(np.tanh, lambda da, _, a: da * (1 - a * a))


MATRIX = np.eye(5)[::-1] / 3
STACKED = Between(  # products of each sample by itself
    lambda z: (z[..., None, :] @ MATRIX)[..., 0, :], lambda da, _z, _a: (da[..., None, :] @ MATRIX.mT)[..., 0, :]
)


def doubled(network: Between = TANH) -> Certificate:
    """Of a run whose dW is twice what it must be."""
    e = experiment(network, steps=1)
    trace = reference.train(e)
    return certify(e, replace(trace, tensors={**trace.tensors, "dW": 2 * trace.tensors["dW"]}))


def test_operations_that_run_out_within_a_product_are_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stacked products of objects go on after an error, and end in a SystemError."""
    monkeypatch.setattr(rulings, "_operations", lambda _: 0)
    for limit in range(500, 8000, 500):
        monkeypatch.setattr(rulings, "LIMIT", limit)
        r = ruled(doubled(STACKED))
        assert r.verdict == "the mirror strays"  # by a derivative with a radius
        assert r.note.endswith(f"(too large for exact arithmetic: more than {limit:,} operations)")


@pytest.mark.parametrize("where", ["case_of", "_operations", "_exactly"])
@pytest.mark.parametrize("error", [SystemError, MemoryError, AssertionError])
def test_whatever_a_ruling_ends_in_the_verdict_stands(
    where: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise error("so it is")

    monkeypatch.setattr(rulings, where, fails)
    r = ruled(doubled())
    assert (r.verdict, r.tensor) == ("no ruling", "dW")
    assert r.note == f"looking for the side that is wrong ended in {error.__name__}: so it is"


def test_a_constant_of_float32_in_a_gradient_is_told_as_one() -> None:
    """As torch's hardsigmoid has 1/6 in float64."""
    third = float(np.float32(1 / 3))
    e = experiment(Between(lambda z: z / 3, lambda da, _z, _a: da / 3), steps=1)
    r = ruled(judged(e, lambda z: surrogate(z, lambda z: z / 3, lambda _: third)))
    assert r.verdict == "the mirror strays"
    assert r.note == "by no more than float32 rounds: a cast, or a constant of that precision"
    r = ruled(judged(e, lambda z: surrogate(z, lambda z: z / 3, lambda _: 1 / 2)))
    assert (r.verdict, r.note) == ("the mirror strays", "")


def test_numpy_s_variance_runs_in_exact_arithmetic() -> None:
    def wrong(da: Any, z: Any, _: Any) -> Any:
        return da / np.sqrt(z.var(axis=-1, keepdims=True) + 1e-5)

    def f(z: Any) -> Any:
        return (z - z.mean(axis=-1, keepdims=True)) / np.sqrt(z.var(axis=-1, keepdims=True) + 1e-5)

    r = ruled(judged(experiment(Between(f, wrong), steps=1), lambda z: F.layer_norm(z, z.shape[-1:])))
    assert (r.verdict, r.tensor) == (NOT_ITS_OWN, "dz")


@each_dtype
def test_where_a_nan_of_the_reference_begins_is_told(dtype: str) -> None:
    """From there on its radii are infinite, and nothing else says where to look."""

    def slope(da: Any, _: Any, a: Any) -> Any:
        dz = da * (1 - a * a)
        dz[..., 7, 2] = np.nan
        return dz

    c = judged(experiment(Between(np.tanh, slope), dtype), torch.tanh)
    assert c.verdict == "refuted"  # torch has a number there, and the derivative is one
    assert c.first is not None
    assert (c.first.tensor, c.first.step, c.first.side, c.first.index) == ("dz", 0, "numpy", (7, 2))
    assert ruled(c).verdict == "the reference strays"
    assert ruled(c).note.startswith("NaN born in dz, step 0, numpy")
    told = "first in dz, step 0, numpy, element (7, 2): nan, where its equation gives nan"
    assert any(told in line for line in details(c))
