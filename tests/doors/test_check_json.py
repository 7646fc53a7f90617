"""What check says as JSON: strict, and as its schema says."""

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from reference import SGD
from tests.reports.schemas import fits
from tests.reports.test_json import strictly
from tests.tape.test_blame import found, given, two
from torch_mirror import Checked, check, check_step

SCHEMA: dict[str, Any] = json.loads(files("torch_mirror.reports").joinpath("check.schema.json").read_text())


def missing() -> Checked:
    """A gradient of another shape, whose worst element is infinitely far off, and one that is missing."""
    p = {"W": np.ones((3, 2)), "b": np.ones(2)}
    return check(lambda p: (np.sum(p["W"]) + np.sum(p["b"]), {"W": np.ones((2, 3))}), p)


CASES: dict[str, Callable[[], Checked]] = {
    "certified": lambda: check(two, *given()),
    "three mistakes": lambda: check(two, *given(), 2.0, 0.5, 3.0),
    "a tie": lambda: found("convolution", "dy = (y - t) / N", "dy = y - t")[0],
    "shapes": missing,
    "a step": lambda: check_step(lambda p, g: p + 0.5 * g, SGD(0.5), np.ones(3), np.arange(1.0, 4.0)),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_strict_and_fits_its_schema(case: str) -> None:
    result = CASES[case]()
    whole = strictly(result.json())
    assert fits(whole, SCHEMA)
    assert fits([whole, whole], SCHEMA)  # as the command writes them
    assert whole["verdict"] == result.verdict
    assert [row["name"] for row in whole["rows"]] == [row.name for row in result.rows]
    assert [cause for fault in whole["faults"] for cause in fault["causes"]] == list(result.causes)


@pytest.mark.parametrize("spoil", [
    lambda w: w.pop("verdict"),
    lambda w: w.update(schema=2),
    lambda w: w["rows"][0].update(word="fine"),
    lambda w: w["faults"][0]["wrong"][0].update(number=-1),
    lambda w: w.update(more=1),
])  # fmt: skip
def test_what_is_otherwise_does_not_fit(spoil: Callable[[Any], Any]) -> None:
    whole = strictly(CASES["three mistakes"]().json())
    assert fits(whole, SCHEMA)
    spoil(whole)
    assert not fits(whole, SCHEMA)
    assert not fits([whole], SCHEMA)
