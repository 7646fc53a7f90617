"""Which elements of two numbers are one and the same: a copy of an element is equal to it, whatever its radius.

``x == x.max(axis=1, keepdims=True)`` marks the largest elements, as the backward pass of a pooling does by hand. By
their radii alone an element and the maximum that it is could differ, and so every mark would be open. But where all
others are below it in every evaluation, the maximum is that element in every evaluation, and the mark is decided.

A number's ``copies`` are pairs: of a number, and of what picks from an array of its shape for each element of the
copy the one that it is a copy of, or 0 where that is open. Elements are told apart by their places, counted from 1.
"""

from typing import Any

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.number import Look, Number

SOURCES = 128
"""Numbers that are looked at: what is a copy of copies further away counts as another element."""


def same(x: Number, y: Number) -> Array | bool:
    """True where x and y, broadcast, are copies of one element, whose evaluations are all finite."""
    found: Array | bool = False
    of_y = _sources(y)
    for number, looks in _sources(x):
        for other, other_looks in of_y:
            if number is other:
                at, there = _places(number, looks), _places(number, other_looks)
                found = found | ((at == there) & (at != 0))
    return found if found is False else found & np.isfinite(x.radius) & np.isfinite(x.value)


def _sources(x: Number) -> list[tuple[Number, tuple[Look, ...]]]:
    """x and the numbers that it has copies of, each with what leads from that one's elements to those of x."""
    found: list[tuple[Number, tuple[Look, ...]]] = [(x, ())]
    for number, looks in found:  # which grows meanwhile
        if len(found) >= SOURCES:
            break
        found += [(of, (pick, *looks)) for of, pick in number.copies]
    return found


def _places(of: Number, looks: tuple[Look, ...]) -> Array:
    """The place in a number of each element of what the looks lead to, counted from 1."""
    at = np.arange(1, of.size + 1).reshape(of.shape)
    for look in looks:
        at = np.asarray(look(at))
    return at


def largest_of(x: Number, axis: Any, *, keepdims: bool) -> Look:
    """Picks the element that is above all others along the axes in every evaluation, and 0 where none is."""

    def pick(at: Array) -> Array:
        reach = x.slack * x.radius
        low, high = x.value - reach, x.value + reach
        top = low == low.max(axis, keepdims=True)
        # one alone may reach the highest of the lower ends; of several that do, any may be the largest
        # and NaN, where an infinity may be anything, is below nothing
        alone = (top | (high < low.max(axis, keepdims=True))).all(axis, keepdims=True)
        alone = alone & (top.sum(axis, keepdims=True) == 1)
        return np.asarray(np.where(top & alone, at, 0).sum(axis, keepdims=keepdims))

    return pick


def above(x: Number, y: Number) -> Look:
    """Picks the elements of x that are above those of y, both broadcast, in every evaluation, and 0 elsewhere."""

    def pick(at: Array) -> Array:
        wins = y.value + y.slack * y.radius < x.value - x.slack * x.radius
        return np.where(wins, at, 0)

    return pick
