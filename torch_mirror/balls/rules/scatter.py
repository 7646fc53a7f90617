"""ufunc.at: x[index] = ufunc(x[index], y), where an index that occurs several times counts every time.

    add.at, subtract.at       one sum an element: of x and of every y that goes there, in any order (sums.py)
    multiply.at               one product, in any order (elementwise.prod)
    maximum.at, minimum.at    one after the other: nothing is rounded, so that no order makes a difference

NumPy goes through the indices in their order; torch's index_add_, scatter_add_ and index_put_(accumulate=True) may
do so in any. An element where nothing goes is as it was.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.arrays import Array
from torch_mirror.balls import adjoints
from torch_mirror.balls.exactness import NO_BIT
from torch_mirror.balls.indexing import settled_index
from torch_mirror.balls.number import Number, OpenSum
from torch_mirror.balls.recording import elementary
from torch_mirror.balls.rules import choices, elementwise, shapes, sums

Scatter = Callable[[Number, Array, Number], Number]
"""x with what goes to its elements: scatter(x, where, new), where the places in a row, and new of as many elements."""


def at(scatter: Scatter) -> Callable[..., Number]:
    """The rule of ufunc.at: the number that its first argument becomes."""

    def rule(like: Number, a: Any, indices: Any, b: Any) -> Number:
        x, new, index = like.operand(a), like.operand(b), settled_index(indices)
        where = np.arange(x.size).reshape(x.shape)[index]
        return scatter(x, where.reshape(-1), new.view(lambda v: np.broadcast_to(v, where.shape)))

    return rule


def add(x: Number, where: Array, new: Number) -> Number:
    counts = np.bincount(where, minlength=x.size).reshape(x.shape)
    return shapes.moved([_added(x, new, where), x], lambda parts: np.where(counts > 0, parts[0], parts[1]))


@elementary(adjoints.add_at, "add.at")
def _added(x: Number, new: Number, where: Array) -> Number:
    """x with every element of new added where it goes: a sum where one goes."""
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

    total = OpenSum(
        before.terms + int(counts.max(initial=0)) * terms.terms,
        lambda gamma: scattered(before.bound(gamma), terms.bound(gamma)),
        grid if before.grid or terms.grid else None,
    )
    return sums.open_sum(x, scattered(x.value, new.value), total)


def subtract(x: Number, where: Array, new: Number) -> Number:
    return add(x, where, elementwise.negative(new))


def multiply(x: Number, where: Array, new: Number) -> Number:
    layers = [x, *(_layer(x, where[chosen], chosen, new) for chosen in _rounds(where))]
    if len(layers) == 1:
        return x
    product = elementwise.multiply(*layers) if len(layers) == 2 else elementwise.prod(shapes.moved(layers, np.stack), 0)
    touched = np.bincount(where, minlength=x.size).reshape(x.shape) > 0
    return shapes.moved([product, x], lambda parts: np.where(touched, parts[0], parts[1]))


def _layer(x: Number, at: Array, chosen: Array, new: Number) -> Number:
    """The chosen factors where they go, and ones elsewhere."""
    layout = x.value
    ones, index = x.constant(np.ones_like(layout)), np.unravel_index(at, layout.shape)
    return shapes.moved(
        [ones, new], lambda parts: shapes.placed(layout, parts[0], index, parts[1].reshape(-1)[chosen])
    )


def _extreme(choose: Callable[[Number, Number], Number]) -> Scatter:
    def rule(x: Number, where: Array, new: Number) -> Number:
        for chosen in _rounds(where):
            x = _chosen(choose, x, np.unravel_index(where[chosen], x.shape), chosen, new)
        return x

    return rule


def _chosen(
    choose: Callable[[Number, Number], Number], x: Number, index: tuple[Array, ...], chosen: Array, new: Number
) -> Number:
    """x with what is chosen at an index where nothing occurs twice."""
    layout = x.value
    here = choose(x.view(lambda v: v[index]), new.view(lambda v: v.reshape(-1)[chosen]))
    return shapes.moved([x, here], lambda parts: shapes.placed(layout, parts[0], index, parts[1]))


def _rounds(where: Array) -> list[Array]:
    """The positions in ``where`` of the first occurrence of each index, of the second of each, and so on."""
    order = where.argsort(kind="stable")
    ordered = where[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if where.size else np.zeros(0, int)
    nth = np.arange(where.size) - np.repeat(starts, np.diff(np.r_[starts, where.size]))
    return [order[nth == n] for n in range(int(nth.max(initial=-1)) + 1)]


maximum, minimum = _extreme(choices.maximum), _extreme(choices.minimum)
