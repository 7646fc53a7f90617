"""Operations of what people write: statistics, norms, and what asks for an order."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from reference.arrays import Array
from tests.attack.domains import Operands, mostly_moderate
from tests.attack.evaluations import TERMS, Evaluation
from tests.attack.operation import Operation
from tests.attack.oracle import largest, least
from tests.attack.written import FEW, MOVES, cube_root, of_arb
from torch_mirror.balls.format import Format

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
exact_cube_root = of_arb(cube_root)


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

STATISTICAL: dict[str, Operation] = {**STATISTICS, **ORDER}
"""All of these."""
