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
from torch_mirror.balls.recording import Recording
from torch_mirror.tape import compared, factors, patterns
from torch_mirror.tape.factors import Sizes
from torch_mirror.tape.matching import factor
from torch_mirror.tape.scene import (
    Scene,
    View,
    anew,
    behind,
    derivative_by,
    is_leaf,
    line_of,
    match_of,
    name_of,
    number_of,
    numbers_in,
    partial_sums,
    scene_of,
    site_of,
    view_of,
    written,
)
from torch_mirror.tape.sweep import Derivatives
from torch_mirror.tape.told import Fault, Line, Right
from torch_mirror.tape.trails import nearest, steps, trail

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


def blame(
    tape: Recording,
    derivatives: Derivatives,
    gradients: Mapping[str, Number],
    leaves: Mapping[str, Number],
    wrong: Sequence[str],
    spelled: Callable[[str], str],
    sizes: Sizes,
) -> tuple[Fault, ...]:
    """The faults behind wrong gradients, in the order of the backward pass.

    gradients, leaves: by the names of the parameters; wrong: some of these names, in that order;
    spelled: the gradient's name for a parameter's; sizes: numbers that factors may be (factors.py).
    """
    s = scene_of(tape, derivatives.loss, gradients, leaves)
    given: dict[int, Number] = {}
    left, faults = list(wrong), list[Fault]()
    while left and len(faults) < MOST:
        derivatives_now = anew(s, given) if given else derivatives.numbers
        v = view_of(s, derivatives_now, partial_sums(s, derivatives_now))
        left = [name for name in left if not _right(s, v.derivatives, name)]
        if not left:
            break
        guess, explained = _best(v, left, given)
        if guess is None:
            faults.append(_untraced(v, left.pop(0), spelled))
            continue
        faults.append(_fault(v, guess, explained, spelled, sizes))
        given |= _stood_for(s, guess)
        left = [name for name in left if name not in explained]
    return tuple(faults)


# --- which value explains most ----------------------------------------------------------------------------------


def _right(s: Scene, derivatives: Mapping[int, Number], name: str) -> bool:
    return compared.meets(s.gradients[name], derivative_by(s, derivatives, name))


def _best(v: View, left: list[str], given: dict[int, Number]) -> tuple[Guess | None, list[str]]:
    """The value whose adoption makes most gradients right and none wrong; of equals the first one computed."""
    s, best, explained = v.scene, None, list[str]()
    right = [name for name in s.gradients if _right(s, v.derivatives, name)]
    for hoped, guess in sorted(_guesses(v, left), key=lambda pair: -pair[0]):
        if len(explained) >= hoped:
            break
        derivatives = anew(s, {**given, **_stood_for(s, guess)})
        now = [name for name in left if _right(s, derivatives, name)]
        if len(now) > len(explained) and all(_right(s, derivatives, name) for name in right):
            best, explained = guess, now
    return best, explained


def _stood_for(s: Scene, guess: Guess) -> dict[int, Number]:
    """The derivatives that the values stand for, by the forward values' numbers."""
    return {place: _as_derivative(s, value, place, guess.share) for value, place in guess.pairs}


def _as_derivative(s: Scene, value: int, place: int, share: float) -> Number:
    """A value in the shape of what it is the derivative by, without its share."""
    x, shape = s.tape.values[value], s.tape.values[place].shape
    v, r = x.value, np.broadcast_to(x.radius, x.shape)
    squeezed = tuple(n for n in x.shape if n != 1)
    if squeezed != tuple(n for n in shape if n != 1):
        v, r = v.reshape(squeezed).T, r.reshape(squeezed).T
    u = x.format.u
    v, r = v.reshape(shape) / share, r.reshape(shape) / abs(share)
    rounded = 0.0 if share == 1 else 2 * u * np.abs(v)  # of the share and of the quotient
    return Number(v, r * (1 + 4 * u) + rounded, x.format)


def _guesses(v: View, left: list[str]) -> list[tuple[int, Guess]]:
    """What may be tried, each with the number of gradients that it could explain; of equals the first one first."""
    s, first = v.scene, left[0]
    start, leaf = number_of(s.gradients[first]), number_of(s.leaves[first])
    if start is None or leaf is None or start in s.forward or s.gradients[first].shape != s.leaves[first].shape:
        return []
    reach = {n: sum(n in s.above[name] for name in left) for n in s.above[first]}
    found: dict[Any, tuple[int, Guess]] = {}
    for one in chain(_by_factor(v, first), _by_value(v, start, leaf, reach)):
        site = site_of(s, one.value), site_of(s, one.place), s.tape.values[one.value].shape, one.share
        if site not in found and len(found) < TRIES:
            found[site] = (0, one)
            for i, guess in enumerate(_each_time(s, one)):
                found[(*site, i)] = (reach[one.value], guess)
    return [*(pair for pair in found.values() if pair[0]), (1, Guess(((start, leaf),)))]


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
    same = [step for step in found if abs(step.change / c - 1) <= 1e-6]
    others = [step for step in found if abs(step.change - 1) > 1e-6 and step not in same]
    for step in (*same[:-4:-1], *others[:-4:-1]):
        yield Guess(((step.number, step.match.number),), step.match.factor / c)


