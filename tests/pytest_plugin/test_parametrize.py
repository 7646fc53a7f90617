"""torch_mirror.parametrize: one test for each claim, precision and part of the verdict."""

import pytest

from tests.pytest_plugin.runs import CLAIMS, GIVEN, counts, run

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
