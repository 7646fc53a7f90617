"""The derivative as a graph: the sweep's own values, here and, evaluated again, at any other point."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from torch_mirror.balls.cell import Ball
from torch_mirror.balls.recording import recording
from torch_mirror.tape.edits.case import meets
from torch_mirror.tape.edits.edit import at_node, evaluated
from torch_mirror.tape.edits.equation import Equation, shape_of
from torch_mirror.tape.edits.gradients import gradient_equation
from torch_mirror.tape.edits.operations import OPERATIONS
from torch_mirror.tape.sweep import derivative, leaf


def softmax(W: Any, b: Any) -> Any:
    e = np.exp(W - W.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    return np.sum(y * b[:3]) - np.sum(np.log(y) * b[:3] ** 2)


def sigmoid(W: Any, b: Any) -> Any:
    return np.sum(1 / (1 + np.exp(-(W.T * b)))) + np.sum((np.exp(-b) + 1) ** -1)


def loop(W: Any, b: Any) -> Any:
    h = b
    for _ in range(3):
        h = np.tanh(W.T[:3] @ h[:4] + h[:3].mean())
        h = np.concatenate([h, b[3:]])
    return (h * h).sum()


def masks(W: Any, b: Any) -> Any:
    z = W + b[:3]
    return np.sum(np.maximum(z, 0) * 2 - np.where(z > 0.1, z**2, z / 3) + z * (z > -0.2) + np.abs(z))


def moves(W: Any, b: Any) -> Any:
    z = W.copy()
    z[1:, 0] = b[:3]
    z[0] *= 3
    return np.sum(z[::-1].T @ z / np.sqrt(b[0] ** 2 + 1)) - np.sum(np.log(b**2 + 1)) + z.reshape(-1)[[0, 0, 5]].sum()


def variance(W: Any, b: Any) -> Any:
    normal = (W - W.mean(0)) / np.sqrt(W.var(0) + 1e-3)
    return (normal**3).sum() + np.power(np.abs(b) + 1, 1.5).sum()


PROGRAMS = (softmax, sigmoid, loop, masks, moves, variance)


def recorded(f: Callable[..., Any], seed: int) -> tuple[Equation, dict[str, Any], dict[str, Any]]:
    r = np.random.default_rng(seed)
    with recording():
        p = {"W": leaf(r.standard_normal((4, 3)), "W"), "b": leaf(r.standard_normal(4), "b")}
        leaves = {name: x.settled() for name, x in p.items()}
        loss = f(**p)
    d = derivative(loss, "last")
    by = {name: d.by(Ball(x)).settled() for name, x in leaves.items()}
    return gradient_equation(loss.settled(), leaves), leaves, by


@pytest.mark.parametrize("f", PROGRAMS)
def test_its_outputs_are_the_derivatives(f: Callable[..., Any]) -> None:
    eq, _, d = recorded(f, 0)
    assert all(meets(d[name], eq.values[i].settled()) for name, i in eq.outputs.items())
    assert all(eq.values[i].radius.max() <= 1e-9 * np.abs(eq.values[i].value).max() for i in eq.outputs.values())


@pytest.mark.parametrize("f", PROGRAMS)
def test_evaluated_again_at_another_point_it_is_the_derivative_there(f: Callable[..., Any]) -> None:
    """So no number of the first point is frozen in: what probes and edits need. Masks are computed anew, too."""
    eq, _, _ = recorded(f, 0)
    _, leaves, d = recorded(f, 1)
    values: list[Any] = []
    for node, value in zip(eq.nodes, eq.values, strict=True):
        if node.operands:
            values.append(OPERATIONS[node.operation](*(values[k] for k in node.operands), **node.options))
        else:
            values.append(Ball(leaves[node.label]) if node.kind == "leaf" else value)
    assert all(meets(d[name], values[i].settled()) for name, i in eq.outputs.items())


@pytest.mark.parametrize("f", PROGRAMS)
def test_arrays_and_balls_are_evaluated_alike(f: Callable[..., Any]) -> None:
    """On arrays edits are refused: a value that is another one there than on balls would hide a cause."""
    eq, _, d = recorded(f, 0)
    arrays: list[Any] = []
    for node, value in zip(eq.nodes, eq.values, strict=True):
        operands = (arrays[k] for k in node.operands)
        arrays.append(OPERATIONS[node.operation](*operands, **node.options) if node.operands else value.value)
    for name, i in eq.outputs.items():
        assert (np.abs(arrays[i] - d[name].value) <= 1e-12 * np.abs(d[name].value).max()).all()


def test_a_leaf_that_the_loss_does_not_depend_on_has_the_derivative_zero() -> None:
    with recording():
        a, b = leaf(np.ones(3), "a"), leaf(np.ones(2), "b")
        leaves = {"a": a.settled(), "b": b.settled()}
        loss = np.sum(a * a).settled()
    eq = gradient_equation(loss, leaves)
    assert (eq.values[eq.outputs["b"]].value == 0).all()
    assert eq.values[eq.outputs["b"]].shape == (2,)


def test_an_edit_changes_what_is_made_of_it_and_nothing_else() -> None:
    eq, _, _ = recorded(sigmoid, 0)
    shape, out = shape_of(eq), eq.outputs["W"]
    new: dict[int, Any] = {}
    result = evaluated(eq, shape, eq.values, (at_node(out, "doubled", 1, lambda h: h.x + h.x),), ("W", "b"), new)
    assert (result["W"].value == 2 * eq.values[out].value).all()
    assert result["b"] is eq.values[eq.outputs["b"]]
    assert set(new) == {out}


def test_edits_that_are_made_already_are_made_again_where_something_is_new_above_them() -> None:
    eq, _, _ = recorded(sigmoid, 0)
    shape, out = shape_of(eq), eq.outputs["W"]
    above = eq.nodes[out].operands[0]
    doubled = at_node(out, "doubled", 1, lambda h: h.x * 2.0)
    tripled = at_node(above, "tripled", 1, lambda h: h.x * 3.0)
    made: dict[int, Any] = {}
    evaluated(eq, shape, eq.values, (doubled,), ("W",), made)
    values = [made.get(i, x) for i, x in enumerate(eq.values)]
    once = evaluated(eq, shape, values, (tripled,), ("W",), {}, (doubled,))["W"]
    both = evaluated(eq, shape, eq.values, (doubled, tripled), ("W",), {})["W"]
    assert (once.value == both.value).all()
    assert (once.value != made[out].value).all()


@pytest.mark.parametrize("scale", [1.0, 6.0])
def test_what_is_given_stands_in_the_place_of_a_derivative_and_all_else_follows(scale: float) -> None:
    """With 3 times the derivative by tanh(z) given, that by W is 3 times as large; that by b, behind it, is not."""
    with recording():
        r = np.random.default_rng(0)
        W, b = leaf(r.standard_normal((4, 3)), "W"), leaf(r.standard_normal(3), "b")
        leaves = {"W": W.settled(), "b": b.settled()}
        a = np.tanh(W)
        loss = np.sum(a * a * b)
    at, d = a.settled(), derivative(loss)
    assert at.node is not None
    given = {at.node.number: (d.by(a) * 3.0).settled()}
    eq = gradient_equation(loss.settled(), leaves, scale=scale, given=given)
    found = {name: eq.values[i].settled() for name, i in eq.outputs.items()}
    assert meets(found["W"], d.by(W) * 3.0)
    assert not meets(found["W"], d.by(W))
    assert meets(found["b"], d.by(b))


def test_each_node_has_its_own_side_of_a_kink() -> None:
    with recording():
        W, b = leaf(np.zeros(3), "W"), leaf(np.zeros(3), "b")
        leaves = {"W": W.settled(), "b": b.settled()}
        at_first: Any = W
        at_last: Any = b
        first, last = np.maximum(at_first, 0), np.maximum(at_last, 0)
        loss = np.sum(first) + np.sum(last)
    node = last.settled().node
    assert node is not None
    eq = gradient_equation(loss.settled(), leaves, {node.number: "last"})  # and "first" of the other
    assert eq.values[eq.outputs["W"]].value.tolist() == [1, 1, 1]
    assert eq.values[eq.outputs["b"]].value.tolist() == [0, 0, 0]
