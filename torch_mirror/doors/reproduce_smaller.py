"""A failing claim of few samples, small layers and round numbers, at which a gradient is still far from the derivative.

An axis has the length of all others of its length: where it is cut, they are, in parameters and data alike, so that a
layer that becomes narrower does so on both of its sides. What no longer runs is no candidate.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from reference.claim.tree import named, rebuild
from torch_mirror.balls.format import format_of
from torch_mirror.doors.check.claimed import Claim, data_as
from torch_mirror.doors.check.convened import convened
from torch_mirror.doors.check.runs import Followed, followed, plain_run
from torch_mirror.doors.check.world import world_of
from torch_mirror.doors.shrink import simplest
from torch_mirror.tape.told import Row

EVALUATIONS = 400
"""Of simpler numbers."""

SECONDS = 10.0
"""Of the processor, for all evaluations: of a small network one takes some hundredths."""


class Case(NamedTuple):
    """Parameters and data."""

    parameters: Any
    data: tuple[Any, ...]


def wrong_rows(claim: Claim, case: Case, *, kinks: bool = True) -> dict[str, Row]:
    """What is wrong there, by the parameters' names; nothing where the code cannot be followed.

    kinks: whether it may be at a place that has no derivative, where it is a matter of convention
    """
    there = claim._replace(parameters=case.parameters, data=case.data, roots=(*claim.roots, *case))
    with np.errstate(all="ignore"):
        try:
            seen = followed(there, world_of(*there.roots), np.float64)
            if not isinstance(seen, Followed):
                return {}
            order = [name for name in claim.names if seen.gradients[name] is not None]
            d, rows, _, _ = convened(seen, order)
            plain = plain_run(there, world_of(*there.roots)).gradients
        except Exception:  # noqa: BLE001 - whatever the code raises of other sizes
            return {}
    if d.open and not kinks:
        return {}
    found = {name: row for name, row in zip(order, rows, strict=True) if row.word == "WRONG"}
    return {name: row for name, row in found.items() if _is_off(row, plain[name])}


def _is_off(row: Row, own: Any) -> bool:
    """Whether the plain run is outside, too: the script knows no balls."""
    if np.ndim(own) != len(row.index):  # of another shape: no element is the wrong one
        return False
    return not abs(float(np.asarray(own)[row.index]) - row.expected) <= room_of(row)


def badness(row: Row | None) -> float:
    """How far the worst element is from the derivative, relative to the larger of both: from 0 to 2, or infinity."""
    if row is None:
        return 0.0
    if not np.isfinite(row.seen):
        return np.inf
    largest = max(abs(row.seen), abs(row.expected))
    return abs(row.seen - row.expected) / largest if largest else 0.0  # both are 0 where the shape is what is wrong


def smaller(claim: Claim, case: Case, name: str) -> Case:
    """A smaller case in which the gradient of the parameter of that name is wrong at least half as badly."""
    kinks = name not in wrong_rows(claim, case, kinks=False)
    least, until = badness(wrong_rows(claim, case).get(name)) / 2, time.process_time() + SECONDS

    def fails(candidate: Case) -> bool:
        return time.process_time() < until and badness(wrong_rows(claim, candidate, kinks=kinks).get(name)) >= least

    short = _of_fewer(case, fails)
    return _with(short, simplest(_arrays(short), lambda arrays: fails(_with(short, arrays)), EVALUATIONS))


def _of_fewer(case: Case, fails: Callable[[Case], bool]) -> Case:
    while True:
        found = next((other for other in _cut(case) if fails(other)), None)
        if found is None:
            return case
        case = found


def _cut(case: Case) -> Iterator[Case]:
    """All axes of one length made shorter, the longest first; whole numbers, such as classes, are kept below that."""
    lengths = sorted({n for a in _arrays(case).values() for n in a.shape if n > 1}, reverse=True)
    for n in lengths:
        for m in dict.fromkeys((1, 2, 3, n // 2, n - 1)):
            if 0 < m < n:
                arrays = {name: _short(a, n, m) for name, a in _arrays(case).items()}
                yield _with(case, arrays)
                yield _with(case, {name: a % m if a.dtype.kind in "iu" else a for name, a in arrays.items()})


def _short(a: Any, n: int, m: int) -> Any:
    return a[tuple(slice(m) if length == n else slice(None) for length in a.shape)]


def _arrays(case: Case) -> dict[str, Any]:
    """All arrays by name: of the parameters, and of data that are arrays."""
    of_data = {f"the data {i}": d for i, d in enumerate(case.data) if isinstance(d, np.ndarray)}
    return {**{name: np.asarray(a) for name, a in named(case.parameters).items()}, **of_data}


def _with(case: Case, arrays: dict[str, Any]) -> Case:
    own = named(case.parameters)
    p = rebuild(case.parameters, {name: arrays[name] for name in own})
    data = [arrays.get(f"the data {i}", d) for i, d in enumerate(case.data)]
    return Case(p, tuple(data))


def in_double(case: Case) -> Case:
    """The same numbers in float64, in which the formula is judged."""

    def wide(a: Any) -> Any:
        return np.asarray(a).astype(np.float64)

    p = rebuild(case.parameters, {name: wide(a) for name, a in named(case.parameters).items()})
    return Case(p, tuple(data_as(d, wide) for d in case.data))


def room_of(row: Row) -> float:
    """How far rounding may take a right gradient from the derivative, at the worst element."""
    apart = abs(row.seen - row.expected)
    least = format_of(np.dtype(np.float64)).u * abs(row.expected)
    return max(apart / row.worst, least) if np.isfinite(row.worst) and row.worst else least
