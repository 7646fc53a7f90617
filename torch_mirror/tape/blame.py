"""Blame by line: where the right values of a backward pass end, where the wrong ones begin, and what follows from them.

A wrong value of the user's is *put in the place* of the derivative that it stands for, and the sweep started anew from
there. Gradients that are right after that are right but for this mistake: they follow from it, and that is shown,
not guessed. What is wrong still has a mistake of its own, which is looked for in the light of the new derivatives.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from torch_mirror.balls.number import Number
from torch_mirror.tape import compared, factors, patterns
from torch_mirror.tape.causes import causes
from torch_mirror.tape.factors import Sizes, snapped
from torch_mirror.tape.multiples import factor
from torch_mirror.tape.scene import (
    Scene,
    View,
    anew,
    as_derivative,
    behind,
    called,
    dependents,
    derivative_by,
    is_leaf,
    line_of,
    match_of,
    name_of,
    number_of,
    numbers_in,
    partial_sums,
    roughly,
    site_of,
    view_of,
    written,
)
from torch_mirror.tape.told import Fault, Line, Right
from torch_mirror.tape.trails import SAME, made_of_some, nearest, steps, trail

MOST = 6
"""Faults that are told; what is wrong beyond them is told without."""

TRIES = 48
"""Values that are put in the place of a derivative, for one fault."""


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


def blame(s: Scene, wrong: Sequence[str], spelled: Callable[[str], str], sizes: Sizes) -> tuple[Fault, ...]:
    """The faults behind wrong gradients, in the order of the backward pass.

    wrong: names of parameters, in that order; spelled: the gradient's name for a parameter's;
    sizes: numbers that factors may be (factors.py).
    """
    given: dict[int, Number] = {}
    left, faults = list(wrong), list[Fault]()
    while left and len(faults) < MOST:
        derivatives = anew(s, given)
        v = view_of(s, derivatives, partial_sums(s, derivatives))
        left = [name for name in left if not _right(s, v.derivatives, name)]
        if not left:
            break
        guess, explained = _best(v, left, given)
        if guess is None:
            faults.append(_untraced(v, left.pop(0), spelled))
            continue
        fault = _fault(v, guess, explained, spelled, sizes)
        given |= _stood_for(s, guess)
        if not fault.causes:
            right = frozenset(m.number for n in _behind_all(v, guess) if (m := match_of(v, n)) is not None)
            name = called(s, _first_wrong(v, guess))
            fault = fault._replace(causes=causes(s, anew(s, given), guess.pairs, guess.share, right, sizes, name))
        faults.append(fault)
        left = [name for name in left if name not in explained]
    return tuple(faults)


# --- which value explains most ----------------------------------------------------------------------------------


def _right(s: Scene, derivatives: Mapping[int, Number], name: str) -> bool:
    return compared.meets(s.gradients[name], derivative_by(s, derivatives, name))


def _best(v: View, left: list[str], given: dict[int, Number]) -> tuple[Guess | None, list[str]]:
    """The values whose adoption makes most gradients right and none wrong: of the first gradient that has such values.

    Where none has, the first gradient itself stands in the place of its derivative, and explains that alone.
    """
    s = v.scene
    right = [name for name in s.gradients if _right(s, v.derivatives, name)]
    for ending in (False, True):  # first what lies before the gradients of parameters, of which others are made as well
        for name in left:
            guesses = [g for g in sorted(_guesses(v, left, name)) if is_leaf(s, g[2].place) is ending]
            best, explained = _best_of(v, guesses, name, (left, right), given)
            if best is not None:
                return best, explained
    own = _itself(s, left[0])
    return own, [left[0]] if own else []


def _best_of(
    v: View,
    guesses: list[tuple[int, int, Guess]],
    name: str,
    sides: tuple[list[str], list[str]],
    given: dict[int, Number],
) -> tuple[Guess | None, list[str]]:
    """The first guess that makes a gradient right, and none wrong, or a later one that makes more of them right.

    sides: the gradients that are wrong, and those that are right
    """
    s, (left, right) = v.scene, sides
    best, explained = None, list[str]()
    for hoped, _, guess in guesses:
        if len(explained) >= -hoped:
            break
        if not _promising(v, name, guess):
            continue
        derivatives = anew(s, {**given, **_stood_for(s, guess)})
        now = [other for other in left if _right(s, derivatives, other)]
        if name in now and len(now) > len(explained) and all(_right(s, derivatives, other) for other in right):
            best, explained = guess, now
    return best, explained


def _itself(s: Scene, name: str) -> Guess | None:
    """A gradient in the place of its own derivative; None where it is a constant, or of another shape."""
    g, leaf = s.gradients[name], s.leaves[name]
    start, end = number_of(g), number_of(leaf)
    if start is None or end is None or start in s.forward or g.shape != leaf.shape:
        return None
    return Guess(((start, end),))


ROUGHLY = 1e-6
"""Of the largest element: a gradient that is further off without radii is not looked at with them."""


def _promising(v: View, name: str, guess: Guess) -> bool:
    """Whether the gradient is about the derivative that the guess leads to, in numbers without radii."""
    s = v.scene
    expected = roughly(v, name, _stood_for(s, guess))
    seen = s.gradients[name].value
    if expected is None or not np.isfinite(seen).all():
        return True
    return bool(np.abs(seen - expected).max(initial=0) <= ROUGHLY * np.abs(seen).max(initial=0))


def _first_wrong(v: View, guess: Guess) -> int:
    """The first of the values that is not right in the place that it may stand for."""
    own = ((value, place, match_of(v, value)) for value, place in guess.pairs)
    wrong = (n for n, place, m in own if m is None or m.partial or m.number != place or not _is(m.factor, guess.share))
    return min(wrong, default=guess.value)


def _is(factor: float, other: float) -> bool:
    return abs(factor / other - 1) <= SAME


def _stood_for(s: Scene, guess: Guess) -> dict[int, Number]:
    """The derivatives that the values stand for, by the forward values' numbers."""
    values = s.tape.values
    return {place: as_derivative(values[value], values[place].shape, guess.share) for value, place in guess.pairs}


