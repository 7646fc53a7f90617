"""A term by its name, or a cause by what a report says of it."""

import re
import textwrap
from collections.abc import Iterator

from torch_mirror.glossary.causes import CAUSE, CAUSES
from torch_mirror.glossary.entry import Entry, Kind
from torch_mirror.glossary.lines import LINES
from torch_mirror.glossary.terms import TERMS
from torch_mirror.glossary.verdicts import ARBITER, CHECKS, SELFTEST, TENSORS, VERDICTS

ENTRIES = (*TERMS, *LINES, CAUSE, *VERDICTS, *TENSORS, *CHECKS, *ARBITER, *CAUSES, *SELFTEST)

NOTES = tuple(entry for entry in (*TERMS, *LINES) if entry.says)
"""Those that are found by a pattern, as causes are, and before them: what is general among these fits many a note."""

PROOF = " (proof:"
"""What stands behind the words of a cause, in a report."""


def terms() -> list[str]:
    """All terms, in the order of the glossary."""
    return [entry.term for entry in ENTRIES]


def find(text: str) -> Entry | None:
    """The entry of a term, in any case; or of the line or the cause that a report states so. None if there is none.

    ``mask (z1 > 0) left out of d(z1) (proof: ...)`` is the cause "mask left out", ``coarse: only ...`` is "coarse".
    """
    wanted = " ".join(text.split())
    for entry in ENTRIES:
        if entry.term.casefold() == wanted.casefold():
            return entry
    stated = wanted.removeprefix("arbiter: ").removeprefix("cause: ").partition(PROOF)[0]
    if stated != wanted:
        return find(stated)
    if " " not in stated:
        return None
    head, colon, _ = stated.partition(":")
    if colon and (at_head := find(head)) is not None and at_head.kind != "cause":
        return at_head
    return next((entry for entry in (*NOTES, *CAUSES) if re.search(entry.says, stated)), None)


def told(entry: Entry, width: int = 79) -> list[str]:
    """An entry as lines for a terminal."""
    lines = textwrap.wrap(f"{entry.term}: {entry.words}", width, break_long_words=False, break_on_hyphens=False)
    return [*lines, *([f"see also: {', '.join(entry.also)}"] if entry.also else [])]


TITLES: dict[Kind, str] = {
    "word": "Words",
    "verdict": "Verdicts",
    "tensor": "Of one tensor",
    "check": "Checks of a run",
    "arbiter": "What the arbiter says",
    "cause": "Causes",
    "selftest": "In a selftest",
}

INTRODUCTION = """# Glossary

What the words of a report mean. `torch-mirror explain TERM` prints an entry, `torch-mirror explain` lists the terms,
and a cause may be pasted as it stands: `torch-mirror explain "mask (z1 > 0) left out of d(z1)"`.

This page is written by `python -m torch_mirror.glossary > docs/glossary.md`.
"""


def page() -> str:
    """The glossary as Markdown: docs/glossary.md."""
    return "\n".join([INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    for kind, title in TITLES.items():
        yield f"## {title}\n"
        for entry in ENTRIES:
            if entry.kind == kind:
                also = f" See also: {', '.join(entry.also)}." if entry.also else ""
                text = f"- **{entry.term}**: {entry.words}{also}"
                yield textwrap.fill(text, 119, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        yield ""
