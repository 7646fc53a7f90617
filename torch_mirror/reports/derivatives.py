"""What was found of gradients written by hand, as text: the cause first, at most twenty lines. Pure functions.

dW1  WRONG   yours / derivative = 0.5 everywhere
     the right values end at    nn.py:41   da1 = dz2 @ W2.T        = dL/d a1 (nn.py:17)
     wrong from                 nn.py:43   dW1 = x.T @ dz1 / 2
     cause: a factor 1/2 at d(W1) (proof: with it all 1,200 elements are within their radius, worst 0.03; ...)
db1  ok      worst 0.02 of its radius; a change of 3e-13 would have been seen
"""

import html
from collections.abc import Iterable, Sequence

from torch_mirror.tape.told import Fault, Line, Right, Row
from torch_mirror.visible import visible

LIMIT = 20
"""Lines; what is more is told in fewer words."""

_SHOWN = 3
"""Of one kind of line within a fault: right values, wrong lines."""


def lines(rows: Sequence[Row], faults: Sequence[Fault], notes: Iterable[str] = (), limit: int = LIMIT) -> list[str]:
    """The rows in the order given, each fault at the first of its gradients; no more lines than the limit.

    Where there are more, first what is right is told in one line, then of each fault a line of the code and the cause.
    """
    notes = list(notes)
    for brief, short in ((False, False), (True, False), (True, True)):
        told = [visible(text) for text in (*_rows(rows, faults, brief=brief, short=short), *notes)]
        if len(told) <= limit:
            return told
    kept = told[: limit - 1]
    return [*kept, f"... and {len(told) - len(kept)} lines more: print(result.details())"]


def table(rows: Sequence[Row]) -> list[str]:
    """Every row on a line."""
    width = max((len(row.name) for row in rows), default=0)
    return [visible(f"{row.name:<{width}}  {row.word:<10}  {_said(row)}") for row in rows]


def as_html(head: str, rows: Sequence[Row], faults: Sequence[Fault], notes: Iterable[str] = ()) -> str:
    """The same for a notebook: a table of the rows, and below it what is told of the faults."""
    cells = "".join(
        f"<tr><td><code>{_escaped(row.name)}</code></td>"
        f'<td style="color:{_COLOURS.get(row.word, "inherit")}">{row.word}</td>'
        f'<td style="text-align:left">{_escaped(_said(row))}</td></tr>'
        for row in rows
    )
    told = [text for fault in faults for text in (", ".join(fault.gradients), *(f"  {t}" for t in of_fault(fault)))]
    below = f"<pre>{chr(10).join(map(_escaped, [*told, *notes]))}</pre>" if told or notes else ""
    return f"<div><p><b>{_escaped(head)}</b></p><table>{cells}</table>{below}</div>"


def _escaped(text: str) -> str:
    return html.escape(visible(text))


_COLOURS = {"WRONG": "#b00020", "ok": "#1b6e3c", "undecided": "#8a5a00", "consistent": "#1b4f8a"}


def _rows(rows: Sequence[Row], faults: Sequence[Fault], *, brief: bool, short: bool) -> list[str]:
    """brief: what is right is one line; short: so are the lines of a fault, and its cause."""
    first = {fault.gradients[0]: fault for fault in faults}
    victims = {name for fault in faults for name in fault.gradients[1:]}
    right = [row for row in rows if row.word == "ok"] if brief else []
    shown = [row for row in rows if row.name not in victims and row not in right]
    width = max((len(row.name) for row in shown), default=2)
    told = []
    for row in shown:
        told.append(f"{row.name:<{width}}  {row.word:<9}  {_said(row)}")
        if row.name in first:
            fault = first[row.name]
            told += [f"{'':<{width}}  {text}" for text in (_in_short(fault) if short else of_fault(fault))]
    if right:
        names = [row.name for row in right]
        told.append(f"ok: {_some(names, 8)}; {_said(max(right, key=lambda row: row.resolution or 0))}")
    return told


