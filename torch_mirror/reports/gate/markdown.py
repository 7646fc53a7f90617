"""A comparison in Markdown, as GitHub shows it in the summary of a job, which has room for one MiB."""

from torch_mirror.reports.gate.compare import Comparison, Outcome
from torch_mirror.reports.gate.words import explained, heading, summary
from torch_mirror.visible import visible

ROOM = 1 << 20
"""Bytes of a step's summary at most: docs.github.com, Workflow commands for GitHub Actions."""

CUT = "\n\n... cut: the summary of a job has no room for more\n"


def document(comparison: Comparison) -> str:
    """The text: the whole of it in words, then a table of the runs, those that fail first."""
    same = not comparison.environment
    environment = [f"- {_cell(name)}: {_cell(then)} -> {_cell(now)}" for name, then, now in comparison.environment]
    said = ["The environment has changed, so that bits were not compared:", "", *environment, ""] if environment else []
    outcomes = sorted(comparison.outcomes, key=lambda o: o.passed)
    rows = [_row(o, same=same) for o in outcomes]
    table = ["| run | precision | verdict | elements | since the baseline |", "|---|---|---|---:|---|", *rows]
    head = f"### torch-mirror {_cell(summary(comparison))}"
    return _fitting("\n".join([head, "", *said, *(table if rows else [])]) + "\n")


def _row(o: Outcome, *, same: bool) -> str:
    words = "<br>".join(_cell(line) for line in (heading(o, same=same), *explained(o)))
    return f"| {_cell(o.name)} | {_cell(o.dtype)} | {o.verdict} | {o.judged} | {words} |"


def _cell(text: str) -> str:
    """Text that means itself, on one line of a table; what is indented stays so."""
    indent = "&nbsp;" * (len(text) - len(text.lstrip(" ")))
    for sign, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "&#124;"), ("`", "&#96;"), ("*", "&#42;")):
        text = text.replace(sign, name)
    return indent + " ".join(visible(text).replace("_", "&#95;").replace("[", "&#91;").split())


def _fitting(text: str) -> str:
    """The text, cut behind a line where there is no room for all of it."""
    if len(text.encode()) <= ROOM:
        return text
    room = text.encode()[: ROOM - len(CUT)].decode(errors="ignore")
    return room[: room.rfind("\n")] + CUT
