"""Which rule each NumPy function has on balls.

The rule of a ufunc takes its operands as balls; any other takes a ball, ``like``, and then the arguments
of the call. Ball.rule adds to them, in a table of its own.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from torch_mirror.balls import assignment, masks
from torch_mirror.balls.rules import choices, creation, einsum, elementwise, shapes, sums

if TYPE_CHECKING:
    from torch_mirror.balls.ball import Ball

UFUNCS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: elementwise.add,
    np.subtract: elementwise.subtract,
    np.multiply: elementwise.multiply,
    np.true_divide: elementwise.divide,
    np.power: elementwise.power,
    np.square: elementwise.square,
    np.negative: elementwise.negative,
    np.positive: lambda x: shapes.view(x, np.copy),
    np.absolute: elementwise.absolute,
    np.fabs: elementwise.absolute,
    np.exp: elementwise.exp,
    np.tanh: elementwise.tanh,
    np.sqrt: elementwise.sqrt,
    np.log: elementwise.log,
    np.reciprocal: elementwise.reciprocal,
    np.sign: choices.sign,
    np.matmul: sums.matmul,
    np.vecdot: einsum.vecdot,
    np.maximum: choices.maximum,
    np.minimum: choices.minimum,
    **{u: masks.comparison(u) for u in (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal)},
    **{u: masks.logical(u) for u in masks.LOGICAL},
}


def _over(reduce: Callable[..., Any]) -> Callable[..., Any]:
    def rule(like: "Ball", a: Any, axis: shapes.Axes = None, *, keepdims: bool = False) -> Any:
        return reduce(like.operand(a), axis, keepdims=keepdims)

    return rule


def _any(x: "Ball", axis: shapes.Axes = None, *, keepdims: bool = False) -> Any:
    return masks.any_of(x, x, axis, keepdims=keepdims)


def _all(x: "Ball", axis: shapes.Axes = None, *, keepdims: bool = False) -> Any:
    return masks.all_of(x, x, axis, keepdims=keepdims)


REDUCTIONS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: sums.add_over,
    np.multiply: elementwise.prod,
    np.maximum: choices.max_over,
    np.minimum: choices.min_over,
    np.logical_or: _any,
    np.logical_and: _all,
}

FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.where: choices.where,
    np.clip: choices.clip,
    np.sum: _over(sums.add_over),
    np.mean: _over(sums.mean),
    np.prod: _over(elementwise.prod),
    np.cumsum: sums.cumsum,
    np.max: _over(choices.max_over),
    np.amax: _over(choices.max_over),
    np.min: _over(choices.min_over),
    np.amin: _over(choices.min_over),
    np.any: masks.any_of,
    np.all: masks.all_of,
    np.dot: sums.dot,
    np.vdot: einsum.vdot,
    np.inner: einsum.inner,
    np.outer: elementwise.outer,
    np.einsum: einsum.einsum,
    np.tensordot: einsum.tensordot,
    np.trace: einsum.trace,
    np.shape: lambda like, a: like.beside(a).shape,
    np.ndim: lambda like, a: like.beside(a).ndim,
    np.size: lambda like, a, axis=None: np.size(like.beside(a).value, axis),
    np.transpose: shapes.transpose,
    np.permute_dims: shapes.transpose,
    np.matrix_transpose: shapes.matrix_transpose,
    np.swapaxes: shapes.swapaxes,
    np.moveaxis: shapes.moveaxis,
    np.reshape: shapes.reshape,
    np.ravel: shapes.ravel,
    np.squeeze: shapes.squeeze,
    np.expand_dims: shapes.expand_dims,
    np.broadcast_to: shapes.broadcast_to,
    np.flip: shapes.flip,
    np.diagonal: shapes.diagonal,
    np.pad: shapes.pad,
    **{f: shapes.of_one_array(f) for f in (
        np.diag, np.tril, np.triu, np.fliplr, np.flipud, np.roll, np.rot90, np.repeat, np.tile, np.take,
        np.take_along_axis, np.delete,
    )},
    **{f: shapes.at_least(f) for f in (np.atleast_1d, np.atleast_2d, np.atleast_3d)},
    **{f: shapes.split(f) for f in (np.split, np.array_split)},
    **{f: shapes.side_by_side(f) for f in (np.hstack, np.vstack, np.dstack, np.column_stack)},
    np.concatenate: shapes.concatenate,
    np.stack: shapes.stack,
    np.zeros: creation.zeros,
    np.ones: creation.ones,
    np.full: creation.full,
    np.empty: creation.empty,
    np.zeros_like: creation.zeros_like,
    np.ones_like: creation.ones_like,
    np.full_like: creation.full_like,
    np.empty_like: creation.empty_like,
    np.array: creation.array,
    np.asarray: creation.asarray,
    np.copy: creation.copy,
    np.copyto: assignment.copyto,
}  # fmt: skip
