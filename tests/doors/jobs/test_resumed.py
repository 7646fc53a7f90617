"""--resume: what was judged is not judged again, unless anything that it rests on has changed."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from reference import experiments
from reference.traces import training
from tests.reports.html.parsed import Page
from torch_mirror import verify
from torch_mirror.doors import runs
from torch_mirror.doors.cli import cli
from torch_mirror.doors.jobs import basis, kept
from torch_mirror.doors.jobs.basis import Basis, read_by
from torch_mirror.doors.jobs.bits import Bits, bits_of
from torch_mirror.doors.jobs.software import digest, software
from torch_mirror.doors.jobs.watch import digest_of, is_theirs, watched
from torch_mirror.doors.runs import Run

MINE = """
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from reference import experiments
from torch_mirror.training.session import session
import helper

one = replace(experiments.load("linear-neuron"), steps=6)

def late(e):
    "The rate of torch's optimizer from the fifth step on: from a file, a module or a variable that show only there."
    made = session(e)
    step, taken = made.optimizer.step, []

    def stepped(*given):
        taken.append(1)
        if len(taken) == 5:
            factor = float(Path("factor.txt").read_text()) * float(os.environ.get("FACTOR", "1"))
            made.optimizer.param_groups[0]["lr"] *= factor * helper.FACTOR
        return step(*given)

    made.optimizer.step = stepped
    return made

cases = {"late": (replace(one, name="late"), late), "plain": replace(one, name="plain")}
"""
LINE = ("verify", "mine.py:cases", "--resume")
BEFORE = "{} of 2 runs were judged before, and nothing that they rest on has changed: their verdicts are from "
FILES = {"mine.py": MINE, "helper.py": "from parts import FACTOR\n", "parts.py": "FACTOR = 1\n", "factor.txt": "1"}
CHANGED = {
    "mine.py": MINE.replace("float(Path", "2 * float(Path"),
    "helper.py": "FACTOR = 1 + 1; int\n",
    "parts.py": "FACTOR = 2\n",
    "factor.txt": "2",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same_environment: None) -> Path:  # noqa: ARG001 - it is the same behind it
    """A folder with the files, that is the current one."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


in_the_folder = pytest.mark.usefixtures("folder")


def run(*more: str, line: tuple[str, ...] = LINE) -> Result:
    for name in ("mine", "helper", "parts"):  # a command is a process of its own, which has loaded nothing
        sys.modules.pop(name, None)
    return CliRunner().invoke(cli, [*line, *more])


def taken_over(result: Result) -> int:
    """How many verdicts were not judged again, as it says."""
    said = [line for line in result.stderr.splitlines() if "judged before" in line]
    return int(said[0].split()[0]) if said else 0


def test_what_is_judged_is_not_judged_again_and_reads_the_same(folder: Path) -> None:
    first, second = (run("--json", f"{n}.json") for n in range(2))
    assert (first.exit_code, first.stderr) == (0, "")
    assert second.stderr.startswith(BEFORE.format(2) + ".torch_mirror_cache")
    assert (second.exit_code, second.stdout) == (0, first.stdout)
    reports = [json.loads((folder / f"{n}.json").read_text()) for n in range(2)]
    assert reports[0] == reports[1]  # seconds, too: they are those of the judgement
    assert (folder / ".torch_mirror_cache" / ".gitignore").read_text() == "*\n"


@in_the_folder
def test_a_verdict_that_is_not_certified_keeps_its_words_and_its_status() -> None:
    Path("parts.py").write_text("FACTOR = 2\n")
    first, second = run("-v"), run("-v")
    assert "first wrong: W, step 4, torch" in first.stdout
    assert (first.exit_code, second.exit_code, taken_over(second)) == (1, 1, 2)
    assert first.stdout == second.stdout


def test_without_it_nothing_is_written_and_nothing_is_read(folder: Path) -> None:
    assert run(line=LINE[:2]).exit_code == 0
    assert not (folder / ".torch_mirror_cache").exists()
    run()
    plain = run(line=LINE[:2])
    assert (plain.exit_code, plain.stderr) == (0, "")


