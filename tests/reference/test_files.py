"""The one writer of files: what it refuses, what becomes of a file that is there, and who may write at once."""

import errno
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from reference.errors import InputError
from reference.files import check_writable, write_whole

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture
def no_mask() -> Iterator[None]:
    """Files are made as most systems make them: writable by their owner alone."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))  # noqa: PTH208 - names are what is compared


REFUSED = (
    "a dash", "a folder", "a pipe", "a link to a pipe", "a device", "links in a circle", "no such folder",
    "a file as a folder", "a name too long", "a null byte", "a number",
)  # fmt: skip


def refused(tmp_path: Path) -> dict[str, tuple[Any, str]]:
    """Paths that no file may be written to, and what is said of them."""
    (tmp_path / "file").write_text("old")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to pipe").symlink_to("pipe")
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    return {
        "a dash": (Path("-"), "the path of a file, got '-'"),
        "a folder": (tmp_path, "which is a directory"),
        "a pipe": (tmp_path / "pipe", "which is no regular file"),
        "a link to a pipe": (tmp_path / "to pipe", "which is no regular file"),
        "a device": (Path(os.devnull), "which is no regular file"),
        "links in a circle": (tmp_path / "a", os.strerror(errno.ELOOP)),
        "no such folder": (tmp_path / "missing" / "out", os.strerror(errno.ENOENT)),
        "a file as a folder": (tmp_path / "file" / "out", os.strerror(errno.ENOTDIR)),
        "a name too long": (tmp_path / ("x" * 5000), os.strerror(errno.ENAMETOOLONG)),
        "a null byte": (f"{tmp_path}/a\0b", "null"),  # "null byte", from Python 3.13 on "null character"
        "a number": (3, "the path of a file, got 3"),
    }


@pytest.mark.parametrize("call", [check_writable, lambda what, path: write_whole(what, path, "new")])
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_file_is_refused_and_left_alone(
    tmp_path: Path, case: str, call: Callable[[str, Any], None]
) -> None:
    path, said = refused(tmp_path)[case]
    before = names(tmp_path)
    with pytest.raises(InputError) as error:
        call("--json", path)
    assert str(error.value).startswith("--json: expected ")
    assert said in str(error.value)
    assert names(tmp_path) == before
    assert (tmp_path / "file").read_text() == "old"
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)  # noqa: PTH116 - a device, not a path of ours


def test_the_file_that_the_lines_go_to_is_not_replaced(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from reference.files import check_writable\n"
        "try: check_writable('--json', Path('lines.txt'))\nexcept ValueError as error: print(error)"
    )
    with (tmp_path / "lines.txt").open("w") as lines:
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, stdout=lines, check=True)
    assert "which the report itself is printed to" in (tmp_path / "lines.txt").read_text()


def test_a_file_that_is_read_only_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o444)
    monkeypatch.setattr(os, "access", lambda path, _: bool(Path(path).stat().st_mode & 0o222))  # root may do all
    with pytest.raises(InputError, match="read-only"):
        write_whole("--json", path, "new")


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_is_followed(tmp_path: Path, *, exists: bool) -> None:
    if exists:
        (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    check_writable("--json", tmp_path / "link")
    write_whole("--json", tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"
    assert names(tmp_path) == ["file", "link"]


@pytest.mark.usefixtures("no_mask")
def test_a_new_file_has_the_mode_of_any_new_file(tmp_path: Path) -> None:
    write_whole("--json", tmp_path / "file", "new")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


@pytest.mark.usefixtures("no_mask")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o777])
def test_the_mode_of_a_file_survives(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(mode)

    def contents(file: BinaryIO) -> None:
        partial = os.fstat(file.fileno())
        assert stat.S_IMODE(partial.st_mode) == 0o600, "nobody else reads what is to be a private file"
        file.write(b"new")

    write_whole("--json", path, contents)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", mode)


@pytest.mark.skipif(not AS_ROOT, reason="only the system's own user may give files away")
def test_the_owner_of_a_file_survives(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    os.chown(path, 1234, 4321)
    write_whole("--json", path, "new")
    assert (path.read_text(), path.stat().st_uid, path.stat().st_gid) == ("new", 1234, 4321)


def test_an_owner_that_may_not_be_given_survives_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("longer than the new")
    before = path.stat()

    def not_permitted(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", not_permitted)
    monkeypatch.setattr(os, "fchmod", not_permitted)
    write_whole("--json", path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_ino == before.st_ino, "the file itself was written"


def test_hard_links_survive(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_text("longer than the new")
    os.link(path, other)
    write_whole("--json", path, "new")
    assert path.samefile(other)
    assert other.read_text() == "new"
    assert names(tmp_path) == ["file", "other"]


def test_a_copy_that_breaks_off_leaves_the_whole_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    os.link(path, tmp_path / "other")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(InputError, match=r"No space left.*; the whole contents are in") as error:
        write_whole("--json", path, "new")
    (kept,) = tmp_path.glob(".torch-mirror-*.part")
    assert str(kept) in str(error.value)
    assert kept.read_text() == "new"


@pytest.mark.parametrize("ending", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt(), ValueError()])
def test_what_breaks_off_leaves_the_old_file_whole_and_nothing_else(tmp_path: Path, ending: BaseException) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def contents(file: BinaryIO) -> None:
        file.write(b"half")
        raise ending

    with pytest.raises((InputError, type(ending))):
        write_whole("--json", path, contents)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_the_new_contents_appear_at_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def contents(file: BinaryIO) -> None:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"

    write_whole("--json", path, contents)
    assert path.read_text() == "new"


def test_processes_of_one_number_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in two containers that share a folder, in both of which every program is process 1."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    together = threading.Barrier(8, timeout=120)

    def contents(k: int) -> Callable[[BinaryIO], None]:
        def write(file: BinaryIO) -> None:
            file.write(b"%d" % k)
            together.wait()
            file.write(b"%d" % k)

        return write

    threads = [
        threading.Thread(target=write_whole, args=("--json", tmp_path / str(k), contents(k))) for k in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {str(k): f"{k}{k}" for k in range(8)}
