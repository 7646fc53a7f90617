"""What the page says of a baseline: its verdict first, then a table of the runs. Pure functions."""

from typing import NamedTuple

from torch_mirror.reports.gate.compare import Comparison, Outcome
from torch_mirror.reports.gate.words import heading, summary, told
from torch_mirror.reports.html.claims import Cell, Head, Sortable, Verdict, count


class Since(NamedTuple):
    """The part of the page that the gate has."""

    about: str
    table: Sortable
    environment: tuple[str, ...]


HEADS = tuple(
    Head(name, numeric)
    for name, numeric in (
        ("gate", False), ("run", False), ("precision", False), ("verdict", False), ("elements", True), ("since", False),
    )
)  # fmt: skip


def since_of(comparison: Comparison) -> Since:
    """The changes since the baseline; a run leads to its claim, which is in the same place."""
    same = not comparison.environment
    about = "Bit by bit, in the environment of the baseline."
    if not same:
        about = "In another environment, where other bits are as right: by verdict, headroom and resolution."
    rows = tuple(_row(o, i, same=same) for i, o in enumerate(comparison.outcomes, 1))
    return Since(about, Sortable(HEADS, rows), tuple(f"{n}: {a} -> {b}" for n, a, b in comparison.environment))


def _row(o: Outcome, place: int, *, same: bool) -> tuple[Cell, ...]:
    passed = Cell("passes", tone="certified") if o.passed else Cell("fails", tone="refuted")
    link = f"claim-{place}" if o.verdict != "none" else ""
    said = "\n".join((heading(o, same=same), *told(o)))
    return passed, Cell(o.name, link=link), Cell(o.dtype), Cell(o.verdict), count(o.judged), Cell(said, lines=True)


def verdict_since(comparison: Comparison, verdict: Verdict) -> Verdict:
    """The head of the page: what the gate says, and below it what the verdicts on the runs are."""
    said = summary(comparison).removeprefix("gate: ")
    head = f"The gate {said}"
    failing = [f"{o.name} {o.dtype}: {c.words}" for o in comparison.outcomes for c in o.changes if c.fails]
    words = [f"It fails: {failing[0]}{f'; and {len(failing) - 1} more' if failing[1:] else ''}."] if failing else []
    tone = "certified" if comparison.passed else "refuted"
    return Verdict(head, head, (*words, f"{verdict.head}.", *verdict.words), tone)
