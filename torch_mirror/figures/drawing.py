"""The picture of ``tolerances.measure``: one panel a tensor. It needs matplotlib, the extra ``plot``.

Nothing depends on the clock or on the user's settings: the same numbers give the same bytes.
"""

import io
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from PIL import Image

from reference.arrays import Array
from torch_mirror.figures.measure import RTOLS, Measured, radii

LOCAL, FREE, FIXED, MEDIAN, BAND = "#000000", "#E69F00", "#D55E00", "#0072B2", "#BCE0F5"
"""Okabe and Ito's palette, whose colours the colour-blind can tell apart; the last is a tint of its sky blue."""
GREY = "#444444"
DASHES: tuple[Any, ...] = ("-", (0, (4, 2)))
"""Of RTOLS, in their order."""

COLUMNS = 4
ACROSS, PANEL = 9.0, 1.75
"""Inches: the width of the picture, the height of a panel with its title."""
DPI, COLOURS = 200, 128
CROWDED = 100
"""Steps from which the dots of a panel are small."""

STYLE = {
    **mpl.rcParamsDefault,
    "savefig.dpi": "figure",
    "svg.hashsalt": "torch-mirror",
    "font.size": 8.0,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "mathtext.default": "regular",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}


class Scale(NamedTuple):
    """Relative errors between which a panel is drawn; those below and above lie on its edges."""

    bottom: float
    top: float
    ticks: tuple[int, ...]  # powers of ten between them

    def within(self, values: Array) -> Array:
        """The values moved onto the edges where they are beyond."""
        return np.clip(values, self.bottom, self.top)


SCALES = {"float64": Scale(1e-18, 1, (-15, -10, -5)), "float32": Scale(1e-9, 1, (-7, -5, -3))}


def draw(name: str, runs: Mapping[str, Mapping[str, Measured]], kind: Literal["png", "svg"]) -> bytes:
    """The contents of a picture file: a block of panels for each dtype of runs, one below the other.

    name: the experiment's. runs: what ``measure`` returned, by dtype.
    """
    rows = [len(tensors) // COLUMNS + 1 for tensors in runs.values()]  # one panel is the key's
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(ACROSS, sum(PANEL * n + 0.5 for n in rows)), layout="constrained", dpi=DPI)
        FigureCanvasAgg(figure)
        blocks = figure.subfigures(len(runs), squeeze=False, height_ratios=rows)[:, 0]
        for block, (dtype, tensors), n in zip(blocks, runs.items(), rows, strict=True):
            _draw_run(block, f"{name}, {dtype}", tensors, SCALES[dtype], n)
        contents = io.BytesIO()
        figure.savefig(contents, format=kind, metadata={"Software": None} if kind == "png" else {"Date": None})
    return _with_palette(contents) if kind == "png" else contents.getvalue()


def _with_palette(contents: io.BytesIO) -> bytes:
    """A PNG with a palette of its own: a third of the size, and nothing that the eye would miss."""
    smaller = io.BytesIO()
    with Image.open(contents) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(smaller, "png", optimize=True)
    return smaller.getvalue()


def _draw_run(block: SubFigure, title: str, tensors: Mapping[str, Measured], scale: Scale, rows: int) -> None:
    count, steps = len(tensors), len(next(iter(tensors.values())).share)
    block.suptitle(f"{title}, {steps} steps: {_headline(tensors)}", x=0.01, ha="left", fontsize=9.5)
    block.supxlabel("training step", fontsize=8)
    block.supylabel("error, radius and rtol, relative to |value|", fontsize=8)
    panels = list(block.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).flat)
    for panel, (name, measured) in zip(panels, tensors.items(), strict=False):
        _draw_tensor(panel, name, measured, scale)
    for panel in panels[max(count - COLUMNS, 0) : count]:
        panel.tick_params(labelbottom=True)
    for panel in panels[count:]:
        panel.axis("off")
    _draw_key(panels[count], steps)


def _headline(tensors: Mapping[str, Measured]) -> str:
    worst = max(float(m.share.max()) for m in tensors.values())
    every = "every error" if worst <= 1 else "not every error"
    return f"{every} on the same operands is within its radius (worst: {worst:.3g} radii)"


def _draw_tensor(panel: Axes, name: str, m: Measured, scale: Scale) -> None:
    steps = np.arange(len(m.share))
    panel.set_yscale("log")
    room = (scale.top / scale.bottom) ** 0.03
    panel.set_ylim(scale.bottom / room, scale.top * room)
    labels = {scale.bottom: "0", **{10.0**k: f"$10^{{{k}}}$" for k in scale.ticks}, scale.top: f"≥ {scale.top:g}"}
    panel.set_xlim(-0.01 * len(steps), 1.01 * len(steps))
    panel.set_yticks(list(labels), list(labels.values()))
    panel.yaxis.minorticks_off()
    panel.set_title(name, loc="left", fontsize=9, fontweight="bold", pad=3)
    panel.set_title(_remark(m), loc="right", fontsize=6.5, color=GREY, pad=3)
    inside = scale.within
    panel.fill_between(steps, inside(m.radius_median), inside(m.radius_largest), color=BAND, lw=0)
    panel.plot(steps, inside(m.radius_median), color=MEDIAN, lw=1.3)
    for rtol, dash in zip(RTOLS, DASHES, strict=True):
        panel.axhline(rtol, color=FIXED, lw=0.9, ls=dash)
    dot = 2 if len(steps) > CROWDED else 4
    for error, colour in ((m.free, FREE), (m.local, LOCAL)):
        panel.plot(steps, inside(error.worst), ".", color=colour, ms=dot, mew=0, rasterized=True)


def _remark(m: Measured) -> str:
    """What the panel's title says: false alarms of the last of RTOLS, and its size in radii."""
    alarms = int(np.count_nonzero(m.free.failing[-1]))
    size = radii(m, RTOLS[-1])
    return f"{alarms} false alarms · {f'{_plain(size)} radii' if np.isfinite(size) else 'radius 0'}"


def _plain(number: float) -> str:
    """One digit, without the zeros of an exponent: 1e-7, 5e8."""
    return f"{number:.1g}".replace("e-0", "e-").replace("e+0", "e")


def _draw_key(panel: Axes, steps: int) -> None:
    def dot(colour: str) -> Line2D:
        return Line2D([], [], color=colour, ls="", marker="o", ms=3.5, mew=0)

    entries: list[tuple[Any, str]] = [
        (dot(FREE), "error of free runs: worst element"),
        (dot(LOCAL), "error on the same operands: worst"),
        ((Patch(color=BAND, lw=0), Line2D([], [], color=MEDIAN, lw=1.3)), "its radius: median (line) to largest"),
        *((Line2D([], [], color=FIXED, lw=0.9, ls=d), f"rtol {_plain(r)}") for r, d in zip(RTOLS, DASHES, strict=True)),
    ]
    handles, labels = zip(*entries, strict=True)
    key = panel.legend(
        handles, labels, loc="upper left", frameon=False, fontsize=6.8, borderpad=0, borderaxespad=0, handlelength=1.6
    )
    key.set_in_layout(False)  # a key may be wider than its panel
    panel.text(
        0, 0,
        f"Beside a name: at how many of {steps} steps\n"
        f"the free runs fail rtol {_plain(RTOLS[-1])}, and how many\n"
        "radii that is at the median element.",
        fontsize=6.5, color=GREY, va="bottom", transform=panel.transAxes,
    )  # fmt: skip
