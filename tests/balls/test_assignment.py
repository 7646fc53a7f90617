"""Assignment in place: NumPy's semantics, and radii that are those of what an operation was given.

The programs here are run on arrays, on fractions and on balls; the balls must hold what the other two give.
"""

import gc
from collections.abc import Callable
from copy import copy, deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reference.arrays import Array
from tests.attack.adversary import F32, F64, Rule, hostile, operand, rational, worst
from tests.attack.evaluations import fused_update, product_in_order, with_torch
from tests.attack.strike import finds, formats, kinds, most, movements, precisions, seeds, strike
from torch_mirror.balls import assignment
from torch_mirror.balls.ball import Ball
from torch_mirror.balls.format import Format
from torch_mirror.balls.rules import shapes

V, LR = (3, 4), 0.1  # of lr neither format holds 0.1


def relu_backward(g: Any, z: Any) -> Any:
    dz = g.copy()
    dz[z <= 0] = 0
    return dz


def either_mask(x: Any, y: Any) -> Any:
    out = x.copy()
    out[(y > x) & (y > 0)] = -1
    out[~(y[:, 0] > 0)] = y[0]  # whole rows
    return out


def whole_arrays(x: Any, y: Any) -> Any:
    out = np.empty_like(x)
    out[...] = y
    out[:] = out - x
    return out


def row_by_row(x: Any, y: Any) -> Any:
    out = np.zeros_like(x)
    for i in range(len(x)):
        out[i] = x[i] * y[i]
    return out


def through_views(x: Any, y: Any) -> Any:
    out = x.copy()
    out.mT[0] = y[:, 0] * 2
    out[0][1:3] = 1
    out.reshape(-1)[5:7] = y[0, :2]
    out.ravel()[-1] += y[0, 0]
    row = out[1]
    row *= y[1]
    out[1, 0] = 7
    return out + row


def fancy(x: Any, y: Any) -> Any:
    out = x.copy()
    out[[0, 2]] = y[[1, 0]]
    apart = out[[0, 1]]  # a copy
    apart[...] = 5
    out[:, np.array([True, False, False, True])] -= y[:, :2]
    return out


def in_place(x: Any, y: Any) -> Any:
    out = x.copy()
    out += y
    out *= y
    out -= 3 * y
    out /= 3
    out **= 2
    return out


def given_out(x: Any, y: Any) -> Any:
    out = np.zeros_like(x)
    np.add(x, y, out=out)
    np.multiply(out, y, out=out)
    np.maximum(out, x, out=out)
    np.copyto(out, y, where=np.array([True, False, False, True]))
    return out


def earlier_results(x: Any, y: Any) -> Any:
    t, u = x.copy(), y.copy()
    product, total, row = t * u, t @ u.T, t[0] + 1
    t[...] = 0
    u += 1
    return product[:, :3] + total + row[:3] + t[:, :3] * u[:, :3]


def affine_in_place(x: Any, W: Any, b: Any) -> Any:
    z = x @ W.mT
    z += b
    return z


def affine_in_two_rows(x: Any, W: Any, b: Any) -> Any:
    z = np.zeros((2, 2), dtype=x.dtype, like=x)
    z[0] = x[0] @ W.mT
    z[1] = W @ x[1]
    z += b
    return z


def update(w: Any, g: Any, lr: Any) -> Any:
    w = w.copy()
    w -= lr * g
    return w


def square_matrix(x: Any, y: Any) -> Any:
    x = x.copy()
    x @= y
    return x


AFFINE = (
    *(product_in_order(range, fused=f, bias_first=b) for f in (False, True) for b in (False, True)),
    with_torch(lambda x, W, b: torch.addmm(b, x, W.T)),
)
RULES: dict[str, Rule] = {
    "relu backward": Rule((V, V), relu_backward, (with_torch(lambda g, z: torch.where(z <= 0, 0, g)),)),
    "either mask": Rule((V, V), either_mask, ()),
    "whole arrays": Rule((V, V), whole_arrays, ()),
    "row by row": Rule((V, V), row_by_row, ()),
    "through views": Rule((V, V), through_views, ()),
    "fancy": Rule((V, V), fancy, ()),
    "in place": Rule((V, V), in_place, ()),
    "out": Rule((V, V), given_out, ()),
    "earlier results": Rule((V, V), earlier_results, ()),
    "affine in place": Rule(((2, 5), (2, 5), (2,)), affine_in_place, AFFINE),
    "affine in two rows": Rule(((2, 5), (2, 5), (2,)), affine_in_two_rows, AFFINE, exact=affine_in_place),
    "update": Rule((V, V), update, (fused_update,), (LR,)),
    "square matrix": Rule(((3, 3), (3, 3)), square_matrix, ()),
}


