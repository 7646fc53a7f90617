"""What cannot be used of a claim is told by its name, before anything is trained, and nothing given is changed."""

import sys
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reference import (
    L2,
    SGD,
    Batches,
    ClippedByNorm,
    Experiment,
    Groups,
    InputError,
    Own,
    SquaredError,
    UnknownNameError,
    train,
)
from reference.claim.tree import beside_leaves, named, zip_with


def start() -> dict[str, Any]:
    draws = np.random.default_rng(1)
    return {"W": draws.standard_normal((3, 2)), "b": draws.standard_normal(2)}


def line(p: Any, x: Any, t: Any) -> Any:
    error = x @ p["W"] + p["b"] - t
    d = 2 * error / error.size
    return (error * error).mean(), {"W": x.T @ d, "b": d.sum(axis=0)}


def linear(**changes: Any) -> Experiment:
    draws = np.random.default_rng(2)
    x, t = draws.standard_normal((5, 3)), draws.standard_normal((5, 2))
    return replace(Experiment(line, start(), x, t, None, SGD(0.1), 3), **changes)


def in_float32(**changes: Any) -> Experiment:
    e = linear()
    p = {name: a.astype("f4") for name, a in e.parameters.items()}
    return replace(e, parameters=p, x=e.x.astype("f4"), t=e.t.astype("f4"), **changes)


# --- trees -------------------------------------------------------------------------------------------------


def endless() -> Any:
    tree: dict[str, Any] = start()
    tree["self"] = tree
    return tree


def with_parents() -> Any:
    model = SimpleNamespace(**start())
    model.layers = [SimpleNamespace(W=np.ones(2), model=model)]
    return model


def deep(levels: int) -> Any:
    tree: Any = np.ones(2)
    for _ in range(levels):
        tree = {"a": tree}
    return tree


@pytest.mark.parametrize("tree", [endless(), with_parents(), deep(3000)], ids=["itself", "parents", "deep"])
def test_a_tree_without_an_end_is_told(tree: Any) -> None:
    with pytest.raises(InputError, match="a tree: expected arrays some hundred levels down at most"):
        linear(parameters=tree)


@pytest.mark.parametrize("nothing", [(i for i in range(3)), sys, "text", object(), 1, {}, {1, 2}, lambda: 0])
def test_what_holds_no_arrays_is_told(nothing: Any) -> None:
    for part in ("parameters", "x", "t"):
        with pytest.raises(InputError, match=r"(parameters|tensor [xt]): expected a (tree of|NumPy) array"):
            linear(**{part: nothing})


def test_a_mapping_that_cannot_be_written_to_is_a_tree() -> None:
    tree = MappingProxyType(start())
    moved = zip_with(lambda _, a: a + 1, tree)
    assert list(named(moved)) == ["W", "b"]
    np.testing.assert_array_equal(moved["W"], tree["W"] + 1)


def test_none_needs_no_counterpart() -> None:
    assert named(zip_with(lambda _, a, b: a + b, {"W": np.ones(2), "b": None}, {"W": np.ones(2)}))["W"].sum() == 4


def test_what_stands_beside_the_arrays_of_a_tree() -> None:
    assert beside_leaves({"t": 1, "m": [np.ones(2), "text"], "on": True}) == {"t": 1, "m.1": "text", "on": True}


