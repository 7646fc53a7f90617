"""Operations that sum products: matrix products, affine maps, einsum and kin."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from reference.affine import affine
from reference.arrays import Array
from tests.attack.domains import large_bias
from tests.attack.evaluations import FEW_PRODUCTS, PRODUCTS, TERMS, Evaluation, with_torch
from tests.attack.operation import Operation, alone

AFFINE, ALONE, BOTH_ALONE = "...ik,...jk->...ij", "...ik,...j->...ij", "...i,...j->..."
DIAGONAL = "...ii,...ij->...j"

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


def one_by_one(x: Any, W: Any, b: Any) -> Any:
    """nn.Linear's own function, on each case alone."""
    return torch.stack([torch.nn.functional.linear(*one) for one in zip(x, W, b, strict=True)])


def addmm_one_by_one(x: Any, W: Any, b: Any) -> Any:
    """torch.addmm, on each case alone."""
    return torch.stack([torch.addmm(bias, a, w.T) for a, w, bias in zip(x, W, b, strict=True)])


def affine_of(terms: int, rows: int = 2, outputs: int = 3, **options: Any) -> Operation:
    return Operation(
        ((rows, terms), (outputs, terms), (outputs,)), affine, one_by_one,
        {**PRODUCTS, "torch.baddbmm": with_bias, "torch.addmm": with_torch(addmm_one_by_one), "einsum": einsum_affine},
        **{"attained": 0.1, **options},
    )  # fmt: skip


def in_every_order(products: Callable[..., Array]) -> dict[str, Evaluation]:
    """Sums over the last axis of these products."""
    return {f"products, {name}": lambda *operands, f=f: f(products(*operands))[..., 0] for name, f in TERMS.items()}


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
FEW: Any = {"attained": 0.1, "share": 0.3}

CONTRACTIONS: dict[str, Operation] = {
    "outer": Operation(((3,), (4,)), lambda x, y: x[..., :, None] * y[..., None, :],
                       lambda x, y: torch.einsum("ni,nj->nij", x, y)),
    "numpy.outer": Operation(((), ()), lambda x, y: np.outer(x, y[:4]), lambda x, y: torch.outer(x, y[:4])),
    "numpy.dot": Operation(((5,), (5,)), lambda x, w: np.dot(x, w[:4].mT), lambda x, w: x @ w[:4].mT,
                           attained=0.1),
    "matmul": Operation(((2, 5), (5, 3)), lambda x, w: x @ w, torch.matmul, {
        name: lambda x, w, f=f: f(x, np.swapaxes(w, -1, -2)) for name, f in PRODUCTS.items() if "last" in name
    }, attained=0.1),
    "affine of 1": affine_of(1),
    "affine of 2": affine_of(2),
    "affine of 5": affine_of(5),
    "affine of 16": affine_of(16, share=4),
    "affine, large bias": affine_of(16, domain=large_bias),
    "affine of 300": affine_of(300, 24, 20, attained=0.0, share=0.02),
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
    "dot": alone(((5,), (5,)), np.dot, torch.dot, {"last first": lambda x, y: np.cumsum((x * y)[::-1])[-1]}),
    "dot of matrices": alone(((3, 4), (4, 2)), np.dot, torch.mm),
    "matrix times vector and bias": alone(
        ((4,), (3, 4), (3,)), lambda x, w, b: np.dot(w, x) + b, lambda x, w, b: torch.addmv(b, w, x),
        {name: lambda x, w, b, f=f: f(x[None], w, b)[0] for name, f in PRODUCTS.items() if name.endswith("bias first")},
    ),
    "outer of a matrix": alone(((3,), (3, 4)), np.outer, lambda x, y: torch.outer(x, y.ravel())),
    "sum of joined products": alone(
        ((3, 4), (4, 2), (2,)), lambda x, w, b: np.concatenate([x[:1] @ w, x[1:] @ w]) + b,
        lambda x, w, b: torch.addmm(b, x, w),
    ),
}  # fmt: skip
