"""What moves, repeats and makes up elements on balls; sums and products along an axis; methods of an array."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given

from tests.attack.adversary import F32, F64, Operand, Rule, attack, hostile, operand, rational, worst
from tests.attack.evaluations import with_torch
from tests.attack.strike import forgets_radii, formats, kinds, most, movements, precisions, seeds, strike
from torch_mirror.balls import table
from torch_mirror.balls.ball import Ball
from torch_mirror.balls.format import Format
from torch_mirror.balls.rules import sums

V = (3, 4)
BALL: Any = Ball(np.arange(6.0).reshape(2, 3), np.arange(1.0, 7.0).reshape(2, 3))


def backwards(x: Any) -> Any:
    """Each partial sum, from its last term to its first."""
    return np.stack([x[i::-1].cumsum(axis=0)[-1] for i in range(len(x))])


def pairwise(x: Any) -> Any:
    """The product of each column, by halves."""
    return (x[0] * x[3]) * (x[1] * x[2])


RULES: dict[str, Rule] = {
    "cumsum": Rule(((5, 2),), lambda x: np.cumsum(x, axis=0), (backwards, with_torch(lambda x: torch.cumsum(x, 0)))),
    "cumsum method": Rule((V,), lambda x: x.cumsum(), ()),
    "prod": Rule(((4, 3),), lambda x: np.prod(x, axis=0), (pairwise, with_torch(lambda x: torch.prod(x, 0)))),
    "prod of all": Rule((V,), lambda x: np.multiply.reduce(x, axis=(0, 1)), (lambda x: np.asarray(x.T.copy().prod()),)),
    "positive": Rule((V, V), lambda x, y: +(x * y), ()),
    "fabs": Rule((V,), np.fabs, (with_torch(torch.abs),), exact=abs),
    "moves": Rule((V, V), lambda x, y: np.hstack([
        np.moveaxis(x * y, 0, -1).T, np.flip(x, 1) * y, np.flipud(y) + np.fliplr(x), np.roll(x, 1, axis=1) - y,
        np.rot90(x * y, 2), np.permute_dims(x).mT * y, np.matrix_transpose(x * y).T,
    ]), ()),
    "repeats": Rule((V, V), lambda x, y: np.vstack([
        np.tile(x, (1, 2)), np.repeat(y, 2, axis=1), np.concatenate([x, y], 1) * 3, np.pad(x * y, ((0, 1), (2, 2))),
        np.tile(np.atleast_2d(x[0]), 2), np.tile(x.repeat(1, axis=0).take([0, 2], axis=0), 2),
    ]), ()),
    "parts": Rule((V, V), lambda x, y: np.column_stack([
        *np.split(x, 2, axis=1), *np.array_split(y * x, [1, 3], axis=1), np.tril(y), np.triu(x * y, 1),
        np.diag(y[:, 0]), np.diag(y), np.take(x, [3, 0], axis=1), np.delete(x, 1, axis=1), np.diagonal(x[:, 1:]),
        y.diagonal(), np.take_along_axis(y, np.array([[0], [3], [1]]), axis=1), np.dstack([x, y])[..., 1],
    ]), ()),
    "made up": Rule((V, V), lambda x, y: (
        np.zeros((3, 4), dtype=x.dtype, like=x) + np.ones(4, dtype=x.dtype, like=x) * y
        - np.full((3, 1), 3, dtype=x.dtype, like=x) * x + np.array([x[0], y[0], x[1]], like=x)
    ), ()),
    "sum of joined products": Rule((V, (4, 2), (2,)), lambda x, w, b: np.concatenate([x[:1] @ w, x[1:] @ w]) + b, (
        with_torch(lambda x, w, b: torch.addmm(b, x, w)),
    )),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
@given(formats, kinds, seeds, precisions, movements)
def test_every_evaluation_lies_within_the_radius(
    name: str, fmt: Format, kinds: tuple[str, ...], seed: int, precision: str, moved: bool  # noqa: FBT001 - drawn
) -> None:
    assert strike(RULES[name], fmt, kinds, seed, precision, moved=moved) <= 1


@pytest.mark.parametrize("name", RULES)
def test_no_rule_is_vacuous(name: str) -> None:
    assert 0.1 < most(RULES[name]) <= 1


@pytest.mark.parametrize("fmt", [F32, F64])
def test_a_product_may_underflow_on_its_way(fmt: Format) -> None:
    """tiny * tiny * huge * huge: 0 in one order, infinite in another, near 1 in a third."""
    x = np.array([[fmt.tiny, 0.1, fmt.tiny, 1 / fmt.tiny, 3.0]], fmt.dtype).T
    with np.errstate(all="ignore"):
        ball = Ball(x).prod(axis=0)
        orders = [x[list(o)].prod(axis=0) for o in ([0, 1, 2, 3, 4], [0, 2, 3, 1, 4], [3, 0, 1, 2, 4])]
        assert worst(ball, rational(x).prod(axis=0), orders) <= 1
        assert np.isinf(Ball(np.array([fmt.huge, 2, 0.1], fmt.dtype)).prod().radius)


def test_sums_along_an_axis_on_the_grid_are_exact() -> None:
    x: Any = Ball(np.array([1.0, 2.5, -8.0, 0.1]))
    assert (x.cumsum().radius > 0).tolist() == [False, False, False, True]
    assert np.cumsum(x[:0]).shape == (0,)
    assert x[:0].prod().value == 1


def test_what_is_empty_is_vacuous_until_something_is_assigned() -> None:
    empties: list[Any] = [np.empty_like(BALL), np.empty((2, 3), like=BALL)]
    for empty in empties:
        empty[0] = BALL[0]
        assert np.isinf(empty.radius).tolist() == [[False] * 3, [True] * 3]
        with np.errstate(all="ignore"):
            assert np.isinf((empty @ BALL.T).radius[1]).all()
            assert np.isinf(empty.sum().radius)


def test_an_array_of_another_kind_is_an_ordinary_one() -> None:
    for array in (np.zeros_like(BALL, dtype=bool), np.ones(3, int, like=BALL), np.empty(3, bool, like=BALL),
                  np.full_like(BALL, 2, dtype=int), np.asarray([1, 2], int, like=BALL)):  # fmt: skip
        assert type(array) is np.ndarray
    other = np.float32
    with pytest.raises(TypeError, match="float64 does not change its dtype: expected that, got"):
        np.zeros_like(BALL, dtype=other)
    with pytest.raises(TypeError, match="to a narrower one: expected float64 or wider, got float32"):
        BALL.astype(other)


def test_arrays_of_a_ball_s_own_kind() -> None:
    assert np.asarray(BALL, like=BALL) is BALL
    assert BALL.astype(float, copy=False) is BALL
    rows: Any = np.asarray([[BALL[0, 0], 2.0], [3.0, BALL[1, 2]]], like=BALL)
    assert (rows.value.tolist(), rows.radius.tolist()) == ([[0, 2], [3, 5]], [[1, 0], [0, 6]])
    assert np.zeros_like(BALL, shape=(2,)).shape == np.ones_like(BALL[0, :2]).shape == (2,)
    tenths: Any = np.full((2,), 0.1, like=Ball(np.zeros(1, np.float32)))
    assert (tenths.radius > 0).all()
    assert (np.shape(BALL), np.ndim(BALL)) == ((2, 3), 2)
    assert (np.size(BALL), np.size(BALL, 1), len(BALL)) == (6, 3, 2)


def test_methods_are_numpy_s() -> None:
    array = BALL.value
    for method, arguments in {
        "sum": (0,), "mean": (1,), "prod": (0,), "cumsum": (1,), "max": (0,), "min": (1,), "trace": (), "diagonal": (),
        "swapaxes": (0, 1), "ravel": (), "flatten": (), "repeat": (2,), "take": ([1],), "reshape": (3, 2),
        "transpose": (1, 0), "copy": (), "clip": (1, 3), "squeeze": (), "dot": (array.T,),
    }.items():  # fmt: skip
        got, expected = getattr(BALL, method)(*arguments), getattr(array, method)(*arguments)
        assert got.value.tolist() == expected.tolist()
    assert BALL.reshape((3, -1)).shape == BALL.transpose().shape == (3, 2)
    assert (np.atleast_1d(BALL[0, 0]).shape, [a.ndim for a in np.atleast_3d(BALL, 1.0)]) == ((1,), [3, 3])
    assert "radius" in repr(BALL)
    assert (f"{BALL[0, 2]:.2f}", f"{BALL}") == ("2.00", repr(BALL))


def test_a_ball_is_no_number_even_if_its_radius_is_0() -> None:
    """math.exp(x) would compute without a radius; item() hands out a ball, and a Python number stays one."""
    exact: Any = Ball(np.array([[2.5]]))
    assert (exact.item().value[()], exact.item().shape, bool(exact)) == (2.5, (), True)
    assert float(exact.operand(0.1)) == 0.1
    for ball in (exact, BALL[0, 0]):
        with pytest.raises(TypeError, match=r"float takes ordinary numbers.*x\.item\(\) .*test_arrays\.py:\d+"):
            float(ball)
    with pytest.raises(TypeError, match="a ball is no index"):
        BALL[exact]


@pytest.mark.parametrize(("call", "message"), [
    (lambda: np.pad(BALL, 1, mode="mean"), "numpy.pad with mode mean, only with constant"),
    (lambda: np.pad(BALL, 1, end_values=3), "numpy.pad with end_values"),
    (lambda: np.reshape(BALL, (3, 2), order="F"), "numpy.reshape with order"),
    (lambda: np.linalg.inv(BALL), r"numpy\.linalg\.inv; "),
])  # fmt: skip
def test_what_has_no_rule_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=f"no radius is known for {message}"):
        call()


# --- planted holes, each found --------------------------------------------------------------------------


@pytest.mark.parametrize(("function", "name"), [
    (np.cumsum, "cumsum"), (np.prod, "prod"), (np.hstack, "moves"), (np.vstack, "repeats"), (np.column_stack, "parts"),
    (np.array, "made up"), (np.concatenate, "sum of joined products"),
])  # fmt: skip
def test_a_dropped_radius_is_found(monkeypatch: pytest.MonkeyPatch, function: Any, name: str) -> None:
    assert most(RULES[name]) <= 1
    monkeypatch.setitem(table.FUNCTIONS, function, forgets_radii(table.FUNCTIONS[function]))
    assert most(RULES[name]) > 1


@pytest.mark.parametrize("function", [np.moveaxis, np.flip, np.roll, np.tile, np.repeat, np.take, np.diag])
def test_a_radius_that_does_not_go_along_is_found(monkeypatch: pytest.MonkeyPatch, function: Any) -> None:
    arguments = {np.moveaxis: (0, -1), np.flip: (0,), np.roll: (1,), np.tile: (2,), np.repeat: (2,), np.take: ([1, 0],)}
    rule = Rule((V,), lambda x: function(x, *arguments.get(function, ())), ())
    assert most(rule) <= 1

    def unmoved(_like: Ball, a: Any, *rest: Any) -> Ball:
        value = function(a.value, *rest)
        return Ball(value, np.resize(a.radius, value.shape), a.format)

    monkeypatch.setitem(table.FUNCTIONS, function, unmoved)
    assert most(rule) > 1


def test_one_rounding_for_a_product_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x = hostile("normal", (12, 400), F64, rng)
    operands = [Operand(Ball(x), rational(x), x)]
    rule = Rule((), lambda a: a.prod(axis=0), ())
    assert attack(rule, operands) <= 1
    monkeypatch.setattr(Format, "gamma", lambda self, _: self.u)
    assert attack(rule, operands) > 1


def test_a_product_s_underflow_forgotten() -> None:
    """What is lost below tiny is multiplied by all that follows, so that a term of K tiny does not do either."""
    x = np.array([F64.tiny * 1.5, 1.3 * 2.0**-40, 2.0**40, 2.0**40])
    exact = rational(x).prod()
    for tiny, found in ((F64.tiny, False), (0.0, True)):
        product = Ball(x, 0, F64._replace(tiny=tiny)).prod()
        assert (worst(product, np.asarray(exact), []) > 1) is found
    error = abs(Fraction(float(x.prod())) - exact)
    assert error > Fraction(F64.gamma(4)) * exact + 4 * Fraction(F64.tiny)


def test_the_terms_of_partial_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([[1e16], rng.random(20)])[:, None]
    operands = [operand(x, None, F64, np.float64, rng)]
    assert attack(RULES["cumsum"], operands) <= 1
    sound = sums.OpenSum
    monkeypatch.setattr(sums, "OpenSum", lambda _, *rest: sound(1, *rest))
    assert attack(RULES["cumsum"], operands) > 1


def test_the_exact_product_is_that_of_fractions() -> None:
    assert rational(np.array([0.1, 0.2])).prod() == Fraction(0.1) * Fraction(0.2)
