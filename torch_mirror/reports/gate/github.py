"""A comparison as annotations of GitHub: lines that its runner reads from what a step prints.

The form and its escapes: docs.github.com, Workflow commands for GitHub Actions; actions/toolkit, command.ts.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath

from torch_mirror.reports.gate.compare import Comparison, Outcome
from torch_mirror.reports.gate.words import summary, told
from torch_mirror.visible import visible

LINE = re.compile(r"(\S+\.py):([0-9]+)\b")
"""A line of a source, as a certificate's words have it: the file is without its folder."""


def lines(comparison: Comparison, asked: Mapping[str, str]) -> Iterator[str]:
    """An error for each run that fails, a notice for each that has changed.

    asked: by the name of a run, what the command line calls it. FILE:OBJECT tells where the file is.
    """
    for o in comparison.outcomes:
        if o.changes:
            file, _, _ = asked.get(o.name, o.name).rpartition(":")
            yield _annotation(o, file if file.endswith(".py") else "")
    if not comparison.outcomes:
        yield f"::error title=torch-mirror gate::{_data(summary(comparison))}"


def line_of(o: Outcome, file: str) -> int:
    """The line of this file that a run's words lay the fault at: the first wrong one, if they say which is; else 1."""
    wrong = [line for line in o.why if "wrong from" in line]
    found = [int(number) for line in (*wrong, *o.why) for name, number in LINE.findall(line) if name == file]
    return next(iter(found), 1)


def _annotation(o: Outcome, path: str) -> str:
    kind = "notice" if o.passed else "error"
    file = PurePath(path)
    where = f"file={_property(file.as_posix())},line={line_of(o, file.name)}," if path else ""
    title = _property(f"torch-mirror gate: {o.name} {o.dtype}")
    said = "\n".join(map(visible, (*told(o), *o.why[1:])))
    return f"::{kind} {where}title={title}::{_data(said)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(visible(text)).replace(":", "%3A").replace(",", "%2C")
