"""What is recorded: nothing without a recording, and with one everything, with the lines of the user's code."""

import linecache
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reference.errors import InputError
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.recording import Kind, Node, Recording, current, paused, recording
from torch_mirror.tape.sweep import derivative, leaf


def node(x: Any) -> Node:
    found = x.settled().node
    assert isinstance(found, Node)
    return found


def test_nothing_is_noted_without_a_recording() -> None:
    x = Ball(np.ones(3))
    assert (x * 2 + 1).settled().node is None
    assert (x > 0).mask.node is None
    with recording() as tape, paused():
        assert (x * 2).settled().node is None
    assert tape.values == []
    assert current() is None


def test_a_leaf_needs_a_recording() -> None:
    with pytest.raises(InputError, match="leaf W: expected a recording that is on"):
        leaf(np.ones(3), "W")


def test_a_leaf_is_of_floats() -> None:
    with recording(), pytest.raises(InputError, match="leaf labels: expected an array of floats, got one of int64"):
        leaf(np.arange(3), "labels")


def test_each_operation_is_a_node_with_its_operands_in_order() -> None:
    with recording() as tape:
        x: Any = leaf(np.ones((2, 3)), "x")
        w: Any = leaf(np.ones((4, 3)), "w")
        y = np.tanh(x @ w.T)
    assert [v.node.operation for v in tape.values] == ["x", "w", "view", "matmul", "tanh"]
    assert [v.node.number for v in tape.values] == [0, 1, 2, 3, 4]
    assert [a.node.number for a in node(y).operands] == [3]
    assert [a.node.number for a in tape.values[3].node.operands] == [0, 2]


def test_a_node_can_be_made_again() -> None:
    with recording() as tape:
        x: Any = leaf(np.array([0.5, -2.0]))
        y = np.sum(np.where(x > 0, np.exp(x), x / 3) ** 2) + np.max(x)
    for value in tape.values:
        if value.node.adjoint is not Kind.LEAF:
            n = value.node
            again = n.rule(*n.operands, *n.arguments, **n.named)
            assert again.value.tolist() == value.value.tolist()
    assert node(y).operation == "add"


def test_what_a_plain_array_gives_is_constant() -> None:
    with recording():
        x, data = leaf(np.ones(3)), Ball(np.ones(3))
        y, z = data * 2, x * data
    assert not node(y).active
    assert node(z).active


# --- views, aliases, assignment: resolved before anything is noted -----------------------------------------------


def test_an_operand_is_what_it_was_when_the_operation_ran() -> None:
    with recording():
        x = leaf(np.array([1.0, 2.0, 3.0]))
        a = x * 1.0
        y = a * a           # of x, before the assignment
        a[1:] = 0.0
        loss = np.sum(y) + np.sum(a)
    assert derivative(loss).by(x).value.tolist() == [2 + 1, 4 + 0, 6 + 0]


def test_a_view_that_is_written_through() -> None:
    with recording():
        x = leaf(np.arange(1.0, 7.0).reshape(2, 3))
        a = x.copy()
        row = a[0]
        row *= 10.0
        a.T[2] += x[:, 0]
        loss = np.sum(a * np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]))
    assert derivative(loss).by(x).value.tolist() == [[10 + 4, 20, 40], [8 + 32, 16, 32]]


def test_repeated_indices_add_up() -> None:
    with recording():
        x = leaf(np.array([1.0, 2.0]))
        loss = np.sum(x[[0, 0, 1, 0]] * np.array([1.0, 2.0, 4.0, 8.0]))
    assert derivative(loss).by(x).value.tolist() == [11.0, 4.0]


# --- lines ---------------------------------------------------------------------------------------------------


def helper(x: Any) -> Any:
    return np.exp(x)


class Layer:
    def forward(self, x: Any) -> Any:
        return x.sum(axis=0)


short = lambda x: x * 2  # noqa: E731 - a lambda is what is tested


@pytest.mark.parametrize(("function", "source"), [
    (helper, "return np.exp(x)"),
    (Layer().forward, "return x.sum(axis=0)"),
    (short, "short = lambda x: x * 2  # noqa: E731 - a lambda is what is tested"),
])  # fmt: skip
def test_the_line_is_that_of_the_user_s_code(function: Callable[..., Any], source: str) -> None:
    with recording():
        place = node(function(leaf(np.ones(3)))).place
    assert place is not None
    assert place.source == source
    assert place.file == __file__
    assert str(place).endswith(f"test_recording.py:{place.line}")


def test_the_expression_within_the_line() -> None:
    with recording():
        x = leaf(np.ones(3))
        y = np.exp(x) + np.tanh(x)
        left, right = node(y).operands
    spans = [v.node.place.span for v in (left, right)]
    line = linecache.getline(__file__, spans[0][0])
    assert [line[a:b] for _, _, a, b in spans] == ["np.exp(x)", "np.tanh(x)"]


def test_a_notebook_s_cell_has_lines() -> None:
    name, text = "<ipython-input-7>", "def f(x):\n    return x * 3\n"
    linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
    space: dict[str, Any] = {}
    exec(compile(text, name, "exec"), space)  # noqa: S102 - as a notebook does
    with recording():
        place = node(space["f"](leaf(np.ones(2)))).place
    assert place is not None
    assert (place.file, place.line, place.source, place.function) == (name, 2, "return x * 3", "f")


def test_no_source_is_read_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: Any) -> str:
        raise AssertionError("the source was read")

    monkeypatch.setattr(linecache, "getline", read)
    with recording():
        place = node(leaf(np.ones(2)) * 2).place
    with pytest.raises(AssertionError, match="was read"):
        _ = place and place.source


# --- decisions -------------------------------------------------------------------------------------------------


def close(x: Any) -> Any:
    """A third of x, whose radius leaves open whether it is more than a third."""
    return x / 3.0 * 0.1


def test_an_open_decision_is_followed_as_the_centre_goes_and_noted() -> None:
    with recording() as tape:
        x = leaf(np.array([1.0, 2.0]))
        y = close(x) - close(x)
        branch = "up" if y[0] > 0 else "down"
        index = np.argmax(y)
    assert (branch, int(index)) == ("down", 0)
    assert [t.open for t in tape.taken] == [1, 1]
    assert [t.what for t in tape.taken] == ["a truth value", "numpy.argmax"]
    assert tape.taken[0].place is not None
    assert tape.taken[0].place.source == 'branch = "up" if y[0] > 0 else "down"'


def test_without_a_recording_it_raises() -> None:
    y = close(Ball(np.array([1.0]))) - close(Ball(np.array([1.0])))
    with pytest.raises(TypeError, match="open"):
        bool(y[0] > 0)


# --- one recording a thread ----------------------------------------------------------------------------------------


def test_a_recording_is_that_of_its_thread() -> None:
    seen: list[Recording | None] = []
    with recording():
        thread = threading.Thread(target=lambda: seen.append(current()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_an_error_ends_a_recording() -> None:
    with pytest.raises(ValueError, match="here"), recording():
        raise ValueError("here")
    assert current() is None


def test_off_it_costs_an_operation_next_to_nothing() -> None:
    """One look at a ContextVar: 4 of them are less than a twentieth of the smallest operation."""
    x = Ball(np.ones(4))

    def fastest(f: Callable[[], Any]) -> float:
        best = float("inf")
        for _ in range(200):
            start = time.perf_counter()
            for _ in range(20):
                f()
            best = min(best, time.perf_counter() - start)
        return best

    assert 4 * fastest(current) < fastest(lambda: x * x) / 20