# --- functions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ((0, start()), "tensor loss: expected dtype float64"),
        ((True, start()), "tensor loss: expected dtype float64"),
        ((np.zeros((1, 1)), start()), "loss: expected one number"),
        ((1.0, {**start(), "W": np.zeros((3, 2), int)}), "tensor dW: expected dtype float64"),
        ((1.0, {**start(), "W": np.zeros((3, 1))}), r"gradient of W: expected shape \(3, 2\)"),
        ((1.0, {**start(), "dW": start()["W"]}), "gradients: expected a gradient of each parameter by its name"),
    ],
)
def test_a_result_of_another_form_is_told(result: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        _ = linear(network=lambda *_: result).slots


def test_other_arguments_than_sow_are_the_function_s_own() -> None:
    def function(p: Any, x: Any, t: Any, **_options: Any) -> Any:
        return line(p, x, t)

    assert "loss" in linear(network=function).slots


# --- updates -----------------------------------------------------------------------------------------------


def down(p: Any, g: Any) -> Any:
    return {name: p[name] - 0.1 * g[name] for name in p}


class Remembering:
    """Momentum that is kept in the optimizer itself."""

    def __init__(self) -> None:
        self.v: dict[str, Any] = {}

    def __call__(self, p: Any, g: Any) -> None:
        for name in p:
            self.v[name] = 0.9 * self.v.get(name, 0) + g[name]
            p[name] -= 0.1 * self.v[name]


def by_keyword(p: Any, g: Any, *, lr: float) -> Any:
    return {name: p[name] - lr * g[name] for name in p}


def counting(p: Any, g: Any, state: Any) -> None:
    state["count"] += 1
    for name in p:
        p[name] -= 0.1 / state["count"] * g[name]


def ticking(p: Any, g: Any, state: Any) -> Any:
    """As many a hand-written Adam does; the data have a t, too."""
    return down(p, g), {"t": state["t"] + 1}


@pytest.mark.parametrize(
    ("update", "first", "told"),
    [
        (lambda p, _: {"W": p["W"]}, None, "the parameters after an update: expected W, b, got W"),
        (lambda p, _: len(p) + 1, None, "the parameters after an update: expected W, b, got int"),
        (lambda p, _: (p, p, p), None, "the parameters after an update: expected W, b"),
        (lambda p, _: {**p, "b": p["b"][None]}, None, r"tensor b after an update: expected shape \(2,\)"),
        (by_keyword, None, r"update: expected a function \(p, gradients\)"),
        (Remembering(), None, "tensor W after an update: expected to be the same"),
        (lambda p, _, __: p, lambda p: {"W": p["W"]}, "state W of the optimizer: expected a name that no param"),
        (counting, lambda _: {"count": 0}, "state count of the optimizer: expected an array if it changes"),
        (counting, lambda _: {"count": 0.0}, "state count of the optimizer: expected an array, got float"),
        (lambda p, _: p / 0, None, "the optimizer: expected to run .*, got TypeError"),
        (ticking, lambda _: {"t": np.zeros(())}, r"state t of the optimizer: expected a name .* the step, t, fourth\)"),
    ],
)  # fmt: skip
def test_an_update_that_cannot_be_judged_is_told(update: Any, first: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        _ = linear(optimizer=Own(update, first)).slots


def test_an_update_or_a_state_in_another_precision_is_told() -> None:
    def momentum(p: Any, g: Any, state: Any) -> None:
        for name in p:
            state["v"][name] += g[name]
            p[name] -= 0.1 * state["v"][name]

    def wide(p: Any) -> Any:
        return {"v": {name: np.zeros(w.shape) for name, w in p.items()}}

    with pytest.raises(InputError, match=r"state v\.W of the optimizer: expected dtype float32"):
        _ = in_float32(optimizer=Own(momentum, wide)).slots
    with pytest.raises(InputError, match=r"tensor W after an update: expected dtype float32, got dtype float64"):
        _ = in_float32(optimizer=Own(lambda p, g: {n: p[n] - np.float64(0.1) * g[n] for n in p})).slots


def test_arguments_with_a_default_are_left_at_it() -> None:
    def update(p: Any, g: Any, lr: float = 0.1) -> None:
        for name in p:
            p[name] -= lr * g[name]

    by_default, without = train(linear(optimizer=Own(update))), train(linear(optimizer=Own(down)))
    np.testing.assert_array_equal(by_default["W"], without["W"])


class Plain:
    """An optimizer by protocol, with nothing sown."""

    def __init__(self, first: Callable[[Any], Any]) -> None:
        self.init = first

    def step(self, p: Any, g: Any, state: Any, _: Any) -> Any:
        return down(p, g), state


def test_a_start_that_writes_to_the_parameters_writes_to_a_copy() -> None:
    def first(p: Any) -> Any:
        for w in p.values():
            w[...] = 0
        return {"v": p}

    given = start()
    for optimizer in (Plain(first), Own(lambda p, g, _: down(p, g), first)):
        assert train(linear(parameters=given, optimizer=optimizer)).steps == 3
        np.testing.assert_array_equal(given["W"], start()["W"])


def test_a_step_that_returns_no_pair_is_told() -> None:
    optimizer = Plain(lambda _: {})
    optimizer.step = lambda p, *_: p  # type: ignore[method-assign]  # as somebody may write it
    with pytest.raises(InputError, match=r"step of the optimizer: expected to return \(p, state\), got dict"):
        _ = linear(optimizer=optimizer).slots


@pytest.mark.parametrize(
    ("groups", "told"),
    [(1, "parameter groups"), ((1,), "a parameter group"), ((("b", SGD(0.1)),), "a parameter group"),
     ((({"b"}, None),), "optimizer: expected an object with init")],
)  # fmt: skip
def test_groups_of_another_form_are_told(groups: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        linear(optimizer=Groups(groups))
    with pytest.raises(InputError, match="optimizer: expected an object with init"):
        linear(optimizer=ClippedByNorm(None, 1.0))


# --- options -----------------------------------------------------------------------------------------------


class Network:
    def forward(self, p: Any, x: Any) -> Any:
        return x @ p["W"] + p["b"], x

    def backward(self, p: Any, x: Any, dy: Any) -> Any:
        return {"W": x.T @ dy, "b": dy.sum(axis=0)}


def test_a_penalty_on_no_parameter_is_told() -> None:
    changes = {"network": Network(), "loss": SquaredError("mean")}
    with pytest.raises(UnknownNameError, match="unknown parameter of the penalty 'W1': did you mean 'W'"):
        linear(penalty=L2(0.1, ("W1",)), **changes)
    for names in ("W", ()):
        with pytest.raises(InputError, match="names of the penalty: expected a tuple"):
            linear(penalty=L2(0.1, names), **changes)  # type: ignore[arg-type]  # a text is one name too few


def test_small_whole_numbers_of_numpy_do_not_overflow() -> None:
    x, t = np.ones((250, 3)), np.ones((250, 2))
    e = linear(x=x, t=t, batches=Batches(np.int8(100), np.uint8(1)), steps=np.int8(4))  # type: ignore[arg-type]  # NumPy's
    assert [e.batch_length(step) for step in range(3)] == [100, 100, 50]
    assert train(e).steps == 4