def _guesses(v: View, left: list[str], name: str) -> list[tuple[int, int, Guess]]:
    """What may be tried: minus how many gradients it could explain, its place among equals, and the guess itself.

    Where the gradient is a multiple of the derivative, the last value whose factor changed so goes first; else the
    first value that is not right.
    """
    s = v.scene
    own = _itself(s, name)
    if own is None:
        return []
    (start, leaf), first = own.pairs[0], name
    reach = {n: sum(n in s.above[name] for name in left) for n in s.above[first]}
    found: dict[Guess, tuple[int, int, Guess]] = {}
    sites: set[Any] = set()
    by_factor = list(_by_factor(v, first))
    for i, one in enumerate(chain(by_factor, _by_value(v, start, leaf, reach))):
        site = site_of(s, one.value), site_of(s, one.place), s.tape.values[one.value].shape, one.share
        if site in sites or len(sites) == TRIES:
            continue
        sites.add(site)
        for guess in _each_time(s, one):
            rank = i - len(by_factor) if i < len(by_factor) else _first_wrong(v, guess)
            found.setdefault(guess, (-reach[one.value], rank, guess))
    return list(found.values())


def _each_time(s: Scene, one: Guess) -> Iterator[Guess]:
    """The guess for every time that the code made such a pair: in the same order, and in the reverse one.

    The one guess alone is among them where the code did not, or where the times cannot be paired.
    """
    values = [n for n in s.sites[site_of(s, one.value)] if n not in s.forward]
    places = [n for n in s.sites[site_of(s, one.place)] if n in s.forward]
    several = set()
    for order in (places, places[::-1]):
        pairs = list[tuple[int, int]]()
        for shape in dict.fromkeys(s.tape.values[n].shape for n in values):
            some = [n for n in values if s.tape.values[n].shape == shape]
            others = [n for n in order if _alike(s, n, some[0])]
            pairs += zip(some, others, strict=True) if len(some) == len(others) else ()
        several.add(tuple(pairs))
    several -= {(), one.pairs}
    yield from (Guess(pairs, one.share) for pairs in several)
    if len(values) == 1 or not several:
        yield one
    if len(values) > 1 and len(places) == 1:  # what a loop adds up is whole at its end
        yield one._replace(pairs=(([n for n in values if _alike(s, n, one.place)][-1], one.place),))


def _alike(s: Scene, m: int, n: int) -> bool:
    """Whether two values have the same axes, in any order and but for those of length 1."""
    one, other = (sorted(size for size in s.tape.values[k].shape if size != 1) for k in (m, n))
    return one == other


def _constant(v: View, name: str) -> float | None:
    """The c of a gradient that is c times its derivative, if it is."""
    g, d = v.scene.gradients[name], derivative_by(v.scene, v.derivatives, name)
    pair = compared.both(g, d)
    return factor(g, d) or patterns.constant(pair.seen, pair.expected, pair.allowed)


