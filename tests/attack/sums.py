"""Operations that sum, multiply or choose along an axis."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from reference.arrays import Array
from tests.attack.domains import mostly_moderate
from tests.attack.evaluations import ORDERS, TERMS, Evaluation, Order, einsum_sum, flushed, with_torch
from tests.attack.operation import COPIES, Operation, alone
from tests.attack.oracle import largest, least

SUMS_OF: dict[str, Evaluation] = {**TERMS, "einsum": einsum_sum}


def total(x: Any) -> Any:
    return np.sum(x, axis=-1, keepdims=True)


def sum_of(terms: int, **options: Any) -> Operation:
    return Operation(((terms,),), total, lambda x: x.sum(dim=-1, keepdim=True), SUMS_OF, **options)


def over(reduce: Any) -> Callable[[Array], Array]:
    """The largest or least of exact numbers over the last axis, kept."""
    return lambda x: reduce.reduce(x, axis=-1, keepdims=True)


def product_of(order: Order) -> Evaluation:
    """The product over the last axis, factor by factor."""
    return lambda x: np.cumprod(x[..., list(order(x.shape[-1]))], axis=-1, dtype=x.dtype)[..., -1]


def prefixes(f: Evaluation) -> Evaluation:
    """The sums of the first 1, 2, ... elements, each for itself."""
    return lambda x: np.concatenate([f(x[..., :k]) for k in range(1, x.shape[-1] + 1)], axis=-1)


def last_first(x: Array) -> Array:
    """The sum over the first axis, from its last term to its first."""
    return np.asarray(x[::-1].cumsum(axis=0)[-1])


def all_last_first(x: Array) -> Array:
    return x.ravel()[::-1].cumsum()[-1].reshape(1, 1)


def partial_sums_last_first(x: Array) -> Array:
    return np.stack([last_first(x[: i + 1]) for i in range(len(x))])


FACTORS = {name: product_of(order) for name, order in ORDERS.items()}
V = (3, 4)

ALONG_AN_AXIS: dict[str, Operation] = {
    "sum of 2": sum_of(2),
    "sum of 4": sum_of(4),
    "sum of 50": sum_of(50, attained=0.02, share=0.2),
    "sum of 40000": sum_of(40_000, attained=0.0, share=1e-4),
    "mean": Operation(((5,),), lambda x: np.mean(x, axis=-1), lambda x: x.mean(-1), {
        f"sum {name}, times reciprocal": lambda x, f=f: f(x)[..., 0] * x.dtype.type(1 / 5)
        for name, f in SUMS_OF.items()
    }, attained=0.2),
    "max": Operation(((4,),), lambda x: np.max(x, axis=-1, keepdims=True), lambda x: torch.amax(x, -1, keepdim=True),
                     exact=over(largest), **COPIES),
    "min": Operation(((4,),), lambda x: np.min(x, axis=-1, keepdims=True), lambda x: torch.amin(x, -1, keepdim=True),
                     exact=over(least), **COPIES),
    "maximum.reduce": Operation(((4,),), lambda x: np.maximum.reduce(x, axis=-1, keepdims=True),
                                lambda x: torch.amax(x, -1, keepdim=True), exact=over(largest), share=0.3, **COPIES),
    "minimum.reduce": Operation(((4,),), lambda x: np.minimum.reduce(x, axis=-1, keepdims=True),
                                lambda x: torch.amin(x, -1, keepdim=True), exact=over(least), share=0.3, **COPIES),
    "cumsum": Operation(((3,),), lambda x: np.cumsum(x, axis=-1), lambda x: torch.cumsum(x, -1),
                        {name: prefixes(f) for name, f in TERMS.items()}, share=0.3, attained=0.2),
    "prod": Operation(((3,),), lambda x: np.prod(x, axis=-1), lambda x: torch.prod(x, -1), FACTORS,
                      domain=mostly_moderate, share=0.3),
    "multiply.reduce": Operation(((3,),), lambda x: np.multiply.reduce(x, axis=-1), lambda x: torch.prod(x, -1),
                                 FACTORS, share=0.3),
    "add.reduce": Operation(((3,),), lambda x: np.add.reduce(x, axis=-1), lambda x: x.sum(-1),
                            {name: lambda x, f=f: f(x)[..., 0] for name, f in TERMS.items()}, share=0.3),
    "sum of rows": alone(((5, 3),), lambda x: x.sum(axis=-2), lambda x: x.sum(dim=-2), {
        "last first": last_first, "in two parts": lambda x: x[:2].sum(axis=0) + x[2:].sum(axis=0),
    }),
    "sum of all": alone((V,), lambda x: np.sum(x, axis=(0, 1), keepdims=True), lambda x: x.sum((0, 1), keepdim=True),
                        {"last first": all_last_first}),
    "add.reduce of rows": alone((V,), np.add.reduce, None, {"last first": last_first}),
    "mean of rows": alone((V,), lambda x: np.mean(x, axis=0), lambda x: x.mean(0), {
        "last first, times reciprocal": lambda x: last_first(x) * x.dtype.type(1 / 3),
    }),
    "mean, the method": alone((V,), lambda x: x.mean(axis=1, keepdims=True), lambda x: x.mean(1, keepdim=True), {
        "flushed": flushed(with_torch(lambda x: x.sum(1, keepdim=True) / 4)),
    }),
    "max of rows": alone((V,), lambda x: np.max(x, axis=0), lambda x: torch.amax(x, 0), fractions=True),
    "min of columns": alone((V,), lambda x: np.min(x, axis=-1, keepdims=True), lambda x: torch.amin(x, -1, True),
                            fractions=True),
    "max, the method": alone((V,), lambda x: x.max(axis=1), fractions=True),
    "cumsum of rows": alone(((5, 2),), lambda x: np.cumsum(x, axis=0), lambda x: torch.cumsum(x, 0),
                            {"last first": partial_sums_last_first}),
    "cumsum, the method": alone((V,), lambda x: x.cumsum()),
    "prod of rows": alone(((4, 3),), lambda x: np.prod(x, axis=0), lambda x: torch.prod(x, 0),
                          {"pairwise": lambda x: (x[0] * x[3]) * (x[1] * x[2])}),
    "prod of all": alone((V,), lambda x: np.multiply.reduce(x, axis=(0, 1)), None, {
        "columns first": lambda x: np.asarray(x.T.copy().prod()),
    }, share=3),  # by little: of its draws in float64 the 34th is the first to reach the rim
}  # fmt: skip
