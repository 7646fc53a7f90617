"""The pytest plugin, by runs of pytest on files such as users write."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import torch_mirror
from reference import SGD, experiments
from tests.reports.html.parsed import Page
from torch_mirror.judge.findings import Doubt, Row
from torch_mirror.judge.verdict import Certificate
from torch_mirror.pytest_plugin import judging, plugin, summary
from torch_mirror.pytest_plugin.records import Record


@pytest.fixture(scope="module", autouse=True)
def _all_is_loaded() -> None:
    """pytester takes from ``sys.modules`` what a run of pytest was first to import; torch bears no second time."""
    e = replace(experiments.load("two-layer-linear"), steps=1)
    assert torch_mirror.verify(e).verdict == "certified"
    w = {"w": np.ones((2, 2))}
    assert torch_mirror.check_step(lambda p, g: {"w": p["w"] - 0.5 * g["w"]}, SGD(0.5), w, w, steps=2).certified
    assert torch_mirror.check_layer(lambda x: (x * x, x), lambda dy, x: 2 * x * dy, np.ones(3)).certified
    assert callable(torch_mirror.parametrize)


GIVEN = """
import numpy as np
import torch_mirror

draw = np.random.default_rng(0)
X, y = draw.normal(size=(20, 3)), draw.normal(size=20)
P = {"w": draw.normal(size=3), "b": np.array(0.5)}

def right(p, X, y):
    r = X @ p["w"] + p["b"] - y
    return (r**2).mean(), {"w": 2 * X.T @ r / len(y), "b": 2 * r.mean()}

def wrong(p, X, y):
    loss, gradients = right(p, X, y)
    return loss, {"w": gradients["w"] / 2, "b": gradients["b"]}

def untold(p, X, y):
    loss, gradients = right(p, X, y)
    return float(str(loss)), gradients
"""

ALL = GIVEN + """
def test_right(check):
    assert check(right, P, X, y).certified

def test_wrong(check):
    check(wrong, P, X, y)

def test_untold(check):
    check(untold, P, X, y)

def test_input(check):
    check(right, P, X[:7], y)

def test_no_function(check):
    check("right", P, X, y)

def test_nothing_of_ours():
    pass
"""

def run(pytester: pytest.Pytester, text: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(text)
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)


def counts(result: pytest.RunResult) -> dict[str, int]:
    return {name: count for name, count in result.parseoutcomes().items() if name != "deselected"}


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


JSON = "--torch-mirror-json", "j.json", "--junitxml", "j.xml"


def assert_written(folder: Path) -> None:
    """Of tests ``right`` and ``wrong``."""
    whole = json.loads((folder / "j.json").read_text(encoding="utf-8"))
    judged = {record["claim"]: record for record in whole["judged"]}
    assert whole["schema"] == 1
    assert {claim: record["verdict"] for claim, record in judged.items()} == {"right": "certified", "wrong": "refuted"}
    assert judged["right"]["test"].endswith("test_right")
    assert judged["right"]["elements"] == 4
    assert 0 < judged["right"]["worst"] < 1 < judged["wrong"]["worst"]
    properties = ET.parse(folder / "j.xml").iterfind(".//testcase[@name='test_right']//property")  # noqa: S314 - pytest's own
    assert {p.get("name"): p.get("value") for p in properties}["torch_mirror.verdict"] == "certified"


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


# --- torch_mirror.parametrize -------------------------------------------------------------------------

CLAIMS = GIVEN + """
from dataclasses import astuple, replace
from reference import experiments
from reference.networks.two_layer_linear import TwoLayerLinear

class Doubled(TwoLayerLinear):
    def backward(self, p, cache, dy, sow):
        return super().backward(p, cache, dy, lambda name, v: sow(name, 2 * v if name == "dW1" else v))

def linear(dtype):
    return replace(experiments.load("two-layer-linear", dtype), steps=3)

def doubled(dtype):
    e = linear(dtype)
    return replace(e, network=Doubled(*astuple(e.network)))

