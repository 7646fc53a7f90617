"""Rules that users add: how one is called, for how long it is there, and what it may not replace."""

from collections.abc import Callable
from contextvars import Context
from typing import Any

import numpy as np
import pytest

from torch_mirror.balls.bools import Bools
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number

BALL: Any = Ball(np.array([[1.0, 2.0], [3.0, 4.0]]), np.full((2, 2), 0.5))


def slope_1(function: Any) -> Callable[..., Number]:
    """A rule of deg2rad, logaddexp2 and kin, which move by no more than their operands do. It forgets the rounding."""

    def rule(like: Number, *operands: Any) -> Number:
        numbers = [like.operand(x) for x in operands]
        return like.derived(function(*(x.value for x in numbers)), lambda take: sum(x.e(take) for x in numbers))

    return rule


def partition(like: Number, a: Any, kth: int, axis: int = -1) -> Number:
    """np.partition: no element moves by more than the one that moves most."""
    x = like.operand(a)
    return like.derived(np.partition(x.value, kth, axis), lambda take: take(np.full(x.shape, x.radius.max())))


def lengths(like: Number, array: Number, axis: int = 0) -> Number:
    """A rule of np.hypot.reduce, which says something, and not how far a length may move."""
    return like.derived(np.hypot.reduce(array.value, axis), lambda take: take(array.radius.mean(axis)))


def unknown(call: Callable[[], Any]) -> bool:
    try:
        call()
    except TypeError as error:
        assert "no radius is known" in str(error)  # noqa: PT017 - one of two outcomes
        return True
    return False


@pytest.mark.parametrize(("function", "rule", "call"), [
    (np.deg2rad, slope_1(np.deg2rad), lambda: np.deg2rad(BALL)),
    (np.logaddexp2, slope_1(np.logaddexp2), lambda: np.logaddexp2(BALL, 1.0)),
    (np.logaddexp2, slope_1(np.logaddexp2), lambda: np.logaddexp2(np.ones((2, 2)), BALL)),
    (np.partition, partition, lambda: np.partition(BALL, 0, axis=0)),
    (np.hypot.reduce, lengths, lambda: np.hypot.reduce(BALL)),
])  # fmt: skip
def test_a_rule_of_any_function_is_called_alike_and_is_there_until_it_is_dropped(
    function: Any, rule: Any, call: Callable[[], Any]
) -> None:
    assert unknown(call)
    assert Ball.rule(function)(rule) is rule
    try:
        assert isinstance(call(), Ball)
        assert (call().radius == 0.5).all()
        with pytest.raises(ValueError, match="has a rule"):
            Ball.rule(function)
    finally:
        Ball.drop_rule(function)
    assert unknown(call)


def test_rules_of_a_block_are_gone_after_it_and_hold_in_the_blocks_inside() -> None:
    def there() -> bool:
        return not unknown(lambda: np.deg2rad(BALL))

    def back() -> bool:
        return not unknown(lambda: np.rad2deg(BALL))

    one, other = {np.deg2rad: slope_1(np.deg2rad)}, {np.rad2deg: slope_1(np.rad2deg)}
    with Ball.rules(one):
        assert (there(), back()) == (True, False)
        with Ball.rules(other):
            assert (there(), back()) == (True, True)
            assert Context().run(there) is False  # nor does another thread see them
        assert (there(), back()) == (True, False)
        with pytest.raises(ValueError, match=r"numpy\.deg2rad has a rule"), Ball.rules(one):
            pass
    assert (there(), back()) == (False, False)
    with pytest.raises(ZeroDivisionError), Ball.rules(one):
        raise ZeroDivisionError
    assert there() is False


@pytest.mark.parametrize("function", [np.add, np.sum, np.add.reduce])
def test_a_rule_that_is_proven_is_not_replaced_or_dropped(function: Any) -> None:
    with pytest.raises(ValueError, match="has a rule"):
        Ball.rule(function)
    with pytest.raises(ValueError, match="has a rule"), Ball.rules({function: slope_1(function)}):
        pass
    with pytest.raises(KeyError):
        Ball.drop_rule(function)


def test_what_a_rule_is_given_and_may_give() -> None:
    """Numbers for balls and masks for masks, in lists and by name too; results become balls and masks again."""
    seen: list[Any] = []

    def rule(like: Number, *arguments: Any, **named: Any) -> Any:
        seen.extend([like, *arguments, *named.values()])
        return [like.operand(1.0), (BALL > 0).mask, 3]

    with Ball.rules({np.interp: rule}):
        masked: Any = (BALL > 2, "as it is")
        got: Any = np.interp(BALL, [BALL, 2.0], masked, left=BALL)
    number, first, (inside, two), (mask, text), named = seen
    assert all(type(x) is Number for x in (number, first, inside, named))
    assert (type(mask), two, text) == (Mask, 2.0, "as it is")
    assert [type(x) for x in got] == [Ball, Bools, int]


def test_an_argument_that_a_rule_does_not_take_is_named() -> None:
    with (
        Ball.rules({np.partition: partition}),
        pytest.raises(TypeError, match=r"no radius is known for numpy\.partition with kind"),
    ):
        np.partition(BALL, 0, kind="introselect")


def test_functions_are_called_by_their_full_names() -> None:
    with pytest.raises(TypeError, match=r"numpy\.linalg\.det; .*@Ball\.rule\(numpy\.linalg\.det\)"):
        np.linalg.det(BALL)


# --- a view that a rule takes is one of the ball -----------------------------------------------------------


def turned(like: Number, m: Any, k: int = 1, axes: Any = (0, 1)) -> Number:  # noqa: ARG001 - half a turn
    """np.roll's place taken by a rule that looks twice on end."""
    return like.operand(m).view(lambda a: a[::-1]).view(lambda a: a[:, ::-1])


def test_a_ball_follows_what_a_rule_looked_at_and_is_written_through_however_often_it_looked() -> None:
    x: Any = BALL.copy()
    row = x[1:]
    with Ball.rules({np.roots: turned}):
        half: Any = np.roots(x)
        of_row: Any = np.roots(row)
    half[0, 0] = 7
    assert x.value.tolist() == [[1, 2], [3, 7]]
    of_row[0, 1] = 8
    assert x.value.tolist() == [[1, 2], [8, 7]]
    assert (half.value.tolist(), row.value.tolist()) == ([[7, 8], [2, 1]], [[8, 7]])
    assert half.radius.tolist() == [[0, 0], [0.5, 0.5]]


def test_two_balls_of_one_number_have_views_of_their_own() -> None:
    """By the number alone either view would lead to the same ball."""
    x: Any = BALL.copy()
    y: Any = Ball(x.settled())
    first, second = np.atleast_1d(x, y)
    first[1], second[0] = 9, 0
    assert (x.value.tolist(), y.value.tolist()) == ([[1, 2], [9, 9]], [[0, 0], [3, 4]])


def test_products_are_kept_within_the_block_alone() -> None:
    x: Any = BALL.copy()
    W: Any = BALL.copy()
    with W.remembering() as same:
        assert same is W
        first = (x @ W.mT).settled()
        assert (x @ W.mT).settled() is first
        before = W.settled()
        W[...] = 0
    assert before.kept_products == {}  # dropped all the same
    assert first.value.tolist() != (x @ W.mT).value.tolist()
    assert (x @ W.mT).settled() is not (x @ W.mT).settled()