@pytest.mark.parametrize("name", RULES)
@given(formats, kinds, seeds, precisions, movements)
def test_every_evaluation_lies_within_the_radius(
    name: str, fmt: Format, kinds: tuple[str, ...], seed: int, precision: str, moved: bool  # noqa: FBT001 - drawn
) -> None:
    assert strike(RULES[name], fmt, kinds, seed, precision, moved=moved) <= 1


@pytest.mark.parametrize("name", RULES)
def test_no_rule_is_vacuous(name: str) -> None:
    assert 0.1 < most(RULES[name]) <= 1


# --- any program: aliasing is NumPy's, and nothing changes under a radius ----------------------------------

LOOKS: tuple[Callable[[Any], Any], ...] = (
    lambda a: a[0], lambda a: a[..., 0], lambda a: a[1:], lambda a: a[::-1], lambda a: a.T, lambda a: a.reshape(-1),
    lambda a: a.ravel(), lambda a: a[None], lambda a: a[..., [0, -1]], lambda a: a.copy(), lambda a: np.flip(a, 0),
    np.squeeze, np.atleast_2d, lambda a: a.flatten(), lambda a: np.moveaxis(a, 0, -1),
)  # fmt: skip


def assign(a: Any, b: Any) -> None:
    a[...] = b.reshape(-1)[0]


def add(a: Any, b: Any) -> None:
    a += b.reshape(-1)[-1]


def scale(a: Any, _: Any) -> None:
    a /= 2  # of a fraction too


def set_first(a: Any, b: Any) -> None:
    a[0] = b.reshape(-1)[0] * 2


def shift(a: Any, _: Any) -> None:
    a[1:] = a[:-1]


def overwrite_where(a: Any, b: Any) -> None:
    a[a <= 0] = b.reshape(-1)[0]


WRITES = (assign, add, scale, set_first, shift, overwrite_where)
programs = st.lists(
    st.tuples(st.integers(0, len(LOOKS) - 1), st.integers(0, 9), st.integers(0, len(WRITES) - 1), st.integers(0, 9)),
    max_size=8,
)


def run(program: Any, x: Any, y: Any) -> list[Any]:
    """Every array that a program makes: views, copies and results, written to in between."""
    arrays = [x.copy(), y.copy()]
    for look, of, write, source in program:
        a = arrays[of % len(arrays)]
        seen = LOOKS[look](a)
        if np.ndim(seen) and np.size(seen):
            arrays.append(seen)
        b = arrays[source % len(arrays)]
        arrays.append(b * 3)
        target = arrays[(of + source) % len(arrays)]
        if target.ndim:
            WRITES[write](target, b)
    return arrays


@given(formats, programs, seeds, movements)
def test_any_program_of_views_and_assignments_is_numpy_s(
    fmt: Format, program: Any, seed: int, moved: bool  # noqa: FBT001 - drawn
) -> None:
    assert against_numpy(fmt, program, seed, moved=moved) <= 1


def against_numpy(fmt: Format, program: Any, seed: int, *, moved: bool) -> float:
    """The worst error / radius over all arrays of a program."""
    rng = np.random.default_rng(seed)
    values = [hostile("normal", shape, fmt, rng) for shape in ((3, 4), (4, 2))]
    # radii that leave no comparison open, as fractions and floats must select the same elements
    radii = [np.abs(v) * fmt.u if moved else None for v in values]
    operands = [operand(v, e, fmt, fmt.dtype, rng) for v, e in zip(values, radii, strict=True)]
    with np.errstate(all="ignore"):
        balls = run(program, *(o.ball for o in operands))
        arrays, exact = run(program, *(o.other for o in operands)), run(program, *(o.exact for o in operands))
    assert [b.shape for b in balls] == [a.shape for a in arrays]
    return max(worst(ball, q, [a]) for ball, q, a in zip(balls, exact, arrays, strict=True))


