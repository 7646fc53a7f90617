"""The one table of NumPy's functions on balls: a row each, with its rule.

A rule is called as rule(like, *arguments, **named). The arguments are those of the call, in which every ball has
become the number that it is now and every mask of balls a mask, in lists and tuples too; all else is as it was
given. ``like`` is one of those numbers: it has the format under test, like.operand(x) is any argument as a
number, and like.beside(x) the same but for a mask, which stays one. A rule returns like.derived(value, radius), where
radius(take) is the radius of the elements asked for, or what another rule returns; a mask, a list of numbers or
an ordinary array where NumPy returns such. It may take fewer arguments by name than NumPy's function has:
dispatch.py refuses the others by name. This holds for ufuncs, for their methods (the row of a reduction is that of
np.add.reduce) and for all other functions, here and in Ball.rule; but what calls a function of the user's is given
the balls and masks themselves (calling.py).
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import numpy as np

from torch_mirror.balls import masks
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
    into: str | None = None     # the name of its first argument, if the result is assigned to that
    calls: bool = False         # whether it calls a function of the user's, and is given balls for that
    adjoint: Adjoint = Kind.COMPOSED


def of(function: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of a ufunc: a function of its operands, all of them numbers."""

    def rule(like: Number, *operands: Any) -> Any:
        return function(*[like.operand(x) for x in operands])

    return rule


