"""Operations of what people write: smooth functions, powers, statistics, order, ufunc.at, rounding, compositions."""

from collections.abc import Callable
from typing import Any

import flint
import numpy as np
import scipy.special  # type: ignore[import-untyped]  # it ships no stubs
import torch

from reference.arrays import Array
from tests.attack.contractions import TERMS, product_of
from tests.attack.domains import (
    Operands,
    last_not_zero,
    mostly_moderate,
    not_negative,
    often_equal,
    positive,
    within_reach,
)
from tests.attack.evaluations import Evaluation
from tests.attack.operation import COPIES, E, Operation
from tests.attack.oracle import largest, least
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


def _cbrt(x: Any) -> flint.arb:
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
    "cbrt": (None, _cbrt, not_far),
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


# --- statistics ---------------------------------------------------------------------------------------------


def nearly_alike(fmt: Format, rng: np.random.Generator, operands: Operands) -> Operands:
    """Rows whose elements differ by little in half of the cases, so that their mean is large against their variance."""
    (x,) = mostly_moderate(fmt, rng, operands)
    alike = x[..., :1] * (1 + rng.choice([1e-1, 1e-3, 8 * fmt.u], (len(x), 1)) * rng.normal(size=x.shape))
    return (np.where(rng.random((len(x), *(1,) * (x.ndim - 1))) < 0.5, alike.astype(x.dtype), x),)


def exact_variance(x: Any, by: int = 0) -> Any:
    n = x.shape[-1]
    left = x - x.sum(axis=-1, keepdims=True) / n
    return (left * left).sum(axis=-1) / (n - by)


def welford(x: Array) -> Array:
    """In one pass, as torch."""
    m, total = np.zeros_like(x[..., 0]), np.zeros_like(x[..., 0])
    for k in range(x.shape[-1]):
        before = x[..., k] - m
        m = m + before / x.dtype.type(k + 1)
        total = total + before * (x[..., k] - m)
    return total / x.dtype.type(x.shape[-1])


def merged(x: Array) -> Array:
    """The halves in one pass each, put together as Chan, Golub and LeVeque do."""
    a, b = np.array_split(x, 2, axis=-1)
    na, nb = a.shape[-1], b.shape[-1]
    ma, mb = a.mean(axis=-1), b.mean(axis=-1)
    apart = mb - ma
    total = welford(a) * na + welford(b) * nb + apart * apart * x.dtype.type(na * nb / (na + nb))
    return total / x.dtype.type(na + nb)


VARIANCES: dict[str, Evaluation] = {"in one pass": welford, "of halves": merged}
root = of_arb(lambda x: x.sqrt())
exact_cube_root = of_arb(_cbrt)


def euclidean(x: Any) -> Any:
    return root((x * x).sum(axis=-1))


def exact_covariance(x: Any) -> Any:
    left = x - x.sum(axis=-1, keepdims=True) / x.shape[-1]
    return (left[..., :, None, :] * left[..., None, :, :]).sum(axis=-1) / (x.shape[-1] - 1)


def weighted(x: Any, w: Any) -> Any:
    return (x * (1 + w * w)).sum(-1) / (1 + w * w).sum(-1)


def each(function: Callable[..., Any]) -> Callable[..., Any]:
    """Of every case, for functions that know no further axes."""
    return lambda *operands: np.stack([function(*case) for case in zip(*operands, strict=True)])


