"""ufunc.at: x[index] = ufunc(x[index], y), where an index that occurs several times counts every time.

    add.at, subtract.at       one sum an element: of x and of every y that goes there, in any order (sums.py)
    multiply.at               one product, in any order (elementwise.prod)
    maximum.at, minimum.at    one after the other: nothing is rounded, so that no order makes a difference

NumPy goes through the indices in their order; torch's index_add_, scatter_add_ and index_put_(accumulate=True) may
do so in any. An element where nothing goes is as it was.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.assignment import INTO_AN_ARRAY
from torch_mirror.balls.exactness import NO_BIT
from torch_mirror.balls.masks import is_ball, settled_index
from torch_mirror.balls.rules import choices, elementwise, shapes, sums

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch_mirror.balls.ball import Ball


def at(ufunc: np.ufunc, x: Any, index: Any, y: Any) -> None:
    """Raises TypeError for a ufunc that is not in ``AT``, and where x is an ordinary array."""
    if ufunc not in AT:
        raise TypeError(
            f"no radius is known for numpy.{ufunc.__name__}.at, only for {', '.join(f.__name__ for f in AT)}; "
            "where no index occurs twice, x[index] = f(x[index], y) is the same"
        )
    if not is_ball(x):
        name = f"numpy.{ufunc.__name__}.at"
        raise TypeError(f"{name} of a ball into an ordinary array, which has no radii; {INTO_AN_ARRAY}")
    if x.scalar or not x.value.flags.writeable:
        raise ValueError("assignment destination is read-only")
    new = x.operand(y)
    if new.format != x.format:
        raise TypeError(f"a ball of {x.format.dtype} takes no value of {new.format.dtype}")
    index = settled_index(index)
    where = np.arange(x.size).reshape(x.shape)[index]
    there = shapes.view(new, lambda v: np.broadcast_to(v, where.shape)).settled()
    x.become(AT[ufunc](x.settled(), where.reshape(-1), there))


def _add(x: "Ball", where: Array, new: "Ball") -> "Ball":
    layout = x.value
    index = np.unravel_index(where, layout.shape)
    counts = np.bincount(where, minlength=layout.size).reshape(layout.shape)

    def scattered(old: Array, more: Array, ufunc: np.ufunc = np.add) -> Array:
        result = np.empty_like(layout, dtype=np.result_type(old, more), subok=False)
        result[...] = old
        ufunc.at(result, index, np.broadcast_to(more, new.shape).reshape(-1))
        return result

    before, terms = sums.as_sum(x), sums.as_sum(new)

    def grid() -> Array | None:
        low, lowest = (s.grid() if s.grid else None for s in (before, terms))
        none = np.asarray(-NO_BIT)
        return scattered(none if low is None else low, none if lowest is None else lowest, np.minimum)

    total = sums.OpenSum(
        before.terms + int(counts.max(initial=0)) * terms.terms,
        lambda gamma: scattered(before.bound(gamma), terms.bound(gamma)),
        grid if before.grid or terms.grid else None,
    )
    touched = sums.open_sum(x, scattered(x.value, new.value), total)
    return shapes.moved([touched, x], lambda parts: np.where(counts > 0, parts[0], parts[1]))


def _subtract(x: "Ball", where: Array, new: "Ball") -> "Ball":
    return _add(x, where, elementwise.negative(new))


def _multiply(x: "Ball", where: Array, new: "Ball") -> "Ball":
    layers = [x, *(_layer(x, where[chosen], chosen, new) for chosen in _rounds(where))]
    if len(layers) == 1:
        return x
    product = elementwise.multiply(*layers) if len(layers) == 2 else elementwise.prod(shapes.moved(layers, np.stack), 0)
    touched = np.bincount(where, minlength=x.size).reshape(x.shape) > 0
    return shapes.moved([product, x], lambda parts: np.where(touched, parts[0], parts[1]))


def _layer(x: "Ball", at: Array, chosen: Array, new: "Ball") -> "Ball":
    """The chosen factors where they go, and ones elsewhere."""
    layout = x.value
    ones, index = x.derived(np.ones_like(layout), None), np.unravel_index(at, layout.shape)
    return shapes.moved(
        [ones, new], lambda parts: shapes.placed(layout, parts[0], index, parts[1].reshape(-1)[chosen])
    )


def _extreme(choose: "Callable[[Ball, Ball], Ball]") -> "Callable[[Ball, Array, Ball], Ball]":
    def rule(x: "Ball", where: Array, new: "Ball") -> "Ball":
        for chosen in _rounds(where):
            x = _chosen(choose, x, np.unravel_index(where[chosen], x.shape), chosen, new)
        return x

    return rule


def _chosen(
    choose: "Callable[[Ball, Ball], Ball]", x: "Ball", index: tuple[Array, ...], chosen: Array, new: "Ball"
) -> "Ball":
    """x with what is chosen at an index where nothing occurs twice."""
    layout = x.value
    here = choose(shapes.view(x, lambda v: v[index]), shapes.view(new, lambda v: v.reshape(-1)[chosen]))
    return shapes.moved([x, here], lambda parts: shapes.placed(layout, parts[0], index, parts[1])).settled()


def _rounds(where: Array) -> list[Array]:
    """The positions in ``where`` of the first occurrence of each index, of the second of each, and so on."""
    order = where.argsort(kind="stable")
    ordered = where[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if where.size else np.zeros(0, int)
    nth = np.arange(where.size) - np.repeat(starts, np.diff(np.r_[starts, where.size]))
    return [order[nth == n] for n in range(int(nth.max(initial=-1)) + 1)]


AT: "dict[np.ufunc, Callable[[Ball, Array, Ball], Ball]]" = {
    np.add: _add,
    np.subtract: _subtract,
    np.multiply: _multiply,
    np.maximum: _extreme(choices.maximum),
    np.minimum: _extreme(choices.minimum),
}
