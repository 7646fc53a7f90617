"""A network that does not keep to its side is told so, by the name of the tensor, before any training."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pytest

import reference
from reference import SGD, Experiment, Own, SquaredError, experiments
from reference.arrays import keep, same
from reference.errors import InputError
from torch_mirror import certify


class Parameters(NamedTuple):
    W: Any  # (2, 3)
    b: Any  # (2,)


class Swapped(NamedTuple):
    b: Any
    W: Any


@dataclass(frozen=True)
class Regression:
    """tanh(x W^T + b), of which a test replaces one equation."""

    affine: Callable[..., Any] = lambda x, p: x @ p.W.mT + p.b[..., None, :]
    names: tuple[str, ...] = ("z", "y", "dz", "dW", "db")
    gradient: Callable[..., Any] = lambda dz, x: Parameters(dz.mT @ x, dz.sum(axis=-2))
    result: Callable[..., Any] = lambda y, cache: (y, cache)
    inputs: int = 3
    outputs: int = 2

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"W": (2, 3), "b": (2,)}

    def forward(self, p: Any, x: Any, sow: Any = keep) -> Any:
        z = self.sown(sow, "z", self.affine(x, p))
        y = self.sown(sow, "y", np.tanh(z))
        return self.result(y, (x, y))

    def backward(self, p: Any, cache: Any, dy: Any, sow: Any = keep) -> Any:
        x, y = cache
        dz = self.sown(sow, "dz", dy * (1 - y * y))
        dp = self.gradient(dz, x)
        if hasattr(dp, "W"):
            self.sown(sow, "dW", dp.W)
            self.sown(sow, "db", dp.b)
        return dp

    def sown(self, sow: Any, name: str, value: Any) -> Any:
        return sow(name, value) if name in self.names else value


def experiment(**changes: Any) -> Experiment:
    draw = np.random.default_rng(0)
    p = Parameters(draw.normal(size=(2, 3)), draw.normal(size=2))
    x, t = draw.normal(size=(4, 3)), draw.normal(size=(4, 2))
    return Experiment(Regression(**changes), p, x, t, SquaredError("mean"), SGD(0.1), 3)


def test_a_network_that_keeps_to_it_is_certified() -> None:
    e = experiment()
    assert certify(e, reference.train(e), "numpy").verdict == "certified"


class Copying(Regression):
    """Returns copies of the gradients that it sowed."""

    def backward(self, p: Any, cache: Any, dy: Any, sow: Any = keep) -> Any:
        return Parameters(*map(np.array, super().backward(p, cache, dy, sow)))


@pytest.mark.parametrize("diverged", [False, True])
def test_copies_of_the_gradients_are_the_gradients_and_nan_is_equal_to_itself(*, diverged: bool) -> None:
    """A run that has diverged is for the judge; the rehearsal has nothing to object."""
    affine = (lambda x, p: np.log(-np.abs(x @ p.W.mT + p.b[..., None, :]))) if diverged else Regression.affine
    e = replace(experiment(), network=Copying(affine))
    with np.errstate(invalid="ignore"):
        trace = reference.train(e)
    assert np.isnan(trace["dW"]).all() == np.isnan(trace["z"]).all() == diverged


def without(name: str) -> tuple[str, ...]:
    return tuple(n for n in Regression().names if n != name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": without("y")}, r"tensor y: expected to be sown by forward, got z"),
        ({"names": without("dW")}, r"tensor dW: expected to be sown by backward, got .*db"),
        ({"result": lambda y, _: y}, r"forward of the network: expected to return \(y, cache\), got ndarray"),
        ({"result": lambda y, c: (y[:, :1], c)}, r"tensor t: expected shape \(4, 1\), that of y .*got shape \(4, 2\)"),
        ({"gradient": lambda dz, x: Parameters(dz.mT @ x, dz.sum())}, r"gradient of b: .*\(2,\), got shape \(\)"),
        ({"gradient": lambda dz, x: Parameters(x.mT @ dz, dz.sum(-2))}, r"gradient of W: .*got shape \(3, 2\)"),
        ({"gradient": lambda dz, x: Parameters(dz.mT @ x, None)}, r"gradient of b: expected shape \(2,\), got None"),
        ({"gradient": lambda dz, x: {"W": dz.mT @ x}}, r"gradients: expected a gradient of each .*W, b, got W"),
        ({"gradient": lambda _dz, _x: None}, r"gradients: expected a gradient of each parameter .*got NoneType"),
    ],
)
def test_what_a_network_must_do_is_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        reference.train(experiment(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"affine": lambda x, p: x @ p.W.T + p.b[..., None, :]}, r"the equation of z: .*write x @ W.mT"),
        ({"affine": lambda x, p: x @ p.W.mT + p.b}, r"z.*b\[..., None, :\]"),
        (
            {"gradient": lambda dz, x: Parameters(dz.mT @ x, dz.sum(axis=0))},
            r"db of \(5,\) stacked steps has shape .*sum\(axis=-2\)",
        ),
        ({"affine": lambda x, p: x @ p.W.mT + p.b.mean()}, r"z of stacked steps is not that of each step by itself"),
    ],
)
def test_equations_that_do_not_stack_are_judged_one_step_at_a_time_and_that_is_told(
    changes: dict[str, Any], message: str
) -> None:
    e = experiment(**changes)
    certificate = certify(e, reference.train(e), "numpy")
    assert certificate.verdict == "certified"
    (note,) = certificate.notes
    assert re.search(message, note)
    assert certify(experiment(), reference.train(experiment()), "numpy").notes == ()


def test_gradients_in_another_order_go_by_their_names() -> None:
    e = experiment(gradient=lambda dz, x: Swapped(dz.sum(-2), dz.mT @ x))
    trace = reference.train(e)
    assert certify(e, trace, "numpy").verdict == "certified"
    np.testing.assert_array_equal(trace["W"][1], e.parameters.W - 0.1 * trace["dW"][0])


def test_a_value_may_have_any_name() -> None:
    """``distance`` and ``drop`` are no gradients, though they begin with d, nor is dz of a z that nobody sows."""

    class Named(Regression):
        def forward(self, p: Any, x: Any, sow: Any = keep) -> Any:
            distance = sow("distance", x @ p.W.mT + p.b[..., None, :])
            y = sow("y", np.tanh(sow("drop", distance * 2)))
            return y, (x, y)

        def backward(self, p: Any, cache: Any, dy: Any, sow: Any = keep) -> Any:
            x, y = cache
            dz = sow("dz", 2 * (dy * (1 - y * y)))
            return Parameters(sow("dW", dz.mT @ x), sow("db", dz.sum(axis=-2)))

    e = replace(experiment(), network=Named())
    assert [e.slots[name].role for name in ("distance", "drop", "dz", "dy")] == ["value"] * 3 + ["gradient"]
    assert certify(e, reference.train(e), "numpy").verdict == "certified"


def test_what_is_drawn_at_random_is_told_and_blamed_on_nobody() -> None:
    draw = np.random.default_rng(1)
    e = experiment(affine=lambda x, p: (x * draw.integers(0, 2, x.shape)) @ p.W.mT + p.b[..., None, :])
    with pytest.raises(InputError, match="tensor z: expected the same value from the same numbers each time"):
        reference.train(e)


def test_what_backward_overwrites_in_place_is_told() -> None:
    def gradient(dz: Any, x: Any) -> Parameters:
        dz *= 2
        return Parameters(dz.mT @ x, dz.sum(axis=-2))

    with pytest.raises(InputError, match="tensor dz: expected a value that stays as it was sown"):
        reference.train(experiment(gradient=gradient))


def written_to(a: Any) -> Any:
    a += 1
    return a


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"affine": lambda x, p: written_to(x) @ p.W.mT}, "tensor x: expected to be left as it is by"),
        ({"affine": lambda x, p: x @ p.W.mT + written_to(p.b)}, "tensor b: expected to be left as it is by"),
        ({"affine": lambda x, p: x @ p.W.mT + np.zeros(2)}, "tensor z: expected dtype float32, .*got dtype float64"),
        ({"names": without("dW"), "result": lambda y, c: (y, c)}, "tensor dW: expected to be sown by backward"),
    ],
)
def test_what_a_network_must_leave_alone_is_told_and_put_back(changes: dict[str, Any], message: str) -> None:
    e = experiments.rounded(experiment(**changes), "float32")
    before = e.x.copy(), e.parameters.b.copy()
    with pytest.raises(InputError, match=message):
        reference.train(e)
    np.testing.assert_array_equal(e.x, before[0])
    np.testing.assert_array_equal(e.parameters.b, before[1])


def test_a_gradient_other_than_the_one_that_was_sown() -> None:
    class Doubled(Regression):
        def backward(self, p: Any, cache: Any, dy: Any, sow: Any = keep) -> Any:
            dp = super().backward(p, cache, dy, sow)
            return dp._replace(W=2 * dp.W)

    with pytest.raises(InputError, match="gradient of W: expected the value that was sown as dW, got another one"):
        reference.train(replace(experiment(), network=Doubled()))


def test_equations_that_ask_for_what_balls_cannot_do_are_told_by_the_tensor_above() -> None:
    e = experiment(result=lambda y, c: (y, c), affine=lambda x, p: np.deg2rad(x @ p.W.mT + p.b[..., None, :]))
    with pytest.raises(InputError, match=r"behind the start: .*numpy\.deg2rad; @Ball\.rule\(numpy\.deg2rad\)"):
        certify(e, reference.train(e), "numpy")
    cast = experiment(gradient=lambda dz, x: Parameters(dz.astype(np.float32).astype(float).mT @ x, dz.sum(axis=-2)))
    with pytest.raises(InputError, match="equations behind dz: expected NumPy functions that run on balls"):
        certify(cast, reference.train(cast), "numpy")


def test_one_name_for_two_tensors() -> None:
    class Twice(Regression):
        def forward(self, p: Any, x: Any, sow: Any = keep) -> Any:
            sow("z", x)
            return super().forward(p, x, sow)

    with pytest.raises(InputError, match="tensor z: expected to be sown once a step"):
        reference.train(replace(experiment(), network=Twice()))


# --- updates that say elementwise=True ------------------------------------------------------------------------


def _momentum(p: Any, g: Any, state: Any) -> None:
    for name in ("W", "b"):
        v, w, dw = state["v"][name], getattr(p, name), getattr(g, name)
        v[...] = 0.9 * v + dw + 0.01 * w
        w -= 0.1 * v


def _adagrad(p: Any, g: Any, state: Any) -> None:
    """Its state goes by other names, so that nobody knows which parameter it is of."""
    for name in ("W", "b"):
        squares, w, dw = state[f"squares of {name}"], getattr(p, name), getattr(g, name)
        squares += dw * dw
        w -= 0.1 * dw / (np.sqrt(squares) + 1e-8)


def _velocities(p: Any) -> Any:
    return {"v": {"W": np.zeros_like(p.W), "b": np.zeros_like(p.b)}}


def _squares(p: Any) -> Any:
    return {"squares of W": np.zeros_like(p.W), "squares of b": np.zeros_like(p.b)}


def _guarded(p: Any, g: Any) -> None:
    assert np.abs(g.W).max() < 1e3, "the run never has such a gradient"
    p.W[...] -= 0.1 * g.W
    p.b[...] -= 0.1 * g.b


@pytest.mark.parametrize(
    "own", [Own(_momentum, _velocities, True), Own(_adagrad, _squares, True), Own(_guarded, None, True)]
)
def test_an_update_of_each_element_by_itself_is_believed(own: Own) -> None:
    assert replace(experiment(), optimizer=own).slots


def _clipped(p: Any, g: Any) -> None:
    p.W[...] -= 0.1 * g.W * min(1, 1e4 / np.linalg.norm(g.W))
    p.b[...] -= 0.1 * g.b


def _clipped_together(p: Any, g: Any) -> None:
    scale = min(1, 1e4 / np.sqrt((g.W**2).sum() + (g.b**2).sum()))
    p.W[...] -= 0.1 * scale * g.W
    p.b[...] -= 0.1 * scale * g.b


def _by_rows(p: Any, g: Any) -> None:
    p.W[...] -= 0.1 * g.W / np.sqrt((g.W**2).sum(axis=1, keepdims=True))
    p.b[...] -= 0.1 * g.b


def _centred(p: Any, g: Any) -> None:
    p.W[...] -= 0.1 * (g.W - g.W.mean())
    p.b[...] -= 0.1 * g.b


def _by_weights(p: Any, g: Any) -> None:
    p.W[...] -= 0.1 * np.abs(p.W).max() * g.W
    p.b[...] -= 0.1 * g.b


def _shared_state(p: Any, g: Any, state: Any) -> None:
    state["v"]["W"][...] = 0.9 * state["v"]["W"] + g.W.sum()
    p.W[...] -= 0.1 * state["v"]["W"]
    p.b[...] -= 0.1 * g.b


@pytest.mark.parametrize("update", [_clipped, _clipped_together, _by_rows, _centred, _by_weights, _shared_state])
def test_an_update_that_says_elementwise_and_is_not_is_refused(update: Any) -> None:
    own = Own(update, _velocities if update is _shared_state else None)
    assert replace(experiment(), optimizer=own).slots  # it may be so, if it does not say otherwise
    with pytest.raises(InputError, match=r"itself, as elementwise=True says, got .*: leave elementwise=True out"):
        _ = replace(experiment(), optimizer=own._replace(elementwise=True)).slots


def test_two_arrays_are_the_same_by_shape_and_number_and_a_nan_beside_a_nan_only() -> None:
    a = np.array([1.0, np.nan, np.inf])
    assert same(a, a.copy())
    assert same(np.arange(3), np.arange(3))
    assert same(np.array(["a"]), np.array(["a"]))
    for other in (np.array([1.0, 2.0, np.inf]), np.array([np.nan, np.nan, np.inf]), a[:2], a[None]):
        assert not same(a, other)
        assert not same(other, a)
    assert not same(np.arange(3), np.arange(1, 4))
