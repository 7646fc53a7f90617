"""What moves elements about or repeats them: nothing is computed, so radii go along.

    view          radius of the same elements; the view of a sum still open is open too
    stack         radii stacked
    x[index] = y  radii of y there, of x elsewhere

A sum stays open because a bias may start its accumulator however the result is laid out afterwards
(torch.addmv is x @ w as a matrix product, a view of it, and the bias). What is put together from several
sums is open as well: each element may take a further term. Memory order is not part of an
array's value, so of the orders of ravel and reshape "C", by rows, alone has a rule.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from reference.arrays import Array
from torch_mirror.balls import recording
from torch_mirror.balls.exactness import NO_BIT
from torch_mirror.balls.indexing import settled_index
from torch_mirror.balls.number import Number, OpenSum, Settled
from torch_mirror.balls.rules import refused
from torch_mirror.balls.rules.sums import as_sum
from torch_mirror.balls.take import Take

Axes = int | tuple[int, ...] | None


def moved(parts: Sequence[Number], join: Callable[[list[Array]], Array], **at: Any) -> Number:
    """The elements of some balls where ``join`` puts those of any arrays of their shapes; 0 may be among them.

    at: what a recording is told besides: the index, if the second part replaces the first there and none occurs twice.
    """

    def rule(take: Take) -> Any:
        return take(np.asarray(join([x.radius for x in parts])))

    total = _joined_sums(parts, join) if any(x.open for x in parts) else None
    made = parts[0].derived(join([x.value for x in parts]), None if all(x.exact for x in parts) else rule, total)
    if not made.exact:
        made.same_as(lambda: np.asarray(join([x.ids() for x in parts])), max(x.far for x in parts))
    if (tape := recording.current()) is not None:
        tape.note(made, "moved", recording.Kind.MOVES, _moved_again, tuple(parts), (join,), at)
    return made


def _moved_again(*parts_and_join: Any, **at: Any) -> Number:
    *parts, join = parts_and_join
    return moved(parts, join, **at)


def _joined_sums(parts: Sequence[Number], join: Callable[[list[Array]], Array]) -> OpenSum:
    """Sums of as many terms as the longest of them.

    Each is evaluated once: where a loop adds to one element after another, what is assigned holds what was there
    before, so that the same sums are asked for twice at every turn.
    """
    shapes, sums = [x.shape for x in parts], [as_sum(x) for x in parts]

    @cache
    def bound(gamma: float) -> Array:
        joined = np.asarray(join([np.broadcast_to(s.bound(gamma), n) for s, n in zip(sums, shapes, strict=True)]))
        joined.flags.writeable = False  # it is kept, and not to be scaled where it stands
        return joined

    @cache
    def grid() -> Array | None:
        lowest = [s.grid() if s.grid else None for s in sums]
        if all(low is None for low in lowest):
            return None
        known = [np.asarray(-NO_BIT if low is None else low) for low in lowest]
        return np.asarray(join([np.broadcast_to(low, n) for low, n in zip(known, shapes, strict=True)]))

    return OpenSum(max(s.terms for s in sums), bound, grid if any(s.grid for s in sums) else None)


def placed(like: Array, old: Array, index: Any, new: Array) -> Array:
    """old with new at the index, laid out in memory as ``like`` is."""
    result = np.empty_like(like, dtype=np.result_type(old, new), subok=False)
    result[...] = old
    result[index] = new
    return result


# --- views, which a ball writes through to what they are views of, if NumPy's would (Number.origin) ------


def transpose(like: Number, a: Any, axes: tuple[int, ...] | None = None) -> Settled:
    return like.beside(a).view(lambda v: np.transpose(v, axes))


def matrix_transpose(like: Number, x: Any) -> Settled:
    return like.beside(x).mT


def swapaxes(like: Number, a: Any, axis1: int, axis2: int) -> Settled:
    return like.beside(a).view(lambda v: np.swapaxes(v, axis1, axis2))


def moveaxis(like: Number, a: Any, source: Any, destination: Any) -> Settled:
    return like.beside(a).view(lambda v: np.moveaxis(v, source, destination))


def reshape(like: Number, a: Any, shape: int | tuple[int, ...], order: str = "C") -> Settled:
    refused.unless_by_rows(order, "numpy.reshape")
    return like.beside(a).view(lambda v: np.reshape(v, shape))


def ravel(like: Number, a: Any, order: str = "C") -> Settled:
    refused.unless_by_rows(order, "numpy.ravel")
    return like.beside(a).view(np.ravel)


def squeeze(like: Number, a: Any, axis: Axes = None) -> Settled:
    return like.beside(a).view(lambda v: np.squeeze(v, axis))


def expand_dims(like: Number, a: Any, axis: int | tuple[int, ...]) -> Settled:
    return like.beside(a).view(lambda v: np.expand_dims(v, axis))


def broadcast_to(like: Number, array: Any, shape: int | tuple[int, ...]) -> Settled:
    return like.beside(array).view(lambda v: np.broadcast_to(v, shape))


def broadcast_arrays(like: Number, *arrays: Any) -> tuple[Settled, ...]:
    balls = [like.beside(a) for a in arrays]
    shape = np.broadcast_shapes(*(x.shape for x in balls))
    return tuple(x.view(lambda v: np.broadcast_to(v, shape)) for x in balls)


def flip(like: Number, m: Any, axis: Axes = None) -> Settled:
    return like.beside(m).view(lambda v: np.flip(v, axis))


def diagonal(like: Number, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Settled:
    return like.beside(a).view(lambda v: np.diagonal(v, offset, axis1, axis2))


def of_one_array(function: Callable[..., Array]) -> Callable[..., Settled]:
    """The rule of a function of one array that only moves, repeats or drops elements, or sets them to 0."""

    def rule(like: Number, a: Any, *numbers: Any, **named: Any) -> Settled:
        numbers = settled_index(numbers)
        named = {name: settled_index(n) for name, n in named.items()}
        return like.beside(a).view(lambda v: function(v, *numbers, **named))

    return rule


PADDED_WITH = ("constant", "edge", "reflect", "symmetric", "wrap")
"""Modes of np.pad that compute nothing; the constant is 0."""


def pad(like: Number, array: Any, pad_width: Any, mode: str = "constant") -> Settled:
    if mode not in PADDED_WITH:
        raise TypeError(f"no radius is known for numpy.pad with mode {mode}, only with {', '.join(PADDED_WITH)}")
    width = np.array(pad_width)
    return like.beside(array).view(lambda v: np.pad(v, width, mode))  # type: ignore[call-overload]  # one of those


def at_least(function: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of atleast_1d and kin, which take several arrays as well."""

    def rule(like: Number, *arrays: Any) -> Any:
        balls = tuple(like.beside(a).view(function) for a in arrays)
        return balls[0] if len(balls) == 1 else balls

    return rule


def split(function: Callable[..., Any]) -> Callable[..., list[Settled]]:
    """The rule of split and kin: a list of views."""

    def rule(like: Number, ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Settled]:
        where = indices_or_sections if isinstance(indices_or_sections, int) else tuple(indices_or_sections)
        x = like.beside(ary)
        return [
            x.view(lambda v, i=i: function(v, where, axis)[i])  # type: ignore[misc]  # mypy cannot infer i
            for i in range(len(function(x.value, where, axis)))
        ]

    return rule


# --- arrays put together ----------------------------------------------------------------------------


def concatenate(like: Number, arrays: Any, axis: int | None = 0) -> Number:
    return moved([like.operand(a) for a in arrays], lambda parts: np.concatenate(parts, axis))


def stack(like: Number, arrays: Any, axis: int = 0) -> Number:
    return moved([like.operand(a) for a in arrays], lambda parts: np.stack(parts, axis))


def side_by_side(function: Callable[[Any], Array]) -> Callable[[Number, Any], Number]:
    """The rule of hstack, vstack and kin."""

    def rule(like: Number, tup: Any) -> Number:
        return moved([like.operand(a) for a in tup], function)

    return rule
