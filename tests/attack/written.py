"""Operations of what people write: smooth functions and powers."""

from collections.abc import Callable
from typing import Any

import flint
import numpy as np
import scipy.special  # type: ignore[import-untyped]  # it ships no stubs
import torch

from tests.attack.domains import (
    Operands,
    last_not_zero,
    not_negative,
    often_equal,
    positive,
    within_reach,
)
from tests.attack.evaluations import Evaluation
from tests.attack.operation import COPIES, E, Operation
from tests.attack.sums import product_of
from torch_mirror.balls.format import Format

FEW: Any = {"share": 0.3}
MOVES: Any = {"share": 0.09, **COPIES}


def of_arb(function: Callable[[flint.arb], flint.arb]) -> Callable[..., Any]:
    """A function of exact numbers, of which some may be Python's."""
    return np.frompyfunc(lambda x: function(flint.arb(x)), 1, 1)


# --- smooth functions -------------------------------------------------------------------------------------


def below_one(_: Format, __: np.random.Generator, operands: Operands) -> Operands:
    return tuple(np.clip(a, -1, 1) for a in operands)


def above_one(_: Format, __: np.random.Generator, operands: Operands) -> Operands:
    return tuple(1 + np.abs(a) for a in operands)


def inside_one(_: Format, __: np.random.Generator, operands: Operands) -> Operands:
    return tuple(np.where(np.abs(a) < 1, a, a.dtype.type(0.5)) for a in operands)


def above_minus_one(fmt: Format, _: np.random.Generator, operands: Operands) -> Operands:
    return tuple(np.where(a > -1, a, a.dtype.type(-1 + 8 * fmt.u)) for a in operands)


def not_far(_: Format, __: np.random.Generator, operands: Operands) -> Operands:
    """Arguments whose period the exact arithmetic need not look for in thousands of bits."""
    return tuple(np.clip(a, -1e6, 1e6) for a in operands)


def cube_root(x: Any) -> flint.arb:
    result: flint.arb = x if x.is_zero() else -((-x).root(3)) if x < 0 else x.root(3)
    return result


def cube_root_by_power(x: Any) -> Any:
    return torch.sign(x) * torch.pow(torch.abs(x), 1 / 3)



def log_of(n: int) -> flint.arb:
    return flint.arb(n).log()  # at the precision of the moment


FUNCTIONS: dict[str, tuple[Any, Callable[[flint.arb], flint.arb], Any]] = {
    "sin": (torch.sin, lambda x: x.sin(), not_far),
    "cos": (torch.cos, lambda x: x.cos(), not_far),
    "tan": (torch.tan, lambda x: x.tan(), not_far),
    "arcsin": (torch.arcsin, lambda x: x.asin(), below_one),
    "arccos": (torch.arccos, lambda x: x.acos(), below_one),
    "arctan": (torch.arctan, lambda x: x.atan(), not_far),
    "sinh": (torch.sinh, lambda x: x.sinh(), within_reach),
    "cosh": (torch.cosh, lambda x: x.cosh(), within_reach),
    "arcsinh": (torch.arcsinh, lambda x: x.asinh(), not_far),
    "arccosh": (torch.arccosh, lambda x: x.acosh(), above_one),
    "arctanh": (torch.arctanh, lambda x: x.atanh(), inside_one),
    "exp2": (torch.exp2, lambda x: (x * log_of(2)).exp(), within_reach),
    "log2": (torch.log2, lambda x: x.log() / log_of(2), positive),
    "log10": (torch.log10, lambda x: x.log() / log_of(10), positive),
    "log1p": (torch.log1p, lambda x: x.log1p(), above_minus_one),
    "expm1": (torch.expm1, lambda x: x.expm1(), within_reach),
    "cbrt": (None, cube_root, not_far),
}
"""In torch, exactly, and where."""

SMOOTH: dict[str, Operation] = {
    name: Operation((E,), getattr(np, name), in_torch, exact=of_arb(exact), domain=domain, attained=0.06, **FEW)
    for name, (in_torch, exact, domain) in FUNCTIONS.items()
}


def log_of_sum(x: flint.arb, y: flint.arb) -> flint.arb:
    x, y = flint.arb(x), flint.arb(y)
    return x.max(y) + (-abs(x - y)).exp().log1p()


def softplus(x: Any) -> Any:
    return np.logaddexp(0, x)


# --- powers -------------------------------------------------------------------------------------------------


def power_of(x: Any, y: Any) -> flint.arb:
    x, y = flint.arb(x), flint.arb(y)
    return x if x.is_zero() and y > 0 else x**y


