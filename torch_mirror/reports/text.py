"""A certificate as text for people. Pure functions: nothing is printed here."""

import math
from collections.abc import Iterable

from torch_mirror.judge.doubts import LEAST
from torch_mirror.judge.findings import Doubt, Finding, Findings, Row
from torch_mirror.judge.verdict import Certificate, Ruling
from torch_mirror.visible import visible

_DIGITS = {"float32": 9, "float64": 17}
"""Significant decimal digits that tell any two numbers of a dtype apart."""


def line(c: Certificate, width: int = 0) -> str:
    """What was judged, the worst of it and the verdict, on one line; names are padded to ``width``.

    Elements are those with a finite radius; the rows say which of them it is too large for.
    """
    elements = c.judged + sum(row.vacuous - row.infinite for row in c.rows)
    none = "no error at all" if c.judged else "nothing judged"
    worst = none if c.worst is None else f"worst {share(c.worst.ratio)} of its radius ({_where(c.worst)})"
    distance = "unknown" if c.end_distance is None else f"{c.end_distance:.2g}"
    name = visible(c.experiment)
    return (
        f"{name:<{width}}  {c.dtype}  {c.steps:5d} steps  {c.tensors:6d} tensors  {elements:9d} elements  "
        f"{visible(worst):<48}  free runs end {distance} apart  {c.verdict}"
    )


def details(c: Certificate, *, rows: bool = False) -> list[str]:
    """What else a reader needs, as indented lines: why a run is not certified, the notes, and the rows if asked for.

    None of a certified run without notes, doubts and coarse tensors. The table's last column is a row's resolution: a
    change of the whole tensor by this relative amount would have been refuted at every entry looked at.
    """
    lines = []
    if c.first is not None:
        digits = _DIGITS.get(c.dtype, 17)
        lines += _first(c.first, digits)
        lines += [] if c.ruling is None else _ruled(c.ruling, digits)
        lines += [f"  {text}" for text in c.why]
        others = [f"{_where(f)}, {_times(f)}" for f in c.refutations if f is not c.first]
        if others:
            lines += ["also refuted:", *(f"  {other}" for other in others)]
    if c.verdict != "certified":
        lines += [*_undecided(c), *(f"vacuous: {reason}" for reason in c.idle)]
        if not (c.judged or c.vacuous or c.idle):
            lines.append("vacuous: no element was judged")
    lines += [*_coarse(c), *doubts(c)]
    return [visible(f"    {text}") for text in [*lines, *c.notes, *(table(c.rows) if rows else ())]]


def _undecided(c: Certificate) -> list[str]:
    """Why some tensors void the verdict."""
    rows = [row for row in c.rows if row.tensor in c.undecided]
    infinite = sum(row.infinite for row in rows)
    lines = [f"vacuous: the radius of {_count(infinite, 'element')} is infinite"] if infinite else []
    wide = dict.fromkeys(row.tensor for row in rows if row.vacuous > row.judged and not row.infinite)
    most = [f"vacuous: most radii of {tensor} exceed its largest value" for tensor in wide]
    return [*lines, *_first_unbounded(rows, c.dtype), *most]


def _first_unbounded(rows: Iterable[Row], dtype: str) -> list[str]:
    """Where the first of the infinite radii is: what comes after it may only follow from it."""
    f = Findings(tuple(rows)).unbounded
    if f is None:
        return []
    seen, expected = (f"{value:.{_DIGITS.get(dtype, 17)}g}" for value in (f.seen, f.expected))
    return [f"  first in {_where(f)}, {_element(f)}: {seen}, where its equation gives {expected}"]


COARSE = 0.01
"""The resolution from which it is told of a certified run: what nobody would call certain of a tensor."""


def _coarse(c: Certificate) -> list[str]:
    """Of which tensors only a large change would have been seen."""
    cancelling = {row.tensor for row in c.rows if row.cancels}  # which a note of its own tells
    found = {name: size for name, size in c.resolutions.items() if size > COARSE and name not in cancelling}
    if not found or c.verdict != "certified":
        return []
    some = sorted(found, key=lambda name: -found[name])[:4]
    told = ", ".join(f"{name} by {found[name]:.0%}" for name in some)
    more = f" and {len(found) - len(some)} more" if len(found) > len(some) else ""
    return [
        f"coarse: only a change of {told}{more} would have been seen;",
        "  sow what is between, or give the same gradients to check, which sees smaller ones",
    ]


