"""The one table of NumPy's functions on balls: a row each, with its rule and its adjoint.

A rule is called as rule(like, *arguments, **named). The arguments are those of the call, in which every ball has
become the number that it is now and every mask of balls a mask, in lists and tuples too; all else is as it was given.
``like`` is one of those numbers: it has the format under test, like.operand(x) is any argument as a number, and
like.beside(x) the same but for a mask, which stays one. A rule returns like.derived(value, radius), where
radius(take) is the radius of the elements asked for, or what another rule returns; a mask, a list of numbers or an
ordinary array where NumPy returns such. It may take fewer arguments by name than NumPy's function has: dispatch.py
refuses the others by name. The adjoint is that of the elementary rule at its core (adjoints.py, choosing.py), beside
which it is written down, too; or it says why there is none: moves elements, composed of others, a decision, zero
almost everywhere, a constant (recording.py). This holds for ufuncs, for their methods (the row of a reduction is that
of np.add.reduce) and for all other functions, here and in Ball.rule; but what calls a function of the user's is given
the balls and masks themselves (calling.py).
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import numpy as np

from torch_mirror.balls import adjoints, choosing, masks
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Adjoint, Kind
from torch_mirror.balls.rules import (
    calling,
    choices,
    composed,
    creation,
    einsum,
    elementwise,
    functions,
    many,
    methods,
    order,
    placing,
    powers,
    reductions,
    rounding,
    scatter,
    selection,
    shapes,
    statistics,
    sums,
)


class Row(NamedTuple):
    """What is known of one NumPy function."""

    radius: Callable[..., Any]  # the rule: the value with its radius
    adjoint: Adjoint            # of its core; or what it needs none for, or that it has none
    into: str | None = None     # the name of its first argument, if the result is assigned to that
    calls: bool = False         # whether it calls a function of the user's, and is given balls for that


def of(function: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of a ufunc: a function of its operands, all of them numbers."""

    def rule(like: Number, *operands: Any) -> Any:
        return function(*[like.operand(x) for x in operands])

    return rule


def own(function: Callable[..., Any]) -> Row:
    """The row of a ufunc that is one elementary rule: of that and its adjoint."""
    adjoint: Adjoint = function.adjoint  # type: ignore[attr-defined]  # which ``elementary`` gave it
    return Row(of(function), adjoint)


COMPOSED, MOVES, DECISION, ZERO, CONSTANT = Kind.COMPOSED, Kind.MOVES, Kind.DECISION, Kind.ZERO, Kind.CONSTANT


