"""Formulas in float64: right code has no doubt, however its constants were rounded, and each allowance is needed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reference import SGD, Experiment
from tests.doors.test_formulas import judged
from tests.judge.rounded import drawn
from tests.unruled import unruled
from torch_mirror import Session, session
from torch_mirror.balls.cell import Ball
from torch_mirror.judge.checks import formula
from torch_mirror.judge.checks.formula import MARGIN, ROUNDED_ONCE, Off, doubt_of, finding_of, outside, with_doubts_of
from torch_mirror.judge.compare import allowed
from torch_mirror.judge.findings import Doubt, Findings, Row

SEEDS = range(30)


def doubted(seed: int, factor: float = 1.0) -> bool:
    of = drawn(seed, factor)
    c, found = judged(of.experiment, of.using, explain=False)
    assert found.of
    assert not found.notes or found.outside, found.notes
    assert factor != 1 or c.verdict != "refuted"
    return bool(found.outside)


@pytest.mark.parametrize("seed", SEEDS)
def test_right_code_with_rounded_constants_has_no_doubt(seed: int) -> None:
    assert not doubted(seed)


def decay(factor: float = 1.0) -> tuple[Experiment, Callable[[Experiment], Session]]:
    """A linear layer of 0.001 x, which torch has as 1 - 0.999 of float32: 0.00100001, and NumPy as 1 - 0.999."""
    draw = np.random.default_rng(0)
    x, t = ((draw.normal(size=(4000, n)) + 3).astype("f4") for n in (3, 2))

    def mine(p: Any, x: Any, t: Any) -> Any:
        h = x * (1 - 0.999)
        d = h @ p["W"] - t
        return np.mean(d**2), {"W": h.T @ (2 * factor * d / d.size)}

    class Decay(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.keep = nn.Parameter(torch.zeros(2, 3)), torch.tensor(0.999)

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(x * (1 - self.keep), self.weight)

    def using(e: Experiment) -> Session:
        net = Decay()
        return session(e, net, {"W": "weight.T"}, nn.MSELoss(), torch.optim.SGD(net.parameters(), lr=0.1))

    W = (0.3 * draw.normal(size=(3, 2))).astype("f4")
    return Experiment(mine, {"W": W}, x, t, None, SGD(0.1), steps=2), using


def test_a_constant_that_torch_makes_of_another_needs_the_second_allowance(monkeypatch: pytest.MonkeyPatch) -> None:
    e, using = decay()
    c, found = judged(e, using, explain=False)
    assert (c.verdict, {*found.outside}, found.notes) == ("certified", set(), ())
    c, found = judged(*decay(1.0004), explain=False)
    assert (c.verdict, {*found.outside}) == ("certified", {"dW"})
    monkeypatch.setattr(formula, "MARGIN", 0.0)
    _, found = judged(e, using, explain=False)
    assert "dW" in found.outside


def test_the_first_allowance_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it 0.1 is not np.float32(0.1); the second one does not help everywhere."""
    monkeypatch.setattr(formula, "ROUNDED_ONCE", ROUNDED_ONCE._replace(u=2.0**-49))
    monkeypatch.setattr(formula, "MARGIN", 0.0)
    assert sum(doubted(seed) for seed in SEEDS) >= 10


def test_a_factor_that_float32_hides_is_doubted_in_the_same_code() -> None:
    """1.0001 at dW, in ten that float32 certifies."""
    with unruled():
        found = [judged(of.experiment, of.using, explain=False) for seed in SEEDS if (of := drawn(seed, 1.0001))]
    hidden = [f for c, f in found if c.verdict == "certified"]
    assert len(hidden) >= 8
    assert sum({*f.outside} == {"dW"} for f in hidden) >= 0.7 * len(hidden)


# --- what is said -----------------------------------------------------------------------------------------------------


