"""Masks: the outcomes of comparisons, and logic on them with a third outcome, "open". Nothing changes one.

    ==, <, ...      decided where |x - y| > R (e_x + e_y), where both radii are 0, and of an element and its copy
    a & b           decided false where either is, true where both are
    a | b           decided true where either is, false where both are
    a ^ b, ~a       decided where the operands are
    any, all        as | and & over an axis
    as a number     the centre's 0 or 1, with radius 1 where it is open

The logic is Kleene's: an operand that is open may be either, independently of the other one, so that
m & ~m is open where m is. What is decided has that outcome in every admissible evaluation and in exact
arithmetic. A mask of exact operands is no ordinary array either: its mean is rounded like any other.
bools.py has the duck array that NumPy code sees.
Source: Kleene, Introduction to Metamathematics, section 64 (the strong connectives).
"""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from reference.arrays import Array
from torch_mirror.balls import callers, recording
from torch_mirror.balls.number import Look, Number
from torch_mirror.balls.recording import Kind, elementary
from torch_mirror.balls.sameness import same
from torch_mirror.balls.take import everything

Axes: TypeAlias = int | tuple[int, ...] | None


class Mask:
    """An array of bool: the centre's outcomes and, when asked, where the radii leave them open.

    like: a number beside which the mask becomes one.
    """

    __slots__ = ("like", "node", "undecided", "value")

    def __init__(self, like: Number, value: Array, undecided: Callable[[], Array] | None = None) -> None:
        self.like = like
        self.value = value
        self.undecided = undecided
        self.node: recording.Node | None = None

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)

    @property
    def mT(self) -> "Mask":
        """With the last two axes swapped."""
        return self.view(lambda a: a.mT)

    @property
    def open(self) -> Array:
        """True where the radii leave the outcome open."""
        if self.undecided is None:
            return np.zeros(self.shape, bool)
        return np.broadcast_to(self.undecided(), self.shape)

    def decided(self, what: str = "a mask") -> Array:
        """The outcomes as an ordinary array. Raises TypeError if one of them is open; what: needs them all."""
        if (left := int(np.count_nonzero(self.open))) > 0 and not recording.followed(what, left):
            raise callers.located(TypeError(
                f"{what} needs every outcome, and the radii leave {left} of {self.value.size} open; "
                "np.where(mask, x, y) takes both branches"
            ))  # fmt: skip
        return self.value

    def view(self, look: Look) -> "Mask":
        """The elements that ``look`` gives."""
        undecided = self.undecided
        made = Mask(self.like, np.asarray(look(self.value)), undecided and (lambda: look(self.open)))
        if (tape := recording.current()) is not None:
            tape.note(made, "view", Kind.MOVES, Mask.view, (self,), (look,))
        return made

    @elementary(Kind.ZERO, "mask")
    def number(self) -> Number:
        """As zeros and ones in the precision under test."""
        centre = self.like.value.dtype
        rule = (lambda take: take(self.open.astype(centre))) if self.undecided else None
        return self.like.derived(self.value.astype(centre), rule)

    def settled(self) -> Number:
        """The number that it stands for as an operand."""
        return self.number()

    @elementary(Kind.DECISION)
    def any(self, axis: Axes = None, *, keepdims: bool = False) -> "Mask":
        """True where some element along the axis is."""

        def undecided() -> Array:
            left = self.open
            settled = (self.value & ~left).any(axis, keepdims=keepdims)
            return np.asarray(~settled & left.any(axis, keepdims=keepdims))

        return Mask(self.like, np.asarray(self.value.any(axis, keepdims=keepdims)), self.undecided and undecided)

    def all(self, axis: Axes = None, *, keepdims: bool = False) -> "Mask":
        """True where every element along the axis is."""
        return _not(_not(self).any(axis, keepdims=keepdims))


def comparison(ufunc: np.ufunc) -> Callable[[Number, Number], Mask]:
    """The rule of a comparison."""

    @elementary(Kind.DECISION, ufunc.__name__)
    def rule(x: Number, y: Number) -> Mask:
        value = np.asarray(ufunc(x.value, y.value))
        if (x.exact and y.exact) or x.format.as_taken or y.format.as_taken:
            return Mask(x, value)

        @cache
        def undecided() -> Array:
            reach = x.slack * (x.e(everything) + y.e(everything))
            apart = np.abs(x.value - y.value)
            # only a reach of exactly 0 decides a tie; one that is NaN decides nothing
            left = np.broadcast_to((reach != 0) & ~(apart > reach), value.shape)
            return left & ~same(x, y) if left.any() else left

        return Mask(x, value, undecided)

    return rule


def as_mask(like: Number, x: Any) -> Mask:
    """x as a mask: True where it is not 0."""
    if isinstance(x, Mask):
        return x
    if hasattr(x, "settled"):
        return comparison(np.not_equal)(x.settled(), like.operand(0))
    return Mask(like, np.array(x, bool))


@elementary(Kind.DECISION, "and")
def _and(a: Mask, b: Mask) -> Mask:
    def undecided() -> Array:
        p, q = a.open, b.open
        return (p | q) & (a.value | p) & (b.value | q)  # and neither of them decided false

    return Mask(a.like, a.value & b.value, undecided if a.undecided or b.undecided else None)


def _or(a: Mask, b: Mask) -> Mask:
    return _not(_and(_not(a), _not(b)))


@elementary(Kind.DECISION, "xor")
def _xor(a: Mask, b: Mask) -> Mask:
    return Mask(a.like, a.value ^ b.value, (lambda: a.open | b.open) if a.undecided or b.undecided else None)


@elementary(Kind.DECISION, "not")
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

OVER: dict[np.ufunc, Callable[..., Mask]] = {np.logical_or: Mask.any, np.logical_and: Mask.all}


def logical(ufunc: np.ufunc) -> Callable[..., Mask]:
    """The rule of a logical function of numbers and masks."""
    return lambda like, *operands: LOGICAL[ufunc](*(as_mask(like, x) for x in operands))


def any_of(like: Number, a: Any, axis: Axes = None, *, keepdims: bool = False) -> Mask:
    """True where some element is not 0."""
    return as_mask(like, a).any(axis, keepdims=keepdims)


def all_of(like: Number, a: Any, axis: Axes = None, *, keepdims: bool = False) -> Mask:
    return as_mask(like, a).all(axis, keepdims=keepdims)
