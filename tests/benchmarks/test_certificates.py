"""The same certificate with and without the judge's short ways, for what the speed is measured on.

A short way may leave open which element was worst, and tell a share of the radius that none exceeds instead. Where
two runs part by more than a part of r[t] explains, the long way steps once more to look, and where that is depends on
how sums are rounded. All else is the same: what was compared and looked at, what was refuted and where, what was
doubted, the verdict and the notes.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reference import experiments
from reference.arrays import Array
from reference.claim.experiment import Experiment
from tests.benchmarks.large import WHOLE, classifier, without_sow
from tests.benchmarks.test_speed import VERIFIED
from tests.unruled import unruled
from torch_mirror import Certificate, verify
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.judge import compare
from torch_mirror.judge.checks import local, trajectory
from torch_mirror.judge.compare import Where
from torch_mirror.judge.findings import Row
from torch_mirror.training.session import Session, session

STEPS = 3
TERMS = 1024
"""More than any sum here has."""

SIZE = "784-128-64-10"
CASES = [*VERIFIED, "mlp-relu", SIZE, f"{SIZE}, without sow"]


def of(case: str, dtype: str) -> tuple[Experiment, Callable[[Experiment], Session]]:
    name, _, sows = case.partition(", ")
    e = classifier(WHOLE[name], dtype) if name in WHOLE else experiments.load(name, dtype)
    return replace(e, steps=STEPS), without_sow if sows else session


def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every radius of every tensor, and every step of the free run."""

    def every_step(*given: Any, **_closely: bool) -> Any:
        return trajectory.judge_free_run(*given, closely=True)

    monkeypatch.setattr(compare, "_selected", lambda *_: (None, 0.0))
    monkeypatch.setattr(compare, "_of_a_propagated_sum", lambda *_: (None, 0.0))
    monkeypatch.setattr(compare, "_in_blocks", lambda *_: None)
    monkeypatch.setattr(local, "judge_update", lambda *_: None)
    monkeypatch.setattr(trajectory, "LARGE", 1 << 60)
    monkeypatch.setattr("torch_mirror.judge.hearing.judge_free_run", every_step)


def used(row: Row) -> float:
    """What share of its radius no element exceeds."""
    return max(row.under, row.worst.ratio if row.worst else 0.0)


def check_the_same(short: Certificate, long: Certificate) -> None:
    assert (short.verdict, short.notes, short.idle) == (long.verdict, long.notes, long.idle)
    assert [row[:3] for row in short.rows] == [row[:3] for row in long.rows]
    rounding = 2 * format_of(np.dtype(short.dtype)).gamma(TERMS)  # of two radii, each of them a sum of magnitudes
    for a, b in zip(short.rows, long.rows, strict=True):
        if a.check == "end to end" and a.comparisons < b.comparisons:
            continue
        assert (a.comparisons, a.judged, a.vacuous, a.infinite) == (b.comparisons, b.judged, b.vacuous, b.infinite)
        assert (a.zero, a.forms, a.sought, a.doubt, a.unbounded) == (b.zero, b.forms, b.sought, b.doubt, b.unbounded)
        assert used(a) >= used(b) * (1 - rounding)
        assert (a.first is None) == (b.first is None)
        if a.first and b.first:
            assert a.first[1:8] == b.first[1:8]  # where, what was seen and what was expected


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES)
def test_certified(case: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    e, using = of(case, dtype)
    short = verify(e, using=using)
    slowly(monkeypatch)
    check_the_same(short, verify(e, using=using))
    assert short.verdict == "certified"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES)
def test_refuted(case: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a learning rate that is off."""
    e, using = of(case, dtype)

    def wrong(e: Experiment) -> Session:
        own = using(e)
        for group in own.optimizer.param_groups:
            group["lr"] *= 1.01
        return own

    with unruled():
        short = verify(e, using=wrong)
        slowly(monkeypatch)
        check_the_same(short, verify(e, using=wrong))
    assert short.verdict == "refuted"


def test_a_short_way_that_leaves_out_an_error_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the tests above do see one."""
    e, using = of("two-layer-relu", "float64")
    long = verify(e, using=using)

    def nothing_found(seen: Array, _equation: Ball, where: Where, *_: Any) -> Row:
        return Row(where.tensor, where.check, where.side, where.entries(seen), seen.size, zero=False)

    monkeypatch.setattr(compare, "_closely", nothing_found)
    with pytest.raises(AssertionError):
        check_the_same(verify(e, using=using), long)
