"""Operations that choose by comparisons and by logic on them; in exact arithmetic a mask is a number, 1 or 0."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tests.attack.domains import often_equal, often_zero
from tests.attack.operation import COPIES, E, Operation
from tests.attack.oracle import choose

COMPARISONS = {
    "equal": (False, True, False), "not equal": (True, False, True), "less": (True, False, False),
    "less equal": (True, True, False), "greater": (False, False, True), "greater equal": (False, True, True),
}  # fmt: skip
"""The outcome of each comparison of x with y, where x is below y, equal to it and above it."""


def comparing(name: str, *outcomes: bool) -> Operation:
    """x where the comparison holds, else -y."""
    compare = getattr(np, name.replace(" ", "_"))
    in_torch = getattr(torch, {"equal": "eq", "not equal": "ne"}.get(name, name.replace(" ", "_")))
    return Operation(
        (E, E), lambda x, y: np.where(compare(x, y), x, -y), lambda x, y: torch.where(in_torch(x, y), x, -y),
        exact=lambda x, y: choose(x - y, *(x if holds else -y for holds in outcomes)),
        domain=often_equal, share=0.3, **COPIES,
    )  # fmt: skip


# --- masks as exact numbers -------------------------------------------------------------------------------


def above(x: Any, y: Any = 0) -> Any:
    """x > y."""
    return choose(x - y, 0, 0, 1)


def not_zero(x: Any) -> Any:
    return choose(x, 1, 0, 1)


def both(p: Any, q: Any) -> Any:
    return p * q


def either(p: Any, q: Any) -> Any:
    return p + q - p * q


def one_of(p: Any, q: Any) -> Any:
    return p + q - 2 * p * q


def alike(p: Any, q: Any) -> Any:
    return 1 - one_of(p, q)


def picked(p: Any, x: Any, y: Any) -> Any:
    """x where p holds, else y."""
    return choose(2 * p - 1, y, y, x)


def some(p: Any) -> Any:
    """Whether one of the last axis holds."""
    return 1 - np.prod(1 - p, axis=-1)


# --- the operations ------------------------------------------------------------------------------------------

CONNECTIVES: dict[np.ufunc, tuple[Callable[..., Any], Callable[..., Any]]] = {
    **dict.fromkeys((np.logical_and, np.bitwise_and, np.multiply, np.minimum), (torch.logical_and, both)),
    **dict.fromkeys((np.logical_or, np.bitwise_or, np.add, np.maximum), (torch.logical_or, either)),
    **dict.fromkeys((np.logical_xor, np.bitwise_xor, np.not_equal), (torch.logical_xor, one_of)),
    np.equal: (torch.eq, alike),
}
"""Of two masks: by torch, and of numbers that are 0 or 1."""


def of_masks(ufunc: np.ufunc) -> Operation:
    """One operand or another, by two comparisons joined."""
    in_torch, exact = CONNECTIVES[ufunc]
    return Operation(
        (E, E, E, E), lambda x, y, a, b: np.where(ufunc(x > 0, y <= 0), a, b),
        lambda x, y, a, b: torch.where(in_torch(x > 0, y <= 0), a, b),
        exact=lambda x, y, a, b: picked(exact(above(x), 1 - above(y)), a, b),
        domain=often_zero, share=0.3, **COPIES,
    )  # fmt: skip


def of_numbers(ufunc: np.ufunc) -> Operation:
    """The same by whether two numbers are 0."""
    in_torch, exact = CONNECTIVES[ufunc]
    return Operation(
        (E, E, E, E), lambda x, y, a, b: np.where(ufunc(x, y), a, b),
        lambda x, y, a, b: torch.where(in_torch(x, y), a, b),
        exact=lambda x, y, a, b: picked(exact(not_zero(x), not_zero(y)), a, b),
        domain=often_zero, share=0.3, **COPIES,
    )  # fmt: skip


def over_some(reduce: Callable[..., Any], in_torch: Callable[..., Any], exact: Callable[..., Any]) -> Operation:
    """One operand or another, by three comparisons."""
    return Operation(
        ((3,), E, E), lambda x, a, b: np.where(reduce(x > 0, axis=-1), a, b),
        lambda x, a, b: torch.where(in_torch(x > 0, dim=-1), a, b),
        exact=lambda x, a, b: picked(exact(above(x)), a, b), domain=often_zero, share=0.3, **COPIES,
    )  # fmt: skip


def over_some_numbers(reduce: Callable[..., Any], in_torch: Callable[..., Any], exact: Callable[..., Any]) -> Operation:
    """The same by whether three numbers are 0."""
    return Operation(
        ((3,), E, E), lambda x, a, b: np.where(reduce(x, axis=-1), a, b),
        lambda x, a, b: torch.where(in_torch(x != 0, dim=-1), a, b),
        exact=lambda x, a, b: picked(exact(not_zero(x)), a, b), domain=often_zero, share=0.3, **COPIES,
    )  # fmt: skip


def by_four_comparisons(x: Any, y: Any, a: Any, b: Any) -> Any:
    mask: Any = ((x > 0) & ~(y > 0)) | ((y > x) ^ (a < b))
    return torch.where(mask, a, b) if isinstance(x, torch.Tensor) else np.where(mask, a, b)


def by_four_comparisons_exactly(x: Any, y: Any, a: Any, b: Any) -> Any:
    return picked(either(both(above(x), 1 - above(y)), one_of(above(y, x), above(b, a))), a, b)


REDUCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]] = {
    "any": (np.any, torch.any, some),
    "all": (np.all, torch.all, lambda p: np.prod(p, axis=-1)),
    "any.reduce": (np.logical_or.reduce, torch.any, some),
    "all.reduce": (np.logical_and.reduce, torch.all, lambda p: np.prod(p, axis=-1)),
}
LOGIC: dict[str, Operation] = {
    **{f"where {name}": comparing(name, *outcomes) for name, outcomes in COMPARISONS.items()},
    **{f"masks, {ufunc.__name__}": of_masks(ufunc) for ufunc in CONNECTIVES},
    **{f"numbers, {ufunc.__name__}": of_numbers(ufunc) for ufunc in CONNECTIVES if "logical" in ufunc.__name__},
    **{f"{name} of masks": over_some(*ways) for name, ways in REDUCTIONS.items()},
    **{f"{name} of numbers": over_some_numbers(*ways) for name, ways in REDUCTIONS.items()},
    "masks, invert": Operation(
        (E, E, E), lambda x, a, b: np.where(~(x > 0), a, b), lambda x, a, b: torch.where(~(x > 0), a, b),
        exact=lambda x, a, b: picked(1 - above(x), a, b), domain=often_zero, share=0.3, **COPIES),
    "numbers, logical_not": Operation(
        (E, E, E), lambda x, a, b: np.where(np.logical_not(x), a, b),
        lambda x, a, b: torch.where(torch.logical_not(x), a, b),
        exact=lambda x, a, b: picked(1 - not_zero(x), a, b), domain=often_zero, share=0.3, **COPIES),
    "four comparisons": Operation((E, E, E, E), by_four_comparisons, by_four_comparisons,
                                         exact=by_four_comparisons_exactly, domain=often_zero, share=0.3, **COPIES),
    "mean of a mask": Operation(((3,),), lambda x: (x > 0).astype(x.dtype).mean(-1),
                                lambda x: (x > 0).to(x.dtype).mean(-1), {
        "times reciprocal": lambda x: (x > 0).astype(x.dtype).sum(-1) * x.dtype.type(1 / 3),
    }, exact=lambda x: above(x).sum(axis=-1) / 3, domain=often_zero, share=0.3, attained=0.1),
}  # fmt: skip
