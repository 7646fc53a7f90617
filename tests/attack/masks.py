"""Masks in code of one case: logic, arithmetic and reductions of what two comparisons say."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from tests.attack.operation import Operation, alone


def factors(x: Any, y: Any) -> Any:
    m = y > x
    return (1 - m) * x + 2 * m * y - m.astype(x.dtype) * (x < 0)


def factors_exactly(x: Any, y: Any) -> Any:
    return (1 - (y > x)) * x + 2 * (y > x) * y - (y > x).astype(int) * (x < 0)


def counts(x: Any, y: Any) -> Any:
    m = x > y
    return m.sum(axis=0) * x + m.T.mean() + np.sum(~m)


def counts_exactly(x: Any, y: Any) -> Any:
    m = x > y
    return m.sum(axis=0) * x + Fraction(int(m.sum()), 12) + int((~m).sum())


def moved_masks(x: Any, y: Any) -> Any:
    m = (x.T > y.T).T
    first, rest = m[:1], m[1:].reshape(-1).reshape(2, 4)
    return np.where(np.broadcast_to(first, (3, 4)), x, y)[1:] + np.where(rest, x[1:], -y[1:])


def chosen(mask: Callable[[Any, Any], Any], in_torch: Callable[[Any, Any], Any] | None = None) -> Operation:
    """x where the mask holds, else -2 y."""
    by_torch = (lambda x, y: torch.where(in_torch(x, y), x, -2 * y)) if in_torch else None
    return of_two(lambda x, y: np.where(mask(x, y), x, -2 * y), by_torch)


def of_two(equation: Callable[..., Any], in_torch: Callable[..., Any] | None = None, **options: Any) -> Operation:
    return alone(((3, 4), (3, 4)), equation, in_torch, fractions=True, **options)


def every_logical(x: Any, y: Any) -> Any:
    return np.logical_or(np.logical_and(x > y, np.logical_not(y > 0)), np.logical_xor(x > 0, x > -y))


MASKS: dict[str, Operation] = {
    "chosen by and": chosen(lambda x, y: (x > y) & (y > 0), lambda x, y: (x > y) & (y > 0)),
    "chosen by or": chosen(lambda x, y: (x > y) | (y < 0)),
    "chosen by xor": chosen(lambda x, y: (x > y) ^ (y < 0)),
    "chosen by not": chosen(lambda x, y: ~(x > y)),
    "chosen by every logical": chosen(every_logical),
    "chosen by numbers": chosen(lambda x, y: np.logical_and(x - y, np.logical_not(x + y))),
    "chosen beside an array": chosen(lambda x, y: (x > y) & np.array([True, False, True, False]) | (y == x)),
    "chosen by equal masks": chosen(lambda x, y: (x > y) == (y > 0)),
    "chosen by unequal masks": chosen(lambda x, y: (x > y) != (y > 0)),
    "chosen by sum and product": chosen(lambda x, y: (x > y) * (y > 0) + (y < x)),
    "chosen by any": chosen(lambda x, y: (x > y).any(axis=0)),
    "chosen by all": chosen(lambda x, y: np.all(x > y, axis=1, keepdims=True)),
    "chosen numbers": of_two(lambda x, y: np.where(x > y, 1, 0) * y, promotes=True),
    "masks as factors": of_two(factors, exact=factors_exactly, promotes=True),
    "counts of masks": of_two(counts, exact=counts_exactly, promotes=True),
    "masks moved about": of_two(moved_masks),
}
