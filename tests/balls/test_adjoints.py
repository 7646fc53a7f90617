"""Each adjoint is the derivative that it says, to within the radius that it has, and no more than that."""

from collections.abc import Callable
from typing import Any

import mpmath  # type: ignore[import-untyped]  # it ships no stubs
import numpy as np
import pytest
import scipy.special  # type: ignore[import-untyped]  # it ships no stubs

from torch_mirror.balls import adjoints
from torch_mirror.balls.cell import Ball

# no two of them alike, none 1, and on both sides of 0 where the function has both
POINTS = {"log": (0.3, 2.5), "log2": (0.3, 2.5), "log10": (0.3, 2.5), "sqrt": (0.3, 2.5), "cbrt": (0.3, 2.5),
          "arccosh": (1.5, 3.25)}  # fmt: skip
OTHERWISE = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh",
             "arctanh": "atanh"}  # fmt: skip
OF_MPMATH: dict[str, Callable[..., Any]] = {
    "exp2": lambda x: mpmath.mpf(2) ** x, "log2": lambda x: mpmath.log(x, 2), "cbrt": mpmath.cbrt,
    "expit": lambda x: 1 / (1 + mpmath.exp(-x)), "divide": lambda a, b: a / b, "multiply": lambda a, b: a * b,
    "subtract": lambda a, b: a - b, "add": lambda a, b: a + b, "any_power": lambda a, b: a**b,
    "logaddexp": lambda a, b: mpmath.log(mpmath.exp(a) + mpmath.exp(b)),
}  # fmt: skip
OF_NUMPY = {"expit": scipy.special.expit, "erf": scipy.special.erf, "any_power": np.power}


def met(found: Any, exact: list[Any]) -> None:
    """The exact numbers are in the radii, which are a few roundings."""
    for value, radius, number in zip(found.value.flat, np.broadcast_to(found.radius, found.shape).flat, exact,
                                     strict=True):  # fmt: skip
        assert abs(mpmath.mpf(float(value)) - number) <= float(radius) <= 2.0**-44 * abs(number)


@pytest.mark.parametrize("name", [*adjoints.SMOOTH])
def test_of_a_function_of_one_number(name: str) -> None:
    points, g = np.array(POINTS.get(name, (-0.7, 0.4))), np.array([3.0, -1.25])
    x: Any = Ball(points)
    y = OF_NUMPY.get(name, getattr(np, name, None))(x)  # type: ignore[misc]  # each is a function of the one or the other
    (by,) = adjoints.SMOOTH[name]
    f = OF_MPMATH.get(name) or getattr(mpmath, OTHERWISE.get(name, name))
    with mpmath.workdps(60):
        exact = [float(k) * mpmath.diff(f, mpmath.mpf(float(p))) for p, k in zip(points, g, strict=True)]
        met(by(Ball(g), y, x), exact)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "any_power", "logaddexp", "hypot"])
def test_of_a_function_of_two_numbers(name: str) -> None:
    a, b, g = np.array([0.3, 2.5]), np.array([-0.7, 1.75]), np.array([3.0, -1.25])
    y = OF_NUMPY.get(name, getattr(np, name, None))(Ball(a), Ball(b))  # type: ignore[misc]  # as above
    f = OF_MPMATH.get(name) or getattr(mpmath, name)
    for which, by in enumerate(getattr(adjoints, name)):
        with mpmath.workdps(60):
            exact = [
                float(k) * mpmath.diff(f, (mpmath.mpf(p), mpmath.mpf(q)), (1 - which, which))
                for p, q, k in zip(a.tolist(), b.tolist(), g, strict=True)
            ]
            met(by(Ball(g), y, Ball(a), Ball(b)), exact)


@pytest.mark.parametrize(
    ("n", "expected"), [(3.0, [36.0, 0.0]), (1.0, [3.0, 5.0]), (0.0, [0.0, 0.0]), (np.array([-2.0, 2.0]), [-0.75, 0.0])]
)
def test_of_a_whole_power(n: Any, expected: list[float]) -> None:
    """n x^(n - 1), also where x is 0; (3, 5) times that at (2, 0)."""
    by, none = adjoints.whole_power
    assert by(np.array([3.0, 5.0]), None, np.array([2.0, 0.0]), np.asarray(n)).tolist() == expected
    with pytest.raises(TypeError, match="a constant"):
        none(None, None, None, None)