def along_the_first(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of a ufunc's reduce, which is along the first axis if none is named."""

    @wraps(rule)  # whose names dispatch.py looks up
    def reduction(like: Number, array: Any, *, axis: shapes.Axes = 0, **named: Any) -> Any:
        return rule(like, array, axis, **named)

    return reduction


TABLE: dict[Any, Row] = {
    np.add: own(elementwise.add),
    np.subtract: own(elementwise.subtract),
    np.multiply: Row(of(elementwise.multiply), adjoints.multiply),
    np.true_divide: own(elementwise.divide),
    np.power: Row(of(powers.power), COMPOSED),
    np.float_power: Row(of(powers.float_power), COMPOSED),
    np.square: own(elementwise.square),
    np.negative: own(elementwise.negative),
    np.positive: Row(of(lambda x: x.view(np.copy)), MOVES),
    np.absolute: own(elementwise.absolute),
    np.fabs: own(elementwise.absolute),
    np.exp: own(elementwise.exp),
    np.tanh: own(elementwise.tanh),
    np.sqrt: own(elementwise.sqrt),
    np.log: own(elementwise.log),
    np.reciprocal: Row(of(elementwise.reciprocal), COMPOSED),
    np.sign: Row(of(choices.sign), ZERO),
    np.matmul: Row(of(sums.matmul), adjoints.matmul),
    np.vecdot: Row(of(einsum.vecdot), COMPOSED),
    np.maximum: own(choices.maximum),
    np.minimum: Row(of(choices.minimum), COMPOSED),
    np.fmax: own(selection.beside_nan(np.fmax, choices.maximum)),
    np.fmin: own(selection.beside_nan(np.fmin, choices.minimum)),
    np.heaviside: Row(of(selection.heaviside), COMPOSED),
    np.copysign: own(selection.copysign),
    **{u: own(rule) for u, rule in functions.SMOOTH.items()},
    np.logaddexp: own(functions.logaddexp),
    np.hypot: own(functions.hypot),
    np.floor: Row(of(rounding.floor), ZERO),
    np.ceil: Row(of(rounding.ceil), ZERO),
    np.trunc: Row(of(rounding.trunc), ZERO),
    np.rint: Row(of(rounding.rint), ZERO),
    np.floor_divide: Row(of(rounding.floor_divide), ZERO),
    np.remainder: Row(of(rounding.mod), adjoints.mod),
    np.divmod: Row(of(rounding.divmod_), COMPOSED),
    np.conjugate: Row(of(lambda x: x.view(np.copy)), MOVES),
    **{u: own(selection.kind_of_number(u)) for u in (np.isnan, np.isfinite, np.isinf)},
    **{u: own(masks.comparison(u)) for u in (
        np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    )},
    **{u: Row(masks.logical(u), DECISION) for u in masks.LOGICAL},
    np.add.reduce: Row(along_the_first(reductions.SUM), adjoints.total),
    np.multiply.reduce: Row(along_the_first(reductions.PROD), adjoints.prod),
    np.maximum.reduce: Row(along_the_first(reductions.MAX), choosing.largest),
    np.minimum.reduce: Row(along_the_first(reductions.MIN), COMPOSED),
    np.logical_or.reduce: Row(along_the_first(masks.any_of), DECISION),
    np.logical_and.reduce: Row(along_the_first(masks.all_of), DECISION),
    np.add.accumulate: Row(methods.ADDED, adjoints.cumsum),
    np.multiply.accumulate: Row(methods.MULTIPLIED, adjoints.cumprod),
    np.maximum.accumulate: Row(methods.LARGEST, COMPOSED),
    np.minimum.accumulate: Row(methods.LEAST, COMPOSED),
    np.add.at: Row(scatter.at(scatter.add), COMPOSED, into="a"),
    np.subtract.at: Row(scatter.at(scatter.subtract), COMPOSED, into="a"),
    np.multiply.at: Row(scatter.at(scatter.multiply), COMPOSED, into="a"),
    np.maximum.at: Row(scatter.at(scatter.maximum), COMPOSED, into="a"),
    np.minimum.at: Row(scatter.at(scatter.minimum), COMPOSED, into="a"),
    np.where: Row(choices.where, choosing.where),
    np.clip: Row(choices.clip, COMPOSED),
    np.sum: Row(reductions.SUM, adjoints.total),
    np.mean: Row(reductions.mean, COMPOSED),
    np.prod: Row(reductions.PROD, adjoints.prod),
    np.cumsum: Row(sums.cumsum, adjoints.cumsum),
    np.max: Row(reductions.MAX, choosing.largest),
    np.amax: Row(reductions.MAX, choosing.largest),
    np.min: Row(reductions.MIN, COMPOSED),
    np.amin: Row(reductions.MIN, COMPOSED),
    np.any: Row(masks.any_of, DECISION),
    np.all: Row(masks.all_of, DECISION),
    np.dot: Row(sums.dot, adjoints.matmul),
    np.vdot: Row(einsum.vdot, COMPOSED),
    np.inner: Row(einsum.inner, COMPOSED),
    np.outer: Row(elementwise.outer, COMPOSED),
    np.einsum: Row(many.einsum, adjoints.einsum),
    np.tensordot: Row(einsum.tensordot, adjoints.einsum),
    np.trace: Row(einsum.trace, COMPOSED),
    np.shape: Row(lambda like, a: like.beside(a).shape, CONSTANT),
    np.ndim: Row(lambda like, a: like.beside(a).ndim, CONSTANT),
    np.size: Row(lambda like, a, axis=None: np.size(like.beside(a).value, axis), CONSTANT),
    np.transpose: Row(shapes.transpose, MOVES),
    np.permute_dims: Row(shapes.transpose, MOVES),
    np.matrix_transpose: Row(shapes.matrix_transpose, MOVES),
    np.swapaxes: Row(shapes.swapaxes, MOVES),
    np.moveaxis: Row(shapes.moveaxis, MOVES),
    np.reshape: Row(shapes.reshape, MOVES),
    np.ravel: Row(shapes.ravel, MOVES),
    np.squeeze: Row(shapes.squeeze, MOVES),
    np.expand_dims: Row(shapes.expand_dims, MOVES),
    np.broadcast_to: Row(shapes.broadcast_to, MOVES),
    np.broadcast_arrays: Row(shapes.broadcast_arrays, MOVES),
    np.flip: Row(shapes.flip, MOVES),
    np.diagonal: Row(shapes.diagonal, MOVES),
    np.pad: Row(placing.pad, MOVES),
    **{f: Row(shapes.of_one_array(f), MOVES) for f in (
        np.diag, np.tril, np.triu, np.fliplr, np.flipud, np.roll, np.rot90, np.repeat, np.tile, np.take,
        np.take_along_axis, np.delete, np.diagflat,
    )},
    **{f: Row(shapes.at_least(f), MOVES) for f in (np.atleast_1d, np.atleast_2d, np.atleast_3d)},
    **{f: Row(shapes.split(f), MOVES) for f in (np.split, np.array_split)},
    **{f: Row(shapes.side_by_side(f), MOVES) for f in (np.hstack, np.vstack, np.dstack, np.column_stack)},
    np.concatenate: Row(shapes.concatenate, MOVES),
    np.stack: Row(shapes.stack, MOVES),
    np.zeros: Row(creation.zeros, CONSTANT),
    np.ones: Row(creation.ones, CONSTANT),
    np.full: Row(creation.full, MOVES),
    np.empty: Row(creation.empty, CONSTANT),
    np.zeros_like: Row(creation.zeros_like, CONSTANT),
    np.ones_like: Row(creation.ones_like, CONSTANT),
    np.full_like: Row(creation.full_like, MOVES),
    np.empty_like: Row(creation.empty_like, CONSTANT),
    np.array: Row(creation.array, MOVES),
    np.asarray: Row(creation.asarray, MOVES),
    np.copy: Row(creation.copy, MOVES),
    np.copyto: Row(creation.copyto, COMPOSED, into="dst"),
    np.eye: Row(placing.made_by(np.eye), CONSTANT),
    np.identity: Row(placing.made_by(np.identity), CONSTANT),
    np.arange: Row(placing.made_by(np.arange), CONSTANT),
    np.cumprod: Row(composed.cumprod, adjoints.cumprod),
    np.linalg.multi_dot: Row(many.multi_dot, adjoints.einsum),
    np.linalg.norm: Row(statistics.norm, COMPOSED),
    np.linalg.vector_norm: Row(statistics.vector_norm, COMPOSED),
    np.var: Row(statistics.var, COMPOSED),
    np.std: Row(statistics.std, COMPOSED),
    np.average: Row(statistics.average, COMPOSED),
    np.cov: Row(statistics.cov, COMPOSED),
    np.ptp: Row(statistics.ptp, COMPOSED),
    np.median: Row(order.median, COMPOSED),
    np.sort: Row(order.sort, choosing.sort),
    np.argsort: Row(order.argsort, DECISION),
    np.argmax: Row(order.argmax, DECISION),
    np.argmin: Row(order.argmin, DECISION),
    np.round: Row(rounding.around, ZERO),
    np.around: Row(rounding.around, ZERO),
    np.fix: Row(rounding.fix, ZERO),
    np.diff: Row(composed.diff, COMPOSED),
    np.kron: Row(composed.kron, COMPOSED),
    np.cross: Row(composed.cross, COMPOSED),
    np.convolve: Row(composed.convolve, COMPOSED),
    np.correlate: Row(composed.correlate, COMPOSED),
    np.gradient: Row(composed.gradient, COMPOSED),
    np.append: Row(composed.append, MOVES),
    np.block: Row(composed.block, MOVES),
    np.select: Row(selection.select, COMPOSED),
    np.nan_to_num: Row(selection.nan_to_num, adjoints.finite),
    np.isclose: Row(selection.isclose, DECISION),
    np.allclose: Row(selection.allclose, DECISION),
    np.array_equal: Row(selection.array_equal, DECISION),
    np.lib.stride_tricks.sliding_window_view: Row(placing.sliding_window_view, MOVES),
    **({np.unstack: Row(placing.unstack, MOVES)} if hasattr(np, "unstack") else {}),  # from NumPy 2.1 on
    np.nonzero: Row(placing.nonzero, DECISION),
    np.flatnonzero: Row(placing.flatnonzero, DECISION),
    np.count_nonzero: Row(placing.count_nonzero, DECISION),
    np.argwhere: Row(placing.argwhere, DECISION),
    np.real: Row(lambda like, val: like.beside(val).view(lambda v: v), MOVES),
    **{f: Row(placing.split_along(f), MOVES) for f in (np.hsplit, np.vsplit, np.dsplit)},
    np.put_along_axis: Row(placing.put_along_axis, MOVES, into="arr"),
    np.fill_diagonal: Row(placing.fill_diagonal, MOVES, into="a"),
    np.apply_along_axis: Row(calling.apply_along_axis, COMPOSED, calls=True),
    np.piecewise: Row(calling.piecewise, COMPOSED, calls=True),
}  # fmt: skip