@pytest.mark.parametrize("name", CHANGED)
def test_a_file_that_changes_what_no_first_step_shows_is_judged_anew(folder: Path, name: str) -> None:
    """Of the same size, within a second; a module of a module, and a file that is read in the fifth step only."""
    assert run().exit_code == 0
    (folder / name).write_text(CHANGED[name])
    changed = run()
    assert (changed.exit_code, "first wrong: W, step 4, torch" in changed.stdout) == (1, True)
    assert taken_over(changed) == (1 if name == "factor.txt" else 0)  # which the other one never sees
    assert taken_over(run()) == 2


@in_the_folder
def test_so_is_a_variable_that_the_file_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run().exit_code == 0
    monkeypatch.setenv("FACTOR", "2")
    changed = run()
    assert (changed.exit_code, taken_over(changed)) == (1, 0)
    monkeypatch.setenv("UN" + "RELATED", "2")  # which no file names, not this one either
    assert taken_over(run()) == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert taken_over(run()) == 0


@pytest.mark.parametrize(("files", "bits"), [(True, False), (False, True), (False, False)])
def test_that_a_stale_verdict_would_be_seen(
    files: bool, bits: bool, folder: Path, monkeypatch: pytest.MonkeyPatch  # noqa: FBT001 - cases
) -> None:
    """The contents of files alone see what has changed, and so do the bits of all steps; without both none does."""
    if not bits:
        monkeypatch.setattr(basis, "bits_of", lambda *_: "")
        monkeypatch.setattr(Bits, "digest", lambda _: "")
    if not files:
        monkeypatch.setattr(Basis, "stands", lambda _: True)
    assert run().exit_code == 0
    (folder / "factor.txt").write_text("2")
    assert run().exit_code == (1 if files or bits else 0)


@in_the_folder
@pytest.mark.parametrize("option", [("--steps", "5"), ("--strict",)])
def test_other_options_are_another_run(option: tuple[str, ...]) -> None:
    assert run().exit_code == 0
    assert taken_over(run(*option)) == 0
    assert taken_over(run(*option)) == taken_over(run()) == 2


@in_the_folder
def test_so_are_other_versions_another_processor_and_another_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = ("verify", "mlp-relu", "--resume", "--steps", "2", "--dtype", "float32")
    assert run(line=ours).exit_code == 0
    assert taken_over(run("--seed", "1", line=ours)) == 0
    for name in ("software", "hardware"):
        with monkeypatch.context() as patched:
            patched.setattr(basis, name, lambda: {"numpy": "1.0"})
            assert taken_over(run(line=ours)) == 0
    assert taken_over(run(line=ours)) == 1


def test_the_code_of_the_judge_is_in_its_version() -> None:
    """Of both packages, so that a verdict of the day before a mistake of ours was mended counts no more."""
    assert software()["torch-mirror"].split()[1] != digest(b"")
    assert not is_theirs(basis.__file__)
    assert not is_theirs(json.__file__)
    assert not is_theirs(pytest.__file__)
    assert is_theirs(__file__)


# --- what may not be kept -------------------------------------------------------------------------

OF_CHANCE = """
import subprocess
from dataclasses import replace
import numpy as np
import torch
from reference import experiments
from torch_mirror.training.session import session

one = replace(experiments.load("mlp-relu"), steps=2, name="chance")
drawn = replace(one, x=np.random.default_rng().normal(size=one.x.shape))

def dropping(e):
    made = session(e)
    torch.rand(1)
    return made

def drawing(e):
    made = session(e)
    step = made.optimizer.step
    made.optimizer.step = lambda *given: (torch.rand(1), step(*given))[1]
    return made

def asking(e):
    subprocess.run(["true"])
    return session(e)

def writing(e):
    with open("own.txt", "a+") as file:
        file.write("x")
    return session(e)

random, asked, written = (one, drawing), (one, asking), (one, writing)
"""


