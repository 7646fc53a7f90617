"""The rules of what people write, each at its edges; in bulk they are attacked in tests/attack."""

from collections.abc import Callable
from typing import Any

import flint
import numpy as np
import pytest
import scipy.special  # type: ignore[import-untyped]  # it ships no stubs

from tests.attack.adversary import F64
from tests.attack.oracle import exactly
from torch_mirror.balls.bools import Bools
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.rules import longdouble

NUMBERS = np.array([[0.5, 1.0, 2.0], [3.0, -1.0, 0.25]])
X: Any = Ball(NUMBERS)
WIDE: Any = Ball(NUMBERS, np.full((2, 3), 0.5))
OF_NUMPY_2_1: tuple[Callable[[Any], Any], ...] = (
    lambda x: np.unstack(x, axis=1)[2], lambda x: np.clip(x, min=0, max=2),
)  # fmt: skip


@pytest.mark.parametrize("function", [
    lambda x: x.var(axis=-1), lambda x: x.std(ddof=1, keepdims=True),
    lambda x: np.linalg.norm(x, axis=0, keepdims=True), lambda x: np.linalg.norm(x, np.inf),
    lambda x: np.linalg.norm(x, 1), lambda x: np.linalg.norm(x, "fro", (0, 1)),
    lambda x: np.linalg.norm(x, 0, axis=1), lambda x: np.linalg.norm(x, -np.inf, axis=1, keepdims=True),
    lambda x: x.argmax(axis=-1), lambda x: x.argmin(), lambda x: x.argsort(axis=0), lambda x: np.sort(x, axis=None),
    np.median, lambda x: np.median(x, axis=1, keepdims=True), lambda x: np.average(x, axis=1, weights=[1, 2, 3]),
    lambda x: np.average(x, returned=True)[1], np.cov, lambda x: np.cov(x, rowvar=False, bias=True),
    lambda x: np.ptp(x, axis=0), lambda x: np.sum(x, where=x > 0, initial=2),
    lambda x: np.mean(x, axis=1, where=x > 0), lambda x: np.max(x, initial=2.5),
    lambda x: np.prod(x, axis=0, where=x > 0), lambda x: np.min(x, axis=1, where=x > 0, initial=9.0),
    lambda x: np.add.reduce(x, dtype=np.float64), np.add.accumulate, lambda x: np.multiply.accumulate(x, axis=1),
    np.minimum.accumulate, lambda x: np.subtract.outer(x, x[0]), lambda x: np.exp(x, out=x.copy(), where=x > 0),
    lambda x: np.hsplit(x, [1])[1], lambda x: np.vsplit(x, 2)[0], lambda x: np.dsplit(x[None], 3)[2],
    lambda x: np.pad(x, 1, constant_values=3),
    lambda x: np.pad(x, ((1, 0), (0, 2)), constant_values=((1, 2), (3, 4))),
    lambda x: np.select([x > 1, x > 0], [x, -x], 7),
    lambda x: np.piecewise(x, [x > 1, x < 0], [lambda v: v * v, -1.0]), lambda x: np.heaviside(x - 1, 0.5),
    np.nan_to_num, np.diff, lambda x: np.diff(x, 2, axis=-1), lambda x: np.kron(x, x), lambda x: np.kron(x[0], x),
    lambda x: np.cross(x[0], x[1]), lambda x: np.convolve(x[0], x[1, :2], "same"),
    lambda x: np.convolve(x[0, :2], x[1], "valid"), lambda x: np.correlate(x[0], x[1, :2], "full"),
    lambda x: np.gradient(x, 0.5, axis=1), lambda x: np.gradient(x)[1], lambda x: np.append(x, x[0]),
    lambda x: np.append(x, x, axis=1), lambda x: np.block([[x, x], [x, x]]),
    lambda x: np.apply_along_axis(np.argmax, 1, x),
    lambda x: np.apply_along_axis(np.cumsum, 0, x), lambda x: np.apply_along_axis(lambda v: v[:2] * v[1], 1, x),
    np.floor, lambda x: np.round(x, 1), lambda x: np.round(x, -1), lambda x: x // 0.75, lambda x: x % 0.75,
    lambda x: -x % 2, lambda x: divmod(x, 2)[1], lambda x: x**-1, lambda x: x**0, lambda x: np.abs(x) ** 0.5,
    lambda x: 2**x, lambda x: np.float_power(x, 2), lambda x: np.einsum("ij,kj,kl->il", x, x, x),
    lambda x: np.einsum("...j,j,->...", x, x[0], 2.0), lambda x: np.linalg.multi_dot([x[0], x.T, x, x[1]]),
    np.linalg.vector_norm, np.cumprod, lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 2)), np.isnan,
    lambda x: np.isclose(x, 1), lambda x: (x > 0).nonzero()[1], np.flatnonzero, lambda x: np.count_nonzero(x, axis=0),
    lambda x: x.astype(bool), lambda x: np.round(x).astype(int), lambda x: x.conj(), lambda x: x.real,
    lambda x: x.imag, lambda x: x.flat[4], lambda x: x.round(1), scipy.special.expit, lambda x: np.logaddexp(0, x),
    lambda x: x.ravel(order="C"), lambda x: x.ravel("C"), lambda x: x.flatten(order="C"), lambda x: x.flatten("C"),
    lambda x: x.reshape(3, 2, order="C"), lambda x: np.reshape(x, (3, 2), "C"), lambda x: np.ravel(x, order="C"),
    lambda x: np.broadcast_arrays(x[0], x)[0], lambda x: np.broadcast_arrays(2.0, x[:, :1], x[1])[1],
    lambda x: x.item(1, 2), lambda x: np.diagflat(x[0]), *(OF_NUMPY_2_1 if hasattr(np, "unstack") else ()),
    lambda x: np.eye(3)[x.argmax(axis=1)] * x, lambda x: np.copysign(x, -x), lambda x: np.fmax(x, 1),
])  # fmt: skip
def test_a_rule_gives_numpy_s_numbers_shape_and_dtype(function: Callable[[Any], Any]) -> None:
    got, expected = function(X), np.asarray(function(NUMBERS))
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    value = np.asarray(got if isinstance(got, (np.ndarray, np.generic)) else got.value, float)
    radius = got.radius if hasattr(got, "radius") else 0
    assert (abs(value - expected) <= radius + 4 * np.spacing(abs(expected.astype(float)))).all()


