"""The command that measures and draws: what it prints, what it writes, how it ends."""

import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from click.testing import CliRunner, Result

from reference import experiments
from reference.errors import InputError
from tests import warm
from torch_mirror.figures import drawing
from torch_mirror.figures.command import figures, table
from torch_mirror.figures.measure import RTOLS, Error, Measured, measure

STARTS = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml"}
SMALL = ("--experiment", "linear-neuron", "--steps", "4")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(figures, arguments, catch_exceptions=False)


def made_up(**changes: object) -> dict[str, Measured]:
    """Two tensors over six steps, with an infinite error and one of 0 among them."""
    error = Error(np.array([0, 1e-9, 1e-6, 1e-4, np.inf, 1e-16]), np.array([[0, 0, 0, 1, 1, 0], [0, 0, 1, 1, 2, 0]]))
    m = Measured(np.full(6, 3), error, error, np.full(6, 1e-13), np.full(6, 1e-8), np.full(6, 0.5))
    return {"left": m, "right": m._replace(**changes)}  # type: ignore[arg-type]  # the fields of the test that asks


@cache
def usual() -> bytes:
    """The picture of these numbers."""
    return drawing.draw("made-up", {"float64": made_up()}, "png")


def names_in(svg: bytes) -> list[str]:
    """The texts of an SVG, which matplotlib notes as comments beside their outlines."""
    return re.findall(r"<!-- (.*?) -->", svg.decode())


# --- what it prints ---------------------------------------------------------------------------------


def test_the_table_says_what_was_measured() -> None:
    lines = table("made-up", "float64", made_up(share=np.full(6, 0.75)))
    assert lines[0].startswith("made-up  float64  6 steps")
    rows = [line.split() for line in lines[2:6]]
    assert rows[0] == ["left", "3", "1e-13", "0.5", "1e-5", "1e8", "2", "2", "inf", "2", "2", "inf"]
    assert rows[1] == ["1e-7", "1e6", "3", "4", "inf", "3", "4", "inf"]
    assert rows[2][:4] == ["right", "3", "1e-13", "0.75"]


@pytest.mark.parametrize(
    ("radius", "printed"),
    [(1e-7, "100"), (1.01e-8, "990"), (1e-8, "1e3"), (2.5e-6, "4"), (3e-3, "0.0033"), (1, "1e-5")],
)
def test_numbers_are_short(radius: float, printed: str) -> None:
    rows = table("made-up", "float64", {"w": made_up(radius_median=np.full(6, radius))["right"]})
    assert rows[2].split()[5] == printed


def test_the_command_measures_what_it_is_asked_for() -> None:
    e = experiments.load("linear-batch", dtype="float32")
    result = run("--experiment", "linear-batch", "--dtype", "float32", "--steps", str(e.steps))
    assert result.exit_code == 0
    rows = {row[0]: row for row in map(str.split, result.stdout.splitlines()) if len(row) == 12}
    found = measure(e)
    assert set(rows) == set(found)
    for name, m in found.items():
        local, free = m.local.failing[0], m.free.failing[0]
        assert rows[name][1] == str(m.elements[0])
        assert rows[name][6:8] == [str((local > 0).sum()), str(local.sum())]
        assert rows[name][9:11] == [str((free > 0).sum()), str(free.sum())]
    assert any(m.free.failing.any() for m in found.values()), "correct code fails 1e-7 in float32"


def test_both_precisions_are_measured_unless_one_is_asked_for() -> None:
    heads = re.findall(r"^(\S+)  (float\d\d)  (\d) steps", run(*SMALL).stdout, re.MULTILINE)
    assert heads == [("linear-neuron", "float64", "4"), ("linear-neuron", "float32", "4")]


# --- what it writes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_picture_is_written_whole_and_the_same_every_time(tmp_path: Path, kind: str) -> None:
    """Once in this process, and once by the command, in a process of its own."""
    paths = [tmp_path / f"first.{kind}", tmp_path / f"second.{kind.upper()}"]
    asked = *SMALL, "--dtype", "float64", "--output"
    here = run(*asked, str(paths[0]))
    assert (here.exit_code, here.stderr) == (0, "")
    command = [warm.python(), "-m", "torch_mirror.figures", *asked, str(paths[1])]
    there = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (there.returncode, there.stderr) == (0, "")
    assert there.stdout == here.stdout
    assert all(f"{rtol:.0e}".replace("e-0", "e-") in there.stdout for rtol in RTOLS)
    first, second = (path.read_bytes() for path in paths)
    assert first.startswith(STARTS[kind])
    assert first == second
    assert sorted(tmp_path.iterdir()) == paths


