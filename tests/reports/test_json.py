"""A report in JSON: strict, complete, as its schema says; and read back, or refused by name."""

import json
import math
from importlib.resources import files
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.errors import InputError
from tests.reports.drawn import WRONG, certificates
from tests.reports.schemas import fits
from torch_mirror.judge.findings import Check, Doubt, Row, Side, Sign
from torch_mirror.judge.verdict import Certificate, Verdict, Words
from torch_mirror.reports import json as report
from torch_mirror.reports.json import UNTOLD

VERSIONS, THREADS = {"python": "3.11"}, {"torch": 1}
SCHEMA: dict[str, Any] = json.loads(files("torch_mirror.reports").joinpath("schema.json").read_text())
DOUBT = Doubt("factor", 1.000001, 1e-9)
RUN = Certificate(
    "mine", "float64", 0, 9, (Row("dW", "local", "torch", 9, 90, first=WRONG, resolution=math.inf, doubt=DOUBT),)
)


def strictly(text: str) -> Any:
    """Read JSON as a strict reader does: NaN and Infinity are errors."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def same(one: Any, other: Any) -> bool:
    """Equal, where NaN equals NaN, and a NumPy number Python's."""
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, (float, np.floating)):
        return bool(np.array_equal(float(one), float(other), equal_nan=True))
    return bool(one == other)


@given(st.lists(certificates(), max_size=3))
def test_json_is_strict_fits_the_schema_and_is_read_back_whole(cs: list[Certificate]) -> None:
    text = report.document(cs, VERSIONS, THREADS)
    whole = strictly(text)
    assert (whole["versions"], whole["threads"]) == (VERSIONS, THREADS)
    assert fits(whole, SCHEMA)
    for c, came in zip(cs, report.read(text), strict=True):
        for name, value in vars(c).items():
            assert same(value, getattr(came, name)), name
        assert (came.verdict, came.judged) == (c.verdict, c.judged)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything in a report."""
    below: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        below = list(value.items())
    elif isinstance(value, list):
        below = list(enumerate(value))
    return [path, *(inner for key, one in below for inner in places(one, (*path, key)))]


WHOLE = json.loads(report.document([RUN], VERSIONS, THREADS))
READ = [path for path in places(WHOLE) if path and path[0] not in ("versions", "threads")]
dotted = pytest.mark.parametrize("path", READ, ids=lambda path: ".".join(map(str, path)))


def holder_of(path: tuple[Any, ...], whole: Any) -> Any:
    for key in path[:-1]:
        whole = whole[key]
    return whole


@dotted
def test_whatever_is_of_another_kind_is_told(path: tuple[Any, ...]) -> None:
    whole = json.loads(json.dumps(WHOLE))
    holder_of(path, whole)[path[-1]] = {"unknown": 1}
    assert not fits(whole, SCHEMA)
    with pytest.raises(InputError, match=r"^report\..*expected .*got "):
        report.read(json.dumps(whole))


ASKED = [path for path in READ if isinstance(path[-1], str) and path[-1] not in UNTOLD]


@pytest.mark.parametrize("path", ASKED, ids=str)
def test_whatever_is_missing_is_told(path: tuple[Any, ...]) -> None:
    whole = json.loads(json.dumps(WHOLE))
    del holder_of(path, whole)[path[-1]]
    assert not fits(whole, SCHEMA)
    with pytest.raises(InputError, match=rf"^report.*expected to hold '{path[-1]}'|what follows from its rows"):
        report.read(json.dumps(whole))


def test_what_older_reports_do_not_tell_is_not_asked_for() -> None:
    whole = json.loads(json.dumps(WHOLE))
    for row in whole["runs"][0]["rows"]:
        for name in UNTOLD:
            del row[name]
    assert report.read(json.dumps(whole)) == report.read(json.dumps(WHOLE))


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '"a"', "[" * 100_000, '{"schema": NaN}', "{}", "\x00"])
def test_what_is_no_report_is_told(text: str) -> None:
    with pytest.raises(InputError, match=r"^report"):
        report.read(text)


@pytest.mark.parametrize(("schema", "said"), [(2, "2: a newer torch-mirror reads it"), (0, "0: there is none")])
def test_another_schema_is_refused(schema: int, said: str) -> None:
    with pytest.raises(InputError, match=rf"report\.schema: expected at most 1.*{said}"):
        report.read(json.dumps(WHOLE | {"schema": schema}))


def test_a_report_that_contradicts_its_rows_is_refused() -> None:
    whole = json.loads(json.dumps(WHOLE))
    whole["runs"][0]["verdict"] = "certified"
    with pytest.raises(InputError, match=r"runs\[0\]\.verdict: expected what follows from its rows, 'refuted', got"):
        report.read(json.dumps(whole))


def test_the_schema_knows_every_word_of_the_verdicts() -> None:
    known = SCHEMA["$defs"]
    assert known["run"]["properties"]["verdict"]["enum"] == list(get_args(Verdict))
    assert known["ruling"]["properties"]["verdict"]["enum"] == list(get_args(Words))
    for name in ("row", "finding"):
        assert known[name]["properties"]["check"]["enum"] == list(get_args(Check))
        assert known[name]["properties"]["side"]["enum"] == list(get_args(Side))
    assert known["doubt"]["properties"]["sign"]["enum"] == list(get_args(Sign))
    assert SCHEMA["properties"]["schema"]["const"] == report.SCHEMA


@given(st.floats())
def test_a_number_that_json_cannot_hold_is_a_string_that_float_reads(x: float) -> None:
    written = report.number(x)
    assert written is not None
    assert isinstance(written, str) == (not math.isfinite(x))
    np.testing.assert_array_equal(float(written), x)


def test_no_number_is_null() -> None:
    assert report.number(None) is None