# --- order -------------------------------------------------------------------------------------------------


def test_an_order_that_the_radii_leave_open_is_no_order_and_a_sort_of_it_holds_both() -> None:
    x: Any = Ball(np.array([1.0, 1.5, 9.0]), np.array([0.5, 0.25, 0.125]))
    assert np.argmax(x) == 2
    for call in (np.argmin, np.argsort):
        with pytest.raises(TypeError, match=r"order of all elements|which element is the least"):
            call(x)
    ordered: Any = np.sort(x)
    assert ordered.radius.tolist() == [0.5, 0.5, 0.125]


def test_equal_elements_have_an_order_if_the_sort_is_stable() -> None:
    ties: Any = Ball(np.array([1.0, 0.0, 1.0]))
    assert np.argmax(ties) == 0
    assert np.argsort(ties, kind="stable").tolist() == [1, 0, 2]
    with pytest.raises(TypeError, match='kind="stable" decides'):
        np.argsort(ties)


def test_an_element_that_may_be_anything_has_no_place() -> None:
    for value, radius in ((np.nan, 0.0), (5.0, np.inf)):
        x: Any = Ball(np.array([1.0, value]), np.array([0.0, radius]))
        with pytest.raises(TypeError, match=r"numpy\.argmax needs to know"):
            np.argmax(x)


# --- ufunc.at -------------------------------------------------------------------------------------------------


