"""A chart: what is drawn, as plain data, and where its lines lie on the page. Pure functions.

A default run has some 700 charts in its report. matplotlib draws one in 30 ms and 12 kB, which would be 20 s and 8 MB,
and knows no dark theme; these take 0.2 ms and 1 kB, and their colours are the page's. ``reports/figures.py`` draws the
same data with matplotlib, a file each.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np

WIDTH, HEIGHT = 320, 170
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 24
"""Units of the drawing: its size, and the room around the axes, for the numbers beside them."""

ZERO = 0.12
"""Of the height: the room for 0 below a logarithmic axis."""

MOST = 1e300
"""A larger number lies on the edge, as infinity does: the difference of two such would overflow."""

CLOSE = 10
"""Units within which two numbers beside an axis would lie on each other."""

TICKS = 4
"""Numbers beside an axis, about."""

Style = Literal["first", "second", "error", "radius", "third", "fourth", "fifth", "sixth"]


class Line(NamedTuple):
    """One curve. NaN breaks it."""

    name: str
    y: tuple[float, ...]
    style: Style


class Mark(NamedTuple):
    """One point that is named."""

    name: str
    step: int
    y: float
    kind: Literal["worst", "wrong"]


class Chart(NamedTuple):
    """What is drawn over training steps."""

    title: str
    what: str                    # the vertical axis, in words
    steps: tuple[int, ...]
    lines: tuple[Line, ...]
    log: bool = False
    marks: tuple[Mark, ...] = ()


class Tick(NamedTuple):
    """A number beside an axis, and where."""

    at: float
    text: str


class Path(NamedTuple):
    """A line as SVG draws it."""

    style: str
    d: str


class Point(NamedTuple):
    """A mark, and where."""

    name: str
    x: float
    y: float
    kind: str


class Laid(NamedTuple):
    """A chart with everything in its place."""

    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    paths: tuple[Path, ...]
    points: tuple[Point, ...]


class Scale(NamedTuple):
    """From a value to a place on an axis."""

    low: float
    high: float
    start: float   # where low is
    stop: float    # where high is
    log: bool = False

    def at(self, value: float) -> float:
        """The place of a value: on the edge, where it is beyond, and of what a logarithm does not have."""
        if self.log:
            value = math.log10(value) if value > 0 else -math.inf
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.stop - self.start), 1)


def laid(chart: Chart) -> Laid:
    """The chart's lines, ticks and marks."""
    steps = [*chart.steps, *(mark.step for mark in chart.marks)] or [0]
    x = Scale(min(steps), max(*steps, min(steps) + 1), LEFT, WIDTH - RIGHT)
    y = _upright(chart)
    paths = tuple(Path(line.style, _path(chart.steps, line.y, x, y)) for line in chart.lines)
    points = tuple(Point(m.name, x.at(m.step), y.at(m.y), m.kind) for m in chart.marks if not math.isnan(m.y))
    across = tuple(Tick(x.at(t), f"{t:g}") for t in _even(x.low, x.high, whole=True))
    zero = _zero(chart, y)
    up = tuple(tick for tick in _up(y) if not zero or abs(tick.at - zero[0].at) > CLOSE)
    return Laid(across, (*zero, *up), paths, points)


def _upright(chart: Chart) -> Scale:
    every = np.array([v for line in chart.lines for v in line.y] + [m.y for m in chart.marks], float)
    values = every[np.isfinite(every) & ((every > 0) | (not chart.log))].clip(-MOST, MOST)
    low, high = (float(values.min()), float(values.max())) if values.size else (0.1, 1.0)
    if chart.log:
        low, high = math.log10(low), math.log10(high)
        room = 0.05 * (high - low)
        low, high = min(low - room, (low + high) / 2 - 0.6), max(high + room, (low + high) / 2 + 0.6)
        return Scale(low - ZERO * (high - low) * bool((every == 0).any()), high, HEIGHT - BOTTOM, TOP, log=True)
    room = 0.05 * (high - low) or abs(high) or 1.0
    return Scale(low - room, high + room, HEIGHT - BOTTOM, TOP)


def _up(y: Scale) -> tuple[Tick, ...]:
    if not y.log:
        return tuple(Tick(y.at(v), f"{v:.4g}") for v in _even(y.low, y.high))
    powers = range(math.ceil(y.low), math.floor(y.high) + 1)
    if y.high - y.low < 2:  # decades: 2 and 5 times a power as well
        finer = [n * 10.0**k for k in range(math.floor(y.low), math.ceil(y.high) + 1) for n in (1, 2, 5)]
        return tuple(Tick(y.at(v), f"{v:.0e}".replace("e-0", "e-").replace("e+0", "e")) for v in finer
                     if y.low <= math.log10(v) <= y.high)  # fmt: skip
    stride = max(1, math.ceil(len(powers) / TICKS))
    return tuple(Tick(y.at(10.0**k), f"1e{k}") for k in powers[::stride])


def _zero(chart: Chart, y: Scale) -> tuple[Tick, ...]:
    """The edge of a logarithmic axis, where 0 is, if there is one."""
    return (Tick(y.at(0), "0"),) if y.log and any(v == 0 for line in chart.lines for v in line.y) else ()


def _even(low: float, high: float, *, whole: bool = False) -> list[float]:
    """About TICKS round numbers from low to high."""
    if not high > low or not math.isfinite(high - low):
        return [low]
    raw = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    size = power * next(n for n in (1, 2, 5, 10) if n * power >= raw * 0.7)
    size = max(size, 1) if whole else size
    first = math.ceil(low / size - 1e-9)
    return [k * size for k in range(first, first + 2 * TICKS + 2) if k * size <= high + 1e-9 * size]


def _path(steps: Sequence[int], values: Iterable[float], x: Scale, y: Scale) -> str:
    """Moves and lines; a lone point is a line to itself, which round ends make a dot of."""
    parts: list[str] = []
    last: tuple[float, float] | None = None
    for t, v in zip(steps, values, strict=True):
        if math.isnan(v):
            last = None
            continue
        now = x.at(t), y.at(v)
        if last is None:
            parts.append(f"M{now[0]:g} {now[1]:g}l0 0")
        else:  # relative to the last, which is shorter
            parts.append(f" {round(now[0] - last[0], 1):g} {round(now[1] - last[1], 1):g}".replace(" -", "-"))
        last = now
    return "".join(parts)


def in_words(chart: Chart) -> str:
    """What the chart shows, for those who do not see it."""
    return f"{chart.title}, {chart.what}{', logarithmic' if chart.log else ''}. " + " ".join(
        [*map(_line_in_words, chart.lines), *(f"{m.name}: {m.y:.3g} at step {m.step}." for m in chart.marks)]
    )


def _line_in_words(line: Line) -> str:
    y = [v for v in line.y if not math.isnan(v)]
    if not y:
        return f"{line.name}: none."
    if min(y) == max(y):
        return f"{line.name}: {y[0]:.3g} throughout."
    return f"{line.name}: from {y[0]:.3g} to {y[-1]:.3g}, between {min(y):.3g} and {max(y):.3g}."
