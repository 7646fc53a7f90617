"""Adjoints of what chooses between elements: maximum, where, max, sort, abs; and the conventions where that is open.

    side       z of maximum(z, 0) at 0    |x| at 0    the largest of several equal ones
    "first"    1                          1           the first of them
    "last"     0                          -1          the last of them
    "even"     1/2                        0           each its share

np.where of an open mask goes as the forward pass went, the other way, or half each. A choice is open where the radii
leave it open, and where both sides are equal: there the function has a kink, and its derivative is a matter of
convention. Each side is one that libraries have: torch.relu says 0 and torch.clamp 1 at the edge, torch.maximum and
torch.amax share evenly, torch.max over an axis and torch.sort name one, torch.abs says 0. What they have in common is
that the shares of the operands add up to 1 and none is negative (for |x|: that they lie between -1 and 1), so that
each is a subgradient of the kink (Clarke, Optimization and Nonsmooth Analysis, section 2.3). A mask x == x.max() that
gives the whole to each of several equal ones is none, as its shares add up to more.
"""

import math
from typing import Any, Literal

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.adjoints import constant, plain, spread
from torch_mirror.balls.recording import Choice

Side = Literal["first", "last", "even"]
SIDES: tuple[Side, ...] = ("first", "last", "even")

DECIDED, OPEN, TIE = 0, 1, 2


def order(x: Any, y: Any) -> Array:
    """1 where x > y in every evaluation, -1 where x < y, and 0 where that is open or they are equal."""
    if hasattr(x, "settled"):
        x, y = x.settled(), y.settled()
        apart = x.value - y.value
        reach = x.slack * (x.radius + y.radius)
        return np.where(np.abs(apart) > reach, np.sign(apart), 0)
    if object in (x.dtype, y.dtype):
        certain = np.frompyfunc(lambda a, b: int(bool(a > b)) - int(bool(a < b)), 2, 1)  # of Arb's, if it is certain
        return np.asarray(certain(np.asarray(x), np.asarray(y)), int)
    return np.sign(x - y)


def tied(x: Any, y: Any) -> Array:
    """Where both are the same number in every evaluation."""
    if not hasattr(x, "settled"):
        return np.asarray(order(x, y) == 0)
    x, y = x.settled(), y.settled()
    return np.asarray((x.value == y.value) & (x.radius == 0) & (y.radius == 0))


def _openness(decided: Array, tie: Array) -> Array:
    return np.where(decided, DECIDED, np.where(tie, TIE, OPEN))


def times(g: Any, share: Array) -> Any:
    """g times a share, where 0 and 1 round nothing and take no infinity along."""
    whole = np.where(share == 1, g, 0.0)
    rest = (share != 0) & (share != 1)
    return np.where(rest, g * np.asarray(share, float), whole) if rest.any() else whole


_FOR_FIRST: dict[Side, float] = {"first": 1.0, "last": 0.0, "even": 0.5}


def larger(x: Any, y: Any, side: Side) -> Array:
    """Of maximum(x, y) the share of x."""
    decided = order(x, y)
    return np.where(decided == 0, _FOR_FIRST[side], decided > 0)


def meet(x: Any, y: Any) -> Array:
    """OPEN, TIE or DECIDED of every element."""
    return _openness(order(x, y) != 0, tied(x, y))


maximum = Choice(
    (
        lambda g, _, x, y, side: times(g, larger(x, y, side)),
        lambda g, _, x, y, side: times(g, 1 - larger(x, y, side)),
    ),
    meet,
)


def _sign(x: Any, side: Side) -> Array:
    decided = order(x, constant(x, 0.0))
    return np.where(decided == 0, {"first": 1, "last": -1, "even": 0}[side], decided)


def _by_sign(g: Any, _: Any, x: Any, side: Side) -> Any:
    s = _sign(x, side)
    return np.where(s > 0, g, np.where(s < 0, -g, 0.0))


absolute = Choice((_by_sign,), lambda x: meet(x, constant(x, 0.0)))


def _candidates(x: Any, axis: Any) -> Array:
    """The elements that are the largest in some evaluation."""
    if hasattr(x, "settled"):
        x = x.settled()
        reach = x.slack * x.radius
        return np.asarray(x.value + reach >= (x.value - reach).max(axis, keepdims=True))
    return np.asarray(order(x, x.max(axis, keepdims=True)) >= 0)


