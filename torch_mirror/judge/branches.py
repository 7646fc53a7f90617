"""Comparisons, and what chooses between operands: maximum, where, concatenate.

Nothing is rounded here. A comparison that the radii leave open has two outcomes, and what depends on
it gets a radius that holds both branches.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from reference.arrays import Array
from torch_mirror.judge.selection import Take, everything

if TYPE_CHECKING:
    from torch_mirror.judge.ball import Ball


class Mask(NamedTuple):
    """The outcome of a comparison: the centre's, and, when asked, where the radii leave it open."""

    value: Array
    undecided: Callable[[], Array] | None = None

    def astype(self, _dtype: Any) -> "Mask":
        """As a factor it is 1 or 0 in the precision of what it multiplies."""
        return self


def comparison(ufunc: np.ufunc) -> "Callable[[Ball, Ball], Array | Mask]":
    """The rule of a comparison: an array if the operands are exact, else a Mask."""

    def rule(x: "Ball", y: "Ball") -> Array | Mask:
        value = np.asarray(ufunc(x.value, y.value))
        if x.exact and y.exact:
            return value

        def undecided() -> Array:
            reach = x.slack * (x.e(everything) + y.e(everything))
            apart = np.abs(x.value - y.value)
            # a reach of exactly 0 decides; otherwise the two may meet, and a tie is a branch of its own
            return np.broadcast_to((reach > 0) & ~(apart > reach), value.shape)

        return Mask(value, undecided)

    return rule


def maximum(x: "Ball", y: "Ball") -> "Ball":
    value = np.maximum(x.value, y.value)

    def rule(take: Take) -> Any:
        ex, ey = x.e(take), y.e(take)
        a, b = take(x.value), take(y.value)
        y_wins = a + x.slack * ex <= b - y.slack * ey
        x_wins = b + y.slack * ey <= a - x.slack * ex
        return np.where(y_wins, ey, np.where(x_wins, ex, np.maximum(ex, ey)))

    return x.derived(value, None if x.exact and y.exact else rule)


def where(like: "Ball", condition: Array | Mask, x: Any, y: Any) -> "Ball":
    a, b = like.operand(x), like.operand(y)
    mask = condition if isinstance(condition, Mask) else Mask(np.asarray(condition))

    def rule(take: Take) -> Any:
        ea, eb = a.e(take), b.e(take)
        e = np.where(take(mask.value), ea, eb)
        undecided = mask.undecided() if mask.undecided else None
        if undecided is None or not undecided.any():
            return e
        both = np.abs(take(a.value) - take(b.value)) + like.slack * (ea + eb)
        return np.where(take(undecided), both, e)

    value = np.where(mask.value, a.value, b.value)
    return like.derived(value, None if mask.undecided is None and a.exact and b.exact else rule)


def concatenate(like: "Ball", arrays: Any, axis: int = 0) -> "Ball":
    balls = [like.operand(a) for a in arrays]

    def rule(take: Take) -> Any:
        return take(np.concatenate([b.radius for b in balls], axis=axis))

    value = np.concatenate([b.value for b in balls], axis=axis)
    return like.derived(value, None if all(b.exact for b in balls) else rule)
