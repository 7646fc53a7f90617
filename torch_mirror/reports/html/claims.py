"""What the page says of one claim: texts and cells, made of a certificate or of what check found. Pure functions."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from torch_mirror.judge.verdict import Certificate
from torch_mirror.reports import derivatives, text
from torch_mirror.reports.html.curves import Group, groups
from torch_mirror.reports.html.gradients import Graph, Heat, Listing, graphs, heats, listings
from torch_mirror.reports.html.pictures import Pictures
from torch_mirror.tape.told import Fault, Row


class Gradients(Protocol):
    """What check and its like return (doors/check/result.py)."""

    @property
    def subject(self) -> str: ...
    @property
    def rows(self) -> tuple[Row, ...]: ...
    @property
    def faults(self) -> tuple[Fault, ...]: ...
    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def what(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def verdict(self) -> str: ...
    @property
    def pictures(self) -> Pictures | None: ...


class Cell(NamedTuple):
    """A cell of a table, which is sorted by its text, or by the number that this is."""

    text: str
    numeric: bool = False
    link: str = ""
    tone: str = ""
    lines: bool = False  # whether the text has several


class Head(NamedTuple):
    """A column's name."""

    text: str
    numeric: bool = False


class Sortable(NamedTuple):
    """A table that its reader may sort."""

    head: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]


class Claim(NamedTuple):
    """All that is shown of one claim."""

    id: str
    name: str
    kind: str
    verdict: str
    brief: str
    line: tuple[Cell, ...]      # of the table of all claims
    wrong: str                  # what is wrong first, in words; empty if nothing is
    judged: str
    table: Sortable
    said: str = ""
    groups: tuple[Group, ...] = ()
    listings: tuple[Listing, ...] = ()
    graphs: tuple[Graph, ...] = ()
    heats: tuple[Heat, ...] = ()
    script: str = ""
    not_judged: tuple[str, ...] = ()
    unfolded: bool = False


OVERVIEW = tuple(
    Head(name, numeric)
    for name, numeric in (
        ("verdict", False), ("claim", False), ("kind", False), ("elements", True), ("worst error", True),
        ("at", False), ("resolution", True), ("doubts", True), ("seconds", True),
    )
)  # fmt: skip


def of_run(c: Certificate, number: int) -> Claim:
    """The claim of a run."""
    worst = c.worst
    ratio = None if worst is None else worst.ratio
    line = (
        Cell(c.verdict, tone=c.verdict), Cell(c.experiment, link=f"claim-{number}"), Cell(f"run, {c.dtype}"),
        count(c.judged), _ratio(ratio), Cell("" if worst is None else f"{worst.tensor}, step {worst.step}"),
        figure(_coarsest(c)), count(len(c.doubts)), figure(c.seconds, 2),
    )  # fmt: skip
    first = c.first
    wrong = "" if first is None else f"{c.experiment} {c.dtype}: {first.tensor}, step {first.step}, {first.side}"
    shown: Gradients | None = None if c.series is None else c.series.shown
    pictures = (shown.pictures if shown else None) or Pictures()
    said = text.details(replace(c, notes=())) if c.verdict != "certified" or c.doubts else []
    return Claim(
        f"claim-{number}", c.experiment, f"training run, {c.dtype}", c.verdict,
        f"{_steps(c.steps)} · {c.judged:,} elements · {_worst(ratio)}", line, wrong, _judged(c), _rows_of_run(c),
        "\n".join(one.removeprefix("    ") for one in said), groups(c),
        listings=listings(shown.faults, pictures.values) if shown else (),
        graphs=graphs(shown.faults, pictures.graphs) if shown else (), heats=heats(pictures.sheets),
        script="" if c.series is None else c.series.script, not_judged=tuple(_not_judged(c)),
        unfolded=c.verdict != "certified",
    )  # fmt: skip


