"""np.einsum and its kin on balls, against fractions, torch and other orders of the same sum."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given

from reference.arrays import Array
from tests.attack.adversary import F64, Operand, Rule, attack, operand, rational, worst
from tests.attack.evaluations import flushed, product_in_order, with_torch
from tests.attack.strike import finds, forgets_radii, formats, kinds, most, movements, precisions, seeds, strike
from torch_mirror.balls import exactness, table
from torch_mirror.balls.ball import Ball
from torch_mirror.balls.format import Format
from torch_mirror.balls.rules import einsum, sums


def summed(text: str, *shapes: tuple[int, ...], others: Any = (), torch_too: bool = True) -> Rule:
    """The rule of one einsum, with torch's and NumPy's other orders as other evaluations."""

    def optimized(*a: Any) -> Any:
        return np.einsum(text, *a, optimize=True)

    mirrored = (with_torch(lambda *a: torch.einsum(text, *a)),) if torch_too else ()
    return Rule(shapes, lambda *a: np.einsum(text, *a), (*mirrored, optimized, *others))


def affine(x: Any, W: Any, b: Any) -> Any:
    return np.einsum("bi,oi->bo", x, W) + b


def alone_first(x: Array, y: Array) -> Array:
    """The sum of x and the sum of y, and then their product."""
    return np.asarray(x.sum() * y.sum())


V, W = (3, 4), (4, 2)
RULES: dict[str, Rule] = {
    "product": summed("ij,jk->ik", V, W, others=(lambda x, y: np.einsum("ij,jk->ik", x[:, ::-1], y[::-1]),)),
    "implicit": summed(" ij, jk ", V, W),
    "implicit, in alphabetical order": summed("ba,ac", V, W),
    "ellipsis": summed("...ij,...jk->...ik", (2, 3, 4), (4, 2)),
    "ellipsis, implicit": summed("...j,j...", V, (4, 3), torch_too=False),
    "ellipsis in one": summed("...j,j->...", (2, 3, 4), (4,)),
    "ellipses of unequal length": summed("...i,...i->...", (2, 3, 4), (3, 4)),
    "broadcast": summed("ij,jk->ik", (3, 1), (4, 2)),
    "broadcast in both": summed("bij,bj->bi", (1, 3, 4), (2, 1)),
    "trace": summed("ii", (4, 4)),
    "diagonal": summed("ii->i", (4, 4)),
    "diagonals": summed("...ii->...i", (2, 3, 3)),
    "row sums": summed("ij->i", V),
    "column sums, implicit output": summed("ij->j", V),
    "all": summed("ij->", V),
    "transposed": summed("ij->ji", V),
    "transposed, implicit": summed("ba", V),
    "transposed sum": summed("ijk->ki", (2, 3, 4)),
    "dot": summed("i,i", (5,), (5,)),
    "outer": summed("i,j->ji", (3,), (4,)),
    "elementwise": summed("ij,ij->ij", V, V),
    "number": summed(",ij->ij", (), V, torch_too=False),
    "all products": summed("ij,ij->", V, V),
    "a diagonal times a matrix": summed("iij,jk->ik", (3, 3, 4), W, torch_too=False),
    "one sum alone": summed("ij,jk->k", V, W, others=(lambda x, y: x.sum(axis=0) @ y,)),
    "both sums alone": summed("ij,k->", V, (5,), others=(alone_first,)),
    "affine": Rule((V, (2, 4), (2,)), affine, (
        *(product_in_order(range, fused=f, bias_first=b) for f in (False, True) for b in (False, True)),
        with_torch(lambda x, W, b: torch.addmm(b, x, W.T)),
    )),
    "inner": Rule((V, (2, 4)), np.inner, (with_torch(torch.inner),)),
    "inner of 3 axes": Rule(((2, 3, 4), (4,)), np.inner, (with_torch(torch.inner),)),
    "inner of 3 and 2 axes": Rule(((2, 3, 4), V), np.inner, (with_torch(torch.inner),)),
    "tensordot": Rule(((2, 3, 4), (3, 4, 2)), np.tensordot, (with_torch(lambda x, y: torch.tensordot(x, y, 2)),)),
    "tensordot of axes": Rule(((2, 3, 4), (4, 5, 2)), lambda x, y: np.tensordot(x, y, axes=((2, 0), (0, -1))), ()),
    "vdot": Rule((V, V), np.vdot, (lambda x, y: np.asarray(np.sum(x * y)),)),
    "vecdot": Rule((V, V), np.vecdot, (with_torch(torch.linalg.vecdot), lambda x, y: (x * y)[:, ::-1].sum(axis=-1)),
                   exact=lambda x, y: (x * y).sum(axis=-1)),
    "trace of an array": Rule(((3, 3, 2),), lambda x: np.trace(x) + x.trace(1, 0, 1), ()),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
@given(formats, kinds, seeds, precisions, movements)
def test_every_evaluation_lies_within_the_radius(
    name: str, fmt: Format, kinds: tuple[str, ...], seed: int, precision: str, moved: bool  # noqa: FBT001 - drawn
) -> None:
    assert strike(RULES[name], fmt, kinds, seed, precision, moved=moved) <= 1


@pytest.mark.parametrize("name", RULES)
def test_no_rule_is_vacuous(name: str) -> None:
    assert 0.1 < most(RULES[name]) <= 1


@pytest.mark.parametrize("name", RULES)
def test_on_the_grid_every_sum_is_exact(name: str) -> None:
    """Small integers: radius 0, and every evaluation is equal to the exact one."""
    rule = RULES[name]
    for seed in range(5):
        rng = np.random.default_rng(seed)
        operands = [operand(rng.integers(-9, 9, s).astype(float), None, F64, np.float64, rng) for s in rule.shapes]
        assert attack(rule, operands) == 0
        assert not rule.equation(*(o.ball for o in operands)).radius.any()


def test_exactness_is_decided_for_each_element() -> None:
    x: Any = Ball(np.array([[1.0, 2.0], [0.1, 0.2]]))
    y: Any = Ball(np.array([[0.5, 1.0], [1.0, 0.1]]))
    assert (np.einsum("ij,jk->ik", x, y).radius > 0).tolist() == [[False, True], [True, True]]


@pytest.mark.parametrize(("text", "shapes"), [
    ("ij,jk->ik", ((3, 0), (0, 2))), ("i,i", ((0,), (0,))), ("ij->j", ((0, 2),)), ("ij,jk->ik", ((0, 3), (3, 2))),
])  # fmt: skip
def test_a_sum_of_nothing_is_0(text: str, shapes: Any) -> None:
    operands: list[Any] = [Ball(np.ones(s)) for s in shapes]
    ball = np.einsum(text, *operands)
    assert ball.shape == np.einsum(text, *(np.ones(s) for s in shapes)).shape
    assert not ball.value.any()
    assert not ball.radius.any()


def test_what_may_overflow_has_an_infinite_radius() -> None:
    big: Any = Ball(np.full((2, 3), 1e308))
    small: Any = Ball(np.full(3, 1e-300))
    with np.errstate(all="ignore"):
        assert np.isinf(np.einsum("ij,j->i", big, big[0]).radius).all()
        assert np.isfinite(np.einsum("ij,j->i", big, small).radius).all()
        assert np.isinf(np.einsum("ij,k->", big, small).radius).all()  # the sum of big, if it is taken first


def test_a_view_of_labels_is_written_through() -> None:
    x: Any = Ball(np.zeros((3, 3)))
    np.einsum("ii->i", x)[...] = 1
    assert x.value.tolist() == np.eye(3).tolist()


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda x: np.einsum(x, [0, 1], [1]), TypeError, "subscripts as a string, got Ball"),
    (lambda x: np.einsum("ij,j", x), ValueError, "expected 2 operands for 'ij,j', got 1"),
    (lambda x: np.einsum("i", x), ValueError, r"'i' does not fit operands of \(2,\) dimensions"),
    (lambda x: np.einsum("ijk", x), ValueError, "does not fit"),
    (lambda x: np.einsum("...i->i", x), ValueError, "no ellipsis"),
    (lambda x: np.einsum("ij->i", x, dtype=np.float64), TypeError, r"numpy\.einsum with dtype"),
])  # fmt: skip
def test_what_has_no_rule_is_named(call: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(Ball(np.ones((2, 2))))


# --- planted holes, each found --------------------------------------------------------------------------


def exact_operands(*arrays: Array) -> list[Operand]:
    return [operand(a, None, F64, np.float64, np.random.default_rng(0)) for a in arrays]


def test_a_sum_taken_alone_may_flush_before_its_product(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = np.array([[1.5 * F64.tiny, -F64.tiny]]), np.array([2.0**60, 3 * 2.0**58])
    rule = summed("ij,k->", (1, 2), (2,), others=(flushed(with_torch(lambda x, y: x.sum() * y.sum())),))
    operands = exact_operands(x, y)
    finds(monkeypatch, einsum, "_alone", lambda *_: False, lambda: attack(rule, operands))


def test_exactness_claimed_of_a_sum_taken_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its products are all on the grid of normal numbers, and its own terms are not."""
    x, y = np.array([[F64.tiny * 1.5, -F64.tiny]]), np.array([2.0**60, *[0.0] * 31])
    rule = summed("ij,k->", (1, 2), (32,), others=(flushed(with_torch(lambda x, y: x.sum() * y.sum())),))
    operands, sound = exact_operands(x, y), einsum._grid

    def early(values: Any, labels: Any, _alone: Any, fmt: Format) -> Any:
        return sound(values, labels, [False, False], fmt)

    finds(monkeypatch, einsum, "_grid", early, lambda: attack(rule, operands))


