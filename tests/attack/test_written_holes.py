"""Holes planted in the rules of what people write, one at a time: the attack in bulk must find each of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.attack.adversary import FORMATS
from tests.attack.bulk import strike
from tests.attack.strike import forgets_radii
from torch_mirror.balls import dispatch, methods, table
from torch_mirror.balls.ball import Ball
from torch_mirror.balls.format import Format
from torch_mirror.balls.rules import (
    elementwise,
    functions,
    order,
    powers,
    rounding,
    scatter,
    statistics,
)


def violated(*names: str, draws: int = 40) -> bool:
    """Whether a number is outside of its radius in one of some draws of some operations."""
    return any(strike(n, fmt, 0, k).violations for k in range(draws) for n in names for fmt in FORMATS)


FORGOTTEN: dict[str, Any] = {
    **{f.__name__: f for f in functions.SMOOTH},
    "logaddexp": np.logaddexp, "hypot": np.hypot, "x ** y": np.power, "float_power": np.float_power, "floor": np.floor,
    "ceil": np.ceil, "trunc": np.trunc, "rint": np.rint, "floor_divide": np.floor_divide, "remainder": np.remainder,
    "fmax": np.fmax, "fmin": np.fmin, "heaviside": np.heaviside, "copysign": np.copysign,
    "var": np.var, "std": np.std, "norm": np.linalg.norm, "vector_norm": np.linalg.vector_norm, "cov": np.cov,
    "average": np.average, "ptp": np.ptp, "sort": np.sort, "median": np.median, "fix": np.fix, "round": np.round,
    "around": np.around, "nan_to_num": np.nan_to_num, "select": np.select, "piecewise": np.piecewise,
    "diff": np.diff, "kron": np.kron, "cross": np.cross, "convolve": np.convolve, "correlate": np.correlate,
    "gradient": np.gradient, "cumprod": np.cumprod, "einsum of 3": np.einsum, "multi_dot": np.linalg.multi_dot,
    "diagflat": np.diagflat, "windows": np.lib.stride_tricks.sliding_window_view,
    "apply_along_axis": np.apply_along_axis, "mean, where": np.mean,
}  # fmt: skip
"""The operations in which a rule that forgets its radius is found."""


@pytest.mark.parametrize("name", FORGOTTEN)
def test_a_rule_that_forgets_its_radius_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert not violated(name, draws=4)
    key = FORGOTTEN[name]
    entries: dict[Any, Callable[..., Any]] = table.UFUNCS if key in table.UFUNCS else table.FUNCTIONS
    rule = entries[key]
    monkeypatch.setattr(dispatch, "_takes", lambda *_: True)  # what stands in has no names of its own
    monkeypatch.setitem(entries, key, forgets_radii(rule))
    assert violated(name)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "maximum", "minimum"])
def test_an_at_that_forgets_its_radius_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert not violated(f"{name}.at", draws=4)
    ufunc = getattr(np, name)
    monkeypatch.setitem(scatter.AT, ufunc, forgets_radii(scatter.AT[ufunc]))
    assert violated(f"{name}.at")


def test_an_accumulate_that_forgets_its_radius_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not violated("maximum.accumulate", draws=4)
    monkeypatch.setitem(methods.ACCUMULATED, np.maximum, forgets_radii(methods.ACCUMULATED[np.maximum]))
    assert violated("maximum.accumulate")


@pytest.mark.parametrize("name", [*functions.SLOPES, *functions.SCIPY_SLOPES])
def test_roundings_that_no_library_keeps_to_are_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A function that is rounded correctly is off by 1 u just above a power of two, and by 0.5 u everywhere."""
    monkeypatch.setitem(elementwise.FUNCTION_ROUNDINGS, name, 0.3)
    assert violated(name)


@pytest.mark.parametrize("name", [*functions.SLOPES, *functions.SCIPY_SLOPES])
def test_a_slope_at_the_centre_alone_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The largest slope is at an end of what is within reach."""
    monkeypatch.setattr(functions, "reach", lambda x, take: 0 * take(x.value))
    assert violated(name)


def without_exp_and_log1p(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("exp", "log1p"):
        monkeypatch.setitem(elementwise.FUNCTION_ROUNDINGS, name, -0.6 if name == "exp" else 0)


def of_the_last_factor(like: Ball, a: Any, axis: int) -> Ball:
    """The radius of one factor for that of a product."""
    x = like.operand(a)
    return x.derived(x.value.cumprod(axis=axis), lambda take: take(x.radius))


HOLES: dict[str, tuple[tuple[str, ...], Callable[[pytest.MonkeyPatch], None]]] = {
    "hypot, rounded once": (("hypot",), lambda m: m.setattr(functions, "HYPOT_ROUNDINGS", 0.3)),
    "logaddexp, the inner functions": (("softplus", "logaddexp"), without_exp_and_log1p),
    "pow, rounded once": (("x ** y", "x ** 1.5"), lambda m: m.setitem(elementwise.FUNCTION_ROUNDINGS, "pow", 0.3)),
    "a power's slope": (("x ** y",), lambda m: m.setattr(powers, "_slope", lambda x, _y, _e: 0 * x)),
    "a power's ends": (("x ** y", "x ** 1.5"), lambda m: m.setattr(
        powers, "_least", lambda x, take: take(x.value))),
    "a whole power's reach": (("x ** -2", "x ** -3"), lambda m: m.setattr(
        functions, "reach", lambda x, take: 0 * take(x.value))),
    "Welford": (("var", "var, ddof", "std"), lambda m: m.setattr(
        statistics, "_or_welford", lambda _x, total, *_, **__: total.e)),
    "sort, its own radius": (("sort", "median"), lambda m: m.setattr(
        order, "_kth_radius", lambda x, axis: np.take_along_axis(x.radius, x.value.argsort(axis=axis), axis))),
    "a jump": (("floor", "rint", "trunc", "ceil"), lambda m: m.setattr(
        rounding, "reach", lambda x, take: 0 * take(x.value))),
    "three operands, one rounding": (("einsum of 3", "einsum of 4", "einsum of 3, alone"), lambda m: m.setattr(
        Format, "gamma", lambda self, _: 0.4 * self.u)),
    "cumprod, its factors": (("cumprod",), lambda m: m.setitem(table.FUNCTIONS, np.cumprod, of_the_last_factor)),
}  # fmt: skip


@pytest.mark.parametrize("name", HOLES)
def test_a_hole_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    names, plant = HOLES[name]
    assert not violated(*names, draws=4)
    plant(monkeypatch)
    assert violated(*names)


def test_a_term_too_few_in_a_scattered_sum_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Format, "gamma", lambda self, _: 0.4 * self.u)
    assert violated("add.at", "subtract.at")


