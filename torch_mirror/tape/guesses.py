"""Guesses: which values of the user's may stand for which derivatives, the most promising first.

A value is a guess for the derivative by a forward value of its shape that is due: it comes after the last right values,
and is made of the parameter whose gradient is wrong. Where a loop made the value several times, the guess is for each.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from torch_mirror.balls.number import Number
from torch_mirror.tape import compared, patterns
from torch_mirror.tape.factors import snapped
from torch_mirror.tape.multiples import factor
from torch_mirror.tape.pairs import by_neighbours
from torch_mirror.tape.scene import (
    Scene,
    View,
    as_derivative,
    called,
    dependents,
    derivative_by,
    is_leaf,
    match_of,
    number_of,
    numbers_in,
    roughly,
    site_of,
)
from torch_mirror.tape.trails import SAME, steps, trail

TRIES = 128
"""Values that are put in the place of a derivative, for one fault."""


FEW = 24
"""Places of one value that are tried before those of others."""

CALLS = 4
"""Values of one expression of the forward pass, as of a function that was called so often, that one value may be by."""

ROUGHLY = 1e-6
"""Of the largest element: a gradient that is further off without radii is not looked at with them."""


class Guess(NamedTuple):
    """Values of the user's that may stand for derivatives by values of the forward pass.

    pairs: (value, forward value); several where the code runs through a loop, one for each time
    share: each value is taken to be so many times what it stands for, as values before it are
    """

    pairs: tuple[tuple[int, int], ...]
    share: float = 1.0

    @property
    def value(self) -> int:
        return self.pairs[0][0]

    @property
    def place(self) -> int:
        return self.pairs[0][1]


def is_right(s: Scene, derivatives: Mapping[int, Number], name: str) -> bool:
    return compared.meets(s.gradients[name], derivative_by(s, derivatives, name))


def itself(s: Scene, name: str) -> Guess | None:
    """A gradient in the place of its own derivative; None where it is a constant, or of another shape."""
    g, leaf = s.gradients[name], s.leaves[name]
    start, end = number_of(g), number_of(leaf)
    if start is None or end is None or start in s.forward or g.shape != leaf.shape:
        return None
    return Guess(((start, end),))


def promising(v: View, name: str, guess: Guess) -> bool:
    """Whether the gradient is about the derivative that the guess leads to, in numbers without radii."""
    s = v.scene
    if guess not in v.rough:
        v.rough[guess] = roughly(v, stood_for(s, guess))
    expected, seen = v.rough[guess].get(name), s.gradients[name].value
    if expected is None or not np.isfinite(seen).all():
        return expected is not None
    return bool(np.abs(seen - expected).max(initial=0) <= ROUGHLY * np.abs(seen).max(initial=0))


def first_wrong(v: View, guess: Guess) -> int:
    """The first of the values that is not right in the place that it may stand for.

    It is also right there where it is known as the derivative by another value: of s = s + u they are the same numbers.
    """

    def right(value: int, place: int) -> bool:
        m, d = match_of(v, value), v.derivatives.get(place)
        if m is None or m.partial or d is None:
            return False
        x = v.scene.tape.values[value]
        c = m.factor if m.number == place else factor(x, d) if _squeezed(x) == _squeezed(d) else None
        return c is not None and equal(c, guess.share)

    return min((value for value, place in guess.pairs if not right(value, place)), default=guess.value)


def _squeezed(x: Number) -> tuple[int, ...]:
    return tuple(n for n in x.shape if n != 1)


def equal(factor: float, other: float) -> bool:
    return abs(factor / other - 1) <= SAME


def stood_for(s: Scene, guess: Guess) -> dict[int, Number]:
    """The derivatives that the values stand for, by the forward values' numbers."""
    values = s.tape.values
    return {place: as_derivative(values[value], values[place].shape, guess.share) for value, place in guess.pairs}


def multiple(v: View, name: str) -> float | None:
    """The c of a gradient that is c times its derivative, if it is."""
    g, d = v.scene.gradients[name], derivative_by(v.scene, v.derivatives, name)
    pair = compared.both(g, d)
    return factor(g, d) or patterns.constant(pair.seen, pair.expected, pair.allowed)


def excused(v: View) -> frozenset[int]:
    """What right gradients are made of."""
    s = v.scene
    return frozenset().union(*(s.above[name] for name in s.gradients if is_right(s, v.derivatives, name)))


