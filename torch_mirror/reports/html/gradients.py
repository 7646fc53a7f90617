"""The pictures of a wrong gradient: source, graph, heat map, as plain data for the page. Pure functions."""

import linecache
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from reference.arrays import Array
from torch_mirror.reports.derivatives import meaning
from torch_mirror.reports.html.curves import Table
from torch_mirror.reports.html.pictures import Branch, Sheet, Valued
from torch_mirror.tape.told import Fault

AROUND = 3
"""Lines of source that are shown before and behind those that are marked or have a value."""

MOST = 150
"""Lines of a file; of more those near a mark alone are shown."""

SIDE = 32
"""Rows and columns of a heat map at most: of a larger gradient each cell is the worst of a block."""

LEVELS = ("within its radius", "up to 10 radii", "up to 1,000 radii", "up to 1e6 radii", "up to 1e9 radii", "more")
BOUNDS = (1.0, 10.0, 1e3, 1e6, 1e9)


class Source(NamedTuple):
    """A line of source. mark: right, wrong, or nothing."""

    number: int
    source: str
    mark: str = ""
    value: str = ""
    derivative: str = ""


class Listing(NamedTuple):
    """Lines of a file."""

    file: str
    lines: tuple[Source, ...]


class Graph(NamedTuple):
    """A wrong gradient, what it was made of, and the edit that explains it."""

    name: str
    causes: tuple[str, ...]
    root: Branch


class Run(NamedTuple):
    """Cells of a row that have one colour."""

    x: int
    y: int
    width: int
    level: int


class Heat(NamedTuple):
    """A gradient's errors in radii."""

    name: str
    words: str
    rows: int
    columns: int
    cells: tuple[Run, ...]
    levels: tuple[str, ...]
    table: Table


def listings(faults: Sequence[Fault], values: Sequence[Valued]) -> tuple[Listing, ...]:
    """The source of each file that a fault names a line of, as far as it is to be had; those of the suspects first."""
    marks: dict[str, dict[int, str]] = {}
    meanings: dict[tuple[str, int], str] = {}
    for fault in faults:
        for r in fault.right:
            marks.setdefault(r.line.file, {})[r.line.number] = "right"
            meanings[r.line[:2]] = meaning(r)
        for line in fault.wrong:
            marks.setdefault(line.file, {})[line.number] = "wrong"
    return tuple(
        _listing(file, marked, values, {n: text for (where, n), text in meanings.items() if where == file})
        for file, marked in sorted(marks.items(), key=lambda item: "wrong" not in item[1].values())
        if linecache.getlines(file)
    )


def _listing(file: str, marked: Mapping[int, str], values: Sequence[Valued], meanings: Mapping[int, str]) -> Listing:
    source = linecache.getlines(file)
    given = {v.number: v for v in values if v.file == file}
    wanted = {*marked, *given}
    if max(wanted) - min(wanted) > MOST:
        wanted = {*marked}
    shown = sorted({n for at in wanted for n in range(at - AROUND, at + AROUND + 1) if 0 < n <= len(source)})
    if shown and shown[-1] - shown[0] <= MOST:
        shown = list(range(shown[0], shown[-1] + 1))
    lines = tuple(
        _line(n, source[n - 1].rstrip("\n"), marked.get(n, ""), given.get(n), meanings.get(n, "")) for n in shown
    )
    return Listing(file.rsplit("/", 1)[-1].rsplit("\\", 1)[-1], lines)


def _line(number: int, source: str, mark: str, v: Valued | None, means: str) -> Source:
    if v is None:
        return Source(number, source, mark, derivative=means)
    at = str(list(v.index)) if v.index else ""
    derivative = means if v.derivative is None else f"{v.derivative:.6g}"
    return Source(number, source, mark, f"{at} {v.value:.6g}".strip(), derivative)


def graphs(faults: Sequence[Fault], roots: Mapping[str, Branch]) -> tuple[Graph, ...]:
    """Of each fault whose first gradient is known as one, with its causes or what is said in their place."""
    return tuple(
        Graph(f.gradients[0], f.causes or ((f.why,) if f.why else ()), roots[f.gradients[0]])
        for f in faults
        if f.gradients[0] in roots
    )


def heats(sheets: Sequence[Sheet]) -> tuple[Heat, ...]:
    """A map of each."""
    return tuple(_heat(sheet) for sheet in sheets if sheet.ratio.size)


def _heat(sheet: Sheet) -> Heat:
    ratio = np.where(np.isnan(sheet.ratio), np.inf, sheet.ratio)
    rows, columns = ratio.shape
    small = _pooled(ratio)
    level = np.searchsorted(BOUNDS, small, side="left")
    outside = int((ratio > 1).sum())
    words = (
        f"{sheet.name}, {rows} x {columns}: {outside:,} of {ratio.size:,} elements are outside their radius, the worst "
        f"by {float(ratio.max()):.3g} radii."
    )
    if small.size < ratio.size:
        words += f" Each cell is the worst of a block of {_block(rows)} x {_block(columns)}."
    table = Table(
        ("row", *(str(j * _block(columns)) for j in range(small.shape[1]))),
        tuple((str(i * _block(rows)), *(f"{float(x):.2g}" for x in row)) for i, row in enumerate(small)),
    )
    return Heat(sheet.name, words, len(small), small.shape[1], tuple(_runs(level)), LEVELS, table)


def _block(size: int) -> int:
    return math.ceil(size / SIDE)


def _pooled(a: Array) -> Array:
    """The largest of each block, so that neither side is longer than SIDE."""
    for axis, size in enumerate(a.shape):
        a = np.maximum.reduceat(a, range(0, size, _block(size)), axis=axis)
    return a


def _runs(level: Array) -> list[Run]:
    found = []
    for y, row in enumerate(level.tolist()):
        start = 0
        for x in range(1, len(row) + 1):
            if x == len(row) or row[x] != row[start]:
                found.append(Run(start, y, x - start, row[start]))
                start = x
    return found
