"""The short way of a large sum whose operands have radii: taken only where no element of it can be vacuous."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reference.arrays import Array
from tests.benchmarks.large import WHOLE, classifier, without_sow
from torch_mirror import verify
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.balls.rules import sums
from torch_mirror.judge.checks import local
from torch_mirror.judge.checks.updates import Update, judge_update
from torch_mirror.judge.compare import VERY_MANY, Where, allowed, compare
from torch_mirror.judge.findings import Row
from torch_mirror.training.session import Session

HERE = Where("dW", "torch", "local", range(3))
F64 = format_of(np.dtype(np.float64))


@pytest.fixture(autouse=True)
def _divergence_is_judged_not_warned_of() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


def product(relative: float) -> tuple[Ball, Array]:
    """A large sum of an operand with radii of that relative size, and another evaluation of it."""
    draw = np.random.default_rng(0)
    x, w = draw.normal(size=(3, 300, 40)), draw.normal(size=(3, 40, 400))
    equation: Ball = Ball(x, relative * np.abs(x)) @ Ball(w)
    assert equation.size >= VERY_MANY
    return equation, x[..., ::-1] @ w[..., ::-1, :]


# --- the bound at some elements, and what none exceeds ----------------------------------------------------------


@given(seed=st.integers(0, 2**32), terms=st.integers(1, 40), exponent=st.integers(-60, 0), bias=st.booleans())
def test_a_bound_at_some_elements_is_that_of_all_and_none_exceeds_the_most(
    seed: int, terms: int, exponent: int, *, bias: bool
) -> None:
    draw = np.random.default_rng(seed)
    x, w, b = draw.normal(size=(2, 4, terms)), draw.normal(size=(terms, 3)), draw.normal(size=3)
    e = draw.random(x.shape) * 2.0**exponent
    equation: Any = Ball(x, e) @ Ball(w, draw.random(w.shape) * 2.0**-50 if seed % 2 else 0)
    equation = equation + Ball(b, 2.0**-40 if seed % 3 else 0) if bias else equation
    total = equation.open
    at = tuple(np.indices((2, 4, 3)).reshape(3, -1))
    gamma = F64.gamma(total.terms)
    there, everywhere = total.bound_at(gamma, at), np.broadcast_to(total.bound(gamma), (2, 4, 3)).reshape(-1)
    rounding = 4 * F64.gamma(total.terms + 8)
    assert (np.abs(there - everywhere) <= rounding * everywhere).all()
    assert sums.most(total, F64) >= float(equation.radius.max())


def test_numbers_too_small_for_their_squares_have_no_most() -> None:
    x, w = np.full((1, 4, 5), 1e-200), np.full((5, 3), 1e100)
    equation: Any = Ball(x, np.full(x.shape, 1e-210)) @ Ball(w)
    assert sums.most(equation.open, F64) == np.inf


# --- every element is judged all the same -----------------------------------------------------------------------


@pytest.mark.parametrize("radii", [-1.3, 1.3, 1e9])
def test_an_element_outside_is_found(radii: float) -> None:
    for flat in (0, VERY_MANY, 3 * 300 * 400 - 1):
        equation, seen = product(1e-14)
        wrong = seen.copy()
        distance = allowed(product(1e-14)[0]).reshape(-1)[flat]
        wrong.reshape(-1)[flat] = equation.value.reshape(-1)[flat] + radii * distance
        row = compare(wrong, equation, HERE, above=1.0).rows[0]
        assert row.under == 1.0, "the short way was not taken"
        assert row.first is not None
        assert (row.first.step, *row.first.index) == tuple(int(i) for i in np.unravel_index(flat, seen.shape))
        assert (row.first.outside, row.judged) == (1, seen.size)


def test_a_radius_that_leaves_nothing_to_judge_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole tensor is vacuous; with a bound that is too small, and no look at what it tells, it would pass."""

    def row() -> Row:
        equation, seen = product(10.0)
        return compare(seen, equation, HERE, above=1.0).rows[0]

    assert (row().judged, row().decides) == (0, False)
    monkeypatch.setattr(sums, "most", lambda *_: 0.0)
    assert (row().judged, row().decides) == (0, False)
    monkeypatch.setattr("torch_mirror.judge.compare.tells", lambda *_: True)
    assert row().decides


# --- a network that tells no value between x and y --------------------------------------------------------------


def large() -> Any:
    return replace(classifier(WHOLE["784-128-64-10"], "float64"), steps=6)


def judged(using: Callable[..., Session] = without_sow) -> Any:
    return verify(large(), using=using, explain=False)


def test_its_large_updates_are_judged_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def noted(update: Update, *rest: Any) -> list[Row] | None:
        seen.append(update.name)
        return judge_update(update, *rest)

    monkeypatch.setattr(local, "judge_update", noted)
    right = judged()
    assert right.verdict == "certified"
    assert "W1" in seen
    seen.clear()
    monkeypatch.setattr(local, "_bounded", lambda *_: False)
    slowly = judged()
    assert seen == []
    assert [row[:6] for row in slowly.rows] == [row[:6] for row in right.rows]
    assert slowly.verdict == "certified"


def test_what_is_not_held_and_may_overflow_is_not_bounded() -> None:
    fmt, x = format_of(np.dtype(np.float32)), np.full((1, 2), 1e15, np.float32)
    assert local._bounded(Ball(x), fmt)
    assert not local._bounded(Ball(x, 1e17), fmt)
    assert not local._bounded(Ball(x, np.inf), fmt)
    assert not local._bounded(x, fmt)


class Nudged(torch.optim.SGD):
    """One element of the first weight ends elsewhere after one step."""

    taken = 0

    def step(self, closure: Any = None) -> Any:
        super().step(closure)
        self.taken += 1
        if self.taken == 3:
            with torch.no_grad():
                self.param_groups[0]["params"][0][7, 5] *= 1 + 1e-14


def test_one_element_of_a_large_update_is_told() -> None:
    def using(e: Any) -> Session:
        own = without_sow(e)
        return own._replace(optimizer=Nudged(own.module.parameters(), lr=e.optimizer.lr))

    first = judged(using).first
    assert first is not None
    assert (first.tensor, first.check, first.step, first.index) == ("W1", "local", 2, (7, 5))


def test_one_element_of_a_large_gradient_is_told() -> None:
    def using(e: Any) -> Session:
        own = without_sow(e)

        def off(g: torch.Tensor) -> torch.Tensor:
            g = g.clone()
            g[7, 5] += 1e-12
            return g

        own.module[0].weight.register_hook(off)  # type: ignore[index]  # an nn.Sequential
        return own

    first = judged(using).first
    assert first is not None
    assert (first.tensor, first.check, first.step, first.index) == ("dW1", "local", 0, (7, 5))