def test_every_tensor_has_a_panel_and_every_precision_a_block() -> None:
    texts = names_in(drawing.draw("made-up", {"float64": made_up(), "float32": made_up()}, "svg"))
    assert texts.count("left") == texts.count("right") == 2
    assert texts.count("3 false alarms · 1e6 radii") == 4
    assert [text[:16] for text in texts if text.startswith("made-up")] == ["made-up, float64", "made-up, float32"]
    assert [text for text in texts if text.startswith("rtol")] == ["rtol 1e-5", "rtol 1e-7"] * 2


@pytest.mark.parametrize(("share", "headline"), [(0.5, ": every error "), (1.5, ": not every error ")])
def test_the_headline_is_measured(share: float, headline: str) -> None:
    texts = names_in(drawing.draw("made-up", {"float64": made_up(share=np.full(6, share))}, "svg"))
    (head,) = (text for text in texts if text.startswith("made-up"))
    assert headline in head
    assert head.endswith(f"(worst: {share} radii)")


@pytest.mark.parametrize("field", ["local", "free", "radius_median", "radius_largest"])
def test_what_is_measured_is_what_is_seen(field: str) -> None:
    def moved(value: object) -> object:
        return value._replace(worst=value.worst * 100) if isinstance(value, Error) else np.full(6, 1e-11)

    changed = made_up(**{field: moved(getattr(made_up()["right"], field))})
    assert drawing.draw("made-up", {"float64": changed}, "png") != usual()


@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_any_number_of_tensors_leaves_a_panel_for_the_key(count: int) -> None:
    tensors = {f"n{i}": made_up()["left"] for i in range(count)}
    texts = names_in(drawing.draw("made-up", {"float64": tensors}, "svg"))
    assert [text for text in texts if text in tensors] == list(tensors)
    assert "error of free runs: worst element" in texts


def test_the_users_own_style_changes_nothing() -> None:
    import matplotlib as mpl

    as_ever = usual()
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "black"}):
        assert drawing.draw("made-up", {"float64": made_up()}, "png") == as_ever


# --- how it ends ------------------------------------------------------------------------------------


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever starts to measure fails the test."""

    def refuse(*_: object) -> None:
        pytest.fail("measured before the input was checked")

    monkeypatch.setattr("torch_mirror.figures.command.measure", refuse)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--experiment", "two-layer-rely"], "unknown experiment 'two-layer-rely': did you mean 'two-layer-relu'?"),
        (["--output", "picture.gif"], "--output: expected a path that ends in .png or .svg, got 'picture.gif'"),
        (["--output", "picture"], "--output: expected a path that ends in .png or .svg, got 'picture'"),
        (["--output", "missing/picture.png"], "--output: expected a path that can be written"),
        (["--steps", "0"], "--steps"),
        (["--dtype", "float16"], "--dtype"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_bad_input_is_one_message_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert [said in line for line in result.stderr.splitlines() if line.startswith("Error: ")] == [True]
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("no_work")
def test_without_matplotlib_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "torch_mirror.figures.drawing")
    monkeypatch.delattr("torch_mirror.figures.drawing")
    result = run("--output", str(tmp_path / "picture.png"))
    assert result.exit_code == 2
    expected = "matplotlib to draw with (pip install 'torch-mirror[plot]')"
    assert result.stderr == f"Error: --output: expected {expected}, got no module matplotlib\n"
    assert not list(tmp_path.iterdir())


def test_a_picture_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_name: str, _runs: Mapping[str, Mapping[str, Measured]], _kind: Literal["png", "svg"]) -> bytes:
        raise InputError("tensor y", "a number", "none")

    monkeypatch.setattr(drawing, "draw", fail)
    path = tmp_path / "picture.png"
    path.write_text("old")
    result = run(*SMALL, "--dtype", "float64", "--output", str(path))
    assert (result.exit_code, result.stderr) == (2, "Error: tensor y: expected a number, got none\n")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
