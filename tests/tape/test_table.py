"""The table says of each function what its adjoint is; here that is held against what is recorded when it is called."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.attack.adversary import FORMATS
from tests.tape.attack import strike
from tests.tape.test_attack import SMALL
from torch_mirror.balls import cell
from torch_mirror.balls.bools import Bools
from torch_mirror.balls.callers import name_of
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.recording import Kind, Node, current, recording
from torch_mirror.balls.table import TABLE
from torch_mirror.tape.graph import MissingAdjointError
from torch_mirror.tape.sweep import derivative, leaf


class Call(NamedTuple):
    """One call of a NumPy function: whether something variable went in, what was noted, and what variable came out."""

    function: Any
    went_in: bool
    noted: tuple[Node, ...]
    came_out: tuple[Node, ...]


def nodes(x: Any) -> Iterator[Node]:
    """Those of all numbers and masks in an argument or a result."""
    if isinstance(x, (list, tuple)):
        for part in x:
            yield from nodes(part)
    elif isinstance(x, Ball) and x.settled().node is not None:
        yield x.settled().node  # type: ignore[misc]  # it is not None
    elif isinstance(x, Bools) and x.mask.node is not None:
        yield x.mask.node


@pytest.fixture(scope="module")
def calls() -> list[Call]:
    """Every call that the attack makes while a recording is on."""
    seen, called = [], cell._called

    def watched(function: Any, like: Ball, arguments: Any, named: dict[str, Any], out: Any) -> Any:
        tape = current()
        before = len(tape.values) if tape else 0
        result = called(function, like, arguments, named, out)
        if tape:
            changed = arguments[0] if result is None else result
            noted = tuple(x.node for x in tape.values[before:])
            active = any(n.active for x in (*arguments, *named.values()) for n in nodes(x))
            seen.append(Call(function, active, noted, tuple(nodes(changed))))
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cell, "_called", watched)
        for operation in SMALL.values():
            strike(operation, FORMATS[1], 1, 1)
        with recording():
            for program in ALSO:
                program(leaf(np.array([1.5, -2.0, 3.25])))
    return seen


ALSO: tuple[Callable[[Any], Any], ...] = (
    np.isnan, np.argsort, np.argmax, np.argmin, np.nonzero, np.flatnonzero, np.count_nonzero, np.argwhere,
    lambda x: np.allclose(x, 2 * x), lambda x: np.array_equal(x, 2 * x), lambda x: np.full_like(x, x[0]),
    lambda x: np.full(3, x[0], like=x),
)
"""Calls with a variable, which the attack makes with constants only."""


def of(calls: list[Call], function: Any) -> list[Call]:
    """Those of a function, or of another name of it."""
    rule = TABLE[function].radius
    mine = [c for c in calls if c.function is function or (c.function in TABLE and TABLE[c.function].radius is rule)]
    return [c for c in mine if c.went_in] or mine


FREE = {np.shape, np.ndim, np.size}
"""Of no numbers: Python asks them, and nothing is recorded."""


@pytest.mark.parametrize("function", TABLE, ids=name_of)
def test_what_a_row_says_of_its_adjoint_is_what_is_recorded(calls: list[Call], function: Any) -> None:
    adjoint, own = TABLE[function].adjoint, of(calls, function)
    assert own or function in FREE
    if adjoint in (Kind.ZERO, Kind.DECISION, Kind.CONSTANT):
        assert not any(node.active for call in own for node in call.came_out)
    else:
        assert adjoint is not Kind.UNKNOWN
        assert any(node.active for call in own for node in call.came_out)
    if adjoint is Kind.MOVES:
        assert {node.adjoint for call in own for node in call.noted} == {Kind.MOVES}
    elif not isinstance(adjoint, Kind):
        assert any(node.adjoint is adjoint for call in own for node in call.noted)
    assert not any(node.adjoint is Kind.UNKNOWN for call in own for node in call.noted)


# --- what has none ---------------------------------------------------------------------------------------------


def rule_of_rad2deg(like: Any, x: Any) -> Any:
    a = like.operand(x)
    return like.derived(np.rad2deg(a.value), lambda take: 60 * a.e(take) + 4 * a.format.u * np.abs(take(a.value)) * 60)


def line() -> int:
    import inspect

    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def test_a_rule_without_an_adjoint_raises_by_name_and_line() -> None:
    with Ball.rules({np.rad2deg: rule_of_rad2deg}), recording():
        x = leaf(np.array([1.0, 2.0]))
        loss, here = np.sum(np.rad2deg(x)), line()
    with pytest.raises(MissingAdjointError, match=rf"numpy\.rad2deg has a rule and no adjoint.*test_table\.py:{here}"):
        derivative(loss)


def test_nobody_asks_for_an_adjoint_that_the_loss_does_not_depend_on() -> None:
    with Ball.rules({np.rad2deg: rule_of_rad2deg}), recording():
        x = leaf(np.array([1.0, 2.0]))
        loss = np.sum(np.rad2deg(Ball(np.array([3.0, 4.0]))) * x)
        np.rad2deg(x)
    assert derivative(loss).by(x).value.tolist() == np.rad2deg([3.0, 4.0]).tolist()


def test_a_rule_of_the_user_s_may_have_an_adjoint() -> None:
    pair = rule_of_rad2deg, (lambda g, _y, _x: g * (180 / np.pi),)
    with Ball.rules({np.rad2deg: pair}), recording():
        x = leaf(np.array([1.0, 2.0]))
        loss = np.sum(np.rad2deg(x) * np.array([1.0, 2.0]))
    assert derivative(loss).by(x).value.tolist() == [180 / np.pi, 2 * (180 / np.pi)]


def test_a_rule_of_the_user_s_that_is_made_of_others_needs_none() -> None:
    def composed(like: Any, x: Any) -> Any:
        twice: Any = Ball(like.operand(x)) * 2.0
        return twice.settled()

    with Ball.rules({np.rad2deg: composed}), recording():
        x = leaf(np.array([1.0, 2.0]))
        loss = np.sum(np.rad2deg(x))
    assert derivative(loss).by(x).value.tolist() == [2.0, 2.0]


def test_an_operation_inside_a_rule_that_nobody_noted_raises_too() -> None:
    def hidden(like: Any, x: Any) -> Any:
        a = like.operand(x)
        twice: Any = Ball(like.derived(a.value * 3, None)) * 2.0
        return twice.settled()

    with Ball.rules({np.rad2deg: hidden}), recording():
        loss = np.sum(np.rad2deg(leaf(np.array([1.0, 2.0]))))
    with pytest.raises(MissingAdjointError, match="no adjoint"):
        derivative(loss)
