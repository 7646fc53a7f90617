"""What moves elements about, repeats them or makes them up: nothing is computed, so radii go along.

    view          radius of the same elements; the view of a sum still open is open too
    stack         radii stacked
    zeros_like    0, ones_like 0, full_like the radius of what fills

A sum stays open because a bias may start its accumulator however the result is laid out afterwards
(torch.addmv is x @ w as a matrix product, a view of it, and the bias). Memory order is not part of an
array's value, so the order "A" or "K" of ravel and reshape has no rule.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from reference.arrays import Array
from torch_mirror.judge.selection import Take
from torch_mirror.judge.sums import OpenSum

if TYPE_CHECKING:
    from torch_mirror.judge.ball import Ball

Axes = int | tuple[int, ...] | None


def view(x: "Ball", look: Callable[[Array], Array]) -> "Ball":
    """The elements of x that ``look`` gives for any array of x's shape, where it puts them."""

    def rule(take: Take) -> Any:
        return take(look(x.radius))

    return x.derived(look(x.value), None if x.exact else rule, _view_of_sum(x.open, x.shape, look) if x.open else None)


def _view_of_sum(total: OpenSum, shape: tuple[int, ...], look: Callable[[Array], Array]) -> OpenSum:
    def grid() -> Array | None:
        lowest = total.grid() if total.grid else None
        return None if lowest is None else look(np.broadcast_to(lowest, shape))

    return OpenSum(
        total.terms, lambda gamma: look(np.broadcast_to(total.bound(gamma), shape)), grid if total.grid else None
    )


def transpose(like: "Ball", a: Any, axes: tuple[int, ...] | None = None) -> "Ball":
    return view(like.operand(a), lambda v: np.transpose(v, axes))


def swapaxes(like: "Ball", a: Any, axis1: int, axis2: int) -> "Ball":
    return view(like.operand(a), lambda v: np.swapaxes(v, axis1, axis2))


def reshape(like: "Ball", a: Any, shape: int | tuple[int, ...]) -> "Ball":
    return view(like.operand(a), lambda v: np.reshape(v, shape))


def ravel(like: "Ball", a: Any) -> "Ball":
    return view(like.operand(a), np.ravel)


def squeeze(like: "Ball", a: Any, axis: Axes = None) -> "Ball":
    return view(like.operand(a), lambda v: np.squeeze(v, axis))


def expand_dims(like: "Ball", a: Any, axis: int | tuple[int, ...]) -> "Ball":
    return view(like.operand(a), lambda v: np.expand_dims(v, axis))


def broadcast_to(like: "Ball", array: Any, shape: int | tuple[int, ...]) -> "Ball":
    return view(like.operand(array), lambda v: np.broadcast_to(v, shape))


def concatenate(like: "Ball", arrays: Any, axis: int = 0) -> "Ball":
    return _joined(like, arrays, lambda parts: np.concatenate(parts, axis))


def stack(like: "Ball", arrays: Any, axis: int = 0) -> "Ball":
    return _joined(like, arrays, lambda parts: np.stack(parts, axis))


def _joined(like: "Ball", arrays: Any, join: Callable[[list[Array]], Array]) -> "Ball":
    balls = [like.operand(a) for a in arrays]

    def rule(take: Take) -> Any:
        return take(join([b.radius for b in balls]))

    return like.derived(join([b.value for b in balls]), None if all(b.exact for b in balls) else rule)


def zeros_like(like: "Ball", a: Any) -> "Ball":
    return full_like(like, a, 0.0)


def ones_like(like: "Ball", a: Any) -> "Ball":
    return full_like(like, a, 1.0)


def full_like(like: "Ball", a: Any, fill_value: Any) -> "Ball":
    return broadcast_to(like, fill_value, like.operand(a).shape)
