"""Operations of what people write: ufunc.at, and rounding to whole numbers."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import torch

from reference.arrays import Array
from tests.attack.domains import Operands, last_not_zero, mostly_moderate
from tests.attack.evaluations import Evaluation
from tests.attack.operation import E, Operation
from tests.attack.oracle import largest, least
from tests.attack.written import FEW, MOVES
from torch_mirror.balls.format import Format

# --- ufunc.at ------------------------------------------------------------------------------------------------

INDEX = np.array([0, 2, 0, 0, 2])
TIMES = np.eye(4)[INDEX]


def at(ufunc: np.ufunc) -> Callable[..., Any]:
    """x (cases, 4) with y (cases, 5) at INDEX."""

    def equation(x: Any, y: Any) -> Any:
        x = x.copy()
        where: Any = (slice(None), INDEX)
        ufunc.at(x, where, y)
        return x

    return equation


def scattered(reduce: str, sign: int = 1) -> Callable[..., Any]:
    def in_torch(x: Any, y: Any) -> Any:
        index = torch.tensor(INDEX).expand(len(x), -1)
        return x.scatter_reduce(1, index, sign * y, reduce)

    return in_torch


def one_by_one(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def exact(x: Any, y: Any) -> Any:
        x = np.array(x)
        for k, i in enumerate(INDEX):
            x[:, i] = function(x[:, i], y[:, k])
        return x

    return exact


def parts_first(x: Array, y: Array) -> Array:
    """What goes to each place is added up from the end, and then to x."""
    result = np.zeros_like(x)
    for k in reversed(range(len(INDEX))):
        result[:, INDEX[k]] += y[:, k]
    return np.asarray(x + result)


def factors_first(x: Array, y: Array) -> Array:
    result = np.ones_like(x)
    for k in reversed(range(len(INDEX))):
        result[:, INDEX[k]] *= y[:, k]
    return np.asarray(x * result)


SCATTER: dict[str, Operation] = {
    "add.at": Operation(((4,), (5,)), at(np.add), scattered("sum"), {"parts first": parts_first},
                        exact=one_by_one(lambda a, b: a + b), attained=0.2, **FEW),
    "subtract.at": Operation(((4,), (5,)), at(np.subtract), scattered("sum", -1), {},
                             exact=one_by_one(lambda a, b: a - b), attained=0.2, **FEW),
    "multiply.at": Operation(((4,), (5,)), at(np.multiply), scattered("prod"), {"factors first": factors_first},
                             exact=one_by_one(lambda a, b: a * b), domain=mostly_moderate, attained=0.2, **FEW),
    "maximum.at": Operation(((4,), (5,)), at(np.maximum), scattered("amax"), {}, exact=one_by_one(largest), **MOVES),
    "minimum.at": Operation(((4,), (5,)), at(np.minimum), scattered("amin"), {}, exact=one_by_one(least), **MOVES),
}  # fmt: skip


# --- to whole numbers ----------------------------------------------------------------------------------------


def small(_: Format, __: np.random.Generator, operands: Operands) -> Operands:
    """Numbers that have a fraction, and halves among them."""
    return tuple(np.clip(a, -1e6, 1e6) for a in operands)


def divided(fmt: Format, rng: np.random.Generator, operands: Operands) -> Operands:
    x, y = last_not_zero(fmt, rng, operands)
    return np.clip(x, -1e4, 1e4).astype(x.dtype), (np.sign(y) * np.clip(np.abs(y), 0.01, 100)).astype(y.dtype)


def fraction(x: Any) -> Fraction:
    mantissa, exponent = flint.arb(x).mid().man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def by_fractions(function: Callable[..., Fraction | int], n: int) -> Callable[..., Any]:
    """A function of numbers that are exact in binary, as operands are."""

    def one(*operands: Any) -> flint.arb:
        if operands[1:] and flint.arb(operands[1]).is_zero():
            return flint.arb("nan")
        q = Fraction(function(*(fraction(x) for x in operands)))
        return flint.arb(flint.fmpq(q.numerator, q.denominator))

    return np.frompyfunc(one, n, 1)


def stepping(function: Any, in_torch: Any, exact: Callable[[Fraction], int], **others: Evaluation) -> Operation:
    return Operation((E,), function, in_torch, others, exact=by_fractions(exact, 1), domain=small, **MOVES)


def toward_zero(q: Fraction) -> int:
    return int(q)


exact_floor = by_fractions(lambda x, y: x // y, 2)
exact_mod = by_fractions(lambda x, y: x % y, 2)
ROUNDING: dict[str, Operation] = {
    "floor": stepping(np.floor, torch.floor, lambda q: q // 1),
    "ceil": stepping(np.ceil, torch.ceil, lambda q: -(-q // 1)),
    "trunc": stepping(np.trunc, torch.trunc, toward_zero),
    "fix": stepping(np.fix, torch.trunc, toward_zero),
    "rint": stepping(np.rint, torch.round, round),
    "round": stepping(np.round, torch.round, round),
    "around": Operation((E,), lambda x: np.around(x, 2), lambda x: torch.round(x, decimals=2),
                        exact=by_fractions(lambda q: Fraction(round(q * 100), 100), 1), domain=small, **MOVES),
    "floor_divide": Operation((E, E), lambda x, y: x // y, torch.floor_divide, exact=exact_floor, domain=divided,
                              **MOVES),
    "remainder": Operation((E, E), lambda x, y: x % y, torch.remainder, {
        "by the quotient": lambda x, y: x - y * np.floor_divide(x, y),
    }, exact=exact_mod, domain=divided, attained=0.1, share=0.05),
    "divmod": Operation((E, E), lambda x, y: sum(divmod(x, y)),
                        lambda x, y: torch.floor_divide(x, y) + torch.remainder(x, y),
                        exact=lambda x, y: exact_floor(x, y) + exact_mod(x, y), domain=divided, attained=0.1,
                        share=0.05),
}  # fmt: skip

STEPPED: dict[str, Operation] = {**SCATTER, **ROUNDING}
"""All of these."""