def _excused(v: View) -> frozenset[int]:
    """What right gradients are made of."""
    s = v.scene
    return frozenset().union(*(s.above[name] for name in s.gradients if _right(s, v.derivatives, name)))


def _by_factor(v: View, name: str) -> Iterator[Guess]:
    """Where the factor changed by that of the gradient; the last place first."""
    c, start = _constant(v, name), number_of(v.scene.gradients[name])
    if c is None or start is None:
        return
    found = steps(v, start, _excused(v))
    same = [step for step in found if _is(step.change, c)]
    others = [step for step in found if not _is(step.change, 1) and _is(step.match.factor, c) and step not in same]
    for step in (*same[:-4:-1], *others[:-4:-1]):
        yield Guess(((step.number, step.match.number),), snapped(step.match.factor / c))


def _by_value(v: View, start: int, leaf: int, reach: Mapping[int, int]) -> Iterator[Guess]:
    """Each value on the way, for each derivative of its shape that is due after the last right ones."""
    s = v.scene
    way = trail(v, start)
    shares = {snapped(m.factor) for n in way.right if (m := match_of(v, n)) is not None}
    share = shares.pop() if len(shares) == 1 else 1.0
    due = _due(v, way.right, leaf)
    known = {_bits(s, n) for n in s.forward}
    on_the_way = [n for n in (*way.right, *way.before, *way.between) if _is_number(s, n)]
    for n in sorted(on_the_way, key=lambda n: (-reach.get(n, 0), _bits(s, n) in known)):
        own = match_of(v, n)
        if own is not None and own.partial:  # something may never be added to it
            yield Guess(((n, own.number),), share)
        elif own is not None and not _is(own.factor, 1):  # nothing after it may take that factor away again
            yield Guess(((n, own.number),))
        for place in due:
            if _alike(s, place, n) and (own is None or own.partial or place != own.number):
                yield Guess(((n, place),), share)


def _due(v: View, right: Sequence[int], leaf: int) -> list[int]:
    """The forward values from the parameter on to those by which the derivative is right; the latest first."""
    s = v.scene
    ends = [m for n in right if (m := match_of(v, n)) is not None]
    whole = not ends or any(m.partial for m in ends)
    candidates = set(s.forward) if whole else {n for m in ends for n in numbers_in(s.tape.values[m.number])}
    return sorted(candidates & dependents(v, leaf), reverse=True)


def _made_of(s: Scene, number: int, leaf: int) -> bool:
    return leaf in numbers_in(s.tape.values[number])


def _behind_all(v: View, guess: Guess) -> set[int]:
    """The last right values behind all of the values."""
    return {n for value, _ in guess.pairs for n in _last_right(v, value, guess.share)}


# --- in words ---------------------------------------------------------------------------------------------------


def _fault(v: View, guess: Guess, explained: list[str], spelled: Callable[[str], str], sizes: Sizes) -> Fault:
    s = v.scene
    value = _first_wrong(v, guess)
    place = dict(guess.pairs)[value]
    own = match_of(v, value)
    missing = own is not None and not own.partial and own.number != place and _is(own.factor, guess.share)
    right = (value,) if missing else _last_right(v, value, guess.share)
    wrong = _users(s, value, explained) if missing else _path(v, value, right)
    obvious = is_leaf(s, place) or (own is not None and own.number == place)
    due = None if obvious else _meaning(s, place, "")
    note = _missing(s, own.number, place) if missing and own is not None else ""
    return Fault(
        tuple(spelled(name) for name in explained),
        _right_lines(v, right, wrong, sizes),
        wrong,
        due,
        causes=_factor_cause(v, value, explained, spelled, sizes),
        shown=len(explained) > 1,
        note=note,
    )


def _factor_cause(
    v: View, value: int, explained: list[str], spelled: Callable[[str], str], sizes: Sizes
) -> tuple[str, ...]:
    """The factor that all of the gradients have too much, if they have; its proof is that without it each is right."""
    s = v.scene
    c = _constant(v, explained[0])
    if c is None:
        return ()
    exact = snapped(c)
    without = {name: as_derivative(s.gradients[name], s.leaves[name].shape, exact) for name in explained}
    rows = [compared.row(name, g, derivative_by(s, v.derivatives, name)) for name, g in without.items()]
    if any(row.outside for row in rows):
        return ()
    where = called(s, value) or spelled(explained[0])
    elements, worst = sum(row.size for row in rows), max(row.worst for row in rows)
    proof = f"without it all {elements:,} elements are within their radius, worst {worst:.1g}"
    return (f"a factor {factors.in_words(exact, sizes)} in {where} (proof: {proof})",)