def _coarsest(c: Certificate) -> float | None:
    """Of the tensor that is known least, the finest resolution of the checks that looked at all steps of the run."""
    finest: dict[str, float] = {}
    alone = all(row.side == "numpy" for row in c.rows)
    for row in c.rows:
        if row.resolution is not None and row.first is None and row.check != "start" and (alone or row.side != "numpy"):
            finest[row.tensor] = min(row.resolution, finest.get(row.tensor, math.inf))
    return max(finest.values(), default=None)


def _ratio(ratio: float | None) -> Cell:
    return Cell("" if ratio is None else text.share(ratio), numeric=True)


def _steps(n: int) -> str:
    return f"{n:,} step{'' if n == 1 else 's'}"


def _worst(ratio: float | None) -> str:
    return "no error at all" if ratio is None else f"worst error {text.share(ratio)} of its radius"


def _judged(c: Certificate) -> str:
    vacuous = f", and {c.vacuous:,} that could not have failed" if c.vacuous else ""
    return (
        f"{c.tensors:,} tensors of {_steps(c.steps)}, {c.judged:,} elements that could have failed{vacuous}. "
        "Resolution: a change of the whole tensor by that relative amount would have been refuted."
    )


def _rows_of_run(c: Certificate) -> Sortable:
    names = (("tensor", False), ("check", False), ("side", False), ("judged", True), ("vacuous", True),
             ("worst", True), ("at step", True), ("resolution", True), ("verdict", False))  # fmt: skip
    rows = []
    for row in c.rows:
        word = "refuted" if row.first else "vacuous" if not row.decides and row.looked_at else "certified"
        word = "doubted" if word == "certified" and row.doubt else word
        # where no element was named, all that is known is what they lie below
        known = row.worst is not None and row.worst.ratio >= row.under
        below = Cell(f"≤ {row.under:.3g}" if row.under else "0", numeric=True)
        worst = _ratio(row.worst.ratio) if known and row.worst else below
        step = count(row.worst.step) if known and row.worst else Cell("", numeric=True)
        rows.append((
            Cell(row.tensor), Cell(row.check), Cell(row.side), count(row.judged), count(row.vacuous),
            worst if row.judged else figure(None), step, figure(row.resolution),
            Cell(word, tone="" if word == "certified" else word),
        ))  # fmt: skip
    return Sortable(tuple(Head(*name) for name in names), tuple(rows))


def _not_judged(c: Certificate) -> list[str]:
    said = [*c.idle, *(f"{name}: no check decides it" for name in c.undecided), *c.notes]
    if c.series is None:
        return [*said, "There are no curves: it was judged without them; verify(..., series=True) keeps them."]
    if why := c.series.missing.get("script"):
        said.append(f"There is no script that reproduces it: {why}.")
    if why := c.series.missing.get("shown"):
        said.append(f"The lines of its source cannot be shown: {why}.")
    return said


def of_gradients(g: Gradients, number: int) -> Claim:
    """The claim of what check found."""
    sizes = sum(row.size for row in g.rows)
    worst = max((row for row in g.rows if row.size), key=lambda row: row.worst, default=None)
    wrong = [row.name for row in g.rows if row.word == "WRONG"]
    coarsest = max((r.resolution for r in g.rows if r.resolution is not None and r.word != "WRONG"), default=None)
    line = (
        Cell(g.verdict, tone=g.verdict), Cell(g.subject, link=f"claim-{number}"), Cell("gradients"), count(sizes),
        _ratio(None if worst is None else worst.worst), Cell("" if worst is None else worst.name),
        figure(coarsest), count(0), figure(g.seconds, 2),
    )  # fmt: skip
    brief = f"{len(g.rows)} gradients · {sizes:,} elements · {_worst(None if worst is None else worst.worst)}"
    pictures = g.pictures or Pictures()
    return Claim(
        f"claim-{number}", g.subject, "gradients by hand", g.verdict, brief, line,
        f"{g.subject}: {', '.join(wrong)}" if wrong else "",
        f"Whether each is {g.what}. Resolution: a change of the whole gradient by that relative amount would have "
        "been seen.",
        _rows_of_gradients(g),
        "" if g.verdict == "certified" else "\n".join(derivatives.lines(g.rows, g.faults)),
        listings=listings(g.faults, pictures.values), graphs=graphs(g.faults, pictures.graphs),
        heats=heats(pictures.sheets), script=pictures.script, not_judged=_unjudged(g),
        unfolded=g.verdict != "certified",
    )  # fmt: skip


