"""Blame by line: where the right values of a backward pass end, where the wrong ones begin, and what follows from them.

A wrong value of the user's is *put in the place* of the derivative that it stands for, and the sweep started anew from
there. Gradients that are right after that are right but for this mistake: they follow from it, and that is shown,
not guessed. What is wrong still has a mistake of its own, which is looked for in the light of the new derivatives.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Recording
from torch_mirror.tape import compared, factors, patterns
from torch_mirror.tape.factors import Sizes
from torch_mirror.tape.matching import factor
from torch_mirror.tape.scene import (
    Scene, View, anew, behind, derivative_by, line_of, match_of, name_of, number_of, scene_of, view_of,
)  # fmt: skip
from torch_mirror.tape.sweep import made_of
from torch_mirror.tape.told import Fault, Line, Right
from torch_mirror.tape.trails import nearest, steps, trail

MOST = 6
"""Faults that are told; what is wrong beyond them is told without."""

TRIES = 48
"""Values that are put in the place of a derivative, for one fault."""


class Guess(NamedTuple):
    """A value of the user's that may stand for the derivative by a value of the forward pass.

    share: the value is taken to be so many times what it stands for, as values before it are
    """

    value: int
    place: int
    share: float = 1.0


def blame(
    tape: Recording,
    loss: Number,
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
    s = scene_of(tape, loss, gradients, leaves)
    given: dict[int, Number] = {}
    left, faults = list(wrong), []
    while left and len(faults) < MOST:
        v = view_of(s, anew(s, given))
        left = [name for name in left if not _right(s, v.derivatives, name)]
        if not left:
            break
        guess, explained = _best(v, left, given)
        if guess is None:
            faults.append(_untraced(v, left.pop(0), spelled))
            continue
        faults.append(_fault(v, guess, explained, spelled, sizes))
        given[guess.place] = _stood_for(s, guess)
        left = [name for name in left if name not in explained]
    return tuple(faults)


# --- which value explains most ----------------------------------------------------------------------------------


def _right(s: Scene, derivatives: Mapping[int, Number], name: str) -> bool:
    return compared.meets(s.gradients[name], derivative_by(s, derivatives, name))


def _best(v: View, left: list[str], given: dict[int, Number]) -> tuple[Guess | None, list[str]]:
    """The value whose adoption makes most gradients right and none wrong; of equals the first one computed."""
    s, best, explained = v.scene, None, list[str]()
    for guess, hoped in _guesses(v, left):
        derivatives = anew(s, {**given, guess.place: _stood_for(s, guess)})
        now = [name for name in left if _right(s, derivatives, name)]
        spoiled = any(not _right(s, derivatives, name) for name in s.gradients if name not in left and _right(s, v.derivatives, name))
        if len(now) > len(explained) and not spoiled:
            best, explained = guess, now
        if len(explained) >= hoped:
            break
    return best, explained


def _stood_for(s: Scene, guess: Guess) -> Number:
    """The derivative that the value stands for, in the shape of what it is the derivative by."""
    x, shape = s.tape.values[guess.value], s.tape.values[guess.place].shape
    value, radius = x.value, np.broadcast_to(x.radius, x.shape)
    squeezed = tuple(n for n in x.shape if n != 1)
    if squeezed != tuple(n for n in shape if n != 1):
        value, radius = value.reshape(squeezed).T, radius.reshape(squeezed).T
    share, u = guess.share, x.format.u
    value, radius = value.reshape(shape) / share, radius.reshape(shape) / abs(share)
    rounded = 0.0 if share == 1 else 2 * u * np.abs(value)  # of the share and of the quotient
    return Number(value, radius * (1 + 4 * u) + rounded, x.format)


def _guesses(v: View, left: list[str]) -> Iterator[tuple[Guess, int]]:
    """What may be tried, the most promising first, with the number of gradients that it could explain."""
    s, first = v.scene, left[0]
    start, leaf = number_of(s.gradients[first]), number_of(s.leaves[first])
    if start is None or leaf is None or start in s.forward or s.gradients[first].shape != s.leaves[first].shape:
        return
    reach = {n: sum(n in s.above[name] for name in left) for n in s.above[first]}
    tried = 0
    for guess in (*_by_factor(v, first), *_by_value(v, start, leaf, reach)):
        yield guess, reach[guess.value]
        tried += 1
        if tried == TRIES:
            break
    yield Guess(start, leaf), 1


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
    changes = [step for step in found if abs(step.change / c - 1) <= 1e-6]
    changes += [step for step in found if abs(step.change - 1) > 1e-6 and step not in changes]
    for step in reversed(changes[:4]):
        yield Guess(step.number, step.match.number, step.match.factor / c)


def _by_value(v: View, start: int, leaf: int, reach: Mapping[int, int]) -> Iterator[Guess]:
    """Each value on the way, for each derivative of its shape that is due after the last right ones."""
    s = v.scene
    way = trail(v, start)
    shares = {m.factor for n in way.right if (m := match_of(v, n)) is not None}
    share = shares.pop() if len(shares) == 1 else 1.0
    due = _due(v, way.right, leaf)
    for n in sorted({*way.right, *way.between}, key=lambda n: (-reach.get(n, 0), n)):
        x = s.tape.values[n]
        sizes = sorted(size for size in x.shape if size != 1)
        for place in due:
            if sorted(size for size in s.tape.values[place].shape if size != 1) == sizes and place != _own(v, n):
                yield Guess(n, place, share)


def _own(v: View, n: int) -> int | None:
    m = match_of(v, n)
    return None if m is None else m.number


def _due(v: View, right: Sequence[int], leaf: int) -> list[int]:
    """The forward values between the parameter and those by which the derivative is right; the latest first."""
    s = v.scene
    ends = [s.tape.values[m.number] for n in right if (m := match_of(v, n)) is not None] or [s.loss]
    ending = {x.node.number for x in ends}
    candidates = {x.node.number for end in ends for x in made_of(end)} - ending
    return [n for n in sorted(candidates, reverse=True) if n == leaf or _made_of(s, n, leaf)]


def _made_of(s: Scene, number: int, leaf: int) -> bool:
    return any(x.node.number == leaf for x in made_of(s.tape.values[number]))


# --- in words ---------------------------------------------------------------------------------------------------


def _fault(v: View, guess: Guess, explained: list[str], spelled: Callable[[str], str], sizes: Sizes) -> Fault:
    s = v.scene
    own = match_of(v, guess.value)
    missing = own is not None and own.number != guess.place and abs(own.factor / guess.share - 1) < 1e-6
    right = (guess.value,) if missing else tuple(nearest(v, guess.value))
    wrong = _users(s, guess.value, explained) if missing else _path(v, guess.value, right)
    place = s.tape.values[guess.place].node
    leaf = any(number_of(x) == guess.place for x in s.leaves.values())
    due = None if leaf or own is not None and own.number == guess.place else _meaning(s, guess.place, "")
    note = _missing(s, own.number, guess.place) if missing and own is not None else ""
    assert place is not None
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
    line = line_of(s, place) or Line("", 0)
    return Right(line, line, name_of(s, place), times)


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
    between = [x.node.number for x in made_of(s.tape.values[have]) if place < x.node.number <= have]
    between = [n for n in between if _made_of(s, n, place)]
    if len(between) > 3 or not between:
        return f"dL/d {name_of(s, place)} is computed nowhere"
    what = ", ".join(f"{name_of(s, n) or s.tape.values[n].node.operation} ({(line_of(s, n) or Line('', 0)).place})" for n in between)
    return f"it is computed nowhere: the derivative of {what} is missing"
