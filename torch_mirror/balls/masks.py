"""Masks: the outcomes of comparisons, and logic on them with a third outcome, "open".

    ==, <, ...      decided where |x - y| > R (e_x + e_y), or where both radii are 0
    a & b           decided false where either is, true where both are
    a | b           decided true where either is, false where both are
    a ^ b, ~a       decided where the operands are
    any, all        as | and & over an axis
    as a number     the centre's 0 or 1, with radius 1 where it is open

The logic is Kleene's: an operand that is open may be either, independently of the other one, so that
m & ~m is open where m is. What is decided has that outcome in every admissible evaluation and in exact
arithmetic. A mask of exact operands is no ordinary array either: its mean is rounded like any other.
Source: Kleene, Introduction to Metamathematics, section 64 (the strong connectives).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from reference.arrays import Array
from torch_mirror.balls import callers
from torch_mirror.balls.take import everything

if TYPE_CHECKING:
    from torch_mirror.balls.ball import Ball

Axes: TypeAlias = int | tuple[int, ...] | None


class Mask(NDArrayOperatorsMixin):
    """An array of bool: the centre's outcomes and, when asked, where the radii leave them open.

    like: a ball beside which the mask becomes a number. Unlike an array it is not changed in place.
    """

    __slots__ = ("like", "undecided", "value")

    def __init__(self, like: "Ball", value: Array, undecided: Callable[[], Array] | None = None) -> None:
        self.like = like
        self.value = value
        self.undecided = undecided

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: self.value.dtype)
    T = property(lambda self: self.view(lambda a: a.T))

    @property
    def mT(self) -> "Mask":
        return self.view(lambda a: a.mT)

    @property
    def open(self) -> Array:
        """True where the radii leave the outcome open."""
        if self.undecided is None:
            return np.zeros(self.shape, bool)
        return np.broadcast_to(self.undecided(), self.shape)

    def decided(self, what: str = "a mask") -> Array:
        """The outcomes as an ordinary array. Raises TypeError if one of them is open; what: needs them all."""
        if (left := int(np.count_nonzero(self.open))) > 0:
            raise callers.located(TypeError(
                f"{what} needs every outcome, and the radii leave {left} of {self.size} open; "
                "np.where(mask, x, y) takes both branches"
            ))  # fmt: skip
        return self.value

    def view(self, look: Callable[[Array], Array]) -> "Mask":
        """The elements that ``look`` gives."""
        undecided = self.undecided
        return Mask(self.like, np.asarray(look(self.value)), undecided and (lambda: look(self.open)))

    def number(self) -> "Ball":
        """As zeros and ones in the precision under test."""
        centre = self.like.value.dtype
        rule = (lambda take: take(self.open.astype(centre))) if self.undecided else None
        return self.like.derived(self.value.astype(centre), rule)

    def any(self, axis: Axes = None, *, keepdims: bool = False) -> "Mask":
        def undecided() -> Array:
            left = self.open
            settled = (self.value & ~left).any(axis, keepdims=keepdims)
            return np.asarray(~settled & left.any(axis, keepdims=keepdims))

        return Mask(self.like, np.asarray(self.value.any(axis, keepdims=keepdims)), self.undecided and undecided)

    def all(self, axis: Axes = None, *, keepdims: bool = False) -> "Mask":
        return _not((~self).any(axis, keepdims=keepdims))

    def sum(self, axis: Axes = None, *, keepdims: bool = False) -> "Ball":
        return self.number().sum(axis, keepdims=keepdims)

    def mean(self, axis: Axes = None, *, keepdims: bool = False) -> "Ball":
        return self.number().mean(axis, keepdims=keepdims)

    def astype(self, dtype: Any) -> "Mask | Ball":
        """A mask of bool; for any other dtype a ball, in the precision under test."""
        return self if np.dtype(dtype) == bool else self.number()

    def reshape(self, *shape: Any) -> "Mask":
        return self.view(lambda a: a.reshape(*shape))

    def copy(self) -> "Mask":
        return self

    def tolist(self) -> Any:
        return self.decided("a list").tolist()

    def nonzero(self) -> tuple[Array, ...]:
        """Where it is true: whole numbers. Raises TypeError for an open mask."""
        return self.decided("the places of what is true").nonzero()

    def __getitem__(self, index: Any) -> "Mask":
        index = settled_index(index)
        return self.view(lambda a: a[index])

    def __len__(self) -> int:
        return len(self.value)

    def __bool__(self) -> bool:
        return bool(self.decided("a truth value"))

    def __repr__(self) -> str:
        return f"Mask({self.value}, open={self.open})"

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return np.array(self.decided("an ordinary array"), dtype=dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(out, Mask) for out in kwargs.get("out", ())):
            raise TypeError("a mask is not changed in place; write m = m & n for m &= n")
        if method == "reduce" and ufunc in OVER and kwargs.keys() <= {"axis", "keepdims"}:
            return OVER[ufunc](self, **{"axis": 0, **kwargs})
        if method == "__call__" and not kwargs:
            if ufunc in LOGICAL:
                return LOGICAL[ufunc](*(as_mask(self.like, x) for x in inputs))
            if ufunc in BITWISE and all(_is_bool(x) for x in inputs):
                return BITWISE[ufunc](*(as_mask(self.like, x) for x in inputs))
        if ufunc is np.matmul and all(_is_bool(x) for x in inputs):
            raise TypeError("numpy.matmul of two masks is one of bools, which has no radius: use m.astype(x.dtype)")
        return getattr(ufunc, method)(*(x.number() if isinstance(x, Mask) else x for x in inputs), **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in WHOLE_NUMBERS:
            return function(*(np.asarray(x) if isinstance(x, Mask) else x for x in args), **kwargs)
        return self.like.__array_function__(function, types, args, kwargs)


def comparison(ufunc: np.ufunc) -> "Callable[[Ball, Ball], Mask]":
    """The rule of a comparison."""

    def rule(x: "Ball", y: "Ball") -> Mask:
        value = np.asarray(ufunc(x.value, y.value))
        if x.exact and y.exact:
            return Mask(x, value)

        def undecided() -> Array:
            reach = x.slack * (x.e(everything) + y.e(everything))
            apart = np.abs(x.value - y.value)
            # only a reach of exactly 0 decides a tie; one that is NaN decides nothing
            return np.broadcast_to((reach != 0) & ~(apart > reach), value.shape)

        return Mask(x, value, undecided)

    return rule


def is_ball(x: Any) -> "TypeGuard[Ball]":
    """True for a ball, whose class is not known here."""
    return hasattr(x, "settled")


def as_mask(like: "Ball", x: Any) -> Mask:
    """x as a mask: True where it is not 0."""
    if isinstance(x, Mask):
        return x
    return comparison(np.not_equal)(x.settled(), like.operand(0)) if is_ball(x) else Mask(like, np.array(x, bool))


def settled_index(index: Any) -> Any:
    """An index that nobody can change: masks as arrays, and copies of arrays. Raises TypeError for an open mask."""
    if isinstance(index, tuple):
        return tuple(settled_index(i) for i in index)
    if isinstance(index, Mask):
        return index.decided("the number of elements that an index selects")
    if is_ball(index):
        raise callers.located(TypeError("a ball is no index; x.astype(int) is one where the radii leave nothing open"))
    return np.array(index) if isinstance(index, (list, np.ndarray)) else index


def _is_bool(x: Any) -> bool:
    return isinstance(x, (Mask, bool)) or (isinstance(x, (np.ndarray, np.generic)) and x.dtype == bool)


def _and(a: Mask, b: Mask) -> Mask:
    def undecided() -> Array:
        p, q = a.open, b.open
        return (p | q) & (a.value | p) & (b.value | q)  # and neither of them decided false

    return Mask(a.like, a.value & b.value, undecided if a.undecided or b.undecided else None)


def _or(a: Mask, b: Mask) -> Mask:
    return _not(_and(_not(a), _not(b)))


def _xor(a: Mask, b: Mask) -> Mask:
    return Mask(a.like, a.value ^ b.value, (lambda: a.open | b.open) if a.undecided or b.undecided else None)


def _not(a: Mask) -> Mask:
    return Mask(a.like, ~a.value, a.undecided)


LOGICAL: dict[np.ufunc, Callable[..., Mask]] = {
    np.logical_and: _and,
    np.logical_or: _or,
    np.logical_xor: _xor,
    np.logical_not: _not,
}
"""On masks, balls and arrays."""

BITWISE: dict[np.ufunc, Callable[..., Mask]] = {
    np.bitwise_and: _and,
    np.bitwise_or: _or,
    np.bitwise_xor: _xor,
    np.invert: _not,
    np.multiply: _and,
    np.add: _or,
    np.minimum: _and,
    np.maximum: _or,
    np.not_equal: _xor,
    np.equal: lambda a, b: _not(_xor(a, b)),
}
"""What NumPy makes of these where every operand is of bool."""

WHOLE_NUMBERS = (np.count_nonzero, np.nonzero, np.flatnonzero, np.argwhere)
"""Of a mask that is decided these count and find, and compute nothing."""

OVER: dict[np.ufunc, Callable[..., Mask]] = {np.logical_or: Mask.any, np.logical_and: Mask.all}


def logical(ufunc: np.ufunc) -> "Callable[..., Mask]":
    """The rule of a logical function of balls."""
    return lambda *operands: LOGICAL[ufunc](*(as_mask(operands[0], x) for x in operands))


def any_of(like: "Ball", a: Any, axis: Axes = None, *, keepdims: bool = False) -> Mask:
    """True where some element is not 0."""
    return as_mask(like, a).any(axis, keepdims=keepdims)


def all_of(like: "Ball", a: Any, axis: Axes = None, *, keepdims: bool = False) -> Mask:
    return as_mask(like, a).all(axis, keepdims=keepdims)