def _rows_of_gradients(g: Gradients) -> Sortable:
    names = (("gradient", False), ("verdict", False), ("elements", True), ("outside", True), ("not judged", True),
             ("worst", True), ("at", False), ("yours", True), ("derivative", True), ("resolution", True))  # fmt: skip
    words = {"ok": "certified", "WRONG": "refuted", "undecided": "undecided", "consistent": "consistent"}
    rows = tuple(
        (
            Cell(row.name), Cell(row.word, tone=words.get(row.word, "vacuous")), count(row.size), count(row.outside),
            count(row.unjudged), _ratio(row.worst), Cell(str(list(row.index)) if row.index else ""),
            figure(row.seen, 6), figure(row.expected, 6), figure(row.resolution),
        )
        for row in g.rows
    )  # fmt: skip
    return Sortable(tuple(Head(*name) for name in names), rows)


def _unjudged(g: Gradients) -> tuple[str, ...]:
    said = [*g.notes, *(f"{row.name}: {row.why}" for row in g.rows if row.word in {"undecided", "none", "consistent"})]
    if g.verdict == "refuted" and g.pictures is None:
        said.append("The values of the lines cannot be shown: what check returned does not hold the function.")
    missing = {} if g.pictures is None else g.pictures.missing
    if why := missing.get("values"):
        said.append(f"The values of the lines cannot be shown: {why}.")
    if why := missing.get("script"):
        said.append(f"There is no script that reproduces it: {why}.")
    return tuple(said)


# --- cells --------------------------------------------------------------------------------------------


def count(n: int) -> Cell:
    """A whole number."""
    return Cell(f"{int(n):,}", numeric=True)


def figure(x: float | None, digits: int = 3) -> Cell:
    """A number; an empty cell, which is sorted behind all others, where there is none."""
    return Cell("" if x is None else f"{float(x):.{digits}g}", numeric=True)


# --- the verdict on all of them -----------------------------------------------------------------------


class Verdict(NamedTuple):
    """The head of the page."""

    title: str
    head: str
    words: tuple[str, ...]
    tone: str


ORDER = ("refuted", "undecided", "vacuous", "doubted", "consistent", "certified")
"""The worst first."""


def verdict_of(claims: Sequence[Claim]) -> Verdict:
    """The verdict on all claims, in words."""
    if not claims:
        return Verdict("Nothing was judged", "Nothing was judged", (), "vacuous")
    counts = {word: sum(c.verdict == word for c in claims) for word in ORDER}
    worst = next(word for word in ORDER if counts[word])
    n, total = counts[worst], len(claims)
    if total == 1:
        head = f"{claims[0].name} is {worst}"
    elif n == total:
        head = f"All {total} claims are {worst}"
    else:
        head = f"{n} of {total} claims {'is' if n == 1 else 'are'} {worst}"
    others = [f"{counts[word]} {word}" for word in ORDER if counts[word] and word != worst]
    words = [f"The others: {', '.join(others)}."] if others else []
    wrong = [c.wrong for c in claims if c.wrong]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        words.append(f"Wrong: {'; '.join(wrong[:3])}{more}.")
    words.append(MEANING[worst])
    return Verdict(head, head, tuple(words), worst)


MEANING = {
    "refuted": "Refuted: a number is outside its radius, so that no rounding explains it.",
    "undecided": "Undecided: a radius was too large to tell, or something could not be followed.",
    "vacuous": "Vacuous: nothing, or not all of it, could have failed, so that it proves nothing.",
    "doubted": "Doubted: every number is within its radius, and some are not as roundings leave them.",
    "consistent": "Consistent: nothing contradicts it, and nothing proves it.",
    "certified": "Certified: every number that was judged is within its radius, which was computed and never chosen.",
}