def test_a_result_that_changes_with_its_operand_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operation that keeps the ball, and not its content, sees what is assigned to it later."""
    finds(monkeypatch, Ball, "settled", lambda self: self, lambda: most(RULES["earlier results"]))


@pytest.mark.parametrize(("where", "name", "hole"), [
    (assignment, "_written_through", lambda root, *_: root.settled()),                   # views are copies
    (shapes, "placed", lambda like, old, *_: np.full_like(like, old)),              # nothing is assigned
    (assignment, "seen", lambda _x, content, _look: content.settled().afresh()),   # no view follows
])  # fmt: skip
def test_programs_find_a_hole(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, hole: Any) -> None:
    program = [(0, 0, 1, 1), (4, 0, 3, 0), (2, 1, 0, 3)]
    finds(monkeypatch, where, name, hole, lambda: against_numpy(F64, program, 0, moved=True))


def test_an_assignment_that_forgets_the_radius(monkeypatch: pytest.MonkeyPatch) -> None:
    finds(monkeypatch, assignment, "held", lambda radius: lambda take: take(0 * radius), lambda: most(RULES["update"]))


def test_one_branch_of_an_open_mask_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    finds(monkeypatch, assignment, "_both_branches",
          lambda old, mask, new: shapes.moved([old, new], lambda p: np.where(mask.value, p[1], p[0])),
          lambda: most(RULES["either mask"]))  # fmt: skip


@pytest.mark.parametrize("name", ["affine in place", "affine in two rows"])
def test_bias_outside_the_accumulator(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    rng = np.random.default_rng(1)
    x, W, b = rng.random((2, 20)), rng.random((2, 20)), np.full(2, 1e16)
    rule = RULES[name]
    balls = [operand(a, None, F64, np.float64, rng) for a in (x, W, b)]
    exact = affine_in_place(*(o.exact for o in balls))
    evaluations = [f(x, W, b) for f in rule.others]
    finds(monkeypatch, Ball, "open", property(lambda _: None, lambda *_: None),
          lambda: worst(rule.equation(*(Ball(a) for a in (x, W, b))), exact, evaluations))  # fmt: skip


# --- each at its edge ---------------------------------------------------------------------------------


def ball(radius: float = 0.5, shape: tuple[int, ...] = (2, 3)) -> Any:
    return Ball(np.arange(1.0, 1 + np.prod(shape)).reshape(shape), np.full(shape, radius))


def test_an_open_mask_yields_both_branches() -> None:
    z: Any = Ball(np.array([2.0, 0.1, -2.0]), np.array([0.5, 0.5, 0.5]))
    dz: Any = Ball(np.full(3, 8.0))
    dz[z <= 0] = 0
    assert dz.value.tolist() == [8, 8, 0]
    assert dz.radius.tolist() == [0, 8, 0]


def test_where_the_number_of_elements_is_open_it_says_so() -> None:
    z: Any = Ball(np.array([4.0, 0.1, -2.0]), np.array([0.5, 0.5, 0.5]))
    x: Any = Ball(np.ones(3))
    with pytest.raises(TypeError, match=r"number of elements that an index selects .* leave 1 of 3 open"):
        x[z > 0]
    with pytest.raises(TypeError, match=r"y of shape \(2,\): the radii leave open how many elements"):
        x[z > 0] = np.ones(2)
    with pytest.raises(TypeError, match="leave 1 of 3 open"):
        np.ones((3, 2), like=x)[z > 0, 0] = 1
    with pytest.raises(IndexError, match="does not fit"):
        np.ones(2, like=x)[z > 0] = 1
    x[z > 0] = np.ones(1)  # of which there is one for each, however many
    assert x[z > 2].shape == (1,)  # decided


def test_numbers_are_rebound_and_arrays_written_in_place_as_in_numpy() -> None:
    x = ball()
    total = x.sum()
    before = total
    total += 1
    assert (before.value, total.value) == (21, 22)
    with pytest.raises(ValueError, match="read-only"):
        total[...] = 1
    corner = x[0, ..., 0]  # an array of no axes, and a view
    corner += 1
    assert x.value[0, 0] == 2


@pytest.mark.parametrize("look", [np.diagonal, lambda x: np.broadcast_to(x, (4, 2, 3)), lambda x: x[0, 0]])
def test_what_numpy_does_not_write_to_is_read_only(look: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match="read-only"):
        look(ball())[...] = 1


def test_the_array_that_a_ball_was_made_of_is_left_alone() -> None:
    array = np.ones((2, 2))
    x: Any = Ball(array)
    x[0] = 5
    x += 1
    assert array.tolist() == [[1, 1], [1, 1]]


def test_an_array_or_index_that_changes_later_changes_no_radius() -> None:
    x, array, index, mask = ball(), np.ones((2, 3)), [0, 0], np.array([True, False])
    results: list[Any] = [x * array, (x @ np.eye(3))[index], np.where(mask[:, None], x, 0)]
    same: list[Any] = [x * np.ones((2, 3)), (x @ np.eye(3))[[0, 0]], np.where([[True], [False]], x, 0)]
    before = [b.radius.tolist() for b in same]
    array[...], index[:], mask[:] = 100, [1, 1], [False, True]
    assert [b.radius.tolist() for b in results] == before


@pytest.mark.parametrize("duplicate", [copy, deepcopy, np.copy, np.array, lambda x: +x, lambda x: x.astype(x.dtype)])
def test_a_copy_is_one(duplicate: Callable[[Any], Any]) -> None:
    x = ball()
    y: Any = np.array(x, like=x) if duplicate is np.array else duplicate(x)
    x[...] = 0
    assert y.value.tolist() == ball().value.tolist()
    assert (y.radius == 0.5).all()


def test_fill_and_iteration() -> None:
    x = ball()
    for row in x:
        row[0] = 0
    assert x.value[:, 0].tolist() == [0, 0]
    assert x.radius[:, 0].tolist() == [0, 0]
    x[1].fill(2)
    assert (x.value[1].tolist(), len(x)) == ([2, 2, 2], 2)


@pytest.mark.parametrize("write", [
    lambda a, x: a.__setitem__(..., x), lambda a, x: a.__iadd__(x), lambda a, x: np.add(x, x, out=a),
    lambda a, x: a.__setitem__(slice(None), [x[0], x[1]]), np.copyto, lambda a, x: np.sum(x, out=a),
    lambda _, x: np.asarray(x), lambda _, x: float(x), lambda _, x: np.array([x, x]),
])  # fmt: skip
def test_an_ordinary_array_takes_no_ball_and_the_error_says_what_does(write: Callable[[Array, Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"start from np\.zeros_like\(x\) or np\.zeros\(shape, like=x\)"):
        write(np.zeros((2, 3)), ball())


def test_one_element_of_an_ordinary_array_takes_no_ball_either() -> None:
    """The ValueError is NumPy's own; its cause is ours."""
    with pytest.raises(ValueError, match="setting an array element") as error:
        np.zeros(3)[0] = ball()
    assert "np.zeros_like(x)" in str(error.value.__cause__)