def rootlike(exponent: float, domain: Any, **others: Evaluation) -> Operation:
    return Operation(
        (E,), lambda x: x**exponent, lambda x: x**exponent, {
            "numpy.power": lambda x: np.power(x, x.dtype.type(exponent)), **others,
        },
        exact=of_arb(lambda x: power_of(x, exponent)), domain=domain, attained=0.1, **FEW,
    )  # fmt: skip


def whole_power(exponent: int) -> Operation:
    return Operation(
        (E,), lambda x: x**exponent, lambda x: x**exponent,
        {"by products": lambda x: 1 / product_of(range)(np.stack([x] * -exponent, axis=-1))},
        exact=lambda x: 1 / x**-exponent, domain=last_not_zero, attained=0.1, **FEW,
    )  # fmt: skip


def first_positive(_: Format, __: np.random.Generator, operands: Operands) -> Operands:
    x, y = operands
    return np.clip(np.abs(x), 2.0**-20, 2.0**20).astype(x.dtype), np.clip(y, -5, 5).astype(y.dtype)


POWERS: dict[str, Operation] = {
    "x ** 0.5": rootlike(0.5, not_negative, root=np.sqrt),
    "x ** -0.5": rootlike(-0.5, positive, **{"reciprocal root": lambda x: 1 / np.sqrt(x)}),
    "x ** 1.5": rootlike(1.5, not_negative, **{"times root": lambda x: x * np.sqrt(x)}),
    "x ** -1": whole_power(-1),
    "x ** -2": whole_power(-2),
    "x ** -3": whole_power(-3),
    "2 ** x": Operation((E,), lambda x: 2**x, lambda x: 2**x, {"numpy.power": lambda x: np.power(x.dtype.type(2), x)},
                        exact=of_arb(lambda x: flint.arb(2) ** x), domain=within_reach, attained=0.1, **FEW),
    "0.9 ** x": Operation((E,), lambda x: 0.9**x, lambda x: 0.9**x, exact=of_arb(lambda x: flint.arb(0.9) ** x),
                          domain=within_reach, attained=0.1, **FEW),
    "x ** 0.1": Operation((E,), lambda x: x**0.1, lambda x: x**0.1, exact=of_arb(lambda x: power_of(x, 0.1)),
                          domain=positive, attained=0.05, **FEW),
    "x ** y": Operation((E, E), lambda x, y: x**y, torch.pow, exact=np.frompyfunc(power_of, 2, 1),
                        domain=first_positive, attained=0.1, **FEW),
    "whole powers": Operation(((5,),), lambda x: x ** np.arange(-1, 4, dtype=x.dtype),
                              lambda x: x ** torch.arange(-1, 4),
                              exact=lambda x: np.stack([1 / x[..., 0], x[..., 1] ** 0, x[..., 2], x[..., 3] ** 2,
                                                        x[..., 4] ** 3], axis=-1),
                              domain=last_not_zero, attained=0.05, **FEW),
    "float_power": Operation((E,), lambda x: np.float_power(x, 3) if x.dtype != np.float32 else x**3, lambda x: x**3,
                             exact=lambda x: x * x * x, attained=0.05, **FEW),
}  # fmt: skip


def erf(x: Any) -> Any:
    return scipy.special.erf(x)


def expit(x: Any) -> Any:
    return scipy.special.expit(x)


SCIPY: dict[str, Operation] = {
    "erf": Operation((E,), erf, torch.erf, exact=of_arb(lambda x: x.erf()), domain=not_far, attained=0.1, **FEW),
    "expit": Operation((E,), expit, torch.sigmoid, exact=of_arb(lambda x: 1 / (1 + (-x).exp())), domain=within_reach,
                       attained=0.1, **FEW),
}  # fmt: skip

PAIRS: dict[str, Operation] = {
    "logaddexp": Operation((E, E), np.logaddexp, torch.logaddexp, exact=np.frompyfunc(log_of_sum, 2, 1),
                           domain=often_equal, attained=0.1, **FEW),
    "softplus": Operation((E,), softplus, lambda x: torch.logaddexp(torch.zeros_like(x), x), {
        "max and log1p": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    }, exact=of_arb(lambda x: log_of_sum(flint.arb(0), x)), domain=within_reach, attained=0.1, **FEW),
    "hypot": Operation((E, E), np.hypot, torch.hypot, attained=0.2, exact=np.frompyfunc(
        lambda x, y: (flint.arb(x) ** 2 + flint.arb(y) ** 2).sqrt(), 2, 1), **FEW),
}  # fmt: skip

WRITTEN: dict[str, Operation] = {**SMOOTH, **SCIPY, **PAIRS, **POWERS}
"""All of these."""
