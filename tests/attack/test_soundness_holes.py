"""Holes planted in the bound, one at a time: the attack in bulk finds each, and soon.

test_ball_holes.py has one case for each kind of hole, made for it; here nothing is made for any of them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.attack.adversary import F32, F64
from tests.attack.bulk import strike
from torch_mirror.balls import assignment, masks, number
from torch_mirror.balls.exactness import lowest_bit
from torch_mirror.balls.format import Format
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.rules import choices, einsum, elementwise, products, sums
from torch_mirror.balls.table import TABLE, Row

SOON = 100_000
"""Elements within which each hole must be found. Half of them are found within 6,000, the last after 50,000."""


class Hole(NamedTuple):
    """What is put in the place of an attribute or an entry of a table, from what stands there."""

    operation: str
    where: Any
    name: Any
    put: Callable[[Any], Any]


@contextmanager
def planted(hole: Hole) -> Iterator[None]:
    """With the hole in the bound."""
    with pytest.MonkeyPatch.context() as patch:
        if isinstance(hole.where, dict):
            old = hole.where[hole.name]
            new = old._replace(radius=hole.put(old.radius)) if isinstance(old, Row) else hole.put(old)
            patch.setitem(hole.where, hole.name, new)
        else:
            patch.setattr(hole.where, hole.name, hole.put(getattr(hole.where, hole.name)))
        yield


def found_after(operation: str, formats: tuple[Format, ...] = (F32, F64)) -> tuple[int, list[tuple[Format, int]]]:
    """How many elements it took to find a violation, and the draws made; SOON or more if none was found."""
    elements, draws, number = 0, [], 0
    while elements < SOON:
        for fmt in formats:
            draws.append((fmt, number))
            tally = strike(operation, fmt, 0, number)
            elements += tally.elements
            if tally.violations:
                return elements, draws
        number += 1
    return elements, draws


def check(hole: Hole) -> None:
    """The hole is found, and the same draws find nothing without it."""
    with planted(hole):
        elements, draws = found_after(hole.operation)
    assert elements < SOON
    assert not any(strike(hole.operation, fmt, 0, number).violations for fmt, number in draws)


def as_exact(b: Any) -> Any:
    """A number without its radius; a Python number or a mask as it is."""
    if not isinstance(b, Number):
        return b
    clean = Number(b.value, 0, b.format)
    clean.number = b.number
    return clean


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
    check(Hole(operation, TABLE, PROPAGATION[operation], unpropagated))


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
        @wraps(rule)  # whose keywords the ball looks up
        def holed(like: Number, *arguments: Any, **keywords: Any) -> Any:
            clean = (list(map(as_exact, a)) if isinstance(a, list) else as_exact(a) for a in arguments)
            return rule(like, *clean, **keywords)

        return holed

    check(Hole(operation, TABLE, function, forgetful))


@pytest.mark.parametrize(("operation", "ufunc"), [
    ("add.reduce", np.add), ("multiply.reduce", np.multiply), ("maximum.reduce", np.maximum),
    ("minimum.reduce", np.minimum), ("any.reduce of numbers", np.logical_or),
    ("all.reduce of numbers", np.logical_and),
])  # fmt: skip
def test_propagation_dropped_in_a_reduction(operation: str, ufunc: np.ufunc) -> None:
    check(Hole(operation, TABLE, ufunc.reduce, unpropagated))


def by_the_centre(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of a function of masks that are taken to be decided."""

    def decided(x: Any) -> Any:
        return Mask(x.like, x.value) if isinstance(x, Mask) else x

    return lambda *operands, **keywords: rule(*map(decided, operands), **keywords)


@pytest.mark.parametrize(("operation", "where", "name"), [
    *((f"masks, {ufunc.__name__}", masks.BITWISE, ufunc) for ufunc in masks.BITWISE),
    *((f"masks, {ufunc.__name__}", masks.LOGICAL, ufunc) for ufunc in masks.LOGICAL if ufunc is not np.logical_not),
    ("any of masks", Mask, "any"), ("all of masks", Mask, "any"), ("mean of a mask", Mask, "number"),
    ("any.reduce of masks", masks.OVER, np.logical_or), ("all.reduce of masks", masks.OVER, np.logical_and),
    ("four comparisons", masks.BITWISE, np.bitwise_or), ("masks in place", assignment, "_both_branches"),
    ("relu backward in place", assignment, "_both_branches"), ("copyto by a mask", choices, "where"),
])  # fmt: skip
def test_a_mask_decided_by_the_centre(operation: str, where: Any, name: Any) -> None:
    check(Hole(operation, where, name, by_the_centre))


@pytest.mark.parametrize(("operation", "name"), [
    ("made up", "assigned"), ("views in place", "assigned"), ("copyto by a mask", "assigned"),
    ("views in place", "written_through"),
])  # fmt: skip
def test_propagation_dropped_in_an_assignment(operation: str, name: str) -> None:
    """The last operand is what is assigned; the first keeps its radii."""

    def forgetful(rule: Callable[..., Number]) -> Callable[..., Number]:
        return lambda x, at, value: rule(x, at, as_exact(value))

    check(Hole(operation, assignment, name, forgetful))


def test_a_number_that_is_filled_in_is_not_rounded() -> None:
    check(Hole("made up", number, "rounding_of", lambda _: lambda *_: 0))


