"""Pictures as files, and what notebooks show."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

import reference
import torch_mirror
from reference import experiments
from reference.errors import InputError
from tests.reports.html import made
from tests.reports.html.parsed import Page
from torch_mirror.reports import figures
from torch_mirror.reports.html.chart import Chart, Line, Mark, in_words, laid

NAN = float("nan")


def test_each_kind_of_curve_is_a_file_of_each_form_with_the_same_bytes_each_time() -> None:
    first = dict(figures.files([made.wrong(), made.gradients()]))
    start = "01-script-alert-1-script-img-src-x-7-7-float64"
    kinds = ("loss", "distance-of-the-free-runs", "gradients-by-layer", "error-against-radius", "weight-history")
    names = {*(f"{start}-{kind}" for kind in kinds), "02-halved-dw1"}
    assert set(first) == {f"{name}.{form}" for name in names for form in ("svg", "png")}
    for name, contents in first.items():
        assert contents.startswith(b"\x89PNG" if name.endswith("png") else b"<?xml")
        if name.endswith("svg"):
            ET.fromstring(contents)  # noqa: S314 - our own
    again = dict(figures.files([made.gradients()]))
    assert again == {f"01-halved-dw1.{form}": first[f"02-halved-dw1.{form}"] for form in ("svg", "png")}


def test_a_chart_lies_where_its_numbers_are() -> None:
    chart = Chart("c", "y", (0, 5, 10), (Line("a", (1.0, NAN, 100.0), "first"),), log=True,
                  marks=(Mark("worst", 10, 100.0, "worst"),))  # fmt: skip
    found = laid(chart)
    (path,) = found.paths
    assert path.d.count("M") == 2  # NaN breaks it
    assert (found.points[0].x, found.across[-1].at) == (312, 312)
    assert [tick.text for tick in found.up] == ["1e0", "1e1", "1e2"]
    heights = [tick.at for tick in found.up]
    assert heights == sorted(heights, reverse=True)
    assert in_words(chart) == "c, y, logarithmic. a: from 1 to 100, between 1 and 100. worst: 100 at step 10."


@pytest.mark.parametrize("values", [(0, 0), (NAN, NAN), (1e308, -1e308), (np.inf, 1), (5e-324, 1e308), (3, 3)])
@pytest.mark.parametrize("log", [True, False])
def test_whatever_the_numbers_it_lies_within_the_drawing(values: tuple[float, ...], *, log: bool) -> None:
    found = laid(Chart("c", "y", (0, 1), (Line("a", values, "first"),), log))
    assert all(0 <= tick.at <= 320 for tick in (*found.across, *found.up))
    assert "nan" not in found.paths[0].d
    assert laid(Chart("c", "y", (), ())).paths == ()


def test_a_certificate_and_a_trace_in_a_notebook() -> None:
    text = made.wrong()._repr_html_()
    assert "<script>" not in text
    page = Page(text)
    assert any(e.words == "refuted" for e in page.all("b"))
    assert any("wrong from step 0" in e.words for e in page.all("td"))
    trace = reference.train(replace(experiments.load("linear-neuron"), steps=2))
    cells = [e.words for e in Page(trace._repr_html_()).all("td")]
    assert {"W", "(3, 1, 5)", "float64", f"{trace['loss'][0]:.6g} ... {trace['loss'][1]:.6g}"} <= set(cells)


def test_a_loss_is_plotted() -> None:
    trace = reference.train(replace(experiments.load("linear-neuron"), steps=4))
    (axes,) = torch_mirror.plot_loss(trace, trace.at(slice(2, 4))).axes
    first, second = axes.lines
    assert np.array_equal(first.get_ydata(), trace["loss"])
    assert np.array_equal(second.get_xdata(), [2, 3])
    assert torch_mirror.plot_loss(trace, ax=axes) is axes.figure
    with pytest.raises(InputError, match="to hold loss"):
        torch_mirror.plot_loss(replace(trace, tensors={}))
    with pytest.raises(InputError, match=r"expected a reference\.Trace"):
        torch_mirror.plot_loss({"loss": 1})  # type: ignore[arg-type]  # as said
