"""From a wrong gradient back to the last right values: what lies between is where the mistake is.

A right value is the derivative by something in the forward pass, up to one factor (multiples.py). Where the gradient
itself is such a multiple, c times its derivative, values that carry the same error are multiples, too; the mistake
is where the factor changed by c.
"""

from collections.abc import Iterable
from typing import NamedTuple

from torch_mirror.tape.multiples import Match
from torch_mirror.tape.scene import View, behind, match_of

SAME = 1e-9
"""Factors of values that differ by no more are taken for the same when guesses are made; radii judge these."""


class Trail(NamedTuple):
    """The way back from one gradient, as numbers of the backward pass's values."""

    right: tuple[int, ...]    # the last right values, up to one factor
    between: tuple[int, ...]  # all that the gradient was made of since; what was made of a right value first
    before: tuple[int, ...]   # right values that the last right ones were made of, and that have the same factor, not 1


def trail(v: View, start: int) -> Trail:
    """Of a gradient that is no multiple of its derivative."""
    right: set[int] = set()
    between: set[int] = set()
    todo = [start]
    while todo:
        n = todo.pop()
        if n in between or n in right:
            continue
        m = match_of(v, n) if n != start else None
        if m is not None:
            right.add(n)
            if m.factor < 0 or m.far:  # the sign may be the mistake, or a share that is 0, and lie further back
                between.update(_all_behind(v, n) - {n})
            continue
        between.add(n)
        todo += behind(v.scene, n)
    carrying = made_of_some(v, sorted(between), right)
    last = tuple(sorted(right))
    return Trail(last, (*carrying, *sorted(between - set(carrying))), tuple(_before(v, last)))


def made_of_some(v: View, ascending: list[int], right: Iterable[int]) -> list[int]:
    """Those that are made of a right value; the others are factors, or are not made of anything right."""
    carrying = set(right)
    found = []
    for n in ascending:
        if any(m in carrying for m in behind(v.scene, n)):
            carrying.add(n)
            found.append(n)
    return found


def _before(v: View, right: tuple[int, ...]) -> list[int]:
    """A factor that is in the values from early on may be the mistake itself."""
    seen: set[int] = set()
    todo = [(n, m.factor) for n in right if (m := match_of(v, n)) is not None and abs(m.factor - 1) > SAME]
    while todo:
        n, factor = todo.pop()
        for other in behind(v.scene, n):
            m = match_of(v, other)
            if other not in seen and m is not None and abs(m.factor / factor - 1) <= SAME:
                seen.add(other)
                todo.append((other, factor))
    return sorted(seen - set(right))


class Step(NamedTuple):
    """A value that is so many times a derivative, and what its factor was before."""

    number: int
    match: Match
    before: tuple[int, ...]  # the nearest matched values that it is made of; none: it is the first
    change: float            # its factor over theirs; over 1 for the first


def steps(v: View, start: int, excused: frozenset[int]) -> list[Step]:
    """All values behind a gradient that are multiples of a derivative, but the excused; in the order of evaluation."""
    found = []
    for n in sorted(_all_behind(v, start) - excused):
        own = match_of(v, n)
        if own is not None:
            before = nearest(v, n)
            factors = {m.factor for b in before if (m := match_of(v, b)) is not None}
            if not factors or _same(factors):
                found.append(Step(n, own, tuple(before), own.factor / max(factors, default=1.0)))
    return found


def _same(factors: set[float]) -> bool:
    return max(factors) - min(factors) <= SAME * max(map(abs, factors))


def _all_behind(v: View, start: int) -> set[int]:
    seen: set[int] = set()
    todo = [start]
    while todo:
        n = todo.pop()
        if n not in seen:
            seen.add(n)
            todo += behind(v.scene, n)
    return seen


def nearest(v: View, number: int) -> list[int]:
    """The matched values that one is made of, through unmatched ones."""
    found: set[int] = set()
    seen: set[int] = set()
    todo = behind(v.scene, number)
    while todo:
        n = todo.pop()
        if n in seen:
            continue
        seen.add(n)
        if match_of(v, n) is not None:
            found.add(n)
        else:
            todo += behind(v.scene, n)
    return sorted(found)
