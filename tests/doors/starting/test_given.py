"""Parameters that the file makes itself: in a row, of which each has its name, or as they are."""

from pathlib import Path

import pytest

from torch_mirror.doors.starting.given import _made
from torch_mirror.doors.starting.plan import Plan
from torch_mirror.doors.starting.source import source_of


@pytest.mark.parametrize(
    ("returned", "parameters"),
    [
        ("W, b", 'p = dict(zip(("W", "b"), {module}.init_params()))'),
        ("(b, W)", 'p = dict(zip(("b", "W"), {module}.init_params()))'),
        ("[W, b]", 'p = dict(zip(("W", "b"), {module}.init_params()))'),
        ("w, c", 'p = dict(zip(("W", "b"), {module}.init_params()))'),
        ("dict(W=W, b=b)", "p = {module}.init_params()"), ("W, b, c", None), ("[W]", None),
    ],
)  # fmt: skip
def test_what_the_maker_returns_is_named_in_its_order(returned: str, parameters: str | None, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"def init_params():\n    return {returned}\n")
    plan = Plan("", "", [], ["x"], [], ["W", "b"], {})
    found = _made(source_of(tmp_path / "mine.py"), plan, ["W", "b"])
    assert (found and found.parameters) == (None if parameters is None else [parameters])