claims = {
    "linear": linear,
    "doubled": doubled,
    "one": linear("float32"),
    "right": lambda: torch_mirror.check(right, P, X, y),
    "wrong": lambda: (wrong, P, X, y),
    "odd": lambda: 7,
}
"""

ONE_TEST = """
@torch_mirror.parametrize(claims)
def test_all(claim):
    claim()
"""


def test_one_test_for_each_claim_precision_and_part(pytester: pytest.Pytester) -> None:
    result = run(pytester, CLAIMS + ONE_TEST, "--collect-only", "-q", "-k", "linear- or one-")
    names = [line.partition("[")[2].rstrip("]") for line in result.outlines if "[" in line]
    parts = ("run", "forward", "loss", "gradients", "update")
    of = ("linear-float64", "linear-float32", "one-float32")
    assert names == [f"{claim}-{part}" for claim in of for part in parts]


def test_each_part_is_judged_by_itself(pytester: pytest.Pytester) -> None:
    result = run(pytester, CLAIMS + ONE_TEST, "-v")
    lines = [line.split() for line in result.outlines if "::test_all[" in line and "%]" in line]
    said = {line[0].partition("[")[2].rstrip("]"): line[1] for line in lines}
    wrong = {name for name, word in said.items() if word == "FAILED"}
    assert {name for name in wrong if "doubled" not in name} == {"wrong-gradients"}
    assert {name.rpartition("-")[2] for name in wrong if "doubled" in name} == {"gradients", "run"}  # ends apart
    assert {name for name, word in said.items() if word == "ERROR"} == {"odd-gradients"}
    assert len(said) == 5 * 5 + 3


def test_what_is_selected_alone_is_run(pytester: pytest.Pytester) -> None:
    assert counts(run(pytester, CLAIMS + ONE_TEST, "-k", "linear and float32 and update")) == {"passed": 1}


def test_an_expected_failure_must_fail(pytester: pytest.Pytester) -> None:
    expected = """
failures = {"wrong-gradients": "known", "right-gradients": "not so", "odd-gradients": "no failure"}

@torch_mirror.parametrize({n: claims[n] for n in ("right", "wrong", "odd")}, expected_failures=failures)
def test_some(claim):
    claim()
