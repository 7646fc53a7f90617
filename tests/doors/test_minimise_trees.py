"""Counterexamples of a property that calls check: parameters and data to paste, few of their numbers not 0."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from torch_mirror.doors.check.derivative import check
from torch_mirror.doors.check.result import Refuted
from torch_mirror.doors.like import batches_like, parameters_like
from torch_mirror.doors.minimised import minimised

P = {"W": np.ones((2, 2)), "v": [np.ones(2), np.ones(2)]}
X, LABELS = np.ones((4, 2)), np.array([0, 1, 2, 1])
ONCE = settings(max_examples=20, deadline=None, database=None, phases=[Phase.generate, Phase.shrink])


def wrong(p: dict[str, Any], x: Any, t: Any) -> tuple[Any, dict[str, Any]]:
    """The mask is left out; it shows where a z is negative."""
    z = x @ p["W"]
    e = np.maximum(z, 0) @ p["v"][0] + (x @ p["W"]) @ p["v"][1] - t
    dh = np.outer(e, p["v"][0])
    dv = [np.maximum(z, 0).T @ e, z.T @ e]
    return (e**2).sum() / 2, {"W": x.T @ (dh + np.outer(e, p["v"][1])), "v": dv}


def right(p: dict[str, Any], x: Any, t: Any) -> tuple[Any, dict[str, Any]]:
    loss, gradients = wrong(p, x, t)
    z = x @ p["W"]
    e = np.maximum(z, 0) @ p["v"][0] + z @ p["v"][1] - t
    return loss, {**gradients, "W": x.T @ (np.outer(e, p["v"][0]) * (z > 0) + np.outer(e, p["v"][1]))}


def notes_of(function: Any) -> list[str]:
    @minimised
    @seed(1)
    @ONCE
    @given(parameters_like(P, kinds=["normal"]), batches_like(X, LABELS, largest=2), st.just("no array"))
    def of_mine(p: Any, data: Any, _word: str) -> None:
        result = check(function, p, *data, explain=False)
        if result.verdict == "refuted":
            result.assert_certified()

    try:
        of_mine()
    except Refuted as error:
        return [note for note in getattr(error, "__notes__", []) if "simplest numbers" in note]
    return []


def test_the_note_is_python_that_fails_in_the_same_way_with_few_numbers() -> None:
    (note,) = notes_of(wrong)
    count, size = map(int, re.findall(r"\((\d+) of (\d+) are not 0", note)[0])
    assert (count <= 6, size >= 10) == (True, True), note
    names: dict[str, Any] = {}
    exec(note.split("calls):\n\n")[1], names)  # noqa: S102 - what the note says to paste
    assert check(wrong, names["p"], *names["data"], explain=False).verdict == "refuted"
    assert check(right, names["p"], *names["data"], explain=False).verdict != "refuted"
    assert names["data"][1].dtype == LABELS.dtype
    assert "_word" not in note


def test_right_code_has_no_note() -> None:
    assert notes_of(right) == []


@pytest.mark.parametrize("value", [3, "text", {"a": 1}, []], ids=str)
def test_a_property_without_arrays_is_left_alone(value: Any) -> None:
    @minimised
    @ONCE
    @given(st.just(value))
    def fails(of: Any) -> None:
        raise ValueError(of)

    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the property's own
        fails()
    assert [note for note in getattr(caught.value, "__notes__", []) if "simplest numbers" in note] == []
