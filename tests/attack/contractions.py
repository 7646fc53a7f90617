"""Operations that sum or multiply many numbers: einsum and kin, cumulative sums, products."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from reference.arrays import Array
from tests.attack.domains import large_bias, mostly_moderate
from tests.attack.evaluations import FEW_PRODUCTS, ORDERS, Evaluation, Order, pairwise_sum, sum_in_order, with_torch
from tests.attack.operation import Operation

AFFINE, ALONE, BOTH_ALONE = "...ik,...jk->...ij", "...ik,...j->...ij", "...i,...j->..."
DIAGONAL = "...ii,...ij->...j"

TERMS: dict[str, Evaluation] = {
    **{f"cumsum {name}": sum_in_order(order) for name, order in ORDERS.items()}, "pairwise": pairwise_sum,
}  # fmt: skip
"""Orders of a sum over the last axis, kept."""

DOTS: dict[str, Evaluation] = {
    name: lambda x, y, f=f: f(x[..., None, :], y[..., None, :])[..., 0, 0] for name, f in FEW_PRODUCTS.items()
}
"""The product of vectors, in the orders of FEW_PRODUCTS."""


def einsum(subscripts: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """By NumPy and by torch."""
    return lambda *operands: np.einsum(subscripts, *operands), lambda *operands: torch.einsum(subscripts, *operands)


def einsum_affine(x: Array, W: Array, b: Array) -> Array:
    return np.einsum(AFFINE, x, W) + b[..., None, :]


def with_bias(x: Array, W: Array, b: Array) -> Array:
    """x W^T + b by torch.baddbmm."""
    return with_torch(torch.baddbmm)(b[..., None, :], x, np.swapaxes(W, -1, -2))


def in_every_order(products: Callable[..., Array]) -> dict[str, Evaluation]:
    """Sums over the last axis of these products."""
    return {f"products, {name}": lambda *operands, f=f: f(products(*operands))[..., 0] for name, f in TERMS.items()}


def product_of(order: Order) -> Evaluation:
    """The product over the last axis, factor by factor."""
    return lambda x: np.cumprod(x[..., list(order(x.shape[-1]))], axis=-1, dtype=x.dtype)[..., -1]


def prefixes(f: Evaluation) -> Evaluation:
    """The sums of the first 1, 2, ... elements, each for itself."""
    return lambda x: np.concatenate([f(x[..., :k]) for k in range(1, x.shape[-1] + 1)], axis=-1)


def of_each(function: Callable[..., Any]) -> Callable[..., Any]:
    """The numbers that a function of vectors has for each case."""
    return lambda *operands: np.stack([function(*case) for case in zip(*operands, strict=True)])


def four(y: Any) -> Any:
    """Four of the cases, each of other numbers: kinds of numbers follow one another."""
    return y[:: max(len(y) // 4, 1)][:4]


def sum_of_products(x: Any, y: Any) -> Any:
    return np.sum(x * y, axis=-1)


def trace(x: Any) -> Any:
    return np.trace(x, axis1=-2, axis2=-1)


TRACES = {name: lambda x, f=f: f(np.diagonal(x, 0, 1, 2))[..., 0] for name, f in TERMS.items()}
INNER = (lambda x, y: np.inner(x, four(y))), (lambda x, y: torch.inner(x, four(y)))
ROWS: dict[str, Evaluation] = {name: lambda x, y, f=f: f(x, four(y)) for name, f in FEW_PRODUCTS.items()}
FACTORS = {name: product_of(order) for name, order in ORDERS.items()}
FEW: Any = {"attained": 0.1, "share": 0.3}

CONTRACTIONS: dict[str, Operation] = {
    "einsum": Operation(((2, 5), (3, 5)), *einsum(AFFINE), {
        **FEW_PRODUCTS, "optimized": lambda x, w: np.einsum(AFFINE, x, w, optimize=True),
    }, **FEW),
    "einsum and bias": Operation(((2, 5), (3, 5), (3,)), einsum_affine, lambda x, W, b: einsum(AFFINE)[1](x, W)
                                 + b[..., None, :], {**FEW_PRODUCTS, "torch.baddbmm": with_bias}, **FEW),
    "einsum, large bias": Operation(((2, 5), (3, 5), (3,)), einsum_affine, None,
                                    {**FEW_PRODUCTS, "torch.baddbmm": with_bias}, domain=large_bias, **FEW),
    "einsum, summed alone": Operation(((2, 4), (3,)), *einsum(ALONE), {
        **in_every_order(lambda x, y: x[..., :, None, :] * y[..., None, :, None]),
        **{f"factor first, {name}": lambda x, y, f=f: f(x) * y[..., None, :] for name, f in TERMS.items()},
    }, **FEW),
    "einsum, both alone": Operation(((2,), (3,)), *einsum(BOTH_ALONE), {
        **in_every_order(lambda x, y: (x[..., :, None] * y[..., None, :]).reshape(-1, 6)),
        **{f"factors first, {name}": lambda x, y, f=f: (f(x) * f(y))[..., 0] for name, f in TERMS.items()},
    }, **FEW),
    "einsum of a diagonal": Operation(((3, 3), (3, 2)), *einsum(DIAGONAL), in_every_order(
        lambda x, y: np.swapaxes(np.diagonal(x, 0, 1, 2)[..., None] * y, -1, -2)), **FEW),
    "einsum of one": Operation(((3, 2),), *einsum("...ij->...j"), {
        name: lambda x, f=f: f(np.swapaxes(x, -1, -2))[..., 0] for name, f in TERMS.items()}, **FEW),
    "einsum, a trace": Operation(((3, 3),), *einsum("...ii->..."), TRACES, **FEW),
    "trace": Operation(((3, 3),), trace, lambda x: x.diagonal(dim1=1, dim2=2).sum(-1), TRACES, **FEW),
    "vecdot": Operation(((5,), (5,)), np.vecdot, torch.linalg.vecdot, DOTS, exact=sum_of_products, **FEW),
    "vdot": Operation(((5,), (5,)), of_each(np.vdot), torch.linalg.vecdot, DOTS, exact=sum_of_products, **FEW),
    "inner": Operation(((5,), (5,)), *INNER, ROWS, share=1, attained=0.1),
    "inner, three axes": Operation(((2, 5), (5,)), *INNER, ROWS, share=1, attained=0.1),
    "tensordot": Operation(((2, 3), (2, 3)), lambda x, y: np.tensordot(x, four(y), ((1, 2), (1, 2))),
                           lambda x, y: torch.tensordot(x, four(y), ((1, 2), (1, 2))), {
        name: lambda x, y, f=f: f(x.reshape(-1, 6), four(y).reshape(4, 6)) for name, f in FEW_PRODUCTS.items()
    }, share=1, attained=0.1),
    "tensordot of one axis": Operation(((2, 2), (2,)), lambda x, y: np.tensordot(x, four(y).mT, 1),
                                       lambda x, y: torch.tensordot(x, four(y).mT, 1), ROWS, share=1, attained=0.1),
    "cumsum": Operation(((3,),), lambda x: np.cumsum(x, axis=-1), lambda x: torch.cumsum(x, -1),
                        {name: prefixes(f) for name, f in TERMS.items()}, share=0.3, attained=0.2),
    "prod": Operation(((3,),), lambda x: np.prod(x, axis=-1), lambda x: torch.prod(x, -1), FACTORS,
                      domain=mostly_moderate, share=0.3),
    "multiply.reduce": Operation(((3,),), lambda x: np.multiply.reduce(x, axis=-1), lambda x: torch.prod(x, -1),
                                 FACTORS, share=0.3),
    "add.reduce": Operation(((3,),), lambda x: np.add.reduce(x, axis=-1), lambda x: x.sum(-1),
                            {name: lambda x, f=f: f(x)[..., 0] for name, f in TERMS.items()}, share=0.3),
}  # fmt: skip
