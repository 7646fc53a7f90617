"""A gradient that is 0 but for rounding voids no verdict; one whose radius is wide for another reason does."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reference import SGD, Ensemble, Experiment, SquaredError
from reference.arrays import keep
from tests.judge.styles import in_dtype
from torch_mirror import Certificate, Session, session, verify, verify_ensemble
from torch_mirror.reports.text import details

EPS = 1e-5
TORCH = {"float64": torch.float64, "float32": torch.float32}


class Normalised:
    """A layer with a bias before a batch norm, which takes the bias away again: its gradient is 0."""

    def __init__(self, more: float = 0.0, factor: float = 1.0) -> None:
        self.more, self.factor = more, factor

    def forward(self, p: Any, x: Any, sow: Any = keep) -> tuple[Any, Any]:
        z = sow("z", x @ p["W1"].mT + p["b1"][..., None, :])
        c = z - z.mean(axis=-2, keepdims=True)
        rstd = 1 / np.sqrt((c * c).mean(axis=-2, keepdims=True) + EPS)
        h = c * rstd
        n = sow("n", h * p["g"][..., None, :])
        return sow("y", n @ p["W2"].mT), (x, h, rstd, n)

    def backward(self, p: Any, cache: Any, dy: Any, sow: Any = keep) -> Any:
        x, h, rstd, n = cache
        dn = sow("dn", dy @ p["W2"])
        dh = dn * p["g"][..., None, :]
        dz = rstd * (dh - dh.mean(axis=-2, keepdims=True) - h * (dh * h).mean(axis=-2, keepdims=True))
        dz = sow("dz", dz)
        db1 = sow("db1", self.factor * dz.sum(axis=-2) + self.more)
        dW1, dg, dW2 = sow("dW1", dz.mT @ x), sow("dg", (dn * h).sum(axis=-2)), sow("dW2", dy.mT @ n)
        return {"W1": dW1, "b1": db1, "g": dg, "W2": dW2}


class Net(nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.l1, self.l2 = nn.Linear(4, 5, dtype=dtype), nn.Linear(5, 2, bias=False, dtype=dtype)
        self.g = nn.Parameter(torch.zeros(5, dtype=dtype))

    def forward(self, x: Tensor, sow: Any = keep) -> Tensor:
        z = sow("z", self.l1(x))
        n = sow("n", nn.functional.batch_norm(z, None, None, self.g, training=True, eps=EPS))
        y: Tensor = sow("y", self.l2(n))
        return y


def judged(network: Normalised, dtype: str, seed: int = 16) -> Certificate:
    f = np.random.default_rng(seed).standard_normal
    p = {"W1": f((5, 4)), "b1": f(5), "g": f(5), "W2": f((2, 5))}
    given = in_dtype(p, dtype), in_dtype(f((8, 4)), dtype), in_dtype(f((8, 2)), dtype)
    names = {"W1": "l1.weight", "b1": "l1.bias", "g": "g", "W2": "l2.weight"}
    e = Experiment(network, *given, SquaredError("mean"), SGD(0.05), 8)
    return verify(e, using=lambda e: session(e, Net(TORCH[dtype]), names), explain=False)


needs_wider = pytest.mark.skipif(
    np.finfo(np.longdouble).eps == np.finfo(np.float64).eps, reason="longdouble is no wider than float64 here"
)


@needs_wider
@pytest.mark.parametrize("dtype", TORCH)
@pytest.mark.parametrize("seed", range(4))
def test_a_bias_before_a_batch_norm_is_certified(dtype: str, seed: int) -> None:
    certificate = judged(Normalised(), dtype, seed)
    assert certificate.verdict == "certified", details(certificate)


@needs_wider
def test_and_what_is_known_of_its_gradient_is_told() -> None:
    told = details(judged(Normalised(), "float64"))
    assert any("db1 is 0 but for rounding: longdouble gives another number" in line for line in told), told
    assert not any("coarse" in line for line in told), told


@needs_wider
@pytest.mark.parametrize(("dtype", "more"), [("float64", 1e-12), ("float32", 1e-4)])
def test_what_is_more_than_the_rounding_of_the_terms_is_refuted(dtype: str, more: float) -> None:
    certificate = judged(Normalised(more), dtype)
    assert certificate.first is not None
    assert certificate.first.tensor == "db1"


@needs_wider
@pytest.mark.parametrize("dtype", TORCH)
def test_a_factor_of_nothing_is_nothing(dtype: str) -> None:
    """Half of what rounding leaves is within the rounding of its terms: nobody can know, and it is said."""
    certificate = judged(Normalised(factor=0.5), dtype)
    assert certificate.verdict == "certified"
    assert any("no factor in it could show" in note for note in certificate.notes)


WIDTH = 32


def lossy(x: Any, W: Any, factor: float) -> Certificate:
    """NumPy's gradient of 0.01 is eaten by terms of 1e17, which do not quite cancel; torch's is times the factor."""

    def by_hand(p: Any, x: Any, t: Any) -> Any:
        d = x @ p["W"].mT - t
        dW = (2 * d / d.size).mT @ x
        large = 1e17 * x
        return (d * d).mean(), {"W": (dW + np.cumsum(large, axis=0)[-1]) - np.cumsum(large[::-1], axis=0)[-1]}

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.W = nn.Parameter(torch.zeros(2, 3, dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = x @ Times.apply(self.W, factor).mT  # type: ignore[no-untyped-call]  # untyped in torch
            return y

    e = Experiment(by_hand, {"W": W}, x, x[:, :2] / 8, None, SGD(2.0**-40), 3)
    return verify(e, using=lambda e: session(e, Scaled(), None, nn.MSELoss()), explain=False)


@pytest.mark.parametrize("factor", [1.0, 0.0, 1.5, -1.0])
def test_what_the_own_rounding_eats_is_not_0_but_for_rounding(factor: float) -> None:
    f = np.random.default_rng(3).standard_normal
    certificate = lossy(f((6, 3)) / 8, f((2, 3)), factor)
    assert certificate.verdict != "certified"
    assert not any(row.cancels for row in certificate.rows)


class Deep:
    """Tanh layers of which nothing is sown: end to end the radius of a gradient grows far beyond it."""

    def __init__(self, layers: int) -> None:
        self.layers = layers

    def forward(self, p: Any, x: Any) -> tuple[Any, Any]:
        h = [x]
        for i in range(self.layers):
            h.append(np.tanh(h[-1] @ p[f"W{i}"].mT))
        return h[-1], h

    def backward(self, p: Any, h: Any, dy: Any) -> Any:
        dp, dh = {}, dy
        for i in reversed(range(self.layers)):
            dz = dh * (1 - h[i + 1] ** 2)
            dp[f"W{i}"] = dz.mT @ h[i]
            dh = dz @ p[f"W{i}"]
        return dp


class Times(torch.autograd.Function):
    """The identity, with a gradient that is so many times too large: of torch's side, behind the first two layers."""

    generate_vmap_rule = True

    @staticmethod
    def forward(h: Tensor, _factor: float) -> Tensor:
        return h.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:  # noqa: ARG004 - torch's signature
        ctx.factor = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return gradient * ctx.factor, None


