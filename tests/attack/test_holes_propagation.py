"""Holes in what operands bring along: a radius that is forgotten, dropped on the way, or goes elsewhere."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import pytest

from tests.attack.holes import Hole, always, as_exact, found, found_in_bulk, of_ordinary
from tests.attack.operation import alone
from tests.attack.operations import OPERATIONS
from torch_mirror.balls import assignment
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.balls.rules import einsum
from torch_mirror.balls.table import TABLE


def unpropagated(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of an operation whose operands are taken to be exact."""

    def holed(*operands: Any, **keywords: Any) -> Any:
        return rule(*map(as_exact, operands), **keywords)

    return holed


PROPAGATION = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.true_divide, "cube": np.power,
    "square": np.square, "negative": np.negative, "abs": np.absolute, "exp": np.exp, "tanh": np.tanh, "sqrt": np.sqrt,
    "log": np.log, "reciprocal": np.reciprocal, "sign": np.sign, "matmul": np.matmul, "affine of 5": np.matmul,
    "maximum": np.maximum, "minimum": np.minimum, "relu": np.maximum, "relu backward": np.less_equal,
    "mask as a factor": np.greater, "where equal": np.equal, "where not equal": np.not_equal, "where less": np.less,
    "where less equal": np.less_equal, "where greater": np.greater, "where greater equal": np.greater_equal,
    "update": np.subtract, "SGD": np.add, "loss gradient, sum": np.subtract, "loss gradient, mean": np.true_divide,
    "tanh backward": np.multiply, "sigmoid backward": np.multiply, "sigmoid": np.exp,
    "fabs": np.fabs, "positive": np.positive, "vecdot": np.vecdot, "bias in place": np.add, "sum in place": np.add,
    "update in place": np.multiply, "accumulated gradient": np.matmul, "views in place": np.multiply,
    **{f"numbers, {name}": getattr(np, name) for name in ("logical_and", "logical_or", "logical_xor", "logical_not")},
}  # fmt: skip


@pytest.mark.parametrize("operation", PROPAGATION)
def test_propagation_dropped_in_a_ufunc(operation: str) -> None:
    """Comparisons among them: a branch is then decided by the centre."""
    found_in_bulk(operation, Hole(TABLE, PROPAGATION[operation], unpropagated))


