"""One run as the gate keeps it: its verdict, a figure for each row of its certificate, and its fingerprints."""

from collections.abc import Iterable
from typing import NamedTuple

from torch_mirror.judge.findings import Check, Doubt, Row, Side
from torch_mirror.judge.verdict import Certificate, Verdict
from torch_mirror.reports.gate.prints import Print, Timeline
from torch_mirror.reports.text import details

DIGITS = 4
"""Significant digits of what is kept: enough to tell a factor, few enough to read."""

INDENT = "    "
"""What stands before each line about a certificate: what is told of it keeps the rest of its indentation."""

FACTOR = 10
"""The same of what a doubt goes by, which may be a factor of 1.000001."""


class Figure(NamedTuple):
    """Of a tensor, by one check of one side, over all steps."""

    tensor: str
    side: Side
    check: Check
    judged: int
    vacuous: int
    headroom: float            # the largest error / radius, or where none was named a bound of it
    bound: bool                # whether it is such a bound
    resolution: float | None
    doubt: Doubt | None = None

    @property
    def place(self) -> tuple[str, Side, Check]:
        """What it is of."""
        return self[:3]


class Claim(NamedTuple):
    """A run, in one precision."""

    name: str
    dtype: str
    seed: int | None
    steps: int
    verdict: Verdict
    distance: float | None            # of the two runs' ends, see Certificate.end_distance
    figures: tuple[Figure, ...] = ()
    prints: tuple[Print, ...] = ()
    timelines: tuple[Timeline, ...] = ()
    why: tuple[str, ...] = ()         # in words why it is not certified, and which lines of the user's are at fault

    @property
    def key(self) -> tuple[str, str]:
        """What it is found by."""
        return self[:2]

    @property
    def judged(self) -> int:
        """Elements that could have failed."""
        return sum(f.judged for f in self.figures)


class Baseline(NamedTuple):
    """What was there before: the claims, and what they were computed with, by name."""

    environment: dict[str, str]
    claims: tuple[Claim, ...]


def claim_of(c: Certificate, prints: Iterable[Print] = (), timelines: Iterable[Timeline] = ()) -> Claim:
    """What is kept of a certificate; a certified one is not explained."""
    why = () if c.verdict == "certified" else tuple(line.removeprefix(INDENT) for line in details(c))
    figures = tuple(figure(row) for row in c.rows)
    distance = None if c.end_distance is None else short(c.end_distance)
    bits = tuple(prints), tuple(timelines)
    return Claim(c.experiment, c.dtype, c.seed, int(c.steps), c.verdict, distance, figures, *bits, why)


def figure(row: Row) -> Figure:
    """What is kept of a row."""
    known = row.worst is not None and row.worst.ratio >= row.under
    headroom = row.worst.ratio if known and row.worst else row.under
    resolution = None if row.resolution is None else short(row.resolution)
    doubt = row.doubt and Doubt(row.doubt.sign, short(row.doubt.figure, FACTOR), short(row.doubt.probability))
    counts = int(row.judged), int(row.vacuous)
    bound = not known and headroom > 0
    return Figure(row.tensor, row.side, row.check, *counts, short(headroom), bound, resolution, doubt)


def short(value: float, digits: int = DIGITS) -> float:
    """The number, in so many significant digits."""
    return float(f"{float(value):.{digits}g}")