WHOLE = np.random.default_rng(0).integers(-4, 5, (2, 3, 4)).astype(float)
WHOLE[WHOLE == 0] = 5  # but for one, of which the product of the others is asked
WHOLE[1, 2, 3] = 0


@pytest.mark.parametrize(
    ("name", "f", "named"),
    [
        ("square", np.square, {}), ("negative", np.negative, {}), ("total", np.sum, {}),
        ("total", np.sum, {"axis": 1}), ("total", np.sum, {"axis": (0, -1), "keepdims": True}),
        ("cumsum", np.cumsum, {"axis": 1}), ("prod", np.prod, {}), ("prod", np.prod, {"axis": 1}),
        ("prod", np.prod, {"axis": (-1, 0)}), ("prod", np.prod, {"axis": (0, 2), "keepdims": True}),
        ("cumprod", np.cumprod, {"axis": 1}), ("cumprod", np.cumprod, {"axis": -1}),
    ],
)  # fmt: skip
def test_of_sums_and_products_of_whole_numbers(name: str, f: Callable[..., Any], named: dict[str, Any]) -> None:
    """(f(x + e) - f(x - e)) / 2 is the derivative of what has no third power of one element: exact, as whole."""
    y = f(WHOLE, **named)
    g = np.arange(2.0, 2.0 + y.size).reshape(y.shape)
    expected = np.empty_like(WHOLE)
    for at in np.ndindex(WHOLE.shape):
        e = np.zeros_like(WHOLE)
        e[at] = 1
        expected[at] = (g * (f(WHOLE + e, **named) - f(WHOLE - e, **named))).sum() / 2
    (by,) = getattr(adjoints, name)
    assert by(g, y, WHOLE, **named).tolist() == expected.tolist()


@pytest.mark.parametrize(("x", "w"), [((3, 4), (4, 2)), ((2, 3, 4), (4, 2)), ((2, 3, 4), (2, 4, 5))])
def test_of_a_product_of_matrices(x: tuple[int, ...], w: tuple[int, ...]) -> None:
    """<g, dx w> = <dx, by x> for every dx, and so for w; summed over a stack where w is one for all."""
    draw = np.random.default_rng(1)
    a, b, da, db = (draw.integers(-4, 5, shape).astype(float) for shape in (x, w, x, w))
    y = a @ b
    g = draw.integers(-4, 5, y.shape).astype(float)
    by_left, by_right = (by(g, y, a, b) for by in adjoints.matmul)
    assert by_left.shape == x
    assert (g * (da @ b)).sum() == (da * by_left).sum()
    assert adjoints.fitted(by_right, w).shape == w
    assert (g * (a @ db)).sum() == (db * adjoints.fitted(by_right, w)).sum()


@pytest.mark.parametrize(
    ("d", "shape", "expected"),
    [((3, 4), (4,), 3.0), ((3, 4), (3, 1), 4.0), ((2, 3, 4), (1, 4), 6.0), ((4,), (3, 4), 1.0), ((3, 1), (3, 4), 1.0)],
)
def test_what_broadcasting_has_repeated_is_summed_up(
    d: tuple[int, ...], shape: tuple[int, ...], expected: float
) -> None:
    assert adjoints.fitted(np.ones(d), shape).tolist() == np.full(shape, expected).tolist()


def test_of_a_remainder_and_of_what_replaces_numbers_that_are_not_finite() -> None:
    a, b, g = np.array([7.5, -7.5]), np.array([2.0, 2.0]), np.array([3.0, 5.0])
    each: Any = adjoints.mod
    by_a, by_b = (by(g, a % b, a, b).tolist() for by in each)
    assert (by_a, by_b) == ([3.0, 5.0], [-9.0, 20.0])
    (by,) = adjoints.finite
    assert by(g, None, np.array([np.inf, 2.0])).tolist() == [0.0, 5.0]
