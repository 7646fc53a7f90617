"""Verdicts that are kept in a folder, a file each, for a run that goes on where another was cut.

A file is the digest of what follows it, in a line of its own, and JSON. It is written whole or not at all, and read as
data: nothing in it is run. One that is not whole is told, and counts as none.
"""

import json
from pathlib import Path
from typing import Any

from reference.errors import InputError
from reference.files import check_writable, write_whole
from torch_mirror.doors.jobs.basis import Basis
from torch_mirror.doors.jobs.software import digest
from torch_mirror.judge.verdict import Certificate
from torch_mirror.reports.json import document, read

FORM = 1
"""The form of the files; others count as none."""


def opened(folder: Path) -> Path:
    """The folder, made if it is not there; Git passes it over. Raises InputError where nothing can be written in it."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError("--resume", "a folder that can be made", f"{str(folder)!r} ({error.strerror})") from error
    check_writable("--resume", folder / ".gitignore")
    if not (folder / ".gitignore").exists():
        write_whole("--resume", folder / ".gitignore", "*\n")
    return folder


def keep(folder: Path, basis: Basis, certificate: Certificate) -> None:
    """Write a verdict. Raises InputError where it cannot be written."""
    report = json.loads(document([certificate], {}, {}))
    whole = {"form": FORM, "key": basis.key, "files": dict(basis.files), "variables": dict(basis.variables)}
    text = json.dumps({**whole, "report": report}, allow_nan=False)
    write_whole("--resume", _path(folder, basis.key), f"{digest(text.encode())}\n{text}\n")


def find(folder: Path, key: str) -> Certificate | None:
    """The verdict that was kept for this key, if all that it rests on is as it was.

    Raises InputError where the file is not whole.
    """
    path = _path(folder, key)
    try:
        written = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), "a verdict that was kept", f"{type(error).__name__}: {error}") from error
    first, _, text = written.removesuffix("\n").partition("\n")
    if digest(text.encode()) != first:
        raise InputError(str(path), "a verdict that was kept", "a file that is not whole")
    whole: dict[str, Any] = json.loads(text)
    if whole["form"] != FORM or whole["key"] != key:
        return None
    if not Basis(key, whole["files"], whole["variables"]).stands():
        return None
    (certificate,) = read(json.dumps(whole["report"]))
    return certificate


def _path(folder: Path, key: str) -> Path:
    return folder / f"{key}.json"
