"""numpy.einsum and its kin, as they are written for one case: labels, ellipses, axes that are broadcast."""

from typing import Any

import numpy as np
import torch

from tests.attack.evaluations import PRODUCTS, Evaluation
from tests.attack.operation import Operation, alone


def summed(text: str, *shapes: tuple[int, ...], torch_too: bool = True, **others: Evaluation) -> Operation:
    """One einsum, with torch's and NumPy's other orders as other evaluations."""
    by_torch = (lambda *a: torch.einsum(text, *a)) if torch_too else None
    optimized = {"optimized": lambda *a: np.einsum(text, *a, optimize=True)}
    return alone(shapes, lambda *a: np.einsum(text, *a), by_torch, {**optimized, **others})


def affine(x: Any, W: Any, b: Any) -> Any:
    return np.einsum("bi,oi->bo", x, W) + b


V, W = (3, 4), (4, 2)

EINSUMS: dict[str, Operation] = {
    "einsum ij,jk->ik": summed("ij,jk->ik", V, W, reversed=lambda x, y: np.einsum("ij,jk->ik", x[:, ::-1], y[::-1])),
    "einsum, implicit": summed(" ij, jk ", V, W),
    "einsum, implicit, in alphabetical order": summed("ba,ac", V, W),
    "einsum, ellipsis": summed("...ij,...jk->...ik", (2, 3, 4), (4, 2)),
    "einsum, ellipsis, implicit": summed("...j,j...", V, (4, 3), torch_too=False),
    "einsum, ellipsis in one": summed("...j,j->...", (2, 3, 4), (4,)),
    "einsum, ellipses of unequal length": summed("...i,...i->...", (2, 3, 4), (3, 4)),
    "einsum, broadcast": summed("ij,jk->ik", (3, 1), (4, 2)),
    "einsum, broadcast in both": summed("bij,bj->bi", (1, 3, 4), (2, 1)),
    "einsum ii": summed("ii", (4, 4)),
    "einsum ii->i": summed("ii->i", (4, 4)),
    "einsum ...ii->...i": summed("...ii->...i", (2, 3, 3)),
    "einsum ij->i": summed("ij->i", V),
    "einsum ij->j": summed("ij->j", V),
    "einsum ij->": summed("ij->", V),
    "einsum ij->ji": summed("ij->ji", V),
    "einsum ba": summed("ba", V),
    "einsum ijk->ki": summed("ijk->ki", (2, 3, 4)),
    "einsum i,i": summed("i,i", (5,), (5,)),
    "einsum i,j->ji": summed("i,j->ji", (3,), (4,)),
    "einsum ij,ij->ij": summed("ij,ij->ij", V, V),
    "einsum ,ij->ij": summed(",ij->ij", (), V, torch_too=False),
    "einsum ij,ij->": summed("ij,ij->", V, V),
    "einsum iij,jk->ik": summed("iij,jk->ik", (3, 3, 4), W, torch_too=False),
    "einsum ij,jk->k": summed("ij,jk->k", V, W, alone=lambda x, y: x.sum(axis=0) @ y),
    "einsum ij,k->": summed("ij,k->", V, (5,), alone=lambda x, y: np.asarray(x.sum() * y.sum())),
    "einsum bi,oi->bo and bias": alone((V, (2, 4), (2,)), affine, lambda x, W, b: torch.addmm(b, x, W.T), PRODUCTS,
                                        share=0.75),
    "inner of matrices": alone((V, (2, 4)), np.inner, torch.inner),
    "inner of 3 and 1 axes": alone(((2, 3, 4), (4,)), np.inner, torch.inner),
    "inner of 3 and 2 axes": alone(((2, 3, 4), V), np.inner, torch.inner),
    "tensordot of two axes": alone(((2, 3, 4), (3, 4, 2)), np.tensordot, lambda x, y: torch.tensordot(x, y, 2)),
    "tensordot of given axes": alone(((2, 3, 4), (4, 5, 2)), lambda x, y: np.tensordot(x, y, axes=((2, 0), (0, -1)))),
    "vdot of matrices": alone((V, V), np.vdot, None, {"sum": lambda x, y: np.asarray(np.sum(x * y))},
                              exact=lambda x, y: (x * y).sum()),
    "vecdot of rows": alone((V, V), np.vecdot, torch.linalg.vecdot, {
        "last first": lambda x, y: (x * y)[:, ::-1].sum(axis=-1),
    }, exact=lambda x, y: (x * y).sum(axis=-1)),
    "traces of an array": alone(((3, 3, 2),), lambda x: np.trace(x) + x.trace(1, 0, 1)),
}  # fmt: skip
