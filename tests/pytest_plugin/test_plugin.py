"""The pytest plugin's fixtures, reports and options, by runs of pytest on files such as users write."""

from contextlib import nullcontext

import pytest

from tests.pytest_plugin.runs import ALL, CLAIMS, GIVEN, JSON, assert_written, counts, run
from tests.reports.html.parsed import Page
from torch_mirror.judge.findings import Doubt, Row
from torch_mirror.judge.verdict import Certificate
from torch_mirror.pytest_plugin import judging, summary
from torch_mirror.pytest_plugin.records import Record


def test_a_test_passes_fails_or_is_an_error_and_that_is_summed_up(pytester: pytest.Pytester) -> None:
    result = run(pytester, ALL)
    assert counts(result) == {"passed": 2, "failed": 2, "errors": 2}
    result.stdout.fnmatch_lines([
        "*= torch-mirror =*",
        "3 claims: 1 certified, 1 refuted, 1 undecided; 12 elements judged",
        "worst of the certified: * of its radius, d[wb] in *.py::test_right",
        "coarsest resolution: a change of *e-1* of a whole tensor would have been seen, d[wb] in *::test_right",
        "FAILED *::test_wrong*",
        "FAILED *::test_input*",
        "ERROR *::test_untold*",
        "ERROR *::test_no_function*",
    ])  # fmt: skip


def test_what_a_failure_shows(pytester: pytest.Pytester) -> None:
    result = run(pytester, ALL, "-k", "wrong or input")
    result.stdout.fnmatch_lines([
        "E *.Refuted: wrong: refuted, dw is not the derivative of the loss*",
        "E *dw  WRONG *0.5 everywhere",
        "E *cause: a factor 1/2 *",
    ])  # fmt: skip
    result.stdout.fnmatch_lines(["*test_input*", ">*check(right, P, X*", "> *r = X @ p*", "E *ValueError: operands*"])
    for ours in ("derivative.py", "plugin.py", "judging.py", "claimed.py"):
        assert ours not in result.stdout.str()


def test_all_frames_are_shown_if_asked_for(pytester: pytest.Pytester) -> None:
    assert "derivative.py" in run(pytester, ALL, "-k", "input", "--full-trace").stdout.str()


def test_a_fault_of_ours_shows_our_frames(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "_coarsest", None)
    result = run(pytester, ALL, "-k", "right")
    assert counts(result) == {"failed": 1}
    assert "judging.py" in result.stdout.str()


def test_every_row_is_shown_if_asked_for(pytester: pytest.Pytester) -> None:
    few, many = (
        run(pytester, ALL, "-k", "wrong", *option).stdout.str().partition("short test summary")[0]
        for option in ((), ("-vv",))
    )
    assert few.count("db  ok") == 1
    assert many.count("db  ok") == 2


def test_nothing_is_said_where_nothing_was_judged(pytester: pytest.Pytester) -> None:
    assert "torch-mirror =" not in run(pytester, ALL, "-k", "nothing_of_ours").stdout.str()


def test_json_and_junit(pytester: pytest.Pytester) -> None:
    run(pytester, ALL, "-k", "right or wrong", *JSON)
    assert_written(pytester.path)


def test_a_page_shows_what_was_judged_with_its_pictures(pytester: pytest.Pytester) -> None:
    run(pytester, ALL, "-k", "right or wrong", "--torch-mirror-report=page.html")
    page = Page((pytester.path / "page.html").read_text(encoding="utf-8"))
    assert [e.words for e in page.all("h1")] == ["1 of 2 claims is refuted"]
    assert [e.words for e in page.all("h2")] == ["right", "wrong"]
    assert len(page.all("tr", class_="is-wrong")) == 1
    result = run(pytester, ALL, "--torch-mirror-report", "nowhere/page.html")
    result.stderr.fnmatch_lines(["ERROR: --torch-mirror-report: expected *nowhere*"])


AROUND = """
@pytest.fixture
def judged(check):
    return check(wrong, P, X, y)

def test_setup(judged):
    pass

@pytest.fixture
def after(check):
    yield
    check(wrong, P, X, y)

def test_teardown(after, check):
    check(right, P, X, y)
"""