def _shares(among: Array, axis: Any, side: Side) -> Array:
    """Of each of those that may be it, along the axes."""
    count = among.sum(axis=axis, keepdims=True)
    if side == "even":
        return among / np.maximum(count, 1)
    axes = tuple(range(among.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(i % among.ndim for i in axes)
    kept = [i for i in range(among.ndim) if i not in axes]
    size = math.prod(among.shape[i] for i in axes)
    rows = among.transpose(*kept, *axes).reshape(*(among.shape[i] for i in kept), size)
    pick = rows.argmax(-1) if side == "first" else rows.shape[-1] - 1 - rows[..., ::-1].argmax(-1)
    chosen = np.arange(rows.shape[-1]) == pick[..., None]
    moved = chosen.reshape(*(among.shape[i] for i in (*kept, *axes)))
    return moved.transpose(np.argsort((*kept, *axes))).astype(float)


def _by_largest(g: Any, _: Any, x: Any, axis: Any = None, *, keepdims: bool = False, side: Side) -> Any:
    return times(spread(g, x.shape, axis, keepdims=keepdims), _shares(_candidates(x, axis), axis, side))


def _several(x: Any, axis: Any = None, *, keepdims: bool = False) -> Array:
    del keepdims
    among = _candidates(x, axis)
    several = (among.sum(axis=axis, keepdims=True) > 1) & among
    return _openness(~several, tied(x, np.max(x, axis=axis, keepdims=True)))


largest = Choice((_by_largest,), _several)


def _by_branch(which: int) -> Any:
    def by(g: Any, _: Any, mask: Any, *_branches: Any, side: Side) -> Any:
        taken = np.asarray(mask.value if hasattr(mask, "value") else mask, bool)
        open_ = mask.open if hasattr(mask, "open") else np.zeros(taken.shape, bool)
        other: dict[Side, Any] = {"first": taken, "last": ~taken, "even": 0.5}
        share: Any = np.where(open_, other[side], taken)
        return times(g, np.broadcast_to(share if which == 0 else 1 - share, g.shape))

    return by


where = Choice(
    (lambda *_a, **_n: None, _by_branch(0), _by_branch(1)),
    lambda mask, _x, _y: mask.open.astype(int),
)


# --- sort ----------------------------------------------------------------------------------------------------


def _by_place(g: Any, y: Any, x: Any, axis: int, side: Side) -> Any:
    """To where the elements came from: of equal ones in their order, in the opposite one, or their mean to each."""
    if side == "even":
        together = np.moveaxis(_groups(y, axis), axis, -1)
        same = together[..., :, None] == together[..., None, :]
        share = same / same.sum(axis=-1, keepdims=True)
        if not same.sum(axis=-1).max(initial=0) <= 1:
            g = np.moveaxis((share @ np.moveaxis(g, axis, -1)[..., None])[..., 0], -1, axis)
    return np.take_along_axis(g, np.argsort(_order(x, axis, side), axis), axis)


def _groups(y: Any, axis: int) -> Array:
    """Numbers the groups of sorted elements of which each neighbour may be equal to the next."""
    upper, lower = np.moveaxis(y, axis, 0)[1:], np.moveaxis(y, axis, 0)[:-1]
    apart = order(upper, lower) != 0
    return np.moveaxis(np.concatenate([np.zeros_like(apart[:1], int), np.cumsum(apart, 0)]), 0, axis)


def _order(x: Any, axis: int, side: Side) -> Array:
    """The places of the sorted elements, by their centres; for "last" the last of equal ones comes first."""
    value = np.asarray(getattr(x, "value", x))
    if side == "last":
        return value.shape[axis] - 1 - np.argsort(np.flip(value, axis), axis=axis, kind="stable")
    return np.argsort(value, axis=axis, kind="stable")


def _neighbours(x: Any, axis: int) -> Array:
    y = np.sort(x, axis)
    upper, lower = np.moveaxis(y, axis, 0)[1:], np.moveaxis(y, axis, 0)[:-1]
    return _openness(order(upper, lower) != 0, tied(upper, lower))


sort = Choice((_by_place,), _neighbours)


# --- one operand beside another that has no derivative ---------------------------------------------------------


def _by_copied_sign(g: Any, _: Any, x: Any, y: Any, side: Side) -> Any:
    """The sign of x times that of y, which is the one of 0 for an exact 0."""
    theirs = np.asarray(np.copysign(1, plain(y)))
    return _by_sign(np.where(theirs > 0, g, -g), None, x, side)


copysign = Choice((_by_copied_sign, lambda g, *_a, **_n: 0 * g), lambda x, _y: meet(x, constant(x, 0.0)))


def _beside_nan(share: Any) -> tuple[Any, Any]:
    """By both operands, of which the one beside a NaN has the derivative."""

    def of_first(x: Any, y: Any, side: Side) -> Array:
        a, b = np.isnan(plain(x)), np.isnan(plain(y))
        return np.where(b, 1.0, np.where(a, 0.0, share(x, y, side)))

    return (
        lambda g, _, x, y, side: times(g, of_first(x, y, side)),
        lambda g, _, x, y, side: times(g, 1 - of_first(x, y, side)),
    )


larger_beside_nan = Choice(_beside_nan(larger), meet)
smaller_beside_nan = Choice(_beside_nan(lambda x, y, side: larger(-x, -y, side)), meet)
