"""The watch notes what the user's code reads, and not what we look at ourselves."""

from pathlib import Path

import pytest

from torch_mirror.doors.jobs.software import digest
from torch_mirror.doors.jobs.watch import _INSTALLED, digest_of, is_theirs, watched


def test_our_own_looking_is_not_noted_and_what_is_read_behind_it_is(tmp_path: Path) -> None:
    ours, theirs, missing = (tmp_path.resolve() / name for name in ("ours", "theirs", "missing"))
    ours.write_bytes(b"1")
    theirs.write_bytes(b"2")
    with watched() as watch:
        assert digest_of(str(ours)) == digest(b"1")
        assert digest_of(str(missing)) == ""
        theirs.read_bytes()
    assert [path for path in watch.files if path.startswith(str(tmp_path.resolve()))] == [str(theirs)]


@pytest.mark.parametrize("folder", ["__pycache__", "site-packages", "a"])
def test_whose_a_file_is(folder: str, tmp_path: Path) -> None:
    assert is_theirs(str(tmp_path / folder / "a.py")) is (folder != "site-packages")
    assert not is_theirs(str(_INSTALLED[0] / folder / "a.py"))
