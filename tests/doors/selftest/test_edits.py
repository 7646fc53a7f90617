"""Edits of a line: each kind is made, everything else of the file stays, and nothing beside the lines is touched."""

import ast

import pytest

from torch_mirror.doors.selftest.edits import edits_of

SOURCE = """
def backward(x, da, z, N):
    dz = da * (z > 0) / N
    dW = x.T @ dz
    db = dz.sum(axis=0)
    dW += 0.5 * dz**2
    return dW - db
"""


def made(line: int) -> set[str]:
    """The edited lines, without those that are as they were."""
    rows = [ast.unparse(edit.tree).splitlines() for edit in edits_of(SOURCE, {line})]
    before = ast.unparse(ast.parse(SOURCE)).splitlines()
    assert all(sum(a != b for a, b in zip(row, before, strict=True)) == 1 for row in rows)
    return {next(a.strip() for a, b in zip(row, before, strict=True) if a != b) for row in rows}


@pytest.mark.parametrize(("line", "expected"), [
    (3, {"dz = da / N", "dz = (z > 0) / N", "dz = da * (z > 0)", "dz = da * (z <= 0) / N", "dz = da * (z >= 0) / N",
         "dz = da * (z > 0) * N"}),
    (4, {"dW = x @ dz", "dW = dz @ x.T", "dW = x.T @ dz.T"}),
    (5, {"db = dz.mean(axis=0)", "db = dz.sum()", "db = dz.sum(axis=-1)"}),
    (6, {"dW = 0.5 * dz ** 2", "dW += 0.5 * dz", "dW += dz ** 2", "dW += 0.5", "dW += 1.0 * dz ** 2",
         "dW += 0.5 * dz ** 4"}),
    (7, {"return dW", "return db - dW", "return dW + db"}),
])  # fmt: skip
def test_what_can_be_done_to_a_line(line: int, expected: set[str]) -> None:
    assert made(line) == expected


def test_the_first_edits_are_of_as_many_kinds_as_there_are() -> None:
    first = [edit.words.split(":")[0] for edit in edits_of(SOURCE, {3, 4, 5, 6, 7})[:8]]
    assert len(set(first)) == 8


def test_an_edit_shows_where_its_result_is_used_too() -> None:
    (edit, *_) = edits_of(SOURCE, {3})
    assert edit.line == 3
    assert edit.lines == {3, 4, 5, 6}