@in_the_folder
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("drawn", "is another run each time: does it draw numbers without a seed?"),
        ("random", "draws random numbers"),
        ("asked", "asks for what may change (subprocess.Popen)"),
        ("written", "which has changed meanwhile"),
    ],
)
def test_what_may_be_otherwise_the_next_time_is_not_kept_and_that_is_told(name: str, said: str) -> None:
    Path("chance.py").write_text(OF_CHANCE)
    for _ in range(2):
        result = run(line=("verify", f"chance.py:{name}", "--resume"))
        assert result.exit_code == 0
        assert result.stderr.startswith("not kept for --resume: chance float64 ")
        assert said in result.stderr
    assert [path.name for path in Path(".torch_mirror_cache").iterdir()] == [".gitignore"]


def test_an_error_is_told_each_time_and_what_was_judged_before_it_is_kept(folder: Path) -> None:
    (folder / "mine.py").write_text(MINE + 'cases["broken"] = (replace(one, name="broken"), lambda e: 1 // 0)\n')
    first, second = run(), run()
    assert first.exit_code == second.exit_code == 2
    assert "broken: expected code that runs, got ZeroDivisionError" in first.stderr
    assert second.stderr.endswith(first.stderr)
    assert taken_over(second) == 2


def test_a_verdict_that_is_taken_over_has_its_curves_and_a_refuted_one_is_judged_for_them(folder: Path) -> None:
    (folder / "parts.py").write_text("FACTOR = 2\n")
    first, second, third = run(), run("--report", "a.html"), run("--report", "b.html")
    assert [taken_over(result) for result in (first, second, third)] == [0, 1, 1]
    assert first.stdout == second.stdout
    page = Page((folder / "a.html").read_text())
    assert [e.words for e in page.all("h3")].count("Loss") == 2
    assert not any("no curves" in e.words for e in page.all("li"))
    whole = verify(replace(experiments.load("linear-neuron"), steps=6), series=True).series
    assert whole is not None
    numbers = [e.words for e in page.all("td")]
    assert all(f"{value:.17g}" in numbers for value in whole.loss.values["torch"])