def test_what_is_added_at_an_index_goes_there_every_time_and_through_views() -> None:
    x: Any = Ball(np.zeros((3, 2))).copy()
    np.add.at(x.T[0], [0, 0, 2], Ball(np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.25, 0.0])))  # type: ignore[arg-type]  # a duck array
    assert x.value.tolist() == [[3, 0], [0, 0], [4, 0]]
    assert 0.75 <= x.radius[0, 0] < 0.76
    assert x.radius[1:].tolist() == [[0, 0], [0, 0]]


def test_a_scattered_sum_on_the_grid_is_exact_and_where_nothing_goes_the_radius_stays() -> None:
    x: Any = Ball(np.array([1.0, 2.0, 4.0]), np.array([0.0, 0.1, 0.0])).copy()
    np.add.at(x, [0, 0], np.array([0.5, 0.25]))
    assert (x.value.tolist(), x.radius.tolist()) == ([1.75, 2, 4], [0, 0.1, 0])


def test_an_ordinary_array_takes_no_ball_at_an_index() -> None:
    with pytest.raises(TypeError, match=r"numpy\.add\.at: a is no ball, but an ordinary ndarray.*np\.zeros_like"):
        np.add.at(np.zeros(3), [0], Ball(np.ones(1)))  # type: ignore[arg-type]  # a duck array


# --- whole numbers, masks -----------------------------------------------------------------------------------


def test_a_jump_is_within_the_radius_and_what_is_decided_is_exact() -> None:
    x: Any = Ball(np.array([1.5, 1.9]), np.array([0.1, 0.1]))
    assert np.floor(x).radius.tolist() == [0, 1]
    assert np.isinf(np.floor(Ball(np.ones(1), np.array([np.inf]))).radius).all()


def test_what_may_be_divided_by_0_has_no_remainder() -> None:
    with np.errstate(all="ignore"):
        assert np.isinf((Ball(np.ones(1)) % Ball(np.full(1, 0.5), np.ones(1))).radius).all()


def test_only_an_infinite_radius_leaves_open_whether_a_number_is_finite() -> None:
    x: Any = Ball(np.array([1.0, 1.0]), np.array([1.0, np.inf]))
    for mask in (np.isfinite(x), np.isnan(x), np.isinf(x)):
        assert isinstance(mask, Bools)
        assert mask.open.tolist() == [False, True]


def test_an_outcome_that_the_radii_leave_open_is_no_truth_value() -> None:
    with pytest.raises(TypeError, match=r"numpy\.allclose needs every outcome"):
        np.allclose(WIDE[0, :2], 1.0, atol=0.6)
    assert not np.allclose(WIDE, 100.0)
    with pytest.raises(TypeError, match="needs every outcome"):
        np.piecewise(WIDE, [WIDE > 0.6], [lambda v: v, 0.0])
    with pytest.raises(TypeError, match="number of elements of a mean"):
        np.mean(WIDE, where=WIDE > 0.6)


# --- statistics -----------------------------------------------------------------------------------------------


def test_a_row_of_equal_numbers_has_no_variance_and_another_is_not_exact() -> None:
    """The running means of one pass are rounded where the mean of two is not: 1, 1/2, 1/3."""
    x: Any = Ball(np.array([[0.0] * 8, [1.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 4.0]])).copy()
    x[0] = 0.5
    variance: Any = np.var(x, axis=1)
    assert (variance.radius[0], variance.radius[1] > 0) == (0, True)


def test_a_norm_of_nothing_but_zeros_is_bounded() -> None:
    zero: Any = Ball(np.zeros(3))
    near: Any = Ball(zero.value, np.full(3, 1e-3))
    bounds: Any = [np.linalg.norm(x) for x in (near, zero)]
    assert (bounds[0].radius < 1e-2, bounds[1].radius) == (True, 0)


# --- dtypes ------------------------------------------------------------------------------------------------


