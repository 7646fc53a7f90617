"""What a test demands of a verdict: that it certifies. Else it raises what pytest shows."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import replace

from torch_mirror.doors.check.result import Checked, Refuted
from torch_mirror.judge.verdict import Certificate
from torch_mirror.pytest_plugin.records import Record
from torch_mirror.reports import text


class Unjudged(Exception):  # noqa: N818 - what it is, as Refuted
    """Something could not be judged, which is neither right nor wrong; the message says why and what would do."""


class Doubted(AssertionError):  # noqa: N818 - as above
    """Something is certified and doubted, and --torch-mirror-strict asks for more; the message says what of it."""


Keep = Callable[[Record, Checked | Certificate], None]
"""Called with what is kept of a verdict, and the verdict."""


def demand_checked(result: Checked, keep: Keep, *, rows: bool = False) -> Checked:
    """The result, if it certifies. Raises Refuted or Unjudged, with every row if asked for."""
    worst = max(result.rows, key=lambda row: row.worst, default=None)
    coarsest = _coarsest((row.name, row.resolution) for row in result.rows)
    verdict = result.verdict
    _leave_out(verdict)
    keep(
        Record(
            claim=result.subject,
            verdict=verdict if verdict in {"certified", "refuted"} else "undecided",
            doubts=0,  # of formulas there is none: they are judged in as many bits as it takes
            elements=sum(row.size for row in result.rows),
            worst=float(worst.worst) if worst else 0.0,
            worst_at=worst.name if worst else "",
            resolution=coarsest[1],
            resolution_at=coarsest[0],
            seconds=result.seconds,
        ),
        result,
    )
    _demand(verdict, f"{result}\n{result.table()}" if rows else str(result))
    return result


def demand_certificate(certificate: Certificate, keep: Keep, *, name: str = "", rows: bool = False) -> Certificate:
    """The certificate, if it is one. Raises Refuted, Doubted or Unjudged, with every row if asked for.

    name: of the claim, if not the experiment's.
    """
    c = certificate
    _leave_out(c.verdict)
    coarsest = _coarsest((row.tensor, row.resolution) for row in c.rows)
    keep(
        Record(
            claim=name or c.experiment,
            verdict="undecided" if c.verdict == "vacuous" else c.verdict,
            doubts=len(c.doubts),
            elements=int(c.judged),
            worst=float(c.worst.ratio) if c.worst else 0.0,
            worst_at=c.worst.tensor if c.worst else "",
            resolution=coarsest[1],
            resolution_at=coarsest[0],
            seconds=c.seconds,
        ),
        replace(c, experiment=name or c.experiment),
    )
    _demand(c.verdict, "\n".join([text.line(c), *text.details(c, rows=rows)]))
    return c


def _coarsest(rows: Iterable[tuple[str, float | None]]) -> tuple[str, float | None]:
    known = [(name, float(resolution)) for name, resolution in rows if resolution is not None]
    return max(known, key=lambda row: row[1], default=("", None))


def of_example() -> bool:
    """Whether hypothesis is at an example of a property."""
    hypothesis = sys.modules.get("hypothesis")
    return hypothesis is not None and bool(hypothesis.currently_in_test_context())


def _leave_out(verdict: str) -> None:
    """End an example of hypothesis's at which nothing could fail: it is none. If all are such, hypothesis says so."""
    if verdict not in {"certified", "refuted", "doubted"} and of_example():
        sys.modules["hypothesis"].reject()


def _demand(verdict: str, said: str) -> None:
    if verdict == "refuted":
        raise Refuted(said)
    if verdict == "doubted":
        raise Doubted(said)
    if verdict != "certified":
        raise Unjudged(said)
