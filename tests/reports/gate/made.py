"""Claims for the tests of the gate, made by hand."""

from typing import Any

from torch_mirror.judge.findings import Doubt
from torch_mirror.reports.gate.claim import Baseline, Claim, Figure
from torch_mirror.reports.gate.digits import packed
from torch_mirror.reports.gate.prints import LOW, Print, Timeline

HERE = {"numpy": "2.4.6", "processor": "one"}
THERE = HERE | {"processor": "another"}
DOUBT = Doubt("factor", 1.000001, 1e-9)
FIGURES = (
    Figure("z", "torch", "local", 1000, 0, 0.25, False, 1e-15),
    Figure("dW", "torch", "local", 100, 0, 0.125, False, 2e-15),
    Figure("dW", "both", "end to end", 90, 10, 0.03, True, 3e-14),
    Figure("dW", "numpy", "local", 40, 0, 0.5, False, None),
    *(Figure(f"a{i}", "torch", "local", 10, 0, 0.125, False, 1e-15) for i in range(3)),
)
PRINTS = (
    Print("z", "torch", "AAAAAAAA", "ABCDEF", "0x1.8p-3", packed([0] * 5, LOW)),
    Print("dW", "torch", "BBBBBBBB", "ABCDEF", "0x1p-3", ""),
)
TIMELINES = (Timeline("torch", "ABCDEFGHIJKLMNOPQRST"),)
CLAIM = Claim("mine.py:net", "float64", 0, 20, "certified", 1e-14, FIGURES, PRINTS, TIMELINES)


def baseline(*claims: Claim, environment: dict[str, str] = HERE) -> Baseline:
    """A baseline of these claims."""
    return Baseline(environment, claims)


def with_row(row: int, **changes: Any) -> Claim:
    """CLAIM, with one row otherwise."""
    figures = list(CLAIM.figures)
    figures[row] = figures[row]._replace(**changes)
    return CLAIM._replace(figures=tuple(figures))
