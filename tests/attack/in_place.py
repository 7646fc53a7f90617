"""Operations that assign in place: the same programs of arrays, tensors and balls."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from reference.arrays import Array
from tests.attack.contractions import with_bias
from tests.attack.domains import RATES, nearly_there, number, often_zero
from tests.attack.evaluations import FEW_PRODUCTS, PRODUCTS, fused_update, with_torch
from tests.attack.logic import above, both, either, picked
from tests.attack.operation import COPIES, E, Operation, alone
from tests.attack.oracle import choose


def copied(x: Any) -> Any:
    return x.clone() if isinstance(x, torch.Tensor) else x.copy()


def rectified(dz: Any, z: Any) -> Any:
    """The gradient of a ReLU, as tutorials write it."""
    dz = copied(dz)
    dz[z <= 0] = 0
    return dz


def masked(x: Any, y: Any, z: Any) -> Any:
    """Assignments by masks and their logic, and a sum between them."""
    x = copied(x)
    m = y > z
    x[m & ~(z > 0)] = 0
    x += z
    x[(y > 0) | m] = 0.5
    return x


def masked_exactly(x: Any, y: Any, z: Any) -> Any:
    m = above(y, z)
    return picked(either(above(y), m), 0.5, picked(both(m, 1 - above(z)), 0, x) + z)


def copied_where(x: Any, y: Any, z: Any) -> Any:
    x = np.copy(x)
    np.copyto(x, y, where=z > 0)
    return x


def with_bias_in_place(x: Any, W: Any, b: Any) -> Any:
    z = x @ W.mT
    z += b[..., None, :]
    return z


def updated_in_place(w: Any, g: Any, lr: float) -> Any:
    w = copied(w)
    w -= lr * g
    return w


def through_views(x: Any, y: Any) -> Any:
    """Rows, columns and reversed views of an array (cases, 3, 4) that are written to."""
    x = copied(x)
    row = x[:, 0]
    row *= y[:, 0]
    x[..., 1] = y[..., 2]
    column = x.mT[:, 3]
    column += y[..., 3]
    x[:, [2, 1], 0] -= y[:, :2, 0]
    x.reshape(-1, 12)[:, 6] /= 4
    row[:, 2] = column[:, 1]
    return x


def summed_in_place(x: Any) -> Any:
    """A sum (cases, 3) over the rows of x (cases, 4, 3), as a loop."""
    total = torch.zeros_like(x[:, 0]) if isinstance(x, torch.Tensor) else np.zeros_like(x[:, 0])
    for k in range(4):
        total += x[:, k]
    return total


def accumulated(x: Any, dy: Any, x2: Any, dy2: Any) -> Any:
    """A gradient (cases, out, in) over two batches."""
    dW = dy.mT @ x
    dW += dy2.mT @ x2
    return dW


def at_once(x: Array, dy: Array, x2: Array, dy2: Array) -> tuple[Array, Array]:
    """The factors of the same gradient over one batch."""
    x, dy = np.concatenate([x, x2], axis=-2), np.concatenate([dy, dy2], axis=-2)
    return np.swapaxes(dy, -1, -2), np.swapaxes(x, -1, -2)


# --- programs of one case ------------------------------------------------------------------------------------


def either_mask(x: Any, y: Any) -> Any:
    out = x.copy()
    out[(y > x) & (y > 0)] = -1
    out[~(y[:, 0] > 0)] = y[0]  # whole rows
    return out


def whole_arrays(x: Any, y: Any) -> Any:
    out = np.empty_like(x)
    out[...] = y
    out[:] = out - x
    return out


def row_by_row(x: Any, y: Any) -> Any:
    out = np.zeros_like(x)
    for i in range(len(x)):
        out[i] = x[i] * y[i]
    return out


def through_many_views(x: Any, y: Any) -> Any:
    out = x.copy()
    out.mT[0] = y[:, 0] * 2
    out[0][1:3] = 1
    out.reshape(-1)[5:7] = y[0, :2]
    out.ravel()[-1] += y[0, 0]
    row = out[1]
    row *= y[1]
    out[1, 0] = 7
    return out + row


def fancy(x: Any, y: Any) -> Any:
    out = x.copy()
    out[[0, 2]] = y[[1, 0]]
    apart = out[[0, 1]]  # a copy
    apart[...] = 5
    out[:, np.array([True, False, False, True])] -= y[:, :2]
    return out


def arithmetic_in_place(x: Any, y: Any) -> Any:
    out = x.copy()
    out += y
    out *= y
    out -= 3 * y
    out /= 3
    out **= 2
    return out


def given_out(x: Any, y: Any) -> Any:
    out = np.zeros_like(x)
    np.add(x, y, out=out)
    np.multiply(out, y, out=out)
    np.maximum(out, x, out=out)
    np.copyto(out, y, where=np.array([True, False, False, True]))
    return out


def earlier_results(x: Any, y: Any) -> Any:
    t, u = x.copy(), y.copy()
    product, total, row = t * u, t @ u.T, t[0] + 1
    t[...] = 0
    u += 1
    return product[:, :3] + total + row[:3] + t[:, :3] * u[:, :3]


def affine_in_place(x: Any, W: Any, b: Any) -> Any:
    z = x @ W.mT
    z += b
    return z


def affine_in_two_rows(x: Any, W: Any, b: Any) -> Any:
    z = np.zeros((2, 2), dtype=x.dtype, like=x)
    z[0] = x[0] @ W.mT
    z[1] = W @ x[1]
    z += b
    return z


def square_matrix(x: Any, y: Any) -> Any:
    x = x.copy()
    x @= y
    return x


def of_two(program: Callable[..., Any], side: tuple[int, int] = (3, 4), **options: Any) -> Operation:
    return alone((side, side), program, **options)


def affine_by(program: Callable[..., Any], **options: Any) -> Operation:
    in_order = {name: f for name, f in PRODUCTS.items() if "forwards" in name}
    return alone(((2, 5), (2, 5), (2,)), program, lambda x, W, b: torch.addmm(b, x, W.T), in_order, **options)


IN_PLACE: dict[str, Operation] = {
    "relu backward in place": Operation((E, E), rectified, rectified, {
        "torch.where": with_torch(lambda da, z: torch.where(z <= 0, 0, da)),
    }, exact=lambda da, z: choose(z, 0, 0, da), share=0.4, **COPIES),
    "masks in place": Operation((E, E, E), masked, masked, exact=masked_exactly, domain=often_zero, share=0.3),
    "copyto by a mask": Operation((E, E, E), copied_where, lambda x, y, z: torch.where(z > 0, y, x),
                                  exact=lambda x, y, z: choose(z, x, x, y), share=0.3, **COPIES),
    "bias in place": Operation(((2, 5), (3, 5), (3,)), with_bias_in_place, with_bias_in_place,
                               {**FEW_PRODUCTS, "torch.baddbmm": with_bias}, share=0.3, attained=0.1),
    "update in place": Operation((E, E), updated_in_place, updated_in_place, {"fused": fused_update},
                                 number(*RATES), domain=nearly_there, share=0.3),
    "views in place": Operation(((3, 4), (3, 4)), through_views, through_views, share=0.3),
    "sum in place": Operation(((4, 3),), summed_in_place, summed_in_place, {
        "one after another": lambda x: np.cumsum(x, axis=1, dtype=x.dtype)[:, -1],  # no other order is the same program
    }, share=0.3, attained=0.2),
    "accumulated gradient": Operation(((2, 3), (2, 2), (3, 3), (3, 2)), accumulated, accumulated, {
        name: lambda *operands, f=f: f(*at_once(*operands)) for name, f in FEW_PRODUCTS.items()
    }, share=0.3, attained=0.1),
    "either mask in place": of_two(either_mask, fractions=True),
    "whole arrays in place": of_two(whole_arrays),
    "row by row": of_two(row_by_row),
    "through many views": of_two(through_many_views),
    "fancy indices in place": of_two(fancy),
    "arithmetic in place": of_two(arithmetic_in_place, fractions=True),
    "out": of_two(given_out, fractions=True),
    "earlier results": of_two(earlier_results),
    "affine in place": affine_by(affine_in_place),
    "affine in two rows": affine_by(affine_in_two_rows, exact=affine_in_place),
    "square matrix in place": of_two(square_matrix, (3, 3)),
}  # fmt: skip