def guesses_of(v: View, left: list[str], name: str) -> list[tuple[int, int, Guess]]:
    """What may be tried: minus how many gradients it could explain, its place among equals, and the guess itself.

    Where the gradient is a multiple of the derivative, the last value whose factor changed so goes first; else the
    first value that is not right.
    """
    s = v.scene
    own = itself(s, name)
    if own is None:
        return []
    (start, leaf), first = own.pairs[0], name
    reach = {n: sum(n in s.above[name] for name in left) for n in s.above[first]}
    found: dict[Guess, tuple[int, int, Guess]] = {}
    sites: dict[Any, int] = {}
    by_factor = list(_by_factor(v, first))
    own_values = _by_forward(v, start, leaf, left, reach)
    for i, one in enumerate(chain(by_factor, _in_turn(chain(_by_value(v, start, leaf, reach), own_values)))):
        site = site_of(s, one.value), site_of(s, one.place), s.tape.values[one.value].shape, one.share
        if len(sites) == TRIES:
            break
        once = [n for n in s.sites[site_of(s, one.value)] if n not in s.forward] == [one.value]
        if sites.get(site, 0) == (CALLS if once else 1):
            continue
        sites[site] = sites.get(site, 0) + 1
        for guess in _each_time(s, one):
            rank = i - len(by_factor) if i < len(by_factor) else first_wrong(v, guess)
            found.setdefault(guess, (-reach[one.value], rank, guess))
    return list(found.values())


def _in_turn(guesses: Iterable[Guess]) -> Iterator[Guess]:
    """The first few of each value, then the next few: many derivatives of its shape are no reason to try no other."""
    by_value: dict[int, list[Guess]] = {}
    for one in guesses:
        by_value.setdefault(one.value, []).append(one)
    for k in range(0, max(map(len, by_value.values()), default=0), FEW):
        for several in by_value.values():
            yield from several[k : k + FEW]


def _by_factor(v: View, name: str) -> Iterator[Guess]:
    """Where the factor changed by that of the gradient; the last place first."""
    c, start = multiple(v, name), number_of(v.scene.gradients[name])
    if c is None or start is None:
        return
    found = steps(v, start, excused(v))
    same = [step for step in found if equal(step.change, c)]
    others = [step for step in found if not equal(step.change, 1) and equal(step.match.factor, c) and step not in same]
    for step in (*same[:-4:-1], *others[:-4:-1]):
        yield Guess(((step.number, step.match.number),), snapped(step.match.factor / c))


def _by_value(v: View, start: int, leaf: int, reach: Mapping[int, int]) -> Iterator[Guess]:
    """Each value on the way, for each derivative of its shape that is due after the last right ones."""
    s = v.scene
    way = trail(v, start)
    shares = {snapped(m.factor) for n in way.right if (m := match_of(v, n)) is not None}
    sizes = {abs(c) for c in shares}
    share = sizes.pop() if len(sizes) == 1 else 1.0
    tried = [c for c in sorted(shares | {share}, reverse=True) if abs(c) == share]  # of what is subtracted, one is < 0
    due = _one_of_each(s, _due(v, way.right, leaf))
    known = {bits(s, n) for n in s.forward}
    on_the_way = [n for n in (*way.right, *way.before, *way.between) if _is_number(s, n) and n not in s.inner]
    for n in sorted(on_the_way, key=lambda n: (-reach.get(n, 0), bits(s, n) in known, not called(s, n))):
        own = match_of(v, n)
        if own is not None and own.partial:  # something may never be added to it
            yield from (Guess(((n, own.number),), c) for c in tried)
        elif own is not None and not equal(own.factor, 1):  # nothing after it may take that factor away again
            yield Guess(((n, own.number),))
        for place in _nearest_first(due.get(_axes(s, n), ()), None if own is None else own.number):
            if own is None or own.partial or place != own.number:
                yield from (Guess(((n, place),), c) for c in tried)


def _nearest_first(places: Sequence[int], known: int | None) -> Sequence[int]:
    """Where a value is right for one, a few steps back may be missing: first what that is made of, the nearest."""
    return places if known is None else sorted(places, key=lambda place: (place > known, abs(place - known)))