@in_the_folder
def test_a_run_that_was_cut_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = runs.judged

    def cut(run: Run, *given: object, **options: object) -> object:
        if run.name == "plain":
            raise KeyboardInterrupt
        return judged(run, *given, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr("torch_mirror.doors.jobs.resumed.judged", cut)
        first = run()
    assert (first.exit_code, first.stderr) == (130, "1 of 2 runs were judged.\nInterrupted.\n")
    second = run()
    assert (second.exit_code, taken_over(second)) == (0, 1)
    assert [line.split()[0] for line in second.stdout.splitlines()] == ["late", "plain"]


# --- the folder -----------------------------------------------------------------------------------


def flipped(text: str) -> str:
    return text.replace('"ratio": 0.', '"ratio": 0.0', 1)


@in_the_folder
@pytest.mark.parametrize("damage", [lambda text: text[:-100], lambda _: "", flipped, lambda _: "\udcff"])
def test_a_file_that_is_damaged_is_told_and_its_run_judged_anew(damage: object) -> None:
    ours = ("verify", "linear-neuron", "--resume", "--steps", "2", "--dtype", "float64")
    first = run(line=ours)
    (path,) = Path(".torch_mirror_cache").glob("*.json")
    whole = path.read_text()
    assert callable(damage)
    path.write_text(damage(whole), errors="surrogateescape")
    assert path.read_bytes() != whole.encode()
    again = run(line=ours)
    assert again.stderr.startswith(f"Warning: {path.absolute()}: expected a verdict that was kept, got ")
    assert "; it is judged anew" in again.stderr
    assert (again.exit_code, again.stdout) == (0, first.stdout)
    assert taken_over(run(line=ours)) == 1


@in_the_folder
def test_a_file_of_another_form_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = ("verify", "linear-neuron", "--resume", "--steps", "2", "--dtype", "float64")
    with monkeypatch.context() as patched:
        patched.setattr(kept, "FORM", 2)
        run(line=ours)
    assert run(line=ours).stderr == ""


@in_the_folder
def test_a_folder_that_cannot_be_made_is_told_before_any_work() -> None:
    Path(".torch_mirror_cache").touch()
    result = run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: --resume: expected a folder")


# --- the watch ------------------------------------------------------------------------------------


def test_what_is_read_is_noted_and_what_is_written_is_not(tmp_path: Path) -> None:
    read, written, missing = (tmp_path / name for name in ("read", "written", "missing"))
    read.write_bytes(b"1")
    with watched() as watch:
        read.read_bytes()
        written.write_bytes(b"2")
        os.close(os.open(tmp_path / "read", os.O_RDONLY))
        with pytest.raises(FileNotFoundError):
            missing.open()
    found = {path: was for path, was in watch.files.items() if path.startswith(str(tmp_path.resolve()))}
    assert found == {str(read.resolve()): digest(b"1"), str(missing.resolve()): ""}
    assert watch.flaw() == ""
    missing.touch()
    assert watch.flaw() == f"read {missing.resolve()}, which has changed meanwhile"


def test_a_file_of_a_cache_is_noted_as_its_source_and_as_itself_where_that_is_unknown(tmp_path: Path) -> None:
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    (tmp_path / "a.py").write_text("A = 1\n")
    for name in ("a.cpython-311.pyc", "b.cpython-311-pytest-9.2.0.pyc"):
        (cache / name).write_bytes(b"code")
    with watched() as watch:
        for path in cache.iterdir():
            path.read_bytes()
    here = str(tmp_path.resolve())
    found = {path.removeprefix(here) for path in watch.files if path.startswith(here)}
    assert found == {"/a.py", "/__pycache__/b.cpython-311-pytest-9.2.0.pyc"}


def test_a_file_that_changes_between_two_looks_and_one_of_a_device(tmp_path: Path) -> None:
    path = tmp_path / "read"
    with watched() as watch:
        for contents in (b"1", b"2", b"1"):
            path.write_bytes(contents)
            path.read_bytes()
    assert watch.flaw().endswith("which has changed meanwhile")
    with watched() as watch, Path("/dev/urandom").open("rb") as file:
        file.read(1)
    assert watch.flaw() == "asks for what may change (open /dev/urandom)"
    assert digest_of(str(tmp_path)) is None


def test_a_module_that_stays_keeps_what_was_read_as_it_was_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found by PYTHONPATH: it is loaded once, in the first watch, and the second one rests on it, too."""
    code = f"from pathlib import Path\nDATA = Path({str(tmp_path / 'data')!r}).read_text()\n"
    (tmp_path / "lasting.py").write_text(code)
    (tmp_path / "data").write_text("1")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        for _ in range(2):
            with watched() as watch:
                import lasting  # type: ignore[import-not-found]

                assert lasting.DATA == "1"
            assert {str((tmp_path / name).resolve()) for name in ("lasting.py", "data")} <= {*watch.files}
    finally:
        del sys.modules["lasting"]


def test_variables_that_a_file_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text("os.environ['NAMED']\n")
    for name in ("NAMED", "NAME", "MKL_X"):
        monkeypatch.setenv(name, "1")
    found = read_by({str(tmp_path / "a.py"): "", str(tmp_path / "gone.py"): ""})
    assert {"NAMED", "MKL_X"} <= {*found}
    assert "NAME" not in found


def test_bits_are_those_of_every_number_whatever_the_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    e = experiments.load("mlp-relu")
    whole = bits_of(e, None)
    seen = Bits()
    verify(e, observe=seen)
    assert seen.digest() == whole
    monkeypatch.setattr(training, "SEGMENT_STEPS", 7)
    assert bits_of(e, None) == whole
    other = e.parameters._replace(b=(*e.parameters.b[:-1], np.nextafter(e.parameters.b[-1], 1)))
    assert bits_of(replace(e, parameters=other), None) != whole
