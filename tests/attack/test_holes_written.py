"""Holes planted in the rules of what people write, one at a time: the attack in bulk must find each of them."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import pytest
import scipy.special  # type: ignore[import-untyped]  # it ships no stubs

from tests.attack.holes import Hole, always, found_in_bulk
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import Format
from torch_mirror.balls.number import Number
from torch_mirror.balls.rules import elementwise, functions, order, powers, rounding, statistics
from torch_mirror.balls.table import TABLE


def forgotten(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The same rule, whose results are all taken to be exact."""

    @wraps(rule)  # whose names are looked up
    def holed(*arguments: Any, **named: Any) -> Any:
        return without_radius(rule(*arguments, **named))

    return holed


def without_radius(result: Any) -> Any:
    if isinstance(result, tuple):
        return tuple(map(without_radius, result))
    return type(result)(result.value, 0, result.format) if isinstance(result, (Number, Ball)) else result


FORGOTTEN: dict[str, Any] = {
    **{f.__name__: f for f in functions.SMOOTH},
    "logaddexp": np.logaddexp, "hypot": np.hypot, "x ** y": np.power, "float_power": np.float_power, "floor": np.floor,
    "ceil": np.ceil, "trunc": np.trunc, "rint": np.rint, "floor_divide": np.floor_divide, "remainder": np.remainder,
    "divmod": np.divmod,
    "fmax": np.fmax, "fmin": np.fmin, "heaviside": np.heaviside, "copysign": np.copysign,
    "var": np.var, "std": np.std, "norm": np.linalg.norm, "vector_norm": np.linalg.vector_norm, "cov": np.cov,
    "average": np.average, "ptp": np.ptp, "sort": np.sort, "median": np.median, "fix": np.fix, "round": np.round,
    "around": np.around, "nan_to_num": np.nan_to_num, "select": np.select, "piecewise": np.piecewise,
    "diff": np.diff, "kron": np.kron, "cross": np.cross, "convolve": np.convolve, "correlate": np.correlate,
    "gradient": np.gradient, "cumprod": np.cumprod, "einsum of 3": np.einsum, "multi_dot": np.linalg.multi_dot,
    "diagflat": np.diagflat, "windows": np.lib.stride_tricks.sliding_window_view,
    "apply_along_axis": np.apply_along_axis, "mean, where": np.mean, "sum, where and initial": np.sum,
    **{f"{f.__name__}.at": f.at for f in (np.add, np.subtract, np.multiply, np.maximum, np.minimum)},
    **{f"{f.__name__}.accumulate": f.accumulate for f in (np.add, np.multiply, np.maximum, np.minimum)},
    "placed": np.put_along_axis, "where=": np.multiply,
}  # fmt: skip
"""The operations in which a rule that forgets its radius is found."""


@pytest.mark.parametrize("name", FORGOTTEN)
def test_a_rule_that_forgets_its_radius(name: str) -> None:
    found_in_bulk(name, Hole(TABLE, FORGOTTEN[name], forgotten))


@pytest.mark.parametrize("name", functions.SCIPY_SLOPES)
def test_a_rule_of_scipy_s_that_forgets_its_radius(name: str) -> None:
    function = getattr(scipy.special, name)

    def holed(ufunc: np.ufunc) -> Any:
        return (lambda x: Number(ufunc(x.value), 0, x.format)) if ufunc is function else None

    found_in_bulk(name, Hole(functions, "of_scipy", always(holed)))


@pytest.mark.parametrize("name", [*functions.SLOPES, *functions.SCIPY_SLOPES])
def test_roundings_that_no_library_keeps_to(name: str) -> None:
    """A function that is rounded correctly is off by 1 u just above a power of two, and by 0.5 u everywhere."""
    found_in_bulk(name, Hole(elementwise.FUNCTION_ROUNDINGS, name, always(0.3)))


@pytest.mark.parametrize("name", [*functions.SLOPES, *functions.SCIPY_SLOPES])
def test_a_slope_at_the_centre_alone(name: str) -> None:
    """The largest slope is at an end of what is within reach."""
    found_in_bulk(name, Hole(functions, "reach", always(nothing)))


def nothing(x: Number, take: Any) -> Any:
    return 0 * take(x.value)


def of_the_last_factor(like: Number, a: Any, axis: int) -> Number:
    """The radius of one factor for that of a product."""
    x = like.operand(a)
    return x.derived(x.value.cumprod(axis=axis), lambda take: take(x.radius))


def own_radius(x: Number, axis: int) -> Any:
    """Of whichever element is the k-th at the centre."""
    return np.moveaxis(np.take_along_axis(x.radius, x.value.argsort(axis=axis), axis), axis, -1)


ROUNDINGS = elementwise.FUNCTION_ROUNDINGS
ONE_ROUNDING = Hole(Format, "gamma", always(lambda self, _: 0.4 * self.u))
HOLES: dict[str, tuple[str, tuple[Hole, ...]]] = {
    "hypot, rounded once": ("hypot", (Hole(functions, "HYPOT_ROUNDINGS", always(0.3)),)),
    "logaddexp, the inner functions": ("softplus", (
        Hole(ROUNDINGS, "exp", always(-0.6)), Hole(ROUNDINGS, "log1p", always(0)),
    )),
    "pow, rounded once": ("x ** y", (Hole(ROUNDINGS, "pow", always(0.3)),)),
    "a power's slope": ("x ** y", (Hole(powers, "_slope", always(lambda x, _y, _e: 0 * x)),)),
    "a power's ends": ("x ** 1.5", (Hole(powers, "_least", always(lambda x, take: take(x.value))),)),
    "a whole power's reach": ("x ** -2", (Hole(functions, "reach", always(nothing)),)),
    "Welford": ("var, ddof", (Hole(statistics, "_or_welford", always(lambda _x, total, *_, **__: total.e)),)),
    "sort, its own radius": ("sort", (Hole(order, "_kth_radius", always(own_radius)),)),
    **{f"a jump, {name}": (name, (Hole(rounding, "reach", always(nothing)),))
       for name in ("floor", "rint", "trunc", "ceil")},
    **{f"{name}, one rounding": (name, (ONE_ROUNDING,)) for name in (
        "einsum of 3", "einsum of 4", "einsum of 3, alone", "add.at", "subtract.at")},
    "cumprod, its factors": ("cumprod", (Hole(TABLE, np.cumprod, always(of_the_last_factor)),)),
}  # fmt: skip


@pytest.mark.parametrize("name", HOLES)
def test_a_hole(name: str) -> None:
    operation, holes = HOLES[name]
    found_in_bulk(operation, *holes)