def along_the_first(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of a ufunc's reduce, which is along the first axis if none is named."""

    @wraps(rule)  # whose names dispatch.py looks up
    def reduction(like: Number, array: Any, *, axis: shapes.Axes = 0, **named: Any) -> Any:
        return rule(like, array, axis, **named)

    return reduction


TABLE: dict[Any, Row] = {
    np.add: Row(of(elementwise.add)),
    np.subtract: Row(of(elementwise.subtract)),
    np.multiply: Row(of(elementwise.multiply)),
    np.true_divide: Row(of(elementwise.divide)),
    np.power: Row(of(powers.power)),
    np.float_power: Row(of(powers.float_power)),
    np.square: Row(of(elementwise.square)),
    np.negative: Row(of(elementwise.negative)),
    np.positive: Row(of(lambda x: x.view(np.copy))),
    np.absolute: Row(of(elementwise.absolute)),
    np.fabs: Row(of(elementwise.absolute)),
    np.exp: Row(of(elementwise.exp)),
    np.tanh: Row(of(elementwise.tanh)),
    np.sqrt: Row(of(elementwise.sqrt)),
    np.log: Row(of(elementwise.log)),
    np.reciprocal: Row(of(elementwise.reciprocal)),
    np.sign: Row(of(choices.sign)),
    np.matmul: Row(of(sums.matmul)),
    np.vecdot: Row(of(einsum.vecdot)),
    np.maximum: Row(of(choices.maximum)),
    np.minimum: Row(of(choices.minimum)),
    np.fmax: Row(of(selection.beside_nan(np.fmax, choices.maximum))),
    np.fmin: Row(of(selection.beside_nan(np.fmin, choices.minimum))),
    np.heaviside: Row(of(selection.heaviside)),
    np.copysign: Row(of(selection.copysign)),
    **{u: Row(of(rule)) for u, rule in functions.SMOOTH.items()},
    np.logaddexp: Row(of(functions.logaddexp)),
    np.hypot: Row(of(functions.hypot)),
    np.floor: Row(of(rounding.floor)),
    np.ceil: Row(of(rounding.ceil)),
    np.trunc: Row(of(rounding.trunc)),
    np.rint: Row(of(rounding.rint)),
    np.floor_divide: Row(of(rounding.floor_divide)),
    np.remainder: Row(of(rounding.mod)),
    np.divmod: Row(of(rounding.divmod_)),
    np.conjugate: Row(of(lambda x: x.view(np.copy))),
    **{u: Row(of(selection.kind_of_number(u))) for u in (np.isnan, np.isfinite, np.isinf)},
    **{u: Row(of(masks.comparison(u))) for u in (
        np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    )},
    **{u: Row(masks.logical(u)) for u in masks.LOGICAL},
    np.add.reduce: Row(along_the_first(reductions.SUM)),
    np.multiply.reduce: Row(along_the_first(reductions.PROD)),
    np.maximum.reduce: Row(along_the_first(reductions.MAX)),
    np.minimum.reduce: Row(along_the_first(reductions.MIN)),
    np.logical_or.reduce: Row(along_the_first(masks.any_of)),
    np.logical_and.reduce: Row(along_the_first(masks.all_of)),
    np.add.accumulate: Row(methods.ADDED),
    np.multiply.accumulate: Row(methods.MULTIPLIED),
    np.maximum.accumulate: Row(methods.LARGEST),
    np.minimum.accumulate: Row(methods.LEAST),
    np.add.at: Row(scatter.at(scatter.add), into="a"),
    np.subtract.at: Row(scatter.at(scatter.subtract), into="a"),
    np.multiply.at: Row(scatter.at(scatter.multiply), into="a"),
    np.maximum.at: Row(scatter.at(scatter.maximum), into="a"),
    np.minimum.at: Row(scatter.at(scatter.minimum), into="a"),
    np.where: Row(choices.where),
    np.clip: Row(choices.clip),
    np.sum: Row(reductions.SUM),
    np.mean: Row(reductions.mean),
    np.prod: Row(reductions.PROD),
    np.cumsum: Row(sums.cumsum),
    np.max: Row(reductions.MAX),
    np.amax: Row(reductions.MAX),
    np.min: Row(reductions.MIN),
    np.amin: Row(reductions.MIN),
    np.any: Row(masks.any_of),
    np.all: Row(masks.all_of),
    np.dot: Row(sums.dot),
    np.vdot: Row(einsum.vdot),
    np.inner: Row(einsum.inner),
    np.outer: Row(elementwise.outer),
    np.einsum: Row(many.einsum),
    np.tensordot: Row(einsum.tensordot),
    np.trace: Row(einsum.trace),
    np.shape: Row(lambda like, a: like.beside(a).shape),
    np.ndim: Row(lambda like, a: like.beside(a).ndim),
    np.size: Row(lambda like, a, axis=None: np.size(like.beside(a).value, axis)),
    np.transpose: Row(shapes.transpose),
    np.permute_dims: Row(shapes.transpose),
    np.matrix_transpose: Row(shapes.matrix_transpose),
    np.swapaxes: Row(shapes.swapaxes),
    np.moveaxis: Row(shapes.moveaxis),
    np.reshape: Row(shapes.reshape),
    np.ravel: Row(shapes.ravel),
    np.squeeze: Row(shapes.squeeze),
    np.expand_dims: Row(shapes.expand_dims),
    np.broadcast_to: Row(shapes.broadcast_to),
    np.flip: Row(shapes.flip),
    np.diagonal: Row(shapes.diagonal),
    np.pad: Row(placing.pad),
    **{f: Row(shapes.of_one_array(f)) for f in (
        np.diag, np.tril, np.triu, np.fliplr, np.flipud, np.roll, np.rot90, np.repeat, np.tile, np.take,
        np.take_along_axis, np.delete, np.diagflat,
    )},
    **{f: Row(shapes.at_least(f)) for f in (np.atleast_1d, np.atleast_2d, np.atleast_3d)},
    **{f: Row(shapes.split(f)) for f in (np.split, np.array_split)},
    **{f: Row(shapes.side_by_side(f)) for f in (np.hstack, np.vstack, np.dstack, np.column_stack)},
    np.concatenate: Row(shapes.concatenate),
    np.stack: Row(shapes.stack),
    np.zeros: Row(creation.zeros),
    np.ones: Row(creation.ones),
    np.full: Row(creation.full),
    np.empty: Row(creation.empty),
    np.zeros_like: Row(creation.zeros_like),
    np.ones_like: Row(creation.ones_like),
    np.full_like: Row(creation.full_like),
    np.empty_like: Row(creation.empty_like),
    np.array: Row(creation.array),
    np.asarray: Row(creation.asarray),
    np.copy: Row(creation.copy),
    np.copyto: Row(creation.copyto, into="dst"),
    np.eye: Row(placing.made_by(np.eye)),
    np.identity: Row(placing.made_by(np.identity)),
    np.arange: Row(placing.made_by(np.arange)),
    np.cumprod: Row(composed.cumprod),
    np.linalg.multi_dot: Row(many.multi_dot),
    np.linalg.norm: Row(statistics.norm),
    np.linalg.vector_norm: Row(statistics.vector_norm),
    np.var: Row(statistics.var),
    np.std: Row(statistics.std),
    np.average: Row(statistics.average),
    np.cov: Row(statistics.cov),
    np.ptp: Row(statistics.ptp),
    np.median: Row(order.median),
    np.sort: Row(order.sort),
    np.argsort: Row(order.argsort),
    np.argmax: Row(order.argmax),
    np.argmin: Row(order.argmin),
    np.round: Row(rounding.around),
    np.around: Row(rounding.around),
    np.fix: Row(rounding.fix),
    np.diff: Row(composed.diff),
    np.kron: Row(composed.kron),
    np.cross: Row(composed.cross),
    np.convolve: Row(composed.convolve),
    np.correlate: Row(composed.correlate),
    np.gradient: Row(composed.gradient),
    np.append: Row(composed.append),
    np.block: Row(composed.block),
    np.select: Row(selection.select),
    np.nan_to_num: Row(selection.nan_to_num),
    np.isclose: Row(selection.isclose),
    np.allclose: Row(selection.allclose),
    np.array_equal: Row(selection.array_equal),
    np.lib.stride_tricks.sliding_window_view: Row(placing.sliding_window_view),
    np.unstack: Row(placing.unstack),
    np.nonzero: Row(placing.nonzero),
    np.flatnonzero: Row(placing.flatnonzero),
    np.count_nonzero: Row(placing.count_nonzero),
    np.argwhere: Row(placing.argwhere),
    np.real: Row(lambda like, val: like.beside(val).view(lambda v: v)),
    **{f: Row(placing.split_along(f)) for f in (np.hsplit, np.vsplit, np.dsplit)},
    np.put_along_axis: Row(placing.put_along_axis, into="arr"),
    np.fill_diagonal: Row(placing.fill_diagonal, into="a"),
    np.apply_along_axis: Row(calling.apply_along_axis, calls=True),
    np.piecewise: Row(calling.piecewise, calls=True),
}  # fmt: skip