def each_tensor(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *operands: torch.stack([function(*case) for case in zip(*operands, strict=True)])


def _sorted(x: Any) -> Any:
    """By exchanges of neighbours: exact numbers are compared by their own maximum and minimum."""
    rows = [x[..., i] for i in range(x.shape[-1])]
    for end in range(len(rows) - 1, 0, -1):
        for i in range(end):
            rows[i], rows[i + 1] = least(rows[i], rows[i + 1]), largest(rows[i], rows[i + 1])
    return np.stack(rows, axis=-1)


SIZES = {f"sum of squares, {name}": lambda x, f=f: np.sqrt(f(x * x)[..., 0]) for name, f in TERMS.items()}
STATISTICS: dict[str, Operation] = {
    "var": Operation(((7,),), lambda x: np.var(x, axis=-1), lambda x: torch.var(x, -1, correction=0), VARIANCES,
                     exact=exact_variance, domain=nearly_alike, attained=0.02, **FEW),
    "var, ddof": Operation(((4,),), lambda x: x.var(axis=-1, ddof=1), lambda x: torch.var(x, -1),
                           domain=nearly_alike,
                           exact=lambda x: exact_variance(x, 1), attained=0.02, **FEW),
    "var of many": Operation(((200,),), lambda x: np.var(x, axis=-1), lambda x: torch.var(x, -1, correction=0),
                             VARIANCES, exact=exact_variance, domain=nearly_alike, attained=0.0, share=0.05),
    "std": Operation(((5,),), lambda x: np.std(x, axis=-1), lambda x: torch.std(x, -1, correction=0), {
        name: lambda x, f=f: np.sqrt(f(x)) for name, f in VARIANCES.items()
    }, exact=lambda x: root(exact_variance(x)), domain=nearly_alike, attained=0.01, **FEW),
    "norm": Operation(((5,),), lambda x: np.linalg.norm(x, axis=-1), lambda x: torch.linalg.vector_norm(x, dim=-1),
                      SIZES, exact=euclidean, domain=mostly_moderate, attained=0.1, **FEW),
    "norm, all": Operation(((2, 3),), each(np.linalg.norm), each_tensor(torch.linalg.norm), {},
                           exact=lambda x: euclidean(x.reshape(-1, 6)), domain=mostly_moderate, attained=0.1, **FEW),
    "norm of 1": Operation(((2, 3),), each(lambda x: np.linalg.norm(x, 1)),
                           lambda x: torch.linalg.matrix_norm(x, 1), {}, domain=mostly_moderate, attained=0.1,
                           exact=lambda x: largest.reduce(abs(x).sum(axis=-2), axis=-1), **FEW),
    "norm of 3": Operation(((3,),), lambda x: np.linalg.norm(x, 3, axis=-1),
                           lambda x: torch.linalg.vector_norm(x, 3, dim=-1),
                           exact=lambda x: exact_cube_root((abs(x) * x * x).sum(axis=-1)), domain=mostly_moderate,
                           attained=0.05, **FEW),
    "vector_norm": Operation(((3,),), lambda x: np.linalg.vector_norm(x, axis=-1, ord=np.inf),
                             lambda x: torch.linalg.vector_norm(x, float("inf"), dim=-1),
                             exact=lambda x: largest.reduce(abs(x), axis=-1), **MOVES),
    "average": Operation(((4,), (4,)), lambda x, w: np.average(x, -1, 1 + w * w), weighted, exact=weighted,
                         domain=mostly_moderate, attained=0.05, **FEW),
    "cov": Operation(((2, 4),), each(lambda x: np.cov(x, dtype=x.dtype)), each_tensor(torch.cov),
                     exact=exact_covariance, domain=mostly_moderate,
                     attained=0.03, **FEW),
    "ptp": Operation(((4,),), lambda x: np.ptp(x, axis=-1), lambda x: x.amax(-1) - x.amin(-1),
                     exact=lambda x: largest.reduce(x, axis=-1) - least.reduce(x, axis=-1), attained=0.3, **FEW),
    "sort": Operation(((5,),), lambda x: np.sort(x, axis=-1), lambda x: torch.sort(x, -1).values, exact=_sorted,
                      **MOVES),
    "median": Operation(((4,),), lambda x: np.median(x, axis=-1), lambda x: x.sort(-1).values[:, 1:3].mean(-1),
                        exact=lambda x: _sorted(x)[..., 1:3].sum(axis=-1) / 2, domain=mostly_moderate, attained=0.2,
                        **FEW),
}  # fmt: skip


# --- decided order, whose results are whole numbers --------------------------------------------------------------

RANKS = np.array([2.0, 0.0, 3.0, 1.0])


def by_rank(choose_by: Callable[[Any], Any]) -> Operation:
    """Elements of x (cases, 4) that a function of decided ranks, which are a ball beside x, picks."""
    return Operation(
        ((4,),), lambda x: x[..., choose_by(np.zeros_like(x[0]) + RANKS.astype(x.dtype))],
        lambda x: x[..., torch.tensor(np.array(choose_by(RANKS)))],
        exact=lambda x: x[..., choose_by(RANKS)], **MOVES,
    )  # fmt: skip


ORDER: dict[str, Operation] = {
    "argmax": by_rank(lambda r: np.argmax(r, keepdims=True)),
    "argmin": by_rank(lambda r: np.argmin(r, keepdims=True)),
    "argsort": by_rank(np.argsort),
    "nonzero": by_rank(lambda r: np.nonzero(r)[0]),
    "flatnonzero": by_rank(np.flatnonzero),
    "argwhere": by_rank(lambda r: np.argwhere(r)[:, 0]),
    "count_nonzero": by_rank(lambda r: [int(np.count_nonzero(r)) - 1]),
    "allclose": by_rank(lambda r: [int(np.allclose(r, r + 1))]),
    "array_equal": by_rank(lambda r: [int(np.array_equal(r, r))]),
    "isnan": by_rank(lambda r: np.where(np.isnan(r), 0, 1).astype(int)),
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

WRITTEN: dict[str, Operation] = {**SMOOTH, **SCIPY, **PAIRS, **POWERS, **STATISTICS, **ORDER}
"""All of these."""
