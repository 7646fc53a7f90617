"""Where a report may not be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reference.errors import InputError
from torch_mirror.reports.files import check_writable, write_whole


def test_a_dash_is_no_file() -> None:
    with pytest.raises(InputError, match="--json: expected the path of a file, got '-'"):
        check_writable("--json", Path("-"))


def test_the_file_that_the_lines_go_to_is_not_replaced(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from torch_mirror.reports.files import check_writable\n"
        "try: check_writable('--json', Path('lines.txt'))\nexcept ValueError as error: print(error)"
    )
    with (tmp_path / "lines.txt").open("w") as lines:
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, stdout=lines, check=True)
    assert "which the report itself is printed to" in (tmp_path / "lines.txt").read_text()


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    check_writable("--json", tmp_path / "link")
    write_whole("--json", tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]  # noqa: PTH208 - names are what is compared