def _untraced(v: View, name: str, spelled: Callable[[str], str]) -> Fault:
    s = v.scene
    n = number_of(s.gradients[name])
    if n is None:
        return Fault((spelled(name),), note="it is a constant: it was computed from no parameter")
    line = line_of(s, n)
    return Fault((spelled(name),), wrong=() if line is None else (line,))


def _right_lines(v: View, right: Sequence[int], wrong: Sequence[Line], sizes: Sizes) -> tuple[Right, ...]:
    """Each once; those of a wrong line only if there are no others."""
    told = [r for n in right if (r := _right_line(v, n, sizes)) is not None]
    others = [r for r in told if r.line not in wrong]
    return tuple(dict.fromkeys(others or told))


def _right_line(v: View, n: int, sizes: Sizes) -> Right | None:
    m, line = match_of(v, n), line_of(v.scene, n)
    if m is None or line is None:
        return None
    times = "" if abs(m.factor - 1) < 1e-9 else factors.in_words(m.factor, sizes)
    return _meaning(v.scene, m.number, times)._replace(line=line)


def _meaning(s: Scene, place: int, times: str) -> Right:
    line = None if is_leaf(s, place) else line_of(s, place)
    return Right(line or Line("", 0), line, name_of(s, place), times)


def _last_right(v: View, end: int, share: float) -> tuple[int, ...]:
    """The nearest values behind one that are right with that share; of any share, where there is none of that."""
    found: set[int] = set()
    seen: set[int] = set()
    todo = behind(v.scene, end)
    while todo:
        n = todo.pop()
        if n not in seen:
            seen.add(n)
            m = match_of(v, n)
            if m is not None and _is(m.factor, share):
                found.add(n)
            else:
                todo += behind(v.scene, n)
    return tuple(sorted(found)) or tuple(nearest(v, end))


def _path(v: View, end: int, right: Sequence[int]) -> tuple[Line, ...]:
    """The lines from the last right values to a value; then those of factors that it was made with."""
    s = v.scene
    between: set[int] = set()
    todo = [end]
    while todo:
        n = todo.pop()
        if n not in between and n not in right:
            between.add(n)
            todo += behind(s, n)
    carrying = {*right, *made_of_some(v, sorted(between), right)}
    way = [n for n in sorted(between) if n in carrying or n == end]
    return _lines(s, [*way, *sorted(_factors(s, way, carrying))])


def _factors(s: Scene, way: Sequence[int], carrying: set[int]) -> set[int]:
    """What the values on the way were multiplied with, and is no value of the forward pass evaluated once more."""
    known = {_bits(s, n) for n in s.forward}
    found: set[int] = set()
    todo = [m for n in way for m in behind(s, n)]
    while todo:
        n = todo.pop()
        if n not in found and n not in carrying and _bits(s, n) not in known:
            found.add(n)
            todo += behind(s, n)
    return found


def _bits(s: Scene, number: int) -> tuple[Any, bytes]:
    value = s.tape.values[number].value
    return value.shape, value.tobytes()


def _is_number(s: Scene, n: int) -> bool:
    return isinstance(s.tape.values[n], Number)


def _lines(s: Scene, numbers: Sequence[int]) -> tuple[Line, ...]:
    found = [line for n in numbers if (line := line_of(s, n)) is not None]
    return tuple(dict.fromkeys(found))


def _users(s: Scene, number: int, explained: Sequence[str]) -> tuple[Line, ...]:
    """The lines that use a value on the way to some gradients."""
    way = sorted(set().union(*(s.above[name] for name in explained)))
    return _lines(s, [n for n in way if number in behind(s, n)])


def _missing(s: Scene, have: int, place: int) -> str:
    """What lies between the derivative that is there and the one that is due."""
    between = [n for n in numbers_in(s.tape.values[have]) if place < n <= have]
    between = [n for n in between if _made_of(s, n, place)]
    if len(between) > 3 or not between:
        return f"dL/d {name_of(s, place)} is computed nowhere"
    told = ((written(s, n) or name_of(s, n), line_of(s, n)) for n in between)
    what = ", ".join(f"{text}{f' ({line.place})' if line else ''}" for text, line in told)
    return f"it is computed nowhere: the derivative of {what} is missing"