def off(by: float = 0.0) -> Off:
    """One row of three, of which the second is off by so many radii."""
    return Off(np.array([[1.0, 2.0 + by, 3.0]]), np.array([[1.0, 2.0, 3.0]]), np.ones((1, 3)))


def test_a_doubt_is_the_largest_error_in_radii() -> None:
    assert doubt_of(off(-5.0)) == Doubt("formula", 5.0, 0.0)
    f = finding_of("dW", 7, off(-5.0))
    assert (f.check, f.side) == ("local", "torch")
    assert (f.tensor, f.step, f.index, f.seen, f.expected) == ("dW", 7, (1,), -3, 2)
    assert (f.ratio, f.outside, f.size) == (5, 1, 3)


def test_where_a_radius_is_infinite_or_nothing_is_a_number_nothing_is_outside() -> None:
    assert not off(5.0)._replace(radius=np.full((1, 3), np.inf)).outside
    assert not off(np.nan).outside
    assert off(np.inf)._replace(radius=np.full((1, 3), 1.0)).outside


@pytest.mark.parametrize("flat", [0, formula.BLOCK - 1, formula.BLOCK, 3 * formula.BLOCK - 1])
@pytest.mark.parametrize("units", [0.9, 1e4, np.nan, np.inf])
def test_a_sum_needs_no_radius_where_the_rounding_of_its_result_explains_all(flat: int, units: float) -> None:
    """The radius is that and more; of an element that is further off it is evaluated."""
    draw = np.random.default_rng(0)
    x, w = (Ball(draw.normal(size=shape), 0, ROUNDED_ONCE) for shape in ((1, 3 * 256, 8), (8, formula.BLOCK // 256)))
    total: Ball = x @ w
    seen = total.value.copy()
    seen.reshape(-1)[flat] *= 1 + units * ROUNDED_ONCE.u
    found = formula._off(seen, total)
    assert found.outside == (units in (1e4, np.inf))
    assert np.isinf(found.radius).all() == (units < 1)
    assert (allowed(total) >= ROUNDED_ONCE.u * np.abs(total.value)).all()


def test_what_constants_change_is_added_up() -> None:
    """The first twin is the run's with constants computed anew, from which the others are told."""
    anew, one, other = {"a": off(5.5)}, {"a": off(5.5 + 0.3)}, {"a": off(5.5 - 0.6)}
    assert 1 + MARGIN * 0.5 < 5 < 1 + MARGIN * (0.5 + 0.3 + 0.6)
    assert outside({"a": off(5.0)}, lambda: [anew]).keys() == {"a"}
    assert outside({"a": off(5.0)}, lambda: [anew, one, other]) == {}
    assert outside({"a": off(0.5)}, lambda: pytest.fail("no twin is needed")) == {}


def test_a_doubt_goes_to_torchs_row_that_has_none() -> None:
    other = Doubt("factor", 1.1, 1e-9)
    a, b, c = (Row(name, "local", "torch") for name in "abc")
    rows = a, a._replace(side="numpy"), b._replace(doubt=other), c
    found = with_doubts_of(Findings(rows), {"a": off(5.0), "b": off(5.0)})
    assert [row.doubt for row in found.rows] == [doubt_of(off(5.0)), None, other, None]
    assert [row.sought for row in found.rows] == [1, 0, 0, 0]


@pytest.mark.parametrize(("seen", "told"), [(3.3, False), (3.5, True), (-3.3, False), (-3.5, True)])
def test_a_moved_constant_is_held_against_the_twin_with_constants_anew_and_what_came_before_is_kept(
    seen: float, told: bool,  # noqa: FBT001 - a case
) -> None:
    """1 of the radius, and MARGIN times a change of 0.5 by the twin anew and of 0.1 beside that."""

    def off(by: float) -> dict[str, Off]:
        return {"W": Off(np.array([by]), np.zeros(1), np.ones(1))}

    assert bool(outside(off(seen), lambda: [off(seen + 0.5), off(seen + 0.6)])) is told