def _by_value(v: View, start: int, leaf: int, reach: Mapping[int, int]) -> Iterator[Guess]:
    """Each value on the way, for each derivative of its shape that is due after the last right ones."""
    s = v.scene
    way = trail(v, start)
    shares = {m.factor for n in way.right if (m := match_of(v, n)) is not None}
    share = shares.pop() if len(shares) == 1 else 1.0
    due = _due(v, way.right, leaf)
    for n in sorted({*way.right, *way.between}, key=lambda n: (-reach.get(n, 0), n)):
        own = match_of(v, n)
        if own is not None and own.partial:  # something may never be added to it
            yield Guess(((n, own.number),), share)
        elif own is not None and abs(own.factor - 1) > 1e-6:  # nothing after it may take that factor away again
            yield Guess(((n, own.number),))
        for place in due:
            if _alike(s, place, n) and (own is None or own.partial or place != own.number):
                yield Guess(((n, place),), share)


def _due(v: View, right: Sequence[int], leaf: int) -> list[int]:
    """The forward values between the parameter and those by which the derivative is right; the latest first."""
    s = v.scene
    ends = [m for n in right if (m := match_of(v, n)) is not None]
    candidates = {n for m in ends for n in numbers_in(s.tape.values[m.number])} if ends else set(s.forward)
    candidates -= {m.number for m in ends if not m.partial}
    return [n for n in sorted(candidates, reverse=True) if n == leaf or _made_of(s, n, leaf)]


def _made_of(s: Scene, number: int, leaf: int) -> bool:
    return leaf in numbers_in(s.tape.values[number])


# --- in words ---------------------------------------------------------------------------------------------------


def _fault(v: View, guess: Guess, explained: list[str], spelled: Callable[[str], str], sizes: Sizes) -> Fault:
    s = v.scene
    own = match_of(v, guess.value)
    missing = own is not None and own.number != guess.place and abs(own.factor / guess.share - 1) < 1e-6
    right = (guess.value,) if missing else tuple(nearest(v, guess.value))
    wrong = _users(s, guess.value, explained) if missing else _path(v, guess.value, right)
    obvious = is_leaf(s, guess.place) or (own is not None and own.number == guess.place)
    due = None if obvious else _meaning(s, guess.place, "")
    note = _missing(s, own.number, guess.place) if missing and own is not None else ""
    return Fault(
        tuple(spelled(name) for name in explained),
        tuple(r for n in right if (r := _right_line(v, n, sizes)) is not None),
        wrong,
        due,
        shown=len(explained) > 1,
        note=note,
    )


def _untraced(v: View, name: str, spelled: Callable[[str], str]) -> Fault:
    s = v.scene
    n = number_of(s.gradients[name])
    if n is None:
        return Fault((spelled(name),), note="it is a constant: it was computed from no parameter")
    line = line_of(s, n)
    return Fault((spelled(name),), wrong=() if line is None else (line,))


def _right_line(v: View, n: int, sizes: Sizes) -> Right | None:
    m, line = match_of(v, n), line_of(v.scene, n)
    if m is None or line is None:
        return None
    times = "" if abs(m.factor - 1) < 1e-9 else factors.in_words(m.factor, sizes)
    return _meaning(v.scene, m.number, times)._replace(line=line)


def _meaning(s: Scene, place: int, times: str) -> Right:
    line = None if is_leaf(s, place) else line_of(s, place)
    return Right(line or Line("", 0), line, name_of(s, place), times)


def _path(v: View, end: int, right: Sequence[int]) -> tuple[Line, ...]:
    """The lines from the last right values to a value; that of the value is the last."""
    between: set[int] = set()
    todo = [end]
    while todo:
        n = todo.pop()
        if n not in between and n not in right:
            between.add(n)
            todo += [m for m in behind(v.scene, n) if match_of(v, m) is None]
    carrying = set(right)
    for n in sorted(between):
        if any(m in carrying for m in behind(v.scene, n)):
            carrying.add(n)
    numbers = [n for n in sorted(between) if n in carrying or n == end] if right else sorted(between)
    return _lines(v.scene, numbers)


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
