"""Operations that move, repeat, cut and make up arrays, and those that assign in place."""

from typing import Any

import numpy as np
import torch

from reference.arrays import Array
from tests.attack.contractions import with_bias
from tests.attack.domains import RATES, nearly_there, number, often_zero
from tests.attack.evaluations import FEW_PRODUCTS, fused_update
from tests.attack.logic import above, both, either, picked
from tests.attack.operation import COPIES, E, Operation
from tests.attack.oracle import choose

BACK = [3, 1, 2, 0]


# --- elements that go elsewhere: of two operands (cases, 3, 4) -----------------------------------------------


def seen_about(x: Any, y: Any, z: Any) -> Any:
    """Products that are moved about, repeated and made up: nothing of that rounds anything."""
    ones = np.full_like(z, 1) * np.ones_like(z) - np.zeros_like(z)
    parts = [
        np.swapaxes(np.transpose(x, (0, 2, 1)), 1, 2), np.expand_dims(np.squeeze(y[:, None], 1), 1)[:, 0],
        np.reshape(np.ravel(z), (-1, 3, 4)), np.broadcast_to(x[:, :1], x.shape), np.concatenate([y, z], -1)[..., 2:6],
        ones,
    ]  # fmt: skip
    return np.stack(parts, axis=1)


def turned(x: Any) -> Any:
    parts = [
        np.flip(x, -1), np.fliplr(x), np.flipud(x), np.roll(x, 1, axis=-1), np.rot90(x, 2, axes=(1, 2)),
        np.tril(x), np.triu(x, 1), np.moveaxis(np.matrix_transpose(x), -1, 1), np.permute_dims(x, (0, 2, 1)).mT,
    ]  # fmt: skip
    return np.stack(parts, axis=1)


def turned_by_torch(x: Any) -> Any:
    parts = [x.flip(-1), x.fliplr(), x.flipud(), x.roll(1, -1), x.rot90(2, (1, 2)), x.tril(), x.triu(1), x, x]
    return torch.stack(parts, dim=1)


def repeated(x: Any) -> Any:
    parts = [
        np.repeat(x[:, :1], 3, axis=1), np.tile(x[..., :1], (1, 1, 4)), np.take(x, [2, 0, 0], axis=1),
        np.take_along_axis(x, np.array([[BACK]]), axis=2), np.pad(x[:, 1:], ((0, 0), (1, 0), (0, 0))),
        np.delete(np.pad(x, ((0, 0), (1, 0), (0, 0)), "edge"), 2, axis=1),
        np.broadcast_to(np.diag(x[:, 0]), x.shape), np.broadcast_to(np.diagonal(x, 1, 1, 2)[..., None], x.shape),
    ]  # fmt: skip
    return np.stack(parts, axis=1)


def repeated_by_torch(x: Any) -> Any:
    parts = [
        x[:, :1].repeat_interleave(3, dim=1), x[..., :1].tile(1, 1, 4), x[:, [2, 0, 0]], x[..., BACK],
        torch.nn.functional.pad(x[:, 1:], (0, 0, 1, 0)), x[:, [0, 0, 2]], x[:, 0].diag().expand(x.shape),
        x.diagonal(1, 1, 2)[..., None].expand(x.shape),
    ]  # fmt: skip
    return torch.stack(parts, dim=1)


def cut(x: Any, y: Any) -> Any:
    """In parts, and put together again; and an array's own shape."""
    parts = [
        np.concatenate(np.split(x, 2, axis=-1)[::-1], -1), np.concatenate(np.array_split(y, 3, axis=-1)[::-1], -1),
        np.hstack([x[:, :1], y[:, 1:]]), np.vstack([x, y])[len(x) :], np.dstack([x[..., :2], y[..., 2:]]),
        np.column_stack([x, y])[:, 2:5], np.atleast_1d(x), np.atleast_2d(y), np.atleast_3d(x),
        np.reshape(np.ravel(y), np.shape(y)), np.reshape(x, (-1, 3, np.size(x, np.ndim(x) - 1))),
    ]  # fmt: skip
    return np.stack(parts, axis=1)


def cut_by_torch(x: Any, y: Any) -> Any:
    parts = [
        x[..., [2, 3, 0, 1]], y[..., [3, 2, 0, 1]], torch.hstack([x[:, :1], y[:, 1:]]), y,
        torch.dstack([x[..., :2], y[..., 2:]]), torch.column_stack([x, y])[:, 2:5], x, y, x, y, x,
    ]  # fmt: skip
    return torch.stack(parts, dim=1)


def made_up(x: Any, y: Any) -> Any:
    """New arrays with an operand's elements, or numbers."""
    filled, alike = np.empty(x.shape, x.dtype, like=x), np.empty_like(x)
    filled[...] = x
    alike[:, 0], alike[:, 1:] = y[:, 0], x[:, 1:]
    copied = np.copy(x)
    np.copyto(copied[:, :1], y[:, 1:2])
    zeros, ones = np.zeros(x.shape, x.dtype, like=x), np.ones(x.shape, x.dtype, like=x)
    tenths = np.full(x.shape, 0.1, x.dtype, like=x)
    parts = [filled, alike, copied, zeros, ones, tenths, np.array([x, y], like=x)[1], np.asarray([y, x], like=x)[1]]
    return np.stack(parts, axis=1)


def made_up_by_torch(x: Any, y: Any) -> Any:
    numbers = [torch.full_like(x, n) for n in (0, 1, 0.1)]
    return torch.stack([x, torch.hstack([y[:, :1], x[:, 1:]]), torch.hstack([y[:, 1:2], x[:, 1:]]), *numbers, y, x], 1)


MOVES: dict[str, Operation] = {
    "views": Operation(((3, 4), (3, 4), (3, 4)), seen_about, **COPIES, share=0.5),
    "turned": Operation(((3, 4),), turned, turned_by_torch, share=0.3, **COPIES),
    "repeated": Operation(((3, 4),), repeated, repeated_by_torch, share=0.3, **COPIES),
    "cut": Operation(((3, 4), (3, 4)), cut, cut_by_torch, share=0.3, **COPIES),
    "made up": Operation(((3, 4), (3, 4)), made_up, made_up_by_torch, share=0.3, **COPIES),
    "positive": Operation((E,), np.positive, torch.positive, share=0.3, **COPIES),
}  # fmt: skip


# --- assignment in place: the same programs of arrays, tensors and balls -------------------------------------


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


IN_PLACE: dict[str, Operation] = {
    "relu backward in place": Operation((E, E), rectified, rectified, exact=lambda da, z: choose(z, 0, 0, da),
                                        share=0.3, **COPIES),
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
}  # fmt: skip