def test_a_wider_format_holds_the_numbers_and_rounds_as_it_does() -> None:
    x: Any = Ball(np.array([0.5, 1.25], np.float32), np.array([0, 1e-3], np.float32))
    wide = x.astype(np.float64)
    assert (wide.dtype, wide.radius.tolist()) == (np.float64, x.radius.tolist())
    third = wide / 3
    assert third.radius[0] < 1e-15
    assert (third + x).dtype == (x + third).dtype == np.float64
    assert np.sum(x, dtype=np.float64).dtype == np.mean(x, dtype=float).dtype == np.float64
    assert np.concatenate([x, wide]).dtype == np.float64


def test_a_float_power_of_float32_changes_the_dtype_and_says_so() -> None:
    with pytest.raises(TypeError, match=r"numpy\.float_power makes float64 of float32"):
        np.float_power(Ball(np.ones(2, np.float32)), 2)  # type: ignore[call-overload]  # a duck array


# --- views, attributes --------------------------------------------------------------------------------------


def test_windows_are_views_that_are_read_only() -> None:
    x: Any = Ball(np.arange(5.0)).copy()
    windows: Any = np.lib.stride_tricks.sliding_window_view(x, 2)
    x[1] = 7.0
    assert windows.value[:2].tolist() == [[0, 7], [7, 2]]
    with pytest.raises(ValueError, match="read-only"):
        windows[0, 0] = 1.0


def test_attributes_are_those_of_the_array() -> None:
    wider: Any = Ball(NUMBERS, 0, F64._replace(dtype=np.dtype(np.float32)))
    assert (X.nbytes, X.itemsize, X.strides, X.flags.c_contiguous) == (48, 8, NUMBERS.strides, True)
    assert (wider.itemsize, wider.strides) == (4, (12, 4))
    assert X.copy()[0].base is not None
    assert [[type(v) for v in row] for row in X.tolist()] == [[Ball] * 3] * 2
    x = X.copy()
    x.flat[1] = 9
    x.flat[:1] = 8
    assert x.value[0].tolist() == [8, 9, 2]
    with pytest.raises(ValueError, match="read-only"):
        x.T.flat[0] = 1
    x.flat = 4
    x.sort()
    assert x.value.tolist() == [[4] * 3] * 2


def test_an_item_follows_nothing() -> None:
    x: Any = Ball(np.ones((1, 1))).copy()
    for number in (x.item(), x.tolist()[0][0], x[0, 0].item()):
        number += 1.0  # noqa: PLW2901 - a new number, and not the element
        assert number.value == 2
    assert x.value.tolist() == [[1]]


def test_a_reduction_into_a_ball_is_of_its_operand() -> None:
    out: Any = Ball(np.full(2, 9.0)).copy()
    np.add.reduce(np.ones((3, 2)), axis=0, out=out)
    assert out.value.tolist() == [3, 3]


def test_erf_in_longdouble_is_off_by_less_than_a_centre_may_be() -> None:
    bits = np.finfo(np.longdouble).nmant + 1
    for v in np.linspace(-7, 7, 301, dtype=np.longdouble):
        with flint.ctx.workprec(200):
            parts = (np.frexp(v), np.frexp(longdouble.erf(v)))
            x, got = (flint.arb((int(np.ldexp(m, bits)), int(e) - bits)) for m, e in parts)
            assert abs(got - x.erf()) <= abs(x.erf()) * 6 * flint.arb(2) ** -bits


def test_the_root_of_a_p_norm_in_longdouble_is_longdouble_s() -> None:
    """1 / 3 in float64 would be off by far more than the radius: found by the attack on adjoints."""
    x = np.array([1.5, 2.5, -0.25], np.longdouble)
    given: Any = Ball(x)
    ball: Any = np.linalg.norm(given, 3)
    with flint.ctx.workprec(200):
        exact = sum((abs(v) ** 3 for v in exactly(x)), flint.arb(0)).root(3)
        assert abs(exactly(np.asarray(ball.value)).item() - exact) <= flint.arb(float(ball.radius))