def test_a_value_of_another_format_is_refused() -> None:
    with pytest.raises(TypeError, match="float32 takes no value of float64"):
        Ball(np.zeros(2, np.float32))[...] = Ball(np.ones(2))


def test_numbers_that_the_format_cannot_hold_bring_their_rounding() -> None:
    x: Any = Ball(np.zeros(3, np.float32))
    with np.errstate(over="ignore"):
        x[...] = np.array([0.1, 0.5, 1e300])
    assert x.radius[1] == 0
    assert x.radius[0] >= abs(float(np.float32(0.1)) - 0.1) > 0
    assert np.isinf(x.radius[2])


def test_nothing_is_left_of_a_step_that_is_over() -> None:
    """No cycle of references, which would keep the memory of whole steps until the collector runs."""

    def steps() -> None:
        x, W = ball(), Ball(np.ones((2, 3))).remember()
        for _ in range(3):
            z: Any = x @ W.mT
            z += 1
            z[z <= 0] = 0
            z.mT[0] = 1
            x.mT[:2] = z
            W -= 0.1 * z @ x
        W.forget()

    def balls() -> int:
        return sum(type(o) is Ball for o in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = balls()
        steps()
        assert balls() == before
    finally:
        gc.enable()


def test_a_loop_that_updates_in_place_keeps_no_history() -> None:
    """Its radii are evaluated as it goes: no chain of operations is as long as the loop, too long for Python."""
    w, g = ball(0.0), ball(1e-3)
    for _ in range(2000):
        w -= 0.5 * g
        w[0] = 1
    assert 1 <= w.radius[1, 0] < 1.001
    assert w.radius[0].tolist() == [0, 0, 0]


def test_products_that_are_kept_are_not_changed_by_one_who_got_them() -> None:
    x, W = ball(), Ball(np.ones((2, 3))).remember()
    first = x @ W.mT
    first[...] = 0
    assert (x @ W.mT).value.tolist() == [[6, 6], [15, 15]]
    W.mT[...] = 2  # and a view of what is kept is written through
    assert (x @ W.mT).value.tolist() == [[12, 12], [30, 30]]
    W.forget()


def test_a_fraction_s_own_rounding() -> None:
    x: Any = Ball(np.zeros(1, np.float32), 0, F32)
    x[0] = 0.1
    assert worst(x, rational(np.array([0.1])), [np.array([0.1], np.float32)]) <= 1
