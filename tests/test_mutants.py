"""The planted faults of ``make mutants``: each changes one line, and the reasons for survivors are about such."""

from pathlib import Path

import pytest

from tests import mutants
from tests.mutants_edits import compiles
from tests.mutants_edits import mutants as mutants_of
from tests.mutants_lines import _mirrors

SOURCE = """
def f(x: int = 1, *, y: bool = False) -> int:
    a = -abs(x) + 2 * x  # \u00e4, two bytes before what follows
    if a > 0 and not y:
        a += max(x, a, key=abs, default=0)
    raise ValueError(1 + 1)
""".replace("\u00e4", "ä")
AFTER = {
    "def f(x: int = 2, *, y: bool = False) -> int:", "def f(x: int = 1, *, y: bool = True) -> int:",
    "a = -abs(x) - 2 * x", "a = (-abs(x))", "a = (2 * x)", "a = abs(x) + 2 * x", "a = -x + 2 * x",
    "a = -abs(x) + 2 / x",
    "a = -abs(x) + 2", "a = -abs(x) + x", "a = -abs(x) + 3 * x", "if a >= 0 and not y:", "if a <= 0 and not y:",
    "if a > 1 and not y:", "if a > 0 or not y:", "if (a > 0):", "if (not y):", "if a > 0 and y:",
    "if not (a > 0 and not y):", "pass", "a += max(x, a, default=0)", "a += max(x, a, key=abs)",
    "a += max(x, a, key=abs, default=1)",
}  # fmt: skip


def test_every_edit_of_a_line_and_nothing_that_is_not_computed() -> None:
    found = mutants_of("f.py", SOURCE)
    assert {m.after.split("  #")[0] for m in found} == AFTER
    for m in found:
        assert compiles(m, SOURCE)
        before, after = SOURCE.splitlines(), m.planted(SOURCE).splitlines()
        assert [i for i, pair in enumerate(zip(before, after, strict=True), 1) if pair[0] != pair[1]] == [m.line]


def test_a_sample_begins_with_a_smaller_one_and_does_not_move_with_the_lines(tmp_path: Path) -> None:
    for room in mutants.ROOMS:
        (tmp_path / room).mkdir(parents=True)
    file = tmp_path / mutants.ROOMS[0] / "f.py"
    file.write_text(SOURCE)
    first = mutants.draw(tmp_path, 8)
    file.write_text("# another line\n" + SOURCE)
    assert [m._replace(line=m.line - 1) for m in mutants.draw(tmp_path, 8)] == first
    assert mutants.draw(tmp_path, 9) != mutants.draw(tmp_path, 8)


def test_every_reason_is_about_a_line_that_is_there() -> None:
    reasons = mutants.explained()
    assert mutants.stale(reasons, mutants.ROOT) == []
    assert all(len(r.reason) > 20 for r in reasons)
    gone = mutants.Reason("reference/affine.py", "a line that is not there", "another", "none")
    assert mutants.stale([gone, gone._replace(file="no/such/file.py")], mutants.ROOT) != []


@pytest.mark.parametrize(("test_file", "file", "yes"), [
    ("tests/balls/rules/test_sums.py", "torch_mirror/balls/rules/sums.py", True),
    ("tests/reference/test_files.py", "reference/files.py", True),
    ("tests/balls/test_sums.py", "torch_mirror/balls/rules/sums.py", False),
])  # fmt: skip
def test_a_test_file_mirrors_a_file(test_file: str, file: str, *, yes: bool) -> None:
    assert _mirrors(test_file, file) is yes
