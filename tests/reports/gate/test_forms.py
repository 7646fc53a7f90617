"""What the gate found as JSON, JUnit, Markdown and annotations: whole, and with nothing that breaks its form."""

import json
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.errors import InputError
from tests.reports.gate.made import CLAIM, THERE, baseline, with_row
from torch_mirror.reports.gate import github, junit, markdown, words
from torch_mirror.reports.gate import json as report
from torch_mirror.reports.gate.compare import Change, Comparison, Outcome, compare

SCHEMA: dict[str, Any] = json.loads(files("torch_mirror.reports.gate").joinpath("gate.schema.json").read_text())
WRONG = Outcome(
    "mine.py:net", "float64", "refuted", 9, (Change("refuted", "first wrong: dW"),),
    ("first wrong: dW", "dW  the right values end at  mine.py:7   e = y - t", "    wrong from  mine.py:9   dW = e"),
)  # fmt: skip
FOUND = compare(baseline(CLAIM, CLAIM._replace(name="gone")), baseline(with_row(0, resolution=1.0), environment=THERE))
FOUND = FOUND._replace(outcomes=(WRONG, *FOUND.outcomes))
SHOWN = st.text(max_size=9) | st.sampled_from(["\n::error::x", "::error::", "\x1b[31m", "\u202e", "\ud800"])
FIGURES = st.none() | st.floats(allow_nan=False)
CHANGES = st.builds(
    Change, st.sampled_from(["refuted", "bits", "headroom"]), SHOWN, SHOWN, SHOWN, SHOWN, FIGURES, FIGURES
)
OUTCOMES = st.builds(
    Outcome, SHOWN, SHOWN, st.sampled_from(["certified", "none"]), st.integers(0, 10**12),
    st.lists(CHANGES, max_size=5).map(tuple), st.lists(SHOWN, max_size=2).map(tuple),
)  # fmt: skip
COMPARISONS = st.builds(
    Comparison,
    st.lists(st.tuples(SHOWN, SHOWN, SHOWN), max_size=2).map(tuple),
    st.lists(OUTCOMES, max_size=3).map(tuple),
)


@given(COMPARISONS)
def test_json_fits_the_schema_and_is_read_back_whole(found: Comparison) -> None:
    text = report.document(found)
    jsonschema.validate(json.loads(text), SCHEMA)
    assert report.read(text) == found


def test_the_schema_is_a_schema_and_knows_nothing_else() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    whole = json.loads(report.document(FOUND))
    jsonschema.validate(whole, SCHEMA)
    for place in (whole, whole["environment"][0], whole["runs"][0], whole["runs"][0]["changes"][0]):
        place["more"] = 1
        assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(whole)
        with pytest.raises(InputError, match=r"report.*expected an object of "):
            report.read(json.dumps(whole))
        del place["more"]


@pytest.mark.parametrize("name", ["passed", "summary", "environment", "runs"])
def test_what_is_missing_or_of_another_kind_is_told(name: str) -> None:
    whole = json.loads(report.document(FOUND))
    for other in (whole | {name: {"unknown": 1}}, whole | {name: [7]}, {k: v for k, v in whole.items() if k != name}):
        assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(other)
        with pytest.raises(InputError, match="report"):
            report.read(json.dumps(other))


def test_what_contradicts_itself_or_is_newer_is_told() -> None:
    whole = json.loads(report.document(FOUND))
    for other, said in (
        (whole | {"passed": True}, "to follow from its runs"),
        (whole | {"schema": 2}, "2: a newer torch-mirror reads it"),
        (whole | {"schema": "1"}, "or an older one from 1 on, got '1'"),
        ([], "got None"),
    ):
        with pytest.raises(InputError, match=said):
            report.read(json.dumps(other))
    with pytest.raises(InputError, match="expected JSON"):
        report.read("{")


@given(COMPARISONS)
def test_junit_is_xml_whose_counts_are_right(found: Comparison) -> None:
    suite = ET.fromstring(junit.document(found).encode())  # noqa: S314 - our own
    assert (suite.tag, int(suite.attrib["tests"])) == ("testsuite", len(suite.findall("testcase")))
    failed = len(suite.findall("testcase/failure"))
    assert int(suite.attrib["failures"]) == failed
    assert (failed == 0) == found.passed


def test_junit_tells_each_run() -> None:
    suite = ET.fromstring(junit.document(FOUND).encode())  # noqa: S314 - our own
    names = [case.attrib["name"] for case in suite.findall("testcase")]
    assert names == ["mine.py:net float64", "mine.py:net float64", "gone float64"]
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.attrib["message"] == "first wrong: dW"
    assert "wrong from" in str(failure.text)


@given(COMPARISONS)
def test_a_table_of_markdown_has_a_row_for_each_run(found: Comparison) -> None:
    lines = markdown.document(found).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == (2 + len(found.outcomes) if found.outcomes else 0)
    assert {row.count("|") for row in rows} <= {6}
    assert not any("<" in row.replace("<br>", "") for row in rows)


def test_markdown_has_what_fails_first_and_fits_a_summary() -> None:
    text = markdown.document(FOUND)
    assert text.startswith("### torch-mirror gate: failed, 2 of 3 runs\n")
    assert "- processor: one -> another" in text
    assert text.index("gone") < text.index("| mine.py:net | float64 | certified |")
    long = Comparison((), tuple(WRONG._replace(why=("é" * 1000,) * 40) for _ in range(40)))
    text = markdown.document(long)
    assert (markdown.ROOM - 100_000) < len(text.encode()) <= markdown.ROOM
    assert text.endswith(markdown.CUT)


@given(COMPARISONS)
def test_an_annotation_is_one_line(found: Comparison) -> None:
    lines = list(github.lines(found, {}))
    assert len(lines) == (sum(bool(o.changes) for o in found.outcomes) if found.outcomes else 1)
    for line in lines:
        assert line.startswith(("::error ", "::notice "))
        assert line.isprintable()
        assert line.count("::") >= 2


def test_annotations_stand_at_the_line_that_is_wrong() -> None:
    lines = list(github.lines(FOUND, {"mine.py:net": "src/a,b/mine.py:net"}))
    assert lines[0] == (
        "::error file=src/a%2Cb/mine.py,line=9,title=torch-mirror gate%3A mine.py%3Anet float64::first wrong: dW%0A"
        "dW  the right values end at  mine.py:7   e = y - t%0A    wrong from  mine.py:9   dW = e"
    )
    assert lines[1].startswith("::error title=torch-mirror gate%3A gone float64::it is in the baseline")
    moved = Outcome("mine.py:net", "float64", "certified", 9, (Change("bits", "100 % of z\nmoved"),))
    (line,) = github.lines(Comparison((), (moved,)), {})
    place = "file=mine.py,line=1,title=torch-mirror gate%3A mine.py%3Anet float64"
    assert line == f"::notice {place}::100 %25 of z\\nmoved"


@given(COMPARISONS, st.booleans())
def test_words_are_printable_lines(found: Comparison, quiet: bool) -> None:  # noqa: FBT001 - hypothesis draws it
    assert all(line.isprintable() for _, line in words.lines(found, quiet=quiet))
    assert all(line.isprintable() for line in markdown.document(found).splitlines())
    assert junit.document(found).replace("\n", "").isprintable()