class DeepNet(nn.Module):
    def __init__(self, layers: int, width: int, factor: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width, bias=False, dtype=torch.float64) for _ in range(layers))
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        for i, layer in enumerate(self.layers):
            x = torch.tanh(layer(x))
            if i == 1:
                x = Times.apply(x, self.factor)  # type: ignore[no-untyped-call]  # untyped in torch
        return x


def deep(layers: int) -> Experiment:
    f = np.random.default_rng(0).standard_normal
    p = {f"W{i}": f((WIDTH, WIDTH)) / 4 for i in range(layers)}
    return Experiment(Deep(layers), p, f((6, WIDTH)), f((6, WIDTH)), SquaredError("mean"), SGD(2.0**-10), 3)


def using(layers: int, factor: float) -> Any:
    def made(e: Experiment) -> Session:
        return session(e, DeepNet(layers, WIDTH, factor), {f"W{i}": f"layers.{i}.weight" for i in range(layers)})

    return made


@pytest.mark.parametrize("layers", [4, 12, 20])
def test_first_gradients_that_are_doubled_are_never_certified(layers: int) -> None:
    """However wide the radii: where they are larger than the values, that is no cancelling."""
    assert verify(deep(layers), using=using(layers, 2.0), explain=False).verdict in ("refuted", "vacuous")


@pytest.mark.parametrize("factor", [2.0, 0.5, -1.0])
def test_zeros_beside_them_do_not_stand_for_them(factor: float) -> None:
    """Of 32 units 10 are left: nine of ten elements of a gradient are 0, which no factor changes."""
    e = deep(20)
    p = {name: w * 1.75 for name, w in e.parameters.items()}
    x, t = e.x.copy(), np.asarray(e.t).copy()
    for a in (*p.values(), x, t):
        a[..., 10:] = 0
    for w in p.values():
        w[10:] = 0
    pruned = replace(e, parameters=p, x=x, t=t)
    assert verify(pruned, using=using(20, factor), explain=False).verdict in ("refuted", "vacuous")


@pytest.mark.parametrize("layers", [4, 12, 20])
def test_nor_are_they_in_an_ensemble(layers: int) -> None:
    one = deep(layers)
    ensemble = Ensemble.of([one, replace(one, x=-one.x)])
    assert verify_ensemble(ensemble, using=using(layers, 2.0)).verdict in ("refuted", "vacuous")