def _said(row: Row) -> str:
    """What is told of one gradient."""
    if row.word == "WRONG":
        digits = 6 if abs(row.seen - row.expected) > 1e-4 * abs(row.expected) else 17
        numbers = f"{row.seen:.{digits}g}, not {row.expected:.{digits}g}"
        whole = not row.index or row.size == 1 or "everywhere" in row.pattern or row.worst == float("inf")
        if f"at {list(row.index)}" in row.pattern:
            return f"{row.pattern}: {numbers}"
        at = "" if whole else f" (at {list(row.index)}: {numbers})"
        return row.pattern + at
    if row.word != "ok":
        return row.why
    seen = "both are 0" if row.resolution is None else f"a change of {row.resolution:.0e} would have been seen"
    return f"{row.why or f'worst {row.worst:.1g} of its radius'}; {seen}"


def of_fault(fault: Fault) -> list[str]:
    """Where the right values end, where the wrong ones begin, why, and what follows."""
    width = max((len(_line(r.line)) for r in fault.right[:_SHOWN]), default=0)
    told = [f"the right values end at  {_line(r.line):<{width}}  {meaning(r)}".rstrip() for r in fault.right[:_SHOWN]]
    where = f"missing at or {fault.lacking}" if fault.lacking else "wrong from"
    told += [f"{where:<24} {_line(line)}" for line in fault.wrong[:1]]
    also = ["up to" if fault.lacking == "behind" else "or", *["or"] * _SHOWN]
    told += [f"{word:>21}    {_line(line)}" for word, line in zip(also, fault.wrong[1:_SHOWN], strict=False)]
    if fault.due is not None:
        told.append(f"there {meaning(fault.due).removeprefix('= ')} is due")
    told += of_causes(fault.causes)
    if fault.why and len(fault.causes) != 1:
        told.append(fault.why if fault.causes else f"cause: {fault.why}")
    told += [fault.note] if fault.note else []
    if fault.gradients[1:]:
        verb = "follows" if len(fault.gradients) == 2 else "follow"
        shown = " (shown: right but for it)" if fault.shown else ""
        told.append(f"{_some(fault.gradients[1:], 8)} {verb} from it{shown}")
    return told


def _in_short(fault: Fault) -> list[str]:
    """The first line of the code that may be wrong, and the cause or why there is none."""
    return of_fault(fault._replace(right=(), wrong=fault.wrong[:1], due=None, note="" if fault.causes else fault.note))


def of_causes(causes: Sequence[str]) -> list[str]:
    """The one cause, or those that are tied, with the proof once; none of none."""
    if len(causes) > 1:
        shown = " | ".join(cause.partition(_PROOF)[0] for cause in causes[:_SHOWN])
        more = f" | {len(causes) - _SHOWN} more" if len(causes) > _SHOWN else ""
        proof = causes[0].partition(_PROOF)[2].partition(", worst")[0].replace("with it ", "with each ")
        held = f"{_PROOF}{proof})" if proof else ""
        return [f"cause, one of {len(causes)} that cannot be told apart: {shown}{more}{held}"]
    return [f"cause: {cause}" for cause in causes]


_PROOF = " (proof: "
"""What stands between the words of a cause and why it is one (tape/causes.py)."""

_WIDEST = 64
"""Characters of a line of source that are shown."""


def _line(line: Line) -> str:
    source = line.source if len(line.source) <= _WIDEST else f"{line.source[:_WIDEST - 3]}..."
    return f"{line.place:<12} {source}"


def meaning(right: Right) -> str:
    """``= 6 x dL/d a1 (nn.py:17)``, ``= 6 x what some uses of a1 (nn.py:17) add to dL/d a1``."""
    times = f"{right.factor} x " if right.factor else ""
    place = "" if right.of is None else right.of.place
    if not right.name:
        by = place or "a value"
        return f"= {times}{f'what some uses of {by} add to ' if right.partial else ''}the derivative by {by}"
    at = f"{right.name} ({place})" if place else right.name
    return f"= {times}what some uses of {at} add to dL/d {right.name}" if right.partial else f"= {times}dL/d {at}"


def _some(names: Sequence[str], most: int) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
