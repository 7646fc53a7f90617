"""--report and --figures of verify, certify and check: what they write, what they refuse, what they leave alone."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import torch_mirror
from reference import experiments
from tests.reports.html.parsed import Page
from torch_mirror.doors.cli import cli

NETWORK = """
import numpy as np
import torch_mirror

def mine(p, x):
    y = x @ p["W"]
    return (y ** 2).sum(), {"W": x.T @ y}   # a factor 2 is missing

draws = np.random.default_rng(0)
wrong = mine, {"W": draws.normal(size=(3, 2))}, draws.normal(size=(4, 3))
found = torch_mirror.check(*wrong)
"""


pytestmark = pytest.mark.usefixtures("same_environment")


@pytest.fixture
def network(tmp_path: Path) -> str:
    """A file of the user's, with a wrong gradient."""
    path = tmp_path / f"network_{abs(hash(tmp_path))}.py"
    path.write_text(NETWORK)
    return str(path)


def run(*arguments: object) -> Result:
    """The command in this process."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], obj=[])


def heads(path: Path) -> list[str]:
    """The headings of a page."""
    return [e.words for e in Page(path.read_text(encoding="utf-8")).elements if e.tag in {"h1", "h2", "h3"}]


def test_verify_writes_a_page_with_the_curves_of_each_run(tmp_path: Path) -> None:
    path = tmp_path / "out.html"
    result = run("verify", "linear-neuron", "--steps", 3, "--report", path)
    assert result.exit_code == 0, result.output
    found = heads(path)
    assert found[0] == "All 2 claims are certified"
    assert found.count("linear-neuron") == found.count("Loss") == 2


def test_what_is_held_out_is_shown_by_its_r2(tmp_path: Path) -> None:
    path = tmp_path / "out.html"
    run("verify", "diabetes-linear", "--steps", 3, "--dtype", "float64", "--report", path)
    assert "R²" in heads(path)
    e = experiments.load("diabetes-linear")
    held = experiments.held_out(e)
    assert held is not None
    y = held[0] @ e.parameters.W.T + e.parameters.b
    assert y.shape == held[1].shape
    assert experiments.held_out(experiments.load("linear-neuron")) is None


def test_gate_writes_a_page_of_what_has_changed_and_of_its_runs(tmp_path: Path) -> None:
    line = "gate", "linear-neuron", "--dtype", "float64", "--baseline", tmp_path / "b.txt"
    path, folder = tmp_path / "out.html", tmp_path / "pictures"
    assert run(*line, "--steps", 3, "--update").exit_code == 0
    assert run(*line, "--steps", 4, "--report", path, "--figures", folder).exit_code == 1
    assert heads(path)[:2] == ["The gate failed, 1 of 1 runs", "Since the baseline"]
    assert {"linear-neuron", "Loss", "Error against radius"} <= set(heads(path))
    assert any(path.suffix == ".svg" for path in folder.iterdir())


def test_certify_writes_a_page_on_a_file(tmp_path: Path) -> None:
    trace, path = tmp_path / "run.npz", tmp_path / "out.html"
    run("record", "linear-neuron", "--steps", 3, "-o", trace)
    result = run("certify", trace, "--reference", "linear-neuron", "--side", "numpy", "--report", path)
    assert result.exit_code == 0, result.output
    assert {"Loss", "Distance of the free runs"} <= set(heads(path))


def test_check_writes_a_page_with_the_lines(tmp_path: Path, network: str) -> None:
    path = tmp_path / "out.html"
    assert run("check", f"{network}:wrong", "--report", path, "-q").exit_code == 1
    found = heads(path)
    assert found[0] == "mine is refuted"
    pictures = {Path(network).name, "What dW was made of", "Error of dW, in radii", "A script that reproduces it"}
    assert pictures <= set(found)
    assert run("check", f"{network}:found", "--report", path, "-q").exit_code == 1
    said = [e.words for e in Page(path.read_text(encoding="utf-8")).all("li")]
    assert any("what check returned does not hold the function" in text for text in said)


def test_without_a_report_nothing_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch_mirror.doors import verify

    def collected(*_: object, **__: object) -> None:
        raise AssertionError("collected")

    monkeypatch.setattr(verify, "piece_of", collected)
    assert run("verify", "linear-neuron", "--steps", 2, "--dtype", "float64").exit_code == 0
    with pytest.raises(AssertionError, match="collected"):
        verify.verify(experiments.load("linear-neuron"), series=True)


def test_figures_are_written_into_a_folder(tmp_path: Path, network: str) -> None:
    folder = tmp_path / "pictures"
    assert run("check", f"{network}:wrong", "--figures", folder, "-q").exit_code == 1
    names = {path.name for path in folder.iterdir()}
    assert names == {f"01-mine-dw.{kind}" for kind in ("svg", "png")}
    first = (folder / "01-mine-dw.svg").read_bytes()
    run("check", f"{network}:wrong", "--figures", folder, "-q")
    assert (folder / "01-mine-dw.svg").read_bytes() == first


@pytest.mark.parametrize("option", ["--report", "--figures"])
def test_what_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, network: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_mirror, "check", None)
    (tmp_path / "file").write_text("")
    places = {"--report": [tmp_path, network, tmp_path / "other.py"], "--figures": [tmp_path / "file", network]}
    for path in (*places[option], tmp_path / "missing" / "out"):
        result = run("check", f"{network}:wrong", option, path)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"Error: {option}: expected ")
    assert Path(network).read_text() == NETWORK


def test_without_the_extra_it_says_so_before_the_work(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch_mirror.ending import outcome

    monkeypatch.delitem(sys.modules, "torch_mirror.reports.html.page", raising=False)
    monkeypatch.setitem(sys.modules, "jinja2", None)  # as if it were not installed
    monkeypatch.setattr(torch_mirror, "check", None)  # which cannot be called
    result = run("check", f"{network}:wrong", "--report", "out.html")
    assert isinstance(result.exception, ImportError)
    assert outcome(result.exception) == (
        2, "Error: jinja2: expected to be installed, got no such module: pip install 'torch-mirror[report]'"
    )  # fmt: skip
