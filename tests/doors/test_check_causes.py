"""Causes in check: named where they are proven, tied where they cannot be told apart, and never a false one."""

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

from reference.errors import InputError
from tests.doors.catalogue import grade, of_network, words
from tests.sample import some
from tests.tape.edits.networks import OUTSIDE, SOFTMAX, SOFTMAX_FAULTS
from tests.tape.edits.planted import Fault, Sizes, planted
from tests.tape.edits.test_catalogue import APART, EQUAL, NETWORKS
from torch_mirror import Checked, check
from torch_mirror.tape import causes

OTHER = Sizes(10, 6, 9, 7)
"""No size is that of APART, nor a half or the double of another one."""


def checked(source: str, fault: Fault, sizes: Sizes, seed: int, make: Any = None) -> Checked:
    return check(planted(source, fault)[0], *of_network(sizes, seed), make=make)


def graded(source: str, faults: Sequence[Fault], sizes: Sizes = APART) -> Counter[str]:
    """How often each grade was given; whatever is refuted fits in twenty lines, and says something of the cause."""
    found: Counter[str] = Counter()
    for fault in faults:
        here = checked(source, fault, sizes, 0)
        if here.verdict == "refuted":
            found[grade(here, partial(checked, source, fault, OTHER, 50))] += 1
            text = str(here)
            assert len(text.splitlines()) <= 20, text
            assert "cause" in text or "computed from no parameter" in text, text
    return found


@pytest.mark.parametrize(("name", "most"), [("softmax", 4), ("sigmoid", 0), ("tanh", 0)])
def test_the_catalogue_is_named_and_nothing_wrongly(name: str, most: int) -> None:
    """Of every eighth fault, and of every other one in make thorough; tests/tape/edits has all, below this door.

    most: how many of them may have no cause, as no data is at hand that they are made of.
    """
    source, faults = NETWORKS[name]
    found = graded(source, some(some(faults[::2])))
    assert not found["wrong"], found
    assert found["none"] <= most, found
    assert found["right"] >= 0.8 * found.total(), found


def test_what_is_no_edit_has_no_cause() -> None:
    """Of every other one; of all in make thorough."""
    asked = some(OUTSIDE)
    found = graded(SOFTMAX, asked)
    assert not found["wrong"], found
    assert not found["tie"], found
    assert found["none"] >= 0.8 * len(asked), found


def test_a_cause_by_chance_would_be_graded_wrong() -> None:
    """The grading has teeth: N and the outputs are 5 here, and 10 and 7 there."""
    (fault,) = [f for f in SOFTMAX_FAULTS if f.name == "1/N left out"]
    here, there = checked(SOFTMAX, fault, EQUAL, 0), checked(SOFTMAX, fault, OTHER, 50)
    assert grade(here, lambda: there) == "tie"
    (first,) = here.faults
    by_chance = dataclasses.replace(here, faults=(first._replace(causes=("a factor 5 (here W1.shape[1]) at d(z3)",)),))
    assert grade(by_chance, lambda: there) == "wrong"


# --- another point --------------------------------------------------------------------------------------------------


TIED = [f for f in SOFTMAX_FAULTS if f.name in ("1/N left out", "gradient scaled")]


@pytest.mark.parametrize("fault", TIED, ids=lambda f: f.name)
def test_ties_are_told_with_their_why_and_another_point_tells_them_apart(fault: Fault) -> None:
    calls = (i for i in range(9))  # a list would be put back as it was, as all is that make can reach but a generator

    def make() -> Any:
        next(calls)
        return of_network(OTHER, 70)

    tied = checked(SOFTMAX, fault, EQUAL, 0)
    assert len(tied.causes) == 2, str(tied)
    assert "cannot be told apart" in str(tied)
    assert "W1.shape[1]" in tied.faults[0].why
    assert "make=" in tied.faults[0].why
    told = checked(SOFTMAX, fault, EQUAL, 0, make)
    assert len(told.causes) == 1, str(told)
    assert words(told) < words(tied)
    assert "N the batch" in told.causes[0]
    assert next(calls) == 1


def test_make_is_called_only_where_causes_are_tied() -> None:
    def make() -> Any:
        raise AssertionError("called")

    right = NETWORKS["tanh"][0]
    assert check(planted(right, None)[0], *of_network(APART, 0), make=make).certified
    alone = checked(right, NETWORKS["tanh"][1][0], APART, 0, make)
    assert len(alone.causes) == 1
    assert "could not be used" not in str(alone)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: 1 // 0, "ZeroDivisionError"),
        (lambda: of_network(OTHER, 70)[:2], "make: expected to return parameters and 4 data"),
        (lambda: ({"V": np.ones(3)}, *of_network(OTHER, 70)[1:]), "the parameters of make"),
    ],
)
def test_a_make_that_cannot_be_used_loses_no_verdict(make: Any, told: str) -> None:
    result = checked(SOFTMAX, TIED[0], EQUAL, 0, make)
    assert result.verdict == "refuted"
    assert len(result.causes) == 2
    assert told in str(result)


