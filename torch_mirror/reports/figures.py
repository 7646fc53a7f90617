"""The pictures of a report as files, drawn by matplotlib, the extra ``report``.

Nothing depends on the clock or on the user's settings: the same numbers give the same bytes.
"""

import io
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from torch_mirror.judge.verdict import Certificate
from torch_mirror.reports.html.chart import Chart
from torch_mirror.reports.html.claims import Gradients
from torch_mirror.reports.html.curves import groups
from torch_mirror.reports.html.pictures import Sheet
from torch_mirror.visible import visible

COLOURS = {
    "first": "#0072B2", "second": "#D55E00", "third": "#009E73", "fourth": "#CC79A7", "fifth": "#555555",
    "sixth": "#E69F00", "error": "#0072B2", "radius": "#D55E00",
}  # fmt: skip
"""Okabe and Ito's palette, whose colours the colour-blind can tell apart."""

DASHED = {"second", "radius", "fourth", "sixth"}
COLUMNS, ACROSS, PANEL = 3, 3.2, 2.2
"""Panels beside each other, and the size of one in inches."""

LEFT, RIGHT, TOP, BOTTOM = 0.72, 0.12, 0.28, 0.44
"""Inches around the axes of a panel, for its numbers, label and title. matplotlib would measure every text for them,
which took two thirds of the time."""

STYLE = {
    **mpl.rcParamsDefault,
    "svg.hashsalt": "torch-mirror",
    "text.parse_math": False,  # a name may hold dollar signs
    "font.size": 8.0,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titley": 1.0,  # measured otherwise
}


def files(results: Sequence[Certificate | Gradients]) -> Iterator[tuple[str, bytes]]:
    """Name and contents of each picture: of a run's curves a figure for each kind, of a wrong gradient its errors."""
    for number, result in enumerate(results, 1):
        if isinstance(result, Certificate):
            start = f"{number:02}-{_plain(result.experiment)}-{_plain(result.dtype)}"
            drawn = [(f"{start}-{_plain(g.title)}", _panels(g.charts)) for g in groups(result) if g.charts]
        else:
            sheets = result.pictures.sheets if result.pictures else ()
            drawn = [(f"{number:02}-{_plain(result.subject)}-{_plain(s.name)}", _map(s)) for s in sheets]
        for name, figure in drawn:
            yield f"{name}.svg", saved(figure, "svg")
            yield f"{name}.png", saved(figure, "png")


def _plain(text: str) -> str:
    """A part of the name of a file, whatever is in the text."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text.replace("²", "2")).strip("-").lower()[:60] or "unnamed"


def saved(figure: Figure, kind: Literal["svg", "png"]) -> bytes:
    """The contents of a file."""
    contents = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(contents, format=kind, dpi=150, metadata={"Software": None} if kind == "png" else {"Date": None})
    return contents.getvalue()


def _panels(charts: Sequence[Chart]) -> Figure:
    columns = min(len(charts), COLUMNS)
    rows = -(-len(charts) // columns)
    with mpl.rc_context(STYLE):
        wide = ACROSS * (1.5 if columns == 1 else 1)
        figure = Figure(figsize=(wide * columns, PANEL * rows))
        FigureCanvasAgg(figure)
        panels = []
        for i, chart in enumerate(charts):
            row, column = divmod(i, columns)
            panels.append(figure.add_axes(_place(row, column, rows, columns, wide)))
            draw(panels[-1], chart)
            panels[-1].yaxis.set_label_coords(-0.74 * LEFT / (wide - LEFT - RIGHT), 0.5)
            panels[-1].xaxis.set_label_coords(0.5, -0.55 * BOTTOM / (PANEL - TOP - BOTTOM))
        panels[0].legend(frameon=False, fontsize=7)
    return figure


def _place(row: int, column: int, rows: int, columns: int, wide: float) -> tuple[float, float, float, float]:
    """Left, bottom, width and height of a panel's axes, as parts of the figure."""
    left, bottom = (column * wide + LEFT) / (columns * wide), 1 - ((row + 1) * PANEL - BOTTOM) / (rows * PANEL)
    return left, bottom, (wide - LEFT - RIGHT) / (columns * wide), (PANEL - TOP - BOTTOM) / (rows * PANEL)


def draw(panel: Axes, chart: Chart) -> None:
    """Draw a chart's lines and marks; a logarithmic axis leaves out what is 0."""
    for line in chart.lines:
        y = np.array(line.y, float)
        if chart.log:
            y[~(y > 0)] = np.nan
        style: Any = "--" if line.style in DASHED else "-"
        look: Any = {"color": COLOURS[line.style], "lw": 1.2, "marker": _marker(chart)}
        panel.plot(chart.steps, y, style, label=visible(line.name), **look)
    if chart.log:
        _logarithmic(panel, chart)
    for mark in chart.marks:
        if mark.y > 0 or not chart.log:
            panel.plot([mark.step], [mark.y], "o" if mark.kind == "worst" else "x", color="black", mfc="none")
    panel.set_title(visible(chart.title), loc="left", fontweight="bold", fontsize=8)
    panel.set_xlabel("training step")
    panel.set_ylabel(chart.what)


def _logarithmic(panel: Axes, chart: Chart) -> None:
    """A logarithmic axis with few numbers; where nothing is above 0, words in its place."""
    values = [v for line in chart.lines for v in line.y if 0 < v < np.inf]
    if not values:
        panel.set_yticks([])
        panel.set_xlim(min(chart.steps, default=0), max(chart.steps, default=0) + 1)
        panel.text(0.5, 0.5, "0 at every step", transform=panel.transAxes, ha="center")
        return
    panel.set_yscale("log")
    short = max(values) < 100 * min(values)  # there may be no power of ten within
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if short else LogLocator(numticks=5))
    panel.yaxis.set_minor_locator(NullLocator())  # whose numbers cost more than all the rest
    panel.yaxis.set_major_formatter(FuncFormatter(_number))  # no formula, which is laid out slowly


def _number(value: float, _: int | None) -> str:
    return f"{value:g}"


def _marker(chart: Chart) -> str | None:
    return "." if len(chart.steps) < 3 else None


def _map(sheet: Sheet) -> Figure:
    """|yours - derivative| in radii, element by element; what is within is blank, what is infinite is the top."""
    ratio = np.where(np.isfinite(sheet.ratio), sheet.ratio, np.nan)
    top = max(float(np.nanmax(ratio, initial=10.0)), 10.0)
    shown = np.where(sheet.ratio > 1, np.where(np.isnan(ratio), top, ratio), np.nan)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.2, 3.4), layout="constrained")
        FigureCanvasAgg(figure)
        panel = figure.subplots()
        image = panel.imshow(shown, norm=LogNorm(1, top), cmap="YlOrRd", aspect="auto", interpolation="nearest")
        panel.set_title(f"{visible(sheet.name)}: error in radii", loc="left", fontweight="bold", fontsize=8)
        figure.colorbar(image)
    return figure
