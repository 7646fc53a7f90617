"""Smooth functions of one number: sin, log1p, erf and kin; logaddexp and hypot of two.

    f x             e times the largest |f'| within reach, + k u (|f x| + R of that) + tiny
    logaddexp x, y  max(e_x, e_y) + u (8 L + (8.6 + d) q) + u |f| + 2 tiny    d the least |x - y|,
                    L = log(1 + exp -d), q = exp -d / (1 + exp -d)
    hypot x, y      hypot(e_x, e_y) + 4 u |f| + tiny                          infinite from 1 / (4 tiny) on

f x: two evaluations of x are at most e apart and neither is further than R e from the centre. By the mean
value theorem their images are at most e times the largest |f'| within R e of the centre apart; a pole
within reach makes that infinite. cbrt has a pole of f' at 0, where |cbrt a - cbrt b| <= 2^(2/3) |a - b|^(1/3).
logaddexp: its partial derivatives are not negative and their sum is 1. It is evaluated as
max(x, y) + log1p(exp -|x - y|): log1p brings 8 u L; the error of exp, and u d of the difference, come in with
the slope q of log(1 + exp -d); and t q(t) <= (d + 0.6) q(d) for every t >= d.

k is FUNCTION_ROUNDINGS, assumed and not proven, as that of exp is (elementwise.py): the vendors document at most
4 ulp = 8 u (NumPy's SVML), 3.5 ulp = 7 u (SLEEF's u35, of which torch uses some), 1 ulp = 2 u (MKL). The most that
was seen, over 300,000 arguments of each of both dtypes, in multiples of u, NumPy's and SciPy's | torch's:

    sin 2.4 | 1.1      cos 2.1 | 1.1      tan 3.4 | 1.0       arcsin 5.5 | 1.5   arccos 2.9 | 1.5   arctan 3.0 | 1.0
    sinh 1.7 | 2.3     cosh 3.5 | 1.9     arcsinh 1.3 | 2.1   arccosh 2.0 | 2.2  arctanh 2.0 | 2.2  exp2 1.7 | 1.2
    log2 2.4 | 1.0     log10 3.7 | 1.1    log1p 3.1 | 1.2     expm1 3.2 | 1.5    cbrt 2.7 | -       expit 2.2 | 2.4
    erf 3.0 | 1.2, over 30,000

hypot is max sqrt(1 + (min / max)^2), and SLEEF's divides by way of 1 / max, which may be flushed where it is
below tiny.
expit is 1 / (1 + exp -x) in each library: 8 u of exp, and two roundings more; where exp overflows the
result is below tiny. erfc is left out: SciPy's loses x^2 u in its tail.
Source: NumPy's and SLEEF's documentation; NIST Digital Library of Mathematical Functions, chapters 4 and 7 (the
derivatives).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from torch_mirror.balls import adjoints, callers
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import elementary
from torch_mirror.balls.rules import longdouble
from torch_mirror.balls.rules.elementwise import FUNCTION_ROUNDINGS, _overflow
from torch_mirror.balls.take import Take

Slope = Callable[[Any, Any], Any]
"""The largest |f'| within a reach r of v: slope(v, r)."""

HYPOT_ROUNDINGS = 4


def reach(x: Number, take: Take) -> Any:
    """R e, rounded up: with it no difference or sum of |v| and the reach is on the wrong side for its own rounding."""
    e, v, u = x.e(take), take(x.value), x.format.u
    return np.where(e == 0, 0, x.slack * e * (1 + 4 * u) + np.abs(v) * (4 * u))


def smooth(function: Callable[[Any], Any], slope: Slope, roundings: str) -> Callable[[Number], Number]:
    """The rule of a function with that slope; roundings: its name in FUNCTION_ROUNDINGS."""

    @elementary(adjoints.SMOOTH[roundings], roundings)
    def rule_of(x: Number) -> Number:
        value = function(x.value)
        fmt = x.format

        def rule(take: Take) -> Any:
            k = FUNCTION_ROUNDINGS[roundings] * fmt.u
            e = x.e(take)
            with np.errstate(all="ignore"):  # a pole within reach is infinite, and says so
                steepest = slope(take(x.value), reach(x, take)) * (1 + 64 * fmt.u) + fmt.tiny  # of its own roundings
                propagated = np.where(e == 0, 0, e * steepest)
                largest = np.abs(take(value)) * (1 + 2 * k) + x.slack * propagated
                return _overflow(propagated + k * largest + fmt.tiny, largest, fmt)

        return x.derived(value, rule)

    return rule_of


def _nearest(v: Any, r: Any) -> Any:
    """The least magnitude within reach; 0 for inf - inf, where v may be anything."""
    return np.fmax(np.abs(v) - r, 0)


def _where_positive(x: Any, slope: Any) -> Any:
    return np.where(x > 0, slope, np.inf)


def _of_cosine(v: Any, r: Any) -> Any:
    return _where_positive(np.abs(np.cos(v)) - r, 1 / (np.abs(np.cos(v)) - r) ** 2)


