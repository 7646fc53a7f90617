"""A comparison as annotations of GitHub: lines that its runner reads from what a step prints.

The form and its escapes: docs.github.com, Workflow commands for GitHub Actions; actions/toolkit, command.ts.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath

from torch_mirror.reports.gate.compare import Comparison, Outcome
from torch_mirror.reports.gate.words import explained, summary
from torch_mirror.visible import visible

LINE = re.compile(r"(\S+\.py):([0-9]+)\b")
"""A line of a source, as a certificate's words have it: the file is without its folder."""


def lines(comparison: Comparison, asked: Mapping[str, str], sources: Mapping[str, str] = {}) -> Iterator[str]:
    """An error for each run that fails, a notice for each that has changed.

    asked: by the name of a run, what the command line calls it. FILE:OBJECT tells where the file is. sources: the paths
    of the user's other files, by their names alone, as a certificate's words have them.
    """
    for o in comparison.outcomes:
        if o.changes:
            file, _, _ = asked.get(o.name, o.name).rpartition(":")
            yield _annotation(o, file if file.endswith(".py") else "", sources)
    if not comparison.outcomes:
        yield f"::error title=torch-mirror gate::{_data(summary(comparison))}"


def place_of(o: Outcome, path: str, sources: Mapping[str, str]) -> tuple[str, int]:
    """The file and the line that a run's words lay the fault at: the first wrong one, if they say which is.

    Else the first that they name; where they name none, the first line of the run's own file.
    """
    wrong = [line for line in o.why if "wrong from" in line]
    known = {**sources, PurePath(path).name: path}
    found = [(known[name], int(n)) for line in (*wrong, *o.why) for name, n in LINE.findall(line) if name in known]
    return next(iter(found), (path, 1))


def _annotation(o: Outcome, path: str, sources: Mapping[str, str]) -> str:
    kind = "notice" if o.passed else "error"
    file, line = place_of(o, path, sources)
    where = f"file={_property(PurePath(file).as_posix())},line={line}," if path else ""
    title = _property(f"torch-mirror gate: {o.name} {o.dtype}")
    said = "\n".join(map(visible, explained(o)))
    return f"::{kind} {where}title={title}::{_data(said)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(visible(text)).replace(":", "%3A").replace(",", "%2C")