def test_causes_are_looked_for_unless_somebody_says_otherwise() -> None:
    function, data = planted(SOFTMAX, TIED[0])[0], of_network(APART, 0)
    asked, not_asked = check(function, *data), check(function, *data, explain=False)
    assert asked.causes
    assert not not_asked.causes
    assert not_asked.rows == asked.rows
    assert not_asked.faults[0].why == "not asked for"
    assert not any(fault.wrong or fault.right for fault in not_asked.faults)
    assert not not_asked.notes


def test_of_two_mistakes_neither_cause_is_looked_for_then() -> None:
    def two(p: Any, x: Any) -> Any:
        y = x @ p["W"] + p["b"]
        return (y**2).sum(), {"W": x.T @ y, "b": 3 * y.sum(axis=0)}

    result = check(two, {"W": np.eye(3) + 1, "b": np.ones(3)}, np.arange(12.0).reshape(4, 3) + 1, explain=False)
    assert [fault.why for fault in result.faults] == ["not asked for"] * 2


def test_a_formula_in_another_one_has_brackets() -> None:
    def mine(p: Any, x: Any, t: Any) -> Any:
        h = np.tanh(x @ p["W"] + p["b"])
        dz = np.outer(2 * (h @ p["v"] - t), p["v"]) * (1 - (x @ p["W"] + p["b"]) ** 2)
        gradients = {"W": x.T @ dz, "b": dz.sum(axis=0), "v": h.T @ (2 * (h @ p["v"] - t))}
        return ((h @ p["v"] - t) ** 2).sum(), gradients

    draw = np.random.default_rng(0).normal
    p = {"W": draw(size=(3, 4)), "b": draw(size=4), "v": draw(size=4)}
    result = check(mine, p, draw(size=(5, 3)), draw(size=5))
    assert "cause: 1 - ((x @ W) + b)^2 for (1 - h^2)" in str(result)


def test_make_is_a_function() -> None:
    with pytest.raises(InputError, match="make: expected a function"):
        check(planted(SOFTMAX, None)[0], *of_network(APART, 0), make=3)  # type: ignore[arg-type]  # what is tested


# --- what it costs --------------------------------------------------------------------------------------------------


def test_right_code_pays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("asked")

    monkeypatch.setattr(causes, "explain", never)
    assert check(planted(SOFTMAX, None)[0], *of_network(APART, 0)).certified
    with pytest.raises(AssertionError, match="asked"):
        checked(SOFTMAX, TIED[0], APART, 0)


def test_where_the_time_is_up_that_is_said_and_the_verdict_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    late = causes.Asked({}, str, str, 0.0)
    monkeypatch.setattr("torch_mirror.doors.check.derivative.Asked", lambda *_: late)
    result = checked(SOFTMAX, TIED[0], APART, 0)
    assert result.verdict == "refuted"
    assert not result.causes
    assert "none was found before the time was up" in str(result)
    assert "no single edit" not in str(result)  # more than is known


def test_a_sign_in_everything_is_told_at_its_place() -> None:
    """All the user's values are -1 times the derivatives: as if it were their scale, and it is the mistake."""
    (fault,) = [f for f in NETWORKS["sigmoid"][1] if f.name == "sign"]
    assert words(checked(NETWORKS["sigmoid"][0], fault, APART, 0)) == {"a factor -1 at 2 * (y - t)"}


def test_a_plain_number_of_the_data_has_its_name() -> None:
    def mine(p: Any, x: Any, rate: float) -> Any:
        y = x @ p
        return 0.5 * np.sum(y * y) * rate, x.T @ y

    draw = np.random.default_rng(0).standard_normal
    result = check(mine, draw((4, 3)), draw((6, 4)), 0.37)
    assert "1/rate" in result.causes[0], str(result)


# --- what a value is called -----------------------------------------------------------------------------------------


def hinge(p: Any, x: Any, t: Any) -> Any:
    """The planted fault: -1 for -ds.sum(axis=1), half of it."""
    n = len(x)
    s = x @ p["W"]
    m = np.maximum(0, s - s[np.arange(n), t][:, None] + 1)
    m[np.arange(n), t] = 0
    ds = (m > 0) / n
    ds[np.arange(n), t] = -1 / n
    return m.sum() / n, {"W": x.T @ ds}


def test_some_elements_of_a_value_are_not_called_as_all_of_it() -> None:
    """Half of d(s) is not what is given: it is half of those by the scores of the right classes."""
    x, t = np.array([[1.0, 0, 0], [0, 1, 0], [2, 1, 1], [1, 0, 5]]), np.array([0, 1, 0, 2])
    result = check(hinge, {"W": np.zeros((3, 3))}, x, t)
    assert words(result) == {"a factor 1/2 at d(s[np.arange(n), t])"}