def _below_one(power: float) -> Slope:
    """1 / (1 - m^2)^power at the largest magnitude m, where that is below 1."""

    def slope(v: Any, r: Any) -> Any:
        m = np.abs(v) + r
        return _where_positive(1 - m, ((1 - m) * (1 + m)) ** -power)

    return slope


def _above_one(v: Any, r: Any) -> Any:
    return _where_positive(v - r - 1, (v - r - 1) ** -0.5 * (v - r + 1) ** -0.5)  # the product may overflow


def _reciprocal(factor: float, start: float = 0.0) -> Slope:
    """factor / (start + x) at the least x, where that is positive."""
    return lambda v, r: _where_positive(start + (v - r), factor / (start + (v - r)))


def _of_root(v: Any, r: Any) -> Any:
    """1 / (3 x^(2/3)), and no more than 2^(2/3) e^(-2/3) where 0 is near: r <= 2 e but for its roundings."""
    return np.minimum(1 / (3 * np.cbrt(_nearest(v, r)) ** 2), 2.55 / np.cbrt(r) ** 2)


def _of_logistic(v: Any, r: Any) -> Any:
    t = np.exp(-_nearest(v, r))
    return t / (1 + t) ** 2


_LOG2 = float(np.log(2.0))

SLOPES: dict[str, Slope] = {
    "sin": lambda v, r: np.minimum(np.abs(np.cos(v)) + r, 1),
    "cos": lambda v, r: np.minimum(np.abs(np.sin(v)) + r, 1),
    "tan": _of_cosine,
    "arcsin": _below_one(0.5),
    "arccos": _below_one(0.5),
    "arctan": lambda v, r: np.hypot(1, _nearest(v, r)) ** -2,
    "sinh": lambda v, r: np.cosh(np.abs(v) + r),
    "cosh": lambda v, r: np.sinh(np.abs(v) + r),
    "arcsinh": lambda v, r: 1 / np.hypot(1, _nearest(v, r)),
    "arccosh": _above_one,
    "arctanh": _below_one(1.0),
    "exp2": lambda v, r: _LOG2 * np.exp2(v + r),
    "log2": _reciprocal(1 / _LOG2),
    "log10": _reciprocal(float(np.log10(np.e))),
    "log1p": _reciprocal(1.0, 1.0),
    "expm1": lambda v, r: np.exp(v + r),
    "cbrt": _of_root,
}
"""The derivatives of NumPy's functions, by name."""

SCIPY_SLOPES: dict[str, Slope] = {
    "expit": _of_logistic,
    "erf": lambda v, r: 2 * np.pi**-0.5 * np.exp(-_nearest(v, r) ** 2),
}
"""The same of scipy.special's, which are ufuncs too."""

SMOOTH: dict[np.ufunc, Callable[[Number], Number]] = {
    getattr(np, name): smooth(getattr(np, name), slope, name) for name, slope in SLOPES.items()
}


def of_scipy(ufunc: np.ufunc) -> Callable[[Number], Number] | None:
    """The rule of a ufunc of scipy.special, which whoever calls it has imported; None if it has none."""
    name = ufunc.__name__
    if name not in SCIPY_SLOPES or callers.name_of(ufunc) != f"scipy.special.{name}":
        return None

    def evaluate(v: Any) -> Any:
        return longdouble.IN_LONGDOUBLE[name](v) if v.dtype == np.longdouble else ufunc(v)

    return smooth(evaluate, SCIPY_SLOPES[name], name)


@elementary(adjoints.logaddexp)
def logaddexp(x: Number, y: Number) -> Number:
    value = np.logaddexp(x.value, y.value)
    fmt = x.format

    def rule(take: Take) -> Any:
        ex, ey = x.e(take), y.e(take)
        apart = _nearest(take(x.value) - take(y.value), reach(x, take) + reach(y, take))
        t = np.exp(-apart)
        q = t / (1 + t)
        propagated = np.maximum(ex, ey)
        largest = np.abs(take(value)) * (1 + 16 * fmt.u) + x.slack * propagated + 32 * fmt.u
        inner = FUNCTION_ROUNDINGS["log1p"] * np.log1p(t) + (FUNCTION_ROUNDINGS["exp"] + 0.6 + apart) * q
        rounding = fmt.u * (inner * (1 + 32 * fmt.u) + largest) + 2 * fmt.tiny
        return _overflow(propagated + rounding, np.maximum(np.maximum(x.A(take), y.A(take)), largest), fmt)

    return x.derived(value, rule)


@elementary(adjoints.hypot)
def hypot(x: Number, y: Number) -> Number:
    value = np.hypot(x.value, y.value)
    fmt = x.format

    def rule(take: Take) -> Any:
        propagated = np.hypot(x.e(take), y.e(take)) * (1 + 4 * fmt.u)
        largest = np.abs(take(value)) * (1 + 8 * fmt.u) + x.slack * propagated
        e = _overflow(propagated + HYPOT_ROUNDINGS * fmt.u * largest + fmt.tiny, largest, fmt)
        return np.where(np.maximum(x.A(take), y.A(take)) < 0.25 / fmt.tiny, e, np.inf)

    return x.derived(value, rule)
