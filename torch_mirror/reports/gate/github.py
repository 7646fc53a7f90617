"""A comparison as annotations of GitHub: lines that its runner reads from what a step prints.

The form and its escapes: docs.github.com, Workflow commands for GitHub Actions; actions/toolkit, command.ts.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath

from torch_mirror.reports.gate.compare import Comparison, Outcome
from torch_mirror.reports.gate.words import summary, told

LINE = re.compile(r"(\S+\.py):([0-9]+)\b")
"""A line of a source, as a certificate's words have it: the file is without its folder."""


def lines(comparison: Comparison, names: Iterable[str] = ()) -> Iterator[str]:
    """An error for each run that fails, a notice for each that has changed.

    names: of the command line. Those that are FILE:OBJECT tell in which folder a file is that a certificate names.
    """
    paths = [PurePath(name.rpartition(":")[0]) for name in names if ".py:" in name]
    for o in comparison.outcomes:
        if o.changes:
            yield _annotation("notice" if o.passed else "error", o, paths)
    if not comparison.outcomes:
        yield f"::error title=torch-mirror gate::{_data(summary(comparison))}"


def place(o: Outcome, paths: Iterable[PurePath]) -> tuple[str, int] | None:
    """The file and line that a run's words lay the fault at; the first line that is wrong, if they say which is."""
    known = {path.name: path.as_posix() for path in paths}
    wrong = [line for line in o.why if "wrong from" in line]
    for line in (*wrong, *o.why):
        for file, number in LINE.findall(line):
            if file in known:
                return known[file], int(number)
    return next(((path, 1) for path in known.values() if o.name.startswith(f"{path}:")), None)


def _annotation(kind: str, o: Outcome, paths: Iterable[PurePath]) -> str:
    at = place(o, paths)
    where = "" if at is None else f"file={_property(at[0])},line={at[1]},"
    title = _property(f"torch-mirror gate: {o.name} {o.dtype}")
    return f"::{kind} {where}title={title}::{_data(chr(10).join([*told(o), *o.why[1:]]))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