@pytest.mark.parametrize(("operation", "function"), [
    ("relu backward", np.where), ("where less", np.where), ("clip", np.clip), ("sum of 2", np.sum),
    ("sum of 50", np.sum), ("mean", np.mean),
    ("max", np.max), ("min", np.min), ("numpy.dot", np.dot), ("numpy.outer", np.outer),
    ("views", np.stack), ("views", np.concatenate), ("views", np.reshape), ("views", np.broadcast_to),
    ("views", np.transpose), ("views", np.squeeze), ("views", np.swapaxes), ("views", np.expand_dims),
    ("einsum", np.einsum), ("einsum and bias", np.einsum), ("einsum, summed alone", np.einsum),
    ("einsum, both alone", np.einsum), ("einsum of a diagonal", np.einsum), ("einsum of one", np.einsum),
    ("einsum, a trace", np.einsum), ("trace", np.trace), ("vdot", np.vdot), ("inner", np.inner),
    ("inner, three axes", np.inner), ("tensordot", np.tensordot), ("tensordot of one axis", np.tensordot),
    ("cumsum", np.cumsum), ("prod", np.prod), ("any of numbers", np.any), ("all of numbers", np.all),
    *(("turned", f) for f in (
        np.flip, np.fliplr, np.flipud, np.roll, np.rot90, np.tril, np.triu, np.moveaxis, np.matrix_transpose,
        np.permute_dims,
    )),
    *(("repeated", f) for f in (
        np.repeat, np.tile, np.take, np.take_along_axis, np.pad, np.delete, np.diag, np.diagonal,
    )),
    *(("cut", f) for f in (
        np.split, np.array_split, np.hstack, np.vstack, np.dstack, np.column_stack, np.atleast_1d, np.atleast_2d,
        np.atleast_3d, np.ravel,
    )),
    *(("made up", f) for f in (np.array, np.asarray, np.copy)),
])  # fmt: skip
def test_propagation_dropped_in_a_function(operation: str, function: Any) -> None:
    def forgetful(rule: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(rule)  # whose keywords are looked up
        def holed(like: Number, *arguments: Any, **keywords: Any) -> Any:
            clean = (list(map(as_exact, a)) if isinstance(a, list) else as_exact(a) for a in arguments)
            return rule(like, *clean, **keywords)

        return holed

    found_in_bulk(operation, Hole(TABLE, function, forgetful))


@pytest.mark.parametrize(("operation", "ufunc"), [
    ("add.reduce", np.add), ("multiply.reduce", np.multiply), ("maximum.reduce", np.maximum),
    ("minimum.reduce", np.minimum), ("any.reduce of numbers", np.logical_or),
    ("all.reduce of numbers", np.logical_and),
])  # fmt: skip
def test_propagation_dropped_in_a_reduction(operation: str, ufunc: np.ufunc) -> None:
    found_in_bulk(operation, Hole(TABLE, ufunc.reduce, unpropagated))


@pytest.mark.parametrize(("operation", "name"), [
    ("made up", "assigned"), ("views in place", "assigned"), ("copyto by a mask", "assigned"),
    ("views in place", "written_through"),
])  # fmt: skip
def test_propagation_dropped_in_an_assignment(operation: str, name: str) -> None:
    """The last operand is what is assigned; the first keeps its radii."""

    def forgetful(rule: Callable[..., Number]) -> Callable[..., Number]:
        return lambda x, at, value: rule(x, at, as_exact(value))

    found_in_bulk(operation, Hole(assignment, name, forgetful))


def test_an_assignment_that_forgets_the_radius() -> None:
    forgetful = always(lambda radius: lambda take: take(0 * radius))
    found(of_ordinary(OPERATIONS["update in place"]), Hole(assignment, "held", forgetful))


def test_a_result_that_changes_with_its_operand() -> None:
    """An assignment that changes the ball's number, and does not give it another, changes what is kept of it."""

    def overwritten(self: Ball, content: Number) -> None:
        known = Number(content.value, content.radius, content.format)
        for slot in Number.__slots__:
            setattr(self.content, slot, getattr(known, slot))

    found(of_ordinary(OPERATIONS["earlier results"]), Hole(Ball, "become", always(overwritten)))


@pytest.mark.parametrize("dropped", [0, 1])
def test_the_radius_of_one_operand_dropped(dropped: int) -> None:
    def forgetful(sound: Callable[..., Number]) -> Callable[..., Number]:
        def holed(x: Number, y: Number, labels: Any) -> Number:
            x, y = (as_exact(a) if i == dropped else a for i, a in enumerate((x, y)))
            return sound(x, y, labels)

        return holed

    found(of_ordinary(OPERATIONS["einsum ij,jk->ik"]), Hole(einsum, "contract", forgetful))


# --- what a rule returns ------------------------------------------------------------------------------------


def forgotten(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The same rule, whose results are all taken to be exact."""

    @wraps(rule)
    def holed(*arguments: Any, **named: Any) -> Any:
        result = rule(*arguments, **named)
        return Number(result.value, 0, result.format) if isinstance(result, Number) else result

    return holed


@pytest.mark.parametrize(("operation", "function"), [
    ("reciprocal", np.reciprocal), ("sign", np.sign), ("max of rows", np.max), ("mean of rows", np.mean),
    ("dot", np.dot), ("outer of a matrix", np.outer), ("views of products", np.stack), ("clip to numbers", np.clip),
    ("cumsum of rows", np.cumsum), ("prod of rows", np.prod), ("turned products", np.hstack),
    ("repeated products", np.vstack), ("parts of products", np.column_stack),
    ("products with what is made up", np.array), ("sum of joined products", np.concatenate),
    ("einsum ij,jk->ik", np.einsum), ("einsum ii", np.einsum), ("inner of matrices", np.inner),
    ("tensordot of two axes", np.tensordot), ("vdot of matrices", np.vdot), ("traces of an array", np.trace),
    ("chosen by or", np.where),
])  # fmt: skip
def test_a_result_s_radius_forgotten(operation: str, function: Any) -> None:
    found(of_ordinary(OPERATIONS[operation]), Hole(TABLE, function, forgotten))


@pytest.mark.parametrize(("function", "arguments"), [
    (np.moveaxis, (0, -1)), (np.flip, (0,)), (np.roll, (1,)), (np.tile, (2,)), (np.repeat, (2,)), (np.take, ([1, 0],)),
    (np.diag, ()),
])  # fmt: skip
def test_a_radius_that_does_not_go_along(function: Any, arguments: tuple[Any, ...]) -> None:
    def unmoved(_like: Number, a: Any, *rest: Any) -> Number:
        value = function(a.value, *rest)
        return Number(value, np.resize(a.radius, value.shape), a.format)

    operation = alone(((3, 4),), lambda x: function(x, *arguments))
    found(of_ordinary(operation), Hole(TABLE, function, always(unmoved)))
