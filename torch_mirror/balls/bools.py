"""Bools: the NumPy duck array that a comparison of balls gives. It holds a mask, and is not changed in place.

Logic on it stays a mask (masks.py); in arithmetic it is a ball of zeros and ones, which ``ball`` makes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from reference.arrays import Array
from torch_mirror.balls.indexing import settled_index
from torch_mirror.balls.masks import BITWISE, LOGICAL, OVER, Axes, Mask, as_mask
from torch_mirror.balls.number import Look, Number


class Bools(NDArrayOperatorsMixin):
    """An array of bool whose elements the radii may leave open.

    mask: the outcomes
    ball: makes the duck array of a number
    """

    __slots__ = ("ball", "mask")

    def __init__(self, mask: Mask, ball: Callable[[Number], Any]) -> None:
        self.mask = mask
        self.ball = ball

    value = property(lambda self: self.mask.value)
    open = property(lambda self: self.mask.open)
    undecided = property(lambda self: self.mask.undecided)
    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: self.value.dtype)
    T = property(lambda self: self.view(lambda a: a.T))

    @property
    def mT(self) -> "Bools":
        return self.view(lambda a: a.mT)

    def settled(self) -> Number:
        """The number that the mask is, as an operand."""
        return self.mask.number()

    def number(self) -> Any:
        """As a ball of zeros and ones in the precision under test."""
        return self.ball(self.settled())

    def view(self, look: Look) -> "Bools":
        """The elements that ``look`` gives."""
        return self._of(self.mask.view(look))

    def any(self, axis: Axes = None, *, keepdims: bool = False) -> "Bools":
        return self._of(self.mask.any(axis, keepdims=keepdims))

    def all(self, axis: Axes = None, *, keepdims: bool = False) -> "Bools":
        return self._of(self.mask.all(axis, keepdims=keepdims))

    def sum(self, axis: Axes = None, *, keepdims: bool = False) -> Any:
        return self.number().sum(axis, keepdims=keepdims)

    def mean(self, axis: Axes = None, *, keepdims: bool = False) -> Any:
        return self.number().mean(axis, keepdims=keepdims)

    def astype(self, dtype: Any) -> Any:
        """A mask of bool; for any other dtype a ball, in the precision under test."""
        return self if np.dtype(dtype) == bool else self.number()

    def reshape(self, *shape: Any) -> "Bools":
        return self.view(lambda a: a.reshape(*shape))

    def copy(self) -> "Bools":
        return self

    def tolist(self) -> Any:
        return self.mask.decided("a list").tolist()

    def nonzero(self) -> tuple[Array, ...]:
        """Where it is true: whole numbers. Raises TypeError for an open mask."""
        return self.mask.decided("the places of what is true").nonzero()

    def __getitem__(self, index: Any) -> "Bools":
        index = settled_index(_masks(index))
        return self.view(lambda a: a[index])

    def __len__(self) -> int:
        return len(self.value)

    def __bool__(self) -> bool:
        return bool(self.mask.decided("a truth value"))

    def __repr__(self) -> str:
        return f"Mask({self.value}, open={self.open})"

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return np.array(self.mask.decided("an ordinary array"), dtype=dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(out, Bools) for out in kwargs.get("out", ())):
            raise TypeError("a mask is not changed in place; write m = m & n for m &= n")
        if method == "reduce" and ufunc in OVER and kwargs.keys() <= {"axis", "keepdims"}:
            return self._of(OVER[ufunc](self.mask, **{"axis": 0, **kwargs}))
        if method == "__call__" and not kwargs:
            if ufunc in LOGICAL:
                return self._of(LOGICAL[ufunc](*(as_mask(self.mask.like, _masks(x)) for x in inputs)))
            if ufunc in BITWISE and all(_is_bool(x) for x in inputs):
                return self._of(BITWISE[ufunc](*(as_mask(self.mask.like, _masks(x)) for x in inputs)))
        if ufunc is np.matmul and all(_is_bool(x) for x in inputs):
            raise TypeError("numpy.matmul of two masks is one of bools, which has no radius: use m.astype(x.dtype)")
        return getattr(ufunc, method)(*(x.number() if isinstance(x, Bools) else x for x in inputs), **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return self.ball(self.mask.like).__array_function__(function, types, args, kwargs)

    def _of(self, mask: Mask) -> "Bools":
        return Bools(mask, self.ball)


def _masks(x: Any) -> Any:
    """x with the masks themselves in an index or an operand."""
    if isinstance(x, tuple):
        return tuple(_masks(i) for i in x)
    return x.mask if isinstance(x, Bools) else x


def _is_bool(x: Any) -> bool:
    return isinstance(x, (Bools, bool)) or (isinstance(x, (np.ndarray, np.generic)) and x.dtype == bool)
