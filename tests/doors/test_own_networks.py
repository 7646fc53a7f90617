"""Networks and modules as people write them: no ``sow``, one step at a time, nn.Sequential."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

import reference
from reference import SGD, Batches, Experiment, SquaredError
from reference.arrays import Array, keep
from reference.claim.objective import Silent, with_sow
from reference.errors import InputError
from torch_mirror import certify, verify
from torch_mirror.training.session import Session, session


class Parameters(NamedTuple):
    W1: Array  # (4, 3)
    b1: Array  # (4,)
    W2: Array  # (2, 4)


NAMES = {"W1": "0.weight", "b1": "0.bias", "W2": "2.weight"}


@dataclass(frozen=True)
class Textbook:
    """A network in the style of a first course: batches in rows, .T, axis=0, and nothing sown."""

    slope: Callable[[Array], Array] = lambda a: 1 - a**2
    inputs: int = 3
    outputs: int = 2

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"W1": (4, 3), "b1": (4,), "W2": (2, 4)}

    def forward(self, p: Parameters, x: Array) -> tuple[Array, Any]:
        a1 = np.tanh(x.dot(p.W1.T) + p.b1)
        return a1.dot(p.W2.T), (x, a1)

    def backward(self, p: Parameters, cache: Any, dy: Array) -> Parameters:
        x, a1 = cache
        dz1 = dy.dot(p.W2) * self.slope(a1)
        return Parameters(dz1.T.dot(x), dz1.sum(axis=0), dy.T.dot(a1))


class Sown(Textbook):
    """The same, which tells what it computes."""

    def forward(self, p: Parameters, x: Array, sow: Any = keep) -> tuple[Array, Any]:
        z1 = sow("z1", x.dot(p.W1.T) + p.b1)
        a1 = sow("a1", np.tanh(z1))
        return sow("y", a1.dot(p.W2.T)), (x, a1)

    def backward(self, p: Parameters, cache: Any, dy: Array, sow: Any = keep) -> Parameters:
        x, a1 = cache
        dW2 = sow("dW2", dy.T.dot(a1))
        da1 = sow("da1", dy.dot(p.W2))
        dz1 = sow("dz1", da1 * self.slope(a1))
        return Parameters(sow("dW1", dz1.T.dot(x)), sow("db1", dz1.sum(axis=0)), dW2)


class Told(nn.Sequential):
    def forward(self, x: Any, sow: Any = lambda _, value: value) -> Any:
        z1 = sow("z1", self[0](x))
        a1 = sow("a1", self[1](z1))
        return sow("y", self[2](a1))


def experiment(network: Any, dtype: str = "float64", **options: Any) -> Experiment:
    draw = np.random.default_rng(0)
    p = Parameters(draw.normal(size=(4, 3)), draw.normal(size=4), draw.normal(size=(2, 4)))
    x, t = draw.normal(size=(7, 3)), draw.normal(size=(7, 2))
    p, x, t = Parameters(*(a.astype(dtype) for a in p)), x.astype(dtype), t.astype(dtype)
    return Experiment(network, p, x, t, SquaredError("mean"), SGD(0.1, 0.9), 5, **options)


def using(kind: type[nn.Sequential]) -> Callable[[Experiment], Session]:
    def make(e: Experiment) -> Session:
        dtype = torch.from_numpy(e.x).dtype
        layers = nn.Linear(3, 4, dtype=dtype), nn.Tanh(), nn.Linear(4, 2, bias=False, dtype=dtype)
        return session(e, kind(*layers), NAMES)

    return make


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("batches", [None, Batches(3, seed=0)])
@pytest.mark.parametrize("network", [Textbook(), Sown()])
@pytest.mark.parametrize("module", [nn.Sequential, Told])
def test_they_are_certified(network: Any, module: Any, batches: Batches | None, dtype: str) -> None:
    certificate = verify(experiment(network, dtype, batches=batches), using=using(module))
    assert certificate.verdict == "certified", certificate.refutations
    assert len(certificate.notes) == 1


BUG = Textbook(slope=lambda a: 1 - a)


@pytest.mark.parametrize("module", [nn.Sequential, Told])
@pytest.mark.parametrize(
    ("network", "tensor"), [(BUG, "dW1"), (Sown(slope=BUG.slope), "dz1")], ids=["silent", "sown"]
)
def test_a_wrong_derivative_is_found_as_near_as_it_can_be(network: Any, tensor: str, module: Any) -> None:
    first = verify(experiment(network), using=using(module)).first
    assert first is not None
    assert first.step == 0
    assert first.tensor == ("dW1" if module is nn.Sequential else tensor)


def test_a_silent_network_s_own_trace_is_judged_end_to_end() -> None:
    e = experiment(Textbook())
    trace = reference.train(e)
    assert list(trace.tensors) == ["y", "loss", "dy", "dW1", "db1", "dW2"]
    assert certify(e, trace, "numpy").verdict == "certified"
    trace.tensors["dW1"][3, 0, 0] *= 1 + 1e-9
    first = certify(e, trace, "numpy").first
    assert first is not None
    assert (first.tensor, first.step, first.index) == ("dW1", 3, (0, 0))


def test_both_branches_of_an_undecided_relu_are_inside() -> None:
    """Nothing is known of z1, which rounding moves to either side of 0: no gradient passes, and so does all of it."""

    class Relu(Textbook):
        def forward(self, p: Any, x: Any) -> Any:
            z1 = x @ p.W1.mT + p.b1[..., None, :]
            return np.maximum(z1, 0) @ p.W2.mT, (x, z1)

        def backward(self, p: Any, cache: Any, dy: Any) -> Any:
            x, z1 = cache
            dz1 = np.where(z1 <= 0, 0, dy @ p.W2)
            return Parameters(dz1.mT @ x, dz1.sum(axis=-2), dy.mT @ np.maximum(z1, 0))

    e = experiment(Relu())
    row = np.array([0.1, 0.2, 0.3])
    p = e.parameters._replace(W1=np.tile(row, (4, 1)), b1=np.full(4, -(row @ row)))  # z1 is 0 but for its roundings
    e = replace(e, parameters=p, x=np.tile(row, (7, 1)), steps=1)
    trace = reference.train(e)
    for share in (0.0, 1.0):
        dz1 = share * (trace["dy"][0] @ e.parameters.W2)
        dp = Parameters(dz1.T @ e.x, dz1.sum(axis=0), trace["dW2"][0])
        after = e.optimizer.step(e.parameters, dp, e.optimizer.init(e.parameters), 0)[0]
        tensors = {"dW1": dp.W1[None], "db1": dp.b1[None]}
        states = {name: np.stack([a, b]) for name, a, b in zip(p._fields, e.parameters, after, strict=True)}
        ends = reference.Trace(
            1, {"x": e.x, "t": e.t}, states, tensors,
            states={f"v.{name}": np.stack([np.zeros_like(g), g]) for name, g in zip(p._fields, dp, strict=True)},
        )  # fmt: skip
        assert certify(e, ends).refutations == ()
    tensors["dW1"] = 2 * tensors["dW1"]
    assert certify(e, ends).refutations


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"forward": lambda _p, x: x}, r"forward of the network: expected to return \(y, cache\), got ndarray"),
        ({"backward": lambda _p, _c, dy: dy}, r"gradients: expected a gradient of each .*: W1, b1, W2, got p"),
        (
            {"backward": lambda p, _c, _dy: p._replace(W1=p.W1[:1])},
            r"gradient of W1: expected shape \(4, 3\), got shape \(1, 3\)",
        ),
    ],
)
def test_what_a_silent_network_must_do_is_told(changes: dict[str, Any], message: str) -> None:
    network = Textbook()
    functions = {"forward": network.forward, "backward": network.backward, **changes}
    odd = type("Odd", (), {"inputs": 3, "outputs": 2, "shapes": network.shapes, **{
        name: staticmethod(function) for name, function in functions.items()
    }})()  # fmt: skip
    with pytest.raises(InputError, match=message):
        reference.train(experiment(odd))


def test_a_network_that_takes_sow_is_left_as_it_is() -> None:
    sown, silent = Sown(), Textbook()
    assert with_sow(sown) is sown
    assert with_sow(silent) == Silent(silent)
    assert with_sow(Silent(silent)) == Silent(silent)


def test_a_module_may_have_features_of_its_own() -> None:
    class Features(nn.Module):
        def __init__(self, *layers: nn.Module) -> None:
            super().__init__()
            self.features = nn.Sequential(*layers)

        def forward(self, x: Any) -> Any:
            return self.features(x)

    names = {name: f"features.{own}" for name, own in NAMES.items()}

    def make(e: Experiment) -> Session:
        layers = nn.Linear(3, 4).double(), nn.Tanh(), nn.Linear(4, 2, bias=False).double()
        return session(e, Features(*layers), names)

    assert verify(experiment(Textbook()), using=make).verdict == "certified"


@pytest.mark.parametrize(("place", "tensor"), [("y", "loss"), ("z1", "z1")])
def test_a_value_detached_from_the_parameters_is_told(place: str, tensor: str) -> None:
    class Detached(Told):
        def forward(self, x: Any, sow: Any = lambda _, value: value) -> Any:
            if place == "y":
                return sow("y", super().forward(x).detach())
            return super().forward(x, lambda name, v: sow(name, v.detach() if name == place else v))

    with pytest.raises(InputError, match=f"tensor ({tensor}|y): expected a value of torch that depends on the par"):
        verify(experiment(Sown() if place == "z1" else Textbook()), using=using(Detached))


def test_a_network_must_have_its_functions() -> None:
    with pytest.raises(InputError, match=r"network: expected an object with forward\(\) and backward\(\), or a"):
        experiment(object())
    bare = type("Bare", (), {"forward": Textbook.forward, "backward": Textbook.backward, "slope": Textbook().slope})
    bare.slope = staticmethod(Textbook().slope)  # type: ignore[attr-defined]  # of a class made here
    assert verify(experiment(bare()), using=using(nn.Sequential)).verdict == "certified"