@pytest.mark.parametrize("first", [True, False], ids=["the first", "the second"])
def test_values_of_one_name_are_told_apart_by_their_lines(first: bool) -> None:  # noqa: FBT001 - a case
    def mine(p: Any, x: Any) -> Any:
        z = x @ p["W"]
        z = np.tanh(z)
        dz = 2 * z
        if not first:
            dz = 3 * dz
        dz = dz * (1 - z * z)
        if first:
            dz = 3 * dz
        return (z**2).sum(), {"W": x.T @ dz}

    draw = np.random.default_rng(0).normal
    (cause,) = check(mine, {"W": draw(size=(4, 3))}, draw(size=(7, 4))).causes
    line = mine.__code__.co_firstlineno + (1 if first else 2)
    assert f"d(z of line {line})" in cause, cause


@pytest.mark.parametrize("adds", [True, False])
def test_equal_indices_that_are_counted_once_are_named(*, adds: bool) -> None:
    """An embedding whose rows occur several times: dE[k] += dh is one share, and np.add.at all of them."""

    def mine(p: Any, k: Any, t: Any) -> Any:
        h = p["E"][k]
        e = h @ p["W"] - t
        dh = 2 * e @ p["W"].T
        dE = np.zeros_like(p["E"])
        if adds:
            dE[k] += dh
        else:
            dE[k] = dh
        return (e**2).sum(), {"E": dE, "W": h.T @ (2 * e)}

    draw = np.random.default_rng(0).normal
    p = {"E": draw(size=(5, 3)), "W": draw(size=(3, 2))}
    (cause,) = check(mine, p, np.array([0, 2, 2, 4, 2]), draw(size=(5, 2))).causes
    assert cause.startswith("only the last of equal indices in d(E)"), cause
    assert check(mine, p, np.array([0, 2, 1, 4, 3]), draw(size=(5, 2))).certified


def test_what_a_call_makes_on_its_way_has_not_the_name_of_what_it_gives() -> None:
    """np.linalg.norm makes a sum of squares, np.convolve turns its filter round: neither is what the line is called."""

    def normed(p: Any, x: Any) -> Any:
        norm = np.linalg.norm(p["V"], axis=0)
        return (p["V"] / norm * x).sum(), {"V": x / norm - (x * p["V"]).sum(0) / norm**4 * p["V"]}  # norm**3 is due

    def convolved(p: Any, x: Any, t: Any) -> Any:
        y = np.convolve(x, p["k"], mode="valid")
        e = y - t
        return (e**2).sum(), {"k": np.convolve(2 * e, x[::-1], mode="valid")[::-1]}  # no [::-1] is due

    draw = np.random.default_rng(0).normal
    for function, p, *data in (
        (normed, {"V": draw(size=(4, 3))}, draw(size=(4, 3))),
        (convolved, {"k": draw(size=3)}, draw(size=8), draw(size=6)),
    ):
        causes = check(function, p, *data).causes
        assert causes
        assert not any("of another " in cause or "d(y)" in cause or "d(np.convolve" in cause for cause in causes)


def of_the_largest(p: Any, x: Any, mask: Any) -> Any:
    h = np.maximum(x @ p["W"] + p["b"], 0)
    mean = (h * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    arg = np.where(mask[..., None] > 0, h, -1e9).argmax(axis=1)
    pool = np.hstack([mean, np.take_along_axis(np.where(mask[..., None] > 0, h, -1e9), arg[:, None], axis=1)[:, 0]])
    dpool = np.outer(2 * (pool @ p["w"]), p["w"])
    k = h.shape[2]
    dh = (dpool[:, :k] / mask.sum(1, keepdims=True))[:, None] * mask[..., None]
    dmax = np.zeros_like(h)
    np.put_along_axis(dmax, arg[:, None], dpool[:, None, :k], axis=1)  # the mean's half, not that of the largest
    dz = (dh + dmax) * (h > 0)
    dw = pool.T @ (2 * (pool @ p["w"]))
    return ((pool @ p["w"]) ** 2).sum(), {"W": np.einsum("smi,smh->ih", x, dz), "b": dz.sum((0, 1)), "w": dw}


def test_a_value_without_a_name_is_told_by_its_line() -> None:
    d = np.random.default_rng(7)
    p = {"W": d.normal(size=(3, 4)), "b": d.normal(size=4), "w": d.normal(size=8)}
    mask = np.arange(5) < np.array([[3], [5], [2], [4], [1], [3]])
    told = str(check(of_the_largest, p, d.normal(size=(6, 5, 3)), mask))
    assert "dL/d  " not in told
    assert re.search(r"the derivative by test_check_causes.py:\d+ is computed nowhere", told), told