"""
    assert counts(run(pytester, CLAIMS + expected)) == {"xfailed": 1, "failed": 1, "errors": 1}


@pytest.mark.parametrize(
    ("decorated", "said"),
    [
        ("@torch_mirror.parametrize({})", "*InputError: claims: expected at least one claim, got none"),
        ("@torch_mirror.parametrize([3])", "*InputError: claims: expected experiments, or a dict*got int"),
        ("@torch_mirror.parametrize({'a': 3})", "*InputError: claim 'a': expected an Experiment, or*got int"),
        (
            "@torch_mirror.parametrize({'right': claims['right']}, expected_failures={'right': 'so'})",
            "*UnknownNameError: unknown test 'right': did you mean 'right-gradients'?*",
        ),
        (
            "@torch_mirror.parametrize({1: claims['wrong'], '1': claims['right']})",
            "*InputError: claims: expected names that differ (*), got '1-gradients' twice",
        ),
        (
            "@torch_mirror.parametrize([claims['linear']('float64')] * 2)",
            "*InputError: claims: expected names that differ (*), got 'two-layer-linear-float64-run' twice",
        ),
        ("@torch_mirror.parametrize(claims, dtypes=())", "*InputError: dtypes: expected some of *, got ()"),
        ("@torch_mirror.parametrize(claims, dtypes='float64')", "*InputError: dtypes: expected some of *'float64'"),
        (
            "@torch_mirror.parametrize({'a': lambda dtype: claims['linear']('float64')}, dtypes=['float32'])",
            "*InputError: claim: expected *of the dtype that it is given, float32, got one of float64",
        ),
        ("", "*claim: expected a test under @torch_mirror.parametrize(claims), got one without it"),
    ],
)
def test_bad_claims(decorated: str, said: str, pytester: pytest.Pytester) -> None:
    run(pytester, f"{CLAIMS}\n{decorated}\ndef test_bad(claim):\n    claim()\n").stdout.fnmatch_lines([said])


def test_experiments_of_one_name_and_two_precisions_are_all_judged(pytester: pytest.Pytester) -> None:
    both = "@torch_mirror.parametrize([claims['linear'](dtype) for dtype in ('float64', 'float32')])"
    assert counts(run(pytester, f"{CLAIMS}\n{both}\ndef test_both(claim):\n    claim()\n")) == {"passed": 10}


def test_an_experiment_with_a_torch_side_of_its_own(pytester: pytest.Pytester) -> None:
    """A function's experiment has no mirror of ours."""
    mine = """
import torch
from torch import nn
from reference import SGD, Experiment

def using(e):
    module = nn.Linear(3, 1, dtype=getattr(torch, str(e.dtype)))
    names = {"w": "weight", "b": "bias"}
    return torch_mirror.session(e, module, names, lambda y, t: nn.functional.mse_loss(y[:, 0], t))

def made(dtype):
    p = {"w": P["w"].reshape(1, 3).astype(dtype), "b": P["b"].reshape(1).astype(dtype)}

    def network(p, x, t):
        r = (x @ p["w"].mT + p["b"])[..., 0] - t
        n = r.shape[-1]
        return (r**2).mean(axis=-1), {"w": (2 * (r[..., None, :] @ x) / n), "b": 2 * r.sum(axis=-1, keepdims=True) / n}

    return Experiment(network, p, X.astype(dtype), y.astype(dtype), None, SGD(0.1), steps=3)

@torch_mirror.parametrize({"both": lambda dtype: (made(dtype), using), "one": (made("float32"), using)})
def test_mine(claim):
    claim()
"""
    assert counts(run(pytester, GIVEN + mine)) == {"passed": 12, "skipped": 3}  # it sows no value of its forward pass


def test_a_claim_that_nobody_calls_is_an_error(pytester: pytest.Pytester) -> None:
    uncalled = "@torch_mirror.parametrize({'right': claims['right']})\ndef test_uncalled(claim):\n    assert claim\n"
    result = run(pytester, f"{CLAIMS}\n{uncalled}")
    assert counts(result) == {"passed": 1, "errors": 1}
    result.stdout.fnmatch_lines(["claim: expected a call, claim(), got a test that ended without one"])


# --- what it costs and where it works -----------------------------------------------------------------


def test_a_run_that_does_not_use_it_imports_neither_numpy_nor_torch(tmp_path: Path) -> None:
    """Nor our own reference, in whose place a user may have a folder of that name."""
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "test_theirs.py").write_text(
        "import sys\ndef test_theirs():\n    assert 'torch_mirror.pytest_plugin.plugin' in sys.modules\n"
        "    assert not {'numpy', 'torch', 'reference.errors'} & {*sys.modules}\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_plugin_loads_with_the_oldest_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/pytest_versions.py runs all of this with it; here what it lacks is taken away."""
    for later in ("TerminalReporter", "RaisesGroup", "RaisesExc", "Subtests"):
        monkeypatch.delattr(pytest, later, raising=False)
    source = Path(plugin.__file__).read_text(encoding="utf-8")
    exec(compile(source, plugin.__file__, "exec"), {"__name__": "as_if_new"})  # noqa: S102 - our own


def test_workers_optimised_python_and_importlib(tmp_path: Path) -> None:
    """What pytest-xdist's workers judged is merged; without asserts nothing passes that should not."""
    (tmp_path / "test_mine.py").write_text(ALL, encoding="utf-8")
    command = [sys.executable, "-O", "-m", "pytest", "-p", "no:cacheprovider", "--import-mode=importlib", "-n", "2"]
    command += ["-k", "right or wrong", *JSON]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "2 claims: 1 certified, 1 refuted; 8 elements judged" in done.stdout
    assert_written(tmp_path)