def test_what_fixtures_judge_is_summed_up(pytester: pytest.Pytester) -> None:
    """Each verdict once, in whatever phase of a test it comes."""
    result = run(pytester, "import pytest\n" + GIVEN + AROUND)
    result.stdout.fnmatch_lines(["3 claims: 1 certified, 2 refuted; 12 elements judged"])


@pytest.mark.skipif(not hasattr(pytest, "Subtests"), reason="pytest has subtests from 9.0 on")
def test_what_a_subtest_judges_counts_once(pytester: pytest.Pytester) -> None:
    subtests = """
def test_sub(check, subtests):
    for n in (20, 8):
        with subtests.test(n=n):
            check(right, P, X[:n], y[:n])
"""
    result = run(pytester, GIVEN + subtests)
    result.stdout.fnmatch_lines(["2 claims: 2 certified; 8 elements judged"])


def test_a_report_is_left_alone_where_no_test_runs(pytester: pytest.Pytester) -> None:
    report = pytester.path / "j.json"
    report.write_text("before", encoding="utf-8")
    run(pytester, ALL, "--collect-only", "--torch-mirror-json=j.json")
    assert report.read_text(encoding="utf-8") == "before"


def test_a_folder_that_goes_while_the_tests_run_hides_nothing(pytester: pytest.Pytester) -> None:
    (pytester.path / "gone").mkdir()
    goes = "\ndef test_goes():\n    import pathlib\n    pathlib.Path('gone').rmdir()\n"
    result = run(pytester, ALL + goes, "-k", "test_right or test_goes", "--torch-mirror-json=gone/j.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["1 claim: 1 certified; *", "*2 passed*"])
    result.stderr.fnmatch_lines(["Exit: --torch-mirror-json: expected *gone*"])


def test_a_path_that_cannot_be_written_is_told_before_any_test(pytester: pytest.Pytester) -> None:
    result = run(pytester, ALL, "--torch-mirror-json", "nowhere/j.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --torch-mirror-json: expected *nowhere*"])


def test_other_doors(pytester: pytest.Pytester) -> None:
    text = GIVEN + """
from dataclasses import replace
from reference import SGD, experiments

def test_layer(check):
    check.layer(lambda x: (x * x, x), lambda dy, x: 2 * x * dy, X)

def test_step(check):
    check.step(lambda p, g: {n: p[n] - 0.1 * g[n] for n in p}, SGD(0.1), P, P)

def test_verify(verify):
    assert verify(replace(experiments.load("two-layer-linear"), steps=2)).verdict == "certified"
"""
    assert counts(run(pytester, text)) == {"passed": 3}


DOUBTED = Row("dW1", "local", "torch", 1, 8, zero=False, doubt=Doubt("factor", 1.000001, 1e-20))


@pytest.mark.parametrize("strict", [False, True])
def test_a_doubt_fails_where_strict_asks_for_it(strict: bool) -> None:  # noqa: FBT001 - what is tested
    kept = list[Record]()
    certificate = Certificate("mine", "float32", None, 1, (DOUBTED,), strict=strict)
    with pytest.raises(judging.Doubted, match="dW1") if strict else nullcontext():
        judging.demand_certificate(certificate, lambda record, _: kept.append(record))
    assert (kept[0]["verdict"], kept[0]["doubts"]) == ("doubted" if strict else "certified", 1)
    assert "doubts (--torch-mirror-strict makes them fail): here" in summary.lines([("here", kept[0])])


def test_strict_reaches_every_door(pytester: pytest.Pytester) -> None:
    text = CLAIMS + """
def test_of_verify(verify):
    assert verify(linear("float64")).strict

@torch_mirror.parametrize({"linear": linear}, dtypes=["float64"])
def test_claim(claim, monkeypatch):
    seen = []
    monkeypatch.setattr("torch_mirror.pytest_plugin.claims.demand_certificate", lambda c, *_, **__: seen.append(c))
    claim()
    assert seen[0].strict
"""
    assert counts(run(pytester, text, "--torch-mirror-strict")) == {"passed": 6}