def doubts(c: Certificate) -> list[str]:
    """What speaks against a tensor that is within its radius, and what that means: nothing where nothing does."""
    lines = [f"doubt: {row.tensor}, {row.side}: {_doubted(row.doubt)}" for row in c.doubts if row.doubt]
    if not lines:
        return []
    sought = max(row.sought for row in c.doubts)
    strict = "strict, so that it fails" if c.strict else "strict=True, or --strict, lets it fail"
    many = "it is" if len(lines) == 1 else "each of them is"
    return [
        *lines,
        f"  {many} within its radius, which allows for the worst that rounding may do, and so not refuted;",
        "  a factor that does not belong there, a sample left out or numbers of fewer digits would look like this",
        f"  (sought at {sought} of {_count(int(c.steps), 'step')}; {strict})",
    ]


def _doubted(doubt: Doubt) -> str:
    """What was seen, and how improbable it is."""
    if doubt.sign == "formula":
        many = f"{doubt.figure:.3g} times what rounding each constant and each result to float32 once can do"
        return f"its formula: torch's operations, done in float64, are off by {many}"
    seen = {
        "factor": f"{doubt.figure:.10g} times what its equation gives",
        "element": f"an element is {doubt.figure:.3g} standard deviations of its rounding away from its equation",
        "size": f"its errors are {doubt.figure:.3g} times as large as those of independent roundings",
    }[doubt.sign]
    odds = f"below {LEAST:.0e}" if doubt.probability <= LEAST else f"at most {doubt.probability:.0e}"
    return f"{seen}; the probability that independent roundings do that is {odds}"


def table(rows: Iterable[Row]) -> list[str]:
    """What each check found of each tensor: lines of columns, the first of which names them."""
    cells = [("tensor", "check", "side", "judged", "vacuous", "worst", "resolution")]
    for row in rows:
        resolution = "none" if row.resolution is None else f"{row.resolution:.2g}"
        counts = str(int(row.judged)), str(int(row.vacuous))
        cells.append((visible(row.tensor), row.check, row.side, *counts, _worst(row), resolution))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    left, right = 3, len(widths)  # names stand to the left, numbers to the right
    return [
        "  ".join([
            *(cell.ljust(width) for cell, width in zip(line[:left], widths[:left], strict=True)),
            *(cell.rjust(width) for cell, width in zip(line[left:right], widths[left:right], strict=True)),
        ])
        for line in cells
    ]  # fmt: skip


def _worst(row: Row) -> str:
    """The largest error / radius, as far as it is known; a row that judged nothing has none."""
    if row.worst is not None and row.worst.ratio >= row.under:
        return share(row.worst.ratio)
    if not row.judged:
        return "none"
    return f"<= {share(row.under)}" if row.under else "0"


def _first(f: Finding, digits: int) -> list[str]:
    if f.check == "trajectory":  # of two runs, and of no element
        amplified = f"{f.expected:.3g} is their distance before it, amplified"
        return [
            f"first wrong: {_where(f)}, {f.check} check",
            f"  the free runs are {f.seen:.3g} apart, of which {amplified}; the rest is {_times(f)}",
        ]
    return [
        f"first wrong: {_where(f)}, {f.check} check; {f.outside} of {_count(f.size, 'element')} outside",
        f"  {_element(f)}: seen {f.seen:.{digits}g}, expected {f.expected:.{digits}g}",
        f"  error: {f.ulp:.3g} ulp, {_times(f)}",
    ]


def _ruled(r: Ruling, digits: int) -> list[str]:
    """The arbiter's verdict, and below it what it rests on."""
    numbers = [
        f"{what} {value:.{digits}g}"
        for what, value in (
            ("derivative", r.derivative),
            ("from the left", r.left),
            ("from the right", r.right),
            ("reference", r.reference),
            ("mirror", r.mirror),
        )
        if value is not None
    ]
    at = f"at {tuple(int(i) for i in r.index)}: " if r.index else ""
    lines = [f"  arbiter: {r.verdict}", *([f"    {at}{', '.join(numbers)}"] if numbers else [])]
    return [*lines, *([f"    {r.note}"] if r.note else [])]


def share(ratio: float) -> str:
    """Three digits, and never 1 for what is below it."""
    return f"{math.floor(ratio * 1000) / 1000:.3g}" if 0.9 < ratio < 1 else f"{ratio:.3g}"


def _where(f: Finding) -> str:
    member = "" if f.member is None else f", member {f.member}"
    return f"{f.tensor}, step {f.step}{member}, {f.side}"


def _element(f: Finding) -> str:
    return f"element {tuple(int(i) for i in f.index)}" if f.index else "its value"


def _times(f: Finding) -> str:
    return "where the radius is 0 and only equality will do" if f.radius == 0 else f"{f.ratio:.3g} times its radius"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
