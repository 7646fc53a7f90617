"""The charts of a run: its series, and the rows of its certificate, as charts and tables. Pure functions."""

import math
from typing import NamedTuple

from torch_mirror.judge.findings import Row
from torch_mirror.judge.series import Curves, Series
from torch_mirror.judge.verdict import Certificate
from torch_mirror.reports.html.chart import Chart, Line, Mark, Style

STYLES: tuple[Style, ...] = ("first", "second", "third", "fourth", "fifth", "sixth")

AT_ONCE = 6
"""Tensors whose errors are drawn at once, the nearest to their radius first; the others are unfolded."""


class Table(NamedTuple):
    """Numbers as text."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Group(NamedTuple):
    """Charts of one kind, or why there are none."""

    title: str
    about: str
    charts: tuple[Chart, ...] = ()
    table: Table | None = None
    folded: tuple[Chart, ...] = ()
    missing: str = ""
    many: bool = False  # whether it is a chart for each of several tensors


def groups(c: Certificate) -> tuple[Group, ...]:
    """What is drawn of a run, the groups of one chart first; nothing of a certificate that has no series."""
    s = c.series
    if s is None:
        return ()
    return _loss(s), _distance(c, s), _gradients(s), _score(s), _errors(c, s), _weights(s)


def _loss(s: Series) -> Group:
    about = f"Of {' and '.join(s.loss.values)}, before the update; curves that coincide show as one."
    about += f" Beware: {s.missing['loss']}." if "loss" in s.missing else ""
    return Group("Loss", about, (_chart("Loss", "loss before the update", s.loss),), _table(s.loss, 17))


def _distance(c: Certificate, s: Series) -> Group:
    about = "Euclidean, over all parameters, after the update. Explained step by step, never gated."
    if not s.distance.values:
        return Group("Distance of the free runs", about, missing=s.missing.get("distance", "no step was taken"))
    if not any(s.distance.values["distance"]):
        about += " The two runs have the same bits at every step that is shown."
    relative = c.end_distance_relative
    if relative is not None:
        about += f" At the end it is {relative:.2g} of the parameters' own norm."
    about += f" {_comparable(s)}"
    chart = _chart("Distance of the free runs", "distance", s.distance, log=True)
    return Group("Distance of the free runs", about, (chart,), _table(s.distance, 6))


def _comparable(s: Series) -> str:
    """From which of the steps that are shown on the end states of the two runs say nothing about each other.

    That is where twice the distance exceeds the way from the start, at this step and at all behind it: then the runs
    are less alike than each of them is like the start, and rounding, amplified, is what has driven them apart.
    """
    steps, way = s.distance.steps, s.distance.values.get("way from the start")
    if way is None:
        return ""
    apart = [2 * d > w for d, w in zip(s.distance.values["distance"], way, strict=True)]
    if not apart[-1]:
        return "Twice as much is less than the way from the start: the end states can be compared."
    since = next(i for i in range(len(apart)) if all(apart[i:]))
    before = f"of those shown, step {steps[since - 1]} is the last before it" if since else "the first that is shown"
    return (
        f"The end states cannot be compared from step {steps[since]} on ({before}): twice the distance exceeds the way "
        "that the run has come from the start. Each step is judged by itself, and so is right all the same."
    )


def _gradients(s: Series) -> Group:
    about = f"Mean |dW| of each weight, of {s.sides[0]}'s run."
    if not s.gradients.values:
        return Group("Gradients by layer", about, missing=s.missing.get("gradients", "no step was taken"))
    chart = _chart("Gradients by layer", "mean |dW|", s.gradients, log=True)
    return Group("Gradients by layer", about, (chart,), _table(s.gradients, 6))


def _weights(s: Series) -> Group:
    about = f"After the update, of {s.sides[0]}'s run: each element, or of more than a few their quantiles."
    charts = tuple(_chart(name, "value", curves) for name, curves in s.weights.items())
    head = tuple(f"{name} {one}" for name, curves in s.weights.items() for one in curves.values)
    steps = next((curves.steps for curves in s.weights.values()), ())
    columns = [v for curves in s.weights.values() for v in curves.values.values()]
    table = Table(("step", *head), tuple((str(t), *(_number(v[i], 6) for v in columns)) for i, t in enumerate(steps)))
    return Group("Weight history", about, charts[:AT_ONCE], table, charts[AT_ONCE:], many=True)


def _score(s: Series) -> Group:
    title = s.scored or "Score on held-out data"
    if not s.score.values:
        return Group(title, "On data that nobody trained on.", missing=s.missing.get("score", "no step was taken"))
    charts = (_chart(title, f"{title} on held-out data", s.score),)
    return Group(title, "On data that nobody trained on, after the update.", charts, _table(s.score, 6))


def _errors(c: Certificate, s: Series) -> Group:
    """Error and radius of each tensor; those that are nearest to their radius, or beyond it, first."""
    title = "Error against radius"
    about = (
        "Of each tensor on the operands that the run itself has, at the worst element of each step that is shown: the "
        "error, and the radius that it must stay within. A ring is the worst of all steps, where that is known; a "
        "cross is the first that is wrong."
    )
    if not s.errors.values:
        return Group(title, about, missing="no tensor of the trace was looked at", many=True)
    charts = sorted((_error(c, s, name) for name in s.errors.values), key=_nearness, reverse=True)
    head = ("tensor", *(f"step {t}" for t in s.errors.steps))
    rows = tuple(
        (name, *(f"{_number(e, 2)} / {_number(r, 2)}" for e, r in zip(a, s.radii.values[name], strict=True)))
        for name, a in s.errors.values.items()
    )
    return Group(title, about, tuple(charts[:AT_ONCE]), Table(head, rows), tuple(charts[AT_ONCE:]), many=True)


def _error(c: Certificate, s: Series, name: str) -> Chart:
    lines = (
        Line("error", tuple(map(float, s.errors.values[name])), "error"),
        Line("radius", tuple(map(float, s.radii.values[name])), "radius"),
    )
    own = [row for row in c.rows if (row.tensor, row.side, row.check) == (name, s.sides[0], "local")]
    marks = tuple(mark for row in own for mark in _marks(row))
    return Chart(name, "|error| and radius", s.errors.steps, lines, log=True, marks=marks)


def _marks(row: Row) -> list[Mark]:
    """The worst of all steps, if it was named, and the first that is wrong."""
    named = row.worst if row.worst is not None and row.worst.ratio >= row.under else None
    found = [] if named is None else [Mark("worst", named.step, abs(named.seen - named.expected), "worst")]
    f = row.first
    found += [] if f is None else [Mark("first wrong", f.step, abs(f.seen - f.expected), "wrong")]
    return [mark for mark in found if math.isfinite(mark.y)]


def _nearness(chart: Chart) -> float:
    """The largest error / radius that is shown; what is marked wrong comes first."""
    if any(mark.kind == "wrong" for mark in chart.marks):
        return math.inf
    error, radius = (line.y for line in chart.lines)
    return max((e / r if r else (math.inf if e else 0.0) for e, r in zip(error, radius, strict=True)), default=0.0)


def _chart(title: str, what: str, curves: Curves, *, log: bool = False) -> Chart:
    named = enumerate(curves.values.items())
    lines = tuple(Line(name, tuple(map(float, y)), STYLES[i % len(STYLES)]) for i, (name, y) in named)
    return Chart(title, what, curves.steps, lines, log)


def _table(curves: Curves, digits: int) -> Table:
    rows = tuple(
        (str(t), *(_number(y[i], digits) for y in curves.values.values())) for i, t in enumerate(curves.steps)
    )
    return Table(("step", *curves.values), rows)


def _number(value: float, digits: int) -> str:
    return f"{float(value):.{digits}g}"