def test_exactness_claimed_from_one_operand(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = exactness.lowest_bit
    operands = exact_operands(np.array([[1.0, 1 + 2.0**-30]]), np.array([1.0, 1 + 2.0**-31]))
    finds(monkeypatch, einsum, "lowest_bit", lambda a, fmt: sound(a, fmt) if a.ndim == 2 else np.zeros(2, int),
          lambda: attack(summed("ij,j->i", (1, 2), (2,)), operands))  # fmt: skip


def test_fewer_terms_than_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large bias that starts the accumulator is rounded at every term."""
    rng = np.random.default_rng(1)
    operands = exact_operands(rng.random((1, 20)), rng.random((1, 20)), np.array([1e16]))
    rule = RULES["affine"]
    finds(monkeypatch, einsum, "prod", lambda _: 1, lambda: attack(rule, operands))


def test_bias_outside_the_accumulator(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    operands = exact_operands(rng.random((1, 20)), rng.random((1, 20)), np.array([1e16]))
    sound = sums.open_sum
    finds(monkeypatch, sums, "open_sum", lambda like, v, t: Ball(v, sound(like, v, t).radius, like.format),
          lambda: attack(RULES["affine"], operands))  # fmt: skip


def test_terms_of_an_axis_that_is_broadcast(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 products of the one number with 20 others, summed in order on to a large bias."""
    rng = np.random.default_rng(1)
    x, w, b = np.array([[1 / 3]]), rng.random(20), np.array([1e16])
    rule = Rule((), lambda x, w, b: np.einsum("ij,j->i", x, w) + b, (
        lambda x, w, b: np.cumsum(np.concatenate([b, x[0] * w]))[-1:],
    ))  # fmt: skip
    operands = exact_operands(x, w, b)
    finds(monkeypatch, einsum, "prod", lambda _: 1, lambda: attack(rule, operands))


@pytest.mark.parametrize(("function", "name"), [
    (np.einsum, "product"), (np.einsum, "trace"), (np.inner, "inner"), (np.tensordot, "tensordot"), (np.vdot, "vdot"),
    (np.trace, "trace of an array"),
])  # fmt: skip
def test_a_dropped_radius_is_found(monkeypatch: pytest.MonkeyPatch, function: Any, name: str) -> None:
    assert most(RULES[name]) <= 1
    monkeypatch.setitem(table.FUNCTIONS, function, forgets_radii(table.FUNCTIONS[function]))
    assert most(RULES[name]) > 1


@pytest.mark.parametrize("dropped", [0, 1])
def test_the_radius_of_one_operand_dropped(monkeypatch: pytest.MonkeyPatch, dropped: int) -> None:
    sound = einsum.contract

    def holed(x: Ball, y: Ball, labels: Any) -> Ball:
        x, y = (Ball(a.value, 0, a.format) if i == dropped else a for i, a in enumerate((x, y)))
        return sound(x, y, labels)

    finds(monkeypatch, einsum, "contract", holed, lambda: most(RULES["product"]))


def test_the_exact_numbers_are_einsum_s_own() -> None:
    """NumPy's einsum of fractions is what the attack takes for the truth."""
    x, y = rational(np.array([[0.1, 0.2]])), rational(np.array([0.3, 0.7]))
    assert np.einsum("ij,j->i", x, y)[0] == Fraction(0.1) * Fraction(0.3) + Fraction(0.2) * Fraction(0.7)
    assert worst(Ball(np.array([1.0])), np.array([Fraction(2)]), []) == np.inf
