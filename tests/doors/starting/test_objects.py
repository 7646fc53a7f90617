"""The dict of the module with just these keys."""

from pathlib import Path

import pytest

from torch_mirror.doors.starting.objects import dict_of_the_module
from torch_mirror.doors.starting.source import source_of

TEXT = "n = 3\ne = {}\nq = {'W': 1, 'b': 2, 'c': 3}\np = {'b': 1, 'W': 2}\n"


@pytest.mark.parametrize(("leaves", "name"), [(["W", "b"], "p"), (["c", "b", "W"], "q"), (["W"], None), ([], None)])
def test_the_dict_that_has_just_these_keys(leaves: list[str], name: str | None, tmp_path: Path) -> None:
    """None is that of no keys, as a number of the module would be as well."""
    (tmp_path / "mine.py").write_text(TEXT)
    assert dict_of_the_module(source_of(tmp_path / "mine.py"), leaves) == name
