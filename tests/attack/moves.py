"""Operations that move, repeat, cut and make up arrays."""

from typing import Any

import numpy as np
import torch

from tests.attack.operation import COPIES, E, Operation, alone

BACK, V = [3, 1, 2, 0], (3, 4)


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
        np.broadcast_to(np.diag(x[:, 0]), x.shape), np.broadcast_arrays(np.diagonal(x, 1, 1, 2)[..., None], x)[0],
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
    "views of products": alone((V, V, V), lambda x, y, z: np.stack([
        np.swapaxes(x * y, 0, 1).T, np.expand_dims(np.squeeze((x * y).reshape(1, 12)).reshape((3, 4)), 0)[0],
        np.transpose(np.transpose(x * y)), np.broadcast_to(np.ravel(x * y)[:4], (3, 4)),
        np.full_like(z, 1) * (z - np.zeros_like(z) * np.ones_like(z)),
    ], axis=1)),
    "positive of a product": alone((V, V), lambda x, y: +(x * y)),
    "turned products": alone((V, V), lambda x, y: np.hstack([
        np.moveaxis(x * y, 0, -1).T, np.flip(x, 1) * y, np.flipud(y) + np.fliplr(x), np.roll(x, 1, axis=1) - y,
        np.rot90(x * y, 2), np.permute_dims(x).mT * y, np.matrix_transpose(x * y).T,
    ])),
    "repeated products": alone((V, V), lambda x, y: np.vstack([
        np.tile(x, (1, 2)), np.repeat(y, 2, axis=1), np.concatenate([x, y], 1) * 3, np.pad(x * y, ((0, 1), (2, 2))),
        np.tile(np.atleast_2d(x[0]), 2), np.tile(x.repeat(1, axis=0).take([0, 2], axis=0), 2),
    ])),
    "parts of products": alone((V, V), lambda x, y: np.column_stack([
        *np.split(x, 2, axis=1), *np.array_split(y * x, [1, 3], axis=1), np.tril(y), np.triu(x * y, 1),
        np.diag(y[:, 0]), np.diag(y), np.take(x, [3, 0], axis=1), np.delete(x, 1, axis=1), np.diagonal(x[:, 1:]),
        y.diagonal(), np.take_along_axis(y, np.array([[0], [3], [1]]), axis=1), np.dstack([x, y])[..., 1],
    ])),
    "products with what is made up": alone((V, V), lambda x, y: (
        np.zeros((3, 4), dtype=x.dtype, like=x) + np.ones(4, dtype=x.dtype, like=x) * y
        - np.full((3, 1), 3, dtype=x.dtype, like=x) * x + np.array([x[0], y[0], x[1]], like=x)
    )),
}  # fmt: skip