@pytest.mark.parametrize(("operation", "module", "claim"), [
    ("add", elementwise, "exact_sum"), ("subtract", elementwise, "exact_sum"), ("update", elementwise, "exact_sum"),
    ("multiply", elementwise, "exact_product"), ("square", elementwise, "exact_product"),
    ("outer", elementwise, "exact_product"), ("sum of 2", sums, "fits_grid"), ("sum of 4", sums, "fits_grid"),
    ("matmul", sums, "fits_grid"), ("affine of 5", sums, "fits_grid"), ("scale", elementwise, "_is_power_of_two"),
    ("divide by a number", elementwise, "_is_power_of_two"), ("einsum", sums, "fits_grid"),
    ("einsum, both alone", sums, "fits_grid"), ("vecdot", sums, "fits_grid"), ("tensordot", sums, "fits_grid"),
    ("trace", sums, "fits_grid"), ("cumsum", sums, "fits_grid"),
])  # fmt: skip
def test_exactness_claimed_too_early(operation: str, module: Any, claim: str) -> None:
    check(Hole(operation, module, claim, lambda _: lambda *_: np.asarray(True)))


@pytest.mark.parametrize(("operation", "name", "hole"), [
    ("matmul", "_product_grid", lambda x, w: products.product_grid(x.value, w.value, x.format)),
    ("sum of 2", "_lowest_bits", lambda x: lowest_bit(x.value, x.format)),
    ("affine of 1", "_lowest_bits", lambda x: lowest_bit(x.value, x.format)),
    ("trace", "_lowest_bits", lambda x: lowest_bit(x.value, x.format)),
])  # fmt: skip
def test_exactness_claimed_of_what_is_computed(operation: str, name: str, hole: Any) -> None:
    """The centre's bits are few enough, but another evaluation has others."""
    check(Hole(operation, sums, name, lambda _: hole))


@pytest.mark.parametrize("operation", ["affine, large bias", "affine of 16", "einsum, large bias"])
def test_bias_outside_the_accumulator(operation: str) -> None:
    """A product is no sum that may still take a term: bounded, and then the bias added with one rounding."""

    def closed(rule: Callable[..., Number]) -> Callable[..., Number]:
        def holed(like: Number, value: Any, total: Any) -> Number:
            return like.derived(value, rule(like, value, total).e)

        return holed

    check(Hole(operation, sums, "open_sum", closed))


def test_one_term_too_few() -> None:
    """A product and a bias: two roundings, and one is bounded."""
    check(Hole("affine of 1", sums, "joined", lambda rule: lambda s, t: rule(s, t)._replace(terms=s.terms)))


@pytest.mark.parametrize("operation", ["update", "SGD"])
def test_the_fused_case_forgotten(operation: str) -> None:
    """lr g bounded as if every evaluation rounded it as the centre does, and then subtracted the same number."""

    def everybodys(rule: Callable[..., Number]) -> Callable[..., Number]:
        def holed(like: Number, *operands: Any) -> Any:
            product = rule(like, *operands)
            return product if all(like.operand(x).number is None for x in operands) else as_exact(product)

        return holed

    check(Hole(operation, TABLE, np.multiply, everybodys))


@pytest.mark.parametrize("operation", ["add", "multiply", "abs", "sum of 4", "affine of 2", "relu backward"])
def test_one_radius_for_two_evaluations(operation: str) -> None:
    """The centre on one side of the exact number, another evaluation on the other."""
    check(Hole(operation, Number, "slack", lambda _: 1.0))


@pytest.mark.parametrize("name", ["max_over", "maximum"])
def test_the_radius_of_whatever_is_largest_at_the_centre(name: str) -> None:
    def over(x: Number, axis: Any = None, *, keepdims: bool = False) -> Number:
        at = np.expand_dims(np.argmax(x.value, axis), axis)
        radius = np.take_along_axis(x.radius, at, axis)
        return Number(x.value.max(axis, keepdims=keepdims), radius if keepdims else radius.squeeze(axis), x.format)

    def of_two(x: Number, y: Number) -> Number:
        a, b = np.broadcast_arrays(x.value, y.value)
        return Number(np.maximum(a, b), np.where(a > b, x.radius, y.radius), x.format)

    operation, hole = {"max_over": ("min", over), "maximum": ("minimum", of_two)}[name]
    check(Hole(operation, choices, name, lambda _: hole))


@pytest.mark.parametrize("operation", [
    "multiply", "divide", "affine of 2", "SGD", "exp", "einsum", "einsum, summed alone", "vecdot", "prod",
])  # fmt: skip
def test_the_term_for_underflow_dropped(operation: str) -> None:
    """Exactness is decided as it was, so that nothing else is missing."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (elementwise, sums):
            for claim in {"exact_product", "exact_sum", "fits_grid"} & set(vars(module)):
                sound = getattr(module, claim)
                patch.setattr(module, claim, lambda *a, sound=sound: sound(*a[:-1], a[-1]._replace(tiny=F64.tiny)))
        elements, draws = found_after(operation, (F64._replace(tiny=0.0),))
    assert elements < SOON
    assert not any(strike(operation, F64, 0, number).violations for _, number in draws)


def test_what_a_factor_loses_when_it_is_summed_alone() -> None:
    """A sum that underflows and is multiplied by a large number afterwards."""
    check(Hole("einsum, summed alone", einsum, "_alone", lambda _: lambda *_: False))
