"""What other people write is judged as it is: right networks of any style certified, a bug found where it is."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reference import SGD, Batches, Experiment, SquaredError
from reference.claim.tree import named
from tests.judge.styles import STYLES, in_dtype, normal, using
from tests.unruled import unruled
from torch_mirror import Session, session, verify

each_style = pytest.mark.parametrize("style", STYLES)


def given(style: str, dtype: str, batches: Batches | None, *, bug: bool) -> Experiment:
    e = STYLES[style].make(bug=bug)
    t = None if e.t is None else in_dtype(e.t, dtype)
    return replace(e, parameters=in_dtype(e.parameters, dtype), x=in_dtype(e.x, dtype), t=t, batches=batches)


@each_style
@pytest.mark.parametrize(("dtype", "batches"), [
    ("float64", None), ("float32", Batches(4, 0)),
    pytest.param("float32", None, marks=pytest.mark.thorough),
    pytest.param("float64", Batches(4, 0), marks=pytest.mark.thorough),
], ids=["float64-whole", "float32-batches", "float32-whole", "float64-batches"])
def test_a_right_network_is_certified_and_nothing_given_is_changed(
    style: str, dtype: str, batches: Batches | None
) -> None:
    e = given(style, dtype, batches, bug=False)
    before = {name: a.copy() for name, a in {**named(e.parameters), **e.named_data}.items()}
    certificate = verify(e, using=using(STYLES[style]))
    assert certificate.verdict == "certified", certificate.refutations
    after = {**named(e.parameters), **e.named_data}
    assert list(after) == list(before)
    assert all(np.array_equal(after[name], a) for name, a in before.items())


@each_style
@pytest.mark.parametrize(
    ("dtype", "batches"), [("float64", None), ("float32", Batches(4, 0))], ids=["whole", "batches"]
)
def test_a_bug_is_refuted_where_it_is(style: str, dtype: str, batches: Batches | None) -> None:
    with unruled():
        first = verify(given(style, dtype, batches, bug=True), using=using(STYLES[style])).first
    assert first is not None
    assert first.step == 0
    assert first.tensor in STYLES[style].bug


def test_what_an_object_keeps_beside_its_arrays_is_not_changed_either() -> None:
    e = given("layers that remember", "float64", None, bug=False)
    verify(e, using=using(STYLES["layers that remember"]))
    assert [(layer.calls, layer.x, layer.dW) for layer in e.parameters] == [([0], None, None)] * 2


# --- torch modules -----------------------------------------------------------------------------------------


class Linear:
    """y = x W + b, with z = x W sown."""

    def forward(self, p: Any, x: Any, sow: Any) -> Any:
        return sow("y", sow("z", x @ p["W"]) + p["b"]), x

    def backward(self, p: Any, x: Any, dy: Any, sow: Any) -> Any:
        sow("dz", dy)
        return {"W": sow("dW", x.mT @ dy), "b": sow("db", dy.sum(axis=-2))}


class Module(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.W, self.b = (nn.Parameter(torch.zeros(*n, dtype=torch.float64)) for n in ((3, 2), (2,)))

    def forward(self, x: Tensor, sow: Any = lambda _, value: value) -> Tensor:
        return sow("y", sow("z", x @ self.W) + self.b)


class Detached(Module):
    def forward(self, x: Tensor, sow: Any = lambda _, value: value) -> Tensor:
        return sow("y", sow("z", x @ self.W).detach() + self.b)


class Wrapped(nn.Module):
    def __init__(self, inside: nn.Module) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, *inputs: Any, **options: Any) -> Any:
        return self.inside(*inputs, **options)


class Twice(nn.Module):
    """One module under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.one = self.other = Module()

    def forward(self, x: Tensor) -> Tensor:
        return self.other(x)


def linear() -> Experiment:
    p = {"W": normal(3, 2), "b": np.ones(2)}
    return Experiment(Linear(), p, normal(5, 3), normal(5, 2), SquaredError("mean"), SGD(0.1), 3)


class Silent(Module):
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # as most people's modules are
        return super().forward(x)


@pytest.mark.parametrize(
    ("inside", "sown"), [(Module, True), (Silent, False)], ids=["that sows", "that does not"]
)
def test_a_wrapped_module_is_called_as_the_one_inside(inside: type[Module], *, sown: bool) -> None:
    names = {"W": "inside.W", "b": "inside.b"}
    certificate = verify(linear(), using=lambda e: session(e, Wrapped(inside()), names))
    assert certificate.verdict == "certified"
    assert any((row.tensor, row.side) == ("z", "torch") for row in certificate.rows) is sown


def test_any_name_of_a_shared_parameter_will_do() -> None:
    for name in ("one", "other"):
        twice = partial(session, module=Twice(), names={"W": f"{name}.W", "b": f"{name}.b"})
        certificate = verify(linear(), using=twice)
        assert certificate.verdict == "certified"
        assert not [note for note in certificate.notes if "not judged" in note]


def test_what_torch_s_loss_does_not_depend_on_has_a_gradient_of_0() -> None:
    first = verify(linear(), using=lambda e: session(e, Detached(), {"W": "W", "b": "b"})).first
    assert first is not None
    assert (first.tensor, first.seen) == ("dz", 0)


def test_a_bug_that_leaves_the_parameters_out_has_a_ruling() -> None:
    """The gradient is an array without a radius: nothing of it came from a ball."""
    def loss(p: Any, x: Any, t: Any) -> Any:
        error = x @ p["W"] + p["b"] - t
        return (error * error).mean(), {"W": np.ones((3, 2)), "b": np.ones(2)}

    def own(_: Experiment) -> Session:
        return session(linear(), Silent(), {"W": "W", "b": "b"})

    certificate = verify(replace(linear(), network=loss, loss=None), using=own)
    assert certificate.verdict == "refuted"
    assert certificate.ruling is not None
