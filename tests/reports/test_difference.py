"""What differs between two reports: all of it, and nothing where nothing does; and the command that says it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.drawn import LATER, WRONG, certificates
from torch_mirror import check
from torch_mirror.doors.cli import cli
from torch_mirror.judge.findings import Doubt, Row
from torch_mirror.judge.verdict import Certificate, Ruling
from torch_mirror.reports import json as report
from torch_mirror.reports import selftest
from torch_mirror.reports.difference import OF_A_ROW, OF_A_RUN, differences, environments
from torch_mirror.reports.gate import json as gate
from torch_mirror.reports.gate.compare import Comparison

CHECKED = check(lambda p: (p["w"] @ p["w"], {"w": 2 * p["w"]}), {"w": np.ones(3)})
WORST = WRONG._replace(ratio=0.5)
ROW = Row("dW", "local", "torch", 9, 90, worst=WORST, resolution=1e-15)
RUN = Certificate("mine", "float64", 0, 9, (ROW, Row("W", "local", "numpy", 9, 90)), end_distance=0.25)


def of_rows(*rows: Row) -> list[str]:
    return differences([RUN], [replace(RUN, rows=rows)])


@given(st.lists(certificates(), max_size=2), st.lists(certificates(), max_size=2))
def test_told_is_whatever_differs_but_seconds(old: list[Certificate], new: list[Certificate]) -> None:
    def values(certificates: list[Certificate]) -> dict[tuple[str, str], list[object]]:
        groups: dict[tuple[str, str], list[object]] = {}
        for c in certificates:
            groups.setdefault((c.experiment, c.dtype), []).append(report.as_json(replace(c, seconds=0.0)))
        return groups

    assert (differences(old, new) == []) == (values(old) == values(new))
    assert differences(old, [replace(c, seconds=c.seconds + 1) for c in old]) == []


def test_every_field_of_a_report_is_compared() -> None:
    """What is derived from the rows is compared with them; a field that is new belongs into one of the lists."""
    derived = {"verdict", "tensors", "judged", "vacuous", "undecided", "doubts", "worst", "refutations"}
    told_otherwise = {"experiment", "dtype", "rows", "seconds"}
    assert {*OF_A_RUN} == {*report.as_json(RUN)} - derived - told_otherwise
    assert {*OF_A_ROW} == {*Row._fields} - {"tensor", "check", "side"}


def test_a_verdict_that_changed_and_the_rows_below() -> None:
    bad = ROW._replace(first=WRONG, worst=WRONG)
    assert of_rows(bad, RUN.rows[1]) == [
        "mine float64: certified -> refuted",
        "    dW (local, torch): headroom 0.5 -> 4e+03; first wrong none -> 4000.0",
    ]


def test_headroom_and_resolution_even_inside_the_tolerance() -> None:
    near = math.nextafter(0.5, 1)
    assert of_rows(ROW._replace(worst=WORST._replace(ratio=near), resolution=2e-12), RUN.rows[1]) == [
        "mine float64: certified in both",
        f"    dW (local, torch): headroom 0.5 -> {near!r}; resolution 1e-15 -> 2e-12, blinder",
    ]
    assert of_rows(ROW._replace(resolution=1e-16), RUN.rows[1])[1].endswith("resolution 1e-15 -> 1e-16")
    assert of_rows(ROW._replace(resolution=None), RUN.rows[1])[1].endswith("resolution 1e-15 -> none, blinder")
    assert of_rows(ROW._replace(resolution=math.inf), RUN.rows[1])[1].endswith("resolution 1e-15 -> inf, blinder")


def test_the_worst_element_may_have_moved() -> None:
    elsewhere = ROW._replace(worst=WORST._replace(step=4, index=(1, 1)))
    assert of_rows(elsewhere, RUN.rows[1])[1] == "    dW (local, torch): headroom: another step, index"


def test_rows_that_came_vanished_or_moved() -> None:
    db = Row("db", "local", "torch", 9, 9)
    assert of_rows(ROW, db) == [
        "mine float64: certified in both",
        "    db (local, torch): not in the first report",
        "    W (local, numpy): not in the second report",
    ]
    assert of_rows(*RUN.rows[::-1]) == ["mine float64: certified in both", "    the rows are in another order"]


def test_runs_that_came_or_vanished_and_what_is_said_of_them() -> None:
    other = replace(RUN, dtype="float32")
    assert differences([RUN], [other]) == [
        "mine float32: not in the first report",
        "mine float64: not in the second report",
    ]
    assert differences([RUN, RUN], [RUN]) == ["mine float64: not in the second report"]
    ruling = Ruling("the mirror strays", "dW", 3)
    changed = replace(RUN, steps=8, end_distance=0.5, notes=("a", "b"), ruling=ruling)
    assert differences([RUN], [changed])[1:] == [
        "    steps 9 -> 8",
        "    end distance 0.25 -> 0.5",
        "    ruling none -> the mirror strays",
        "    notes none -> a; b",
    ]
    doubted = ROW._replace(doubt=Doubt("factor", 1.000001, 1e-9), first=LATER)
    assert "first wrong none -> inf; doubt none -> factor" in of_rows(doubted, RUN.rows[1])[1]


def test_environments() -> None:
    assert environments({"numpy": "2.0", "torch": "2.13"}, {"torch": "2.13", "numpy": "2.4", "threads": 2}) == [
        "numpy 2.0 -> 2.4",
        "threads none -> 2",
    ]


# --- the command ----------------------------------------------------------------------------------


def compared(folder: Path, one: str, other: str) -> Result:
    for name, text in (("a.json", one), ("b.json", other)):
        (folder / name).write_text(text)
    return CliRunner().invoke(cli, ["compare", str(folder / "a.json"), str(folder / "b.json")])


def test_its_status_is_0_for_the_same_and_1_where_something_differs(tmp_path: Path) -> None:
    versions = {"numpy": "2.0"}
    old = report.document([RUN], versions, {"torch": 1})
    same = compared(tmp_path, old, report.document([replace(RUN, seconds=9.0)], versions, {"torch": 2}))
    assert (same.exit_code, same.stdout) == (0, "nothing differs\n")
    assert same.stderr == "made with threads of torch 1 -> 2\n"
    other = compared(tmp_path, old, report.document([replace(RUN, steps=8)], versions, {"torch": 1}))
    assert (other.exit_code, other.stdout) == (1, "mine float64: certified in both\n    steps 9 -> 8\n")
    assert other.stderr == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", r"b.json: report: expected strict JSON"),
        (f"[{CHECKED.json()}]", "b.json: expected a report of verify or certify, got one of check"),
        (gate.document(Comparison((), ())), "b.json: expected a report of verify or certify, got one of gate"),
        (selftest.as_json([]), "b.json: expected a report of verify or certify, got one of selftest"),
        ("[]", r"b.json: report: expected an object, got []"),
        (json.dumps({"schema": 99, "runs": []}), "b.json: report.schema: expected at most"),
        (json.dumps({"schema": 1, "runs": [], "versions": []}), "b.json: report: expected its versions and threads"),
    ],
)
def test_what_is_no_report_is_2_and_names_the_file(tmp_path: Path, text: str, said: str) -> None:
    result = compared(tmp_path, report.document([RUN], {}, {}), text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_a_file_that_is_missing_or_no_text_is_2(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    path = str(tmp_path / "a.json")
    assert "bytes that are no text" in CliRunner().invoke(cli, ["compare", path, path]).stderr
    missing = CliRunner().invoke(cli, ["compare", path, str(tmp_path / "none.json")])
    assert missing.exit_code == 2
    assert "does not exist" in missing.stderr
