"""The one table of NumPy's functions on balls: a row each, with its rule.

A rule is called as rule(like, *arguments, **named). The arguments are those of the call, in which every ball has
become the number that it is now and every mask of balls a mask, in lists and tuples too; all else is as it was
given. ``like`` is one of those numbers: it has the format under test, like.operand(x) is any argument as a
number, and like.beside(x) the same but for a mask, which stays one. A rule returns like.derived(value, radius), where
radius(take) is the radius of the elements asked for, or what another rule returns; a mask, a list of numbers or
an ordinary array where NumPy returns such. It may take fewer arguments by name than NumPy's function has:
dispatch.py refuses the others by name. This holds for ufuncs, for their methods (the row of a reduction is that of
np.add.reduce) and for all other functions, here and in Ball.rule.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from torch_mirror.balls import masks
from torch_mirror.balls.number import Number
from torch_mirror.balls.rules import choices, creation, einsum, elementwise, means, shapes, sums


class Row(NamedTuple):
    """What is known of one NumPy function."""

    radius: Callable[..., Any]  # the rule: the value with its radius
    into: str | None = None     # the name of its first argument, if the result is assigned to that


def of(function: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of a ufunc: a function of its operands, all of them numbers."""

    def rule(like: Number, *operands: Any) -> Any:
        return function(*[like.operand(x) for x in operands])

    return rule


def over(reduce: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of what reduces a number along all axes, if none is named."""

    def rule(like: Number, a: Any, axis: shapes.Axes = None, *, keepdims: bool = False) -> Any:
        return reduce(like.operand(a), axis, keepdims=keepdims)

    return rule


def along_the_first(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of a ufunc's reduce, which is along the first axis if none is named."""

    def reduction(like: Number, array: Any, *, axis: shapes.Axes = 0, keepdims: bool = False) -> Any:
        return rule(like, array, axis, keepdims=keepdims)

    return reduction


TABLE: dict[Any, Row] = {
    np.add: Row(of(elementwise.add)),
    np.subtract: Row(of(elementwise.subtract)),
    np.multiply: Row(of(elementwise.multiply)),
    np.true_divide: Row(of(elementwise.divide)),
    np.power: Row(of(elementwise.power)),
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
    **{u: Row(of(masks.comparison(u))) for u in (
        np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    )},
    **{u: Row(masks.logical(u)) for u in masks.LOGICAL},
    np.add.reduce: Row(along_the_first(over(sums.add_over))),
    np.multiply.reduce: Row(along_the_first(over(elementwise.prod))),
    np.maximum.reduce: Row(along_the_first(over(choices.max_over))),
    np.minimum.reduce: Row(along_the_first(over(choices.min_over))),
    np.logical_or.reduce: Row(along_the_first(masks.any_of)),
    np.logical_and.reduce: Row(along_the_first(masks.all_of)),
    np.where: Row(choices.where),
    np.clip: Row(choices.clip),
    np.sum: Row(over(sums.add_over)),
    np.mean: Row(over(means.mean)),
    np.prod: Row(over(elementwise.prod)),
    np.cumsum: Row(sums.cumsum),
    np.max: Row(over(choices.max_over)),
    np.amax: Row(over(choices.max_over)),
    np.min: Row(over(choices.min_over)),
    np.amin: Row(over(choices.min_over)),
    np.any: Row(masks.any_of),
    np.all: Row(masks.all_of),
    np.dot: Row(sums.dot),
    np.vdot: Row(einsum.vdot),
    np.inner: Row(einsum.inner),
    np.outer: Row(elementwise.outer),
    np.einsum: Row(einsum.einsum),
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
    np.pad: Row(shapes.pad),
    **{f: Row(shapes.of_one_array(f)) for f in (
        np.diag, np.tril, np.triu, np.fliplr, np.flipud, np.roll, np.rot90, np.repeat, np.tile, np.take,
        np.take_along_axis, np.delete,
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
}  # fmt: skip
