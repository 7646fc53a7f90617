"""Names, from the user's own lines; numbers that have a name; the turns of a loop."""

import linecache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from torch_mirror.balls.cell import Ball
from torch_mirror.balls.recording import recording
from torch_mirror.tape.edits.constants import names_of, table
from torch_mirror.tape.edits.equation import Equation
from torch_mirror.tape.edits.gradients import gradient_equation
from torch_mirror.tape.edits.turns import names_by_role, roles, turns
from torch_mirror.tape.edits.words import called
from torch_mirror.tape.replay import Plan, replay
from torch_mirror.tape.sweep import leaf

SOURCE = """
def f(W, X, cache):
    z = X @ W
    cache["a"] = np.tanh(z)  # an activation
    (h) = cache["a"] * 2 + 1
    for _ in range(3):
        z = np.tanh(z)
    return np.sum(h * h) / 2 + z.sum()
"""


def equation() -> Equation:
    linecache.cache["<words>"] = (len(SOURCE), None, SOURCE.splitlines(keepends=True), "<words>")
    space: dict[str, Any] = {"np": np, "__name__": "theirs"}
    exec(compile(SOURCE, "<words>", "exec"), space)  # noqa: S102 - our own text, above
    with recording():
        W = leaf(np.ones((3, 2)) / 7, "W")
        leaves = {"W": W.settled()}
        loss = space["f"](W, Ball(np.ones((4, 3))), {})
    return gradient_equation(loss.settled(), leaves)


def test_values_are_called_as_their_line_calls_them() -> None:
    eq = equation()
    names = [called(eq, i) for i in range(len(eq.nodes))]
    assert {"W", "X", "z", "a"} <= set(names)
    assert "d(z)" in names
    assert "d(a)" in names
    assert "h" not in names  # its line makes it of more than one operation, and names it in brackets
    assert "(1 - a^2)" in names


def test_what_is_taken_as_given_is_called_what_it_is() -> None:
    with recording() as tape:
        W = leaf(np.ones((3, 2)) / 7, "W")
        loss = np.sum(np.square(np.tanh(np.ones((4, 3)) @ W)))
    tanhs = frozenset(v.node.number for v in tape.values if v.node is not None and v.node.operation == "tanh")
    again = replay(tape.values, Plan(given=tanhs))
    eq = gradient_equation(again.at(loss.settled()), {"W": again.at(W.settled())})
    names = [called(eq, i) for i in range(len(eq.nodes))]
    assert "tanh(a constant @ W)^2" in names
    assert not [name for name in names if "given" in name]


def test_the_turns_of_a_loop_have_one_role_and_one_name() -> None:
    eq = equation()
    of = roles(eq)
    alone, *tanhs = [i for i, node in enumerate(eq.nodes) if node.operation == "tanh"]
    assert len(tanhs) == 3
    assert len({of[i] for i in tanhs}) == 1
    assert of[alone] != of[tanhs[0]]
    assert [turns(eq, of)[i] for i in tanhs] == [0, 1, 2]
    back = [i for i, node in enumerate(eq.nodes) if node.operation == "tanh'" and node.operands[0] in tanhs]
    assert len({of[i] for i in back}) == 1
    assert len({names_by_role(eq, of)[i] for i in back}) == 1


LAYERS = """
def f(Ws, X):
    a = X
    for W in Ws:
        a = np.tanh(a @ W)
    return np.sum(a * a)
"""


def test_in_a_loop_over_layers_the_derivative_by_a_parameter_keeps_that_parameters_name() -> None:
    linecache.cache["<layers>"] = (len(LAYERS), None, LAYERS.splitlines(keepends=True), "<layers>")
    space: dict[str, Any] = {"np": np, "__name__": "theirs"}
    exec(compile(LAYERS, "<layers>", "exec"), space)  # noqa: S102 - our own text, above
    with recording():
        Ws = [leaf(np.full(shape, 1 / 7), name) for name, shape in (("W1", (3, 2)), ("W2", (2, 2)), ("W3", (2, 5)))]
        leaves = {f"W{i}": W.settled() for i, W in enumerate(Ws, 1)}
        loss = space["f"](Ws, Ball(np.ones((4, 3))))
    eq = gradient_equation(loss.settled(), leaves)
    of = roles(eq)
    names = names_by_role(eq, of)
    outputs = list(eq.outputs.items())
    assert of[eq.outputs["W2"]] == of[eq.outputs["W3"]]  # one line of the loop: by its role alone both are d(W3)
    assert [names[i] for _, i in outputs] == [f"d({name})" for name, _ in outputs]


def test_a_number_has_all_the_names_that_it_may_have_the_simplest_first() -> None:
    known = table({"N, the batch": 6.0, "hidden": 6.0, "momentum": 0.9})
    assert names_of(1 / 6, 1e-12, known)[:2] == ["1/(N, the batch)", "1/hidden"]
    assert names_of(1 - 0.9, 1e-12, known)[0] == "(1 - momentum)"
    assert names_of(6 / 5, 1e-12, known)[0].endswith("- 1)")
    assert names_of(0.1234567, 1e-9, known) == []
    assert names_of(1 / 6 + 1e-9, 1e-12, known) == []
    assert all(np.isfinite(c.value) for c in table({"a": 0.0, "b": 1.0, "c": float("inf")}).values())


@pytest.mark.parametrize(
    ("text", "name"),
    [("X @ W", "X"), ("np.dot(X, W)", "X"), ("dot(X, W)", "X"), ("X.dot(W)", "X"), ("np.matmul(mine.X, W)", "X"),
     ("np.dot(X[1:], W)", "a constant")],
)  # fmt: skip
def test_a_constant_is_called_as_it_is_written_in_a_product_or_a_call(text: str, name: str) -> None:
    source = f"def f(X, W, mine):\n    z = {text}\n    return np.sum(z * z)\n"
    file = f"<a constant of {text}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    space: dict[str, Any] = {"np": np, "dot": np.dot, "__name__": "theirs"}
    exec(compile(source, file, "exec"), space)  # noqa: S102 - our own text, above
    X = np.ones((4, 3))
    with recording():
        W = leaf(np.ones((3, 2)) / 7, "W")
        leaves = {"W": W.settled()}
        loss = space["f"](Ball(X), W, SimpleNamespace(X=Ball(X)))
    eq = gradient_equation(loss.settled(), leaves)
    constants = {called(eq, i) for i, node in enumerate(eq.nodes) if node.kind == "constant" and eq.values[i].ndim}
    assert constants == {name}
