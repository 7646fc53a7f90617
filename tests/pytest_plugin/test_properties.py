"""The fixture ``check`` in tests of hypothesis: no health check, no deadline, and one claim for all examples."""

import json

import pytest

from tests.pytest_plugin.runs import GIVEN, counts, run

PROPERTIES = GIVEN + """
from hypothesis import Phase, given, settings
from torch_mirror import batches_like, parameters_like

@given(parameters_like(P), batches_like(X, y))
def test_right(check, p, data):
    check(right, p, *data)
    check(right, p, *data)

@settings(phases=[Phase.generate])
@given(parameters_like(P), batches_like(X, y))
def test_both(check, p, data):
    check(right, p, *data)
    check(wrong, p, *data)
"""


def test_a_stranger_meets_no_health_check_and_one_claim_is_one(pytester: pytest.Pytester) -> None:
    result = run(pytester, PROPERTIES, "--torch-mirror-json", "out.json")
    assert counts(result) == {"passed": 1, "failed": 1}
    result.stdout.no_fnmatch_line("*HealthCheck*")
    result.stdout.no_fnmatch_line("*Deadline*")
    result.stdout.fnmatch_lines(["*Refuted: wrong: refuted, dw is not the derivative*", "*cause: not asked for*"])
    judged = json.loads((pytester.path / "out.json").read_text(encoding="utf-8"))["judged"]
    assert [(one["claim"], one["verdict"]) for one in judged] == [
        ("right", "certified"), ("right", "certified"), ("wrong", "refuted"),
    ]  # fmt: skip


def test_an_example_at_which_nothing_could_fail_is_none_and_if_all_are_it_is_told(pytester: pytest.Pytester) -> None:
    result = run(pytester, GIVEN + """
from hypothesis import given, strategies as st

@given(st.sampled_from([0.0, 0.0, 1.0]))
def test_some(check, scale):
    check(right, P, scale * X, scale * y + P["b"] * (scale == 0))

@given(st.just(0.0))
def test_none(check, scale):
    check(right, P, scale * X, scale * y + P["b"])
""")  # fmt: skip
    assert counts(result) == {"passed": 1, "failed": 1}
    result.stdout.fnmatch_lines(["*Unable to satisfy assumptions of test_none*", "1 claim: 1 certified; *"])


def test_the_user_s_own_properties_stay(pytester: pytest.Pytester) -> None:
    text = GIVEN + """
from hypothesis import HealthCheck, given, settings
from torch_mirror import parameters_like

@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parameters_like(P))
def test_right(check, record_property, p):
    record_property("mine", 1)
    check(right, p, X, y)
"""
    assert counts(run(pytester, text, "--junitxml", "j.xml", "-o", "junit_family=xunit1")) == {"passed": 1}
    written = (pytester.path / "j.xml").read_text(encoding="utf-8")
    assert written.count('"torch_mirror.verdict"') == 1
    assert '<property name="mine" value="1"' in written