def _one_of_each(s: Scene, places: Iterable[int]) -> dict[tuple[int, ...], list[int]]:
    """By their axes, the first places of each expression: no more of a loop's turns are asked for (guesses_of)."""
    found: dict[tuple[int, ...], list[int]] = {}
    counts: dict[Any, int] = {}
    for n in places:
        key = site_of(s, n), _axes(s, n)
        counts[key] = counts.get(key, 0) + 1
        if counts[key] <= CALLS + 1:  # one of them may be what a value is right for already
            found.setdefault(key[1], []).append(n)
    return found


def _by_forward(v: View, start: int, leaf: int, left: list[str], reach: dict[int, int]) -> Iterator[Guess]:
    """Values of the forward pass itself that are used as if they were derivatives: delta = error, and no / N."""
    s = v.scene
    used = {name: _used(s, s.above[name]) for name in left}
    taken = _used(s, trail(v, start).between)
    due = _one_of_each(s, _due(v, (), leaf))
    for m in sorted(taken):
        if s.tape.values[m].ndim and not is_leaf(s, m):
            reach[m] = sum(m in used[name] for name in left)
            yield from (Guess(((m, place),)) for place in due.get(_axes(s, m), ()))


def _used(s: Scene, numbers: Iterable[int]) -> set[int]:
    """The forward values that some values of the backward pass are directly made of."""
    operands = (x for n in numbers for x in s.tape.values[n].node.operands if isinstance(x, Number))
    return {m for x in operands if (m := number_of(x)) is not None and m in s.forward}


def _due(v: View, right: Sequence[int], leaf: int) -> list[int]:
    """The forward values from the parameter on to those by which the derivative is right; the latest first."""
    s = v.scene
    ends = [m for n in right if (m := match_of(v, n)) is not None]
    turned = len({m.factor > 0 for m in ends}) > 1  # of two signs one is wrong, and so may be what it was found by
    whole = not ends or turned or any(m.partial for m in ends)
    candidates = set(s.forward) if whole else set(numbers_in(*(s.tape.values[m.number] for m in ends)))
    return sorted(candidates & dependents(v, leaf), reverse=True)


def _each_time(s: Scene, one: Guess) -> Iterator[Guess]:
    """The guess for every time that the code made such a pair: in the same order, in the reverse one, and nested.

    Nested: a loop over layers or time, run backwards inside of one over samples, which is not. The one guess alone is
    among them where the code did not, or where the times cannot be paired.
    """
    values = [n for n in s.sites[site_of(s, one.value)] if n not in s.forward]
    places = [n for n in s.sites[site_of(s, one.place)] if n in s.forward]
    several = set()
    for outer in sorted({len(times) for times in s.sites.values()} | {1, len(values)}):
        pairs = list[tuple[int, int]]()
        for shape in dict.fromkeys(s.tape.values[n].shape for n in values):
            some = [n for n in values if s.tape.values[n].shape == shape]
            others = _backwards([n for n in places if _alike(s, n, some[0])], min(outer, len(some)))
            pairs += zip(some, others, strict=True) if len(some) == len(others) else ()
        several.add(tuple(pairs))
    if len(values) == len(places) > 1:  # what a loop over time carries on is the derivative by what came a step before
        several.add(tuple((n, m) for n, m in zip(values, places[-2::-1], strict=False) if _alike(s, n, m)))
    if len(values) == len(places) > 2:
        several.add(by_neighbours(s, values, places))
    several -= {(), one.pairs}
    yield from (Guess(pairs, one.share) for pairs in several)
    if len(values) == 1 or not several:
        yield one
    if len(values) > 1 and len(places) == 1:  # what a loop adds up is whole at its end
        yield one._replace(pairs=(([n for n in values if _alike(s, n, one.place)][-1], one.place),))


def _backwards(numbers: list[int], outer: int) -> list[int]:
    """Each of so many equal parts in reverse order; empty where there are no such parts."""
    length, rest = divmod(len(numbers), outer)
    return [] if rest else [n for k in range(outer) for n in numbers[k * length : (k + 1) * length][::-1]]


def _alike(s: Scene, m: int, n: int) -> bool:
    """Whether two values have the same axes, in any order and but for those of length 1."""
    return _axes(s, m) == _axes(s, n)


def _axes(s: Scene, n: int) -> tuple[int, ...]:
    """Sorted, without those of length 1."""
    return tuple(sorted(size for size in s.tape.values[n].shape if size != 1))


def bits(s: Scene, number: int) -> tuple[Any, bytes]:
    value = s.tape.values[number].value
    return value.shape, value.tobytes()


def _is_number(s: Scene, n: int) -> bool:
    return isinstance(s.tape.values[n], Number)
