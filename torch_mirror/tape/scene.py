"""What blame looks at: a recording of loss and backward pass together, and what is derived from that by walking it.

The forward pass is what the loss is made of. What a gradient of the user's is made of beyond that is their backward
pass. Both are nodes of one recording, known by their numbers, which ascend in the order of evaluation.
"""

import linecache
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Recording, paused
from torch_mirror.tape.matching import Index, Match, index, match
from torch_mirror.tape.sweep import _back, made_of
from torch_mirror.tape.told import Line


class Scene(NamedTuple):
    """Of one run of the user's code."""

    tape: Recording
    loss: Number
    forward: frozenset[int]          # what the loss is made of
    gradients: Mapping[str, Number]  # the user's, by the name of the parameter
    leaves: Mapping[str, Number]     # the parameters
    above: Mapping[str, frozenset[int]]  # what each gradient is made of, itself included, in the backward pass


def scene_of(
    tape: Recording, loss: Number, gradients: Mapping[str, Number], leaves: Mapping[str, Number]
) -> Scene:
    """The scene of a recording."""
    forward = frozenset(x.node.number for x in made_of(loss))
    above = {name: frozenset(_behind(tape, g, forward)) for name, g in gradients.items()}
    return Scene(tape, loss, forward, gradients, leaves, above)


def number_of(x: Any) -> int | None:
    """Of a value's node; None for a constant."""
    return None if x.node is None else x.node.number


def behind(s: Scene, number: int) -> list[int]:
    """The values of the backward pass that one is directly made of."""
    operands = s.tape.values[number].node.operands
    return [n for x in operands if (n := number_of(x)) is not None and n not in s.forward]


def _behind(tape: Recording, g: Number, forward: frozenset[int]) -> set[int]:
    first = number_of(g)
    seen: set[int] = set()
    todo = [] if first is None or first in forward else [first]
    while todo:
        n = todo.pop()
        if n not in seen:
            seen.add(n)
            todo += [m for x in tape.values[n].node.operands if (m := number_of(x)) is not None and m not in forward]
    return seen


def anew(s: Scene, given: Mapping[int, Number]) -> Mapping[int, Number]:
    """The derivatives by every value of the forward pass, those given taken as they are."""
    found: dict[int, Any] = {}
    with paused(), np.errstate(all="ignore"):
        found[s.loss.node.number] = Number(np.ones(s.loss.shape, s.loss.value.dtype), 0, s.loss.format)
        for y in reversed(made_of(s.loss)):
            if y.node.number in given:
                found[y.node.number] = given[y.node.number]
            _back(y, found, [], "first")
    return found


def derivative_by(s: Scene, derivatives: Mapping[int, Number], name: str) -> Number:
    """By a parameter; 0 where the loss does not depend on it."""
    leaf = s.leaves[name]
    n = number_of(leaf)
    found = None if n is None else derivatives.get(n)
    return Number(np.zeros(leaf.shape, leaf.value.dtype), 0, leaf.format) if found is None else found


class View(NamedTuple):
    """A scene in the light of some derivatives."""

    scene: Scene
    derivatives: Mapping[int, Number]
    known: Index
    matches: dict[int, Match | None]  # what has been asked already


def view_of(s: Scene, derivatives: Mapping[int, Number], parts: Iterable[tuple[int, Number]] = ()) -> View:
    return View(s, derivatives, index([*derivatives.items(), *parts]), {})


def match_of(v: View, number: int) -> Match | None:
    """Of which forward value a value of the backward pass is the derivative."""
    if number not in v.matches:
        v.matches[number] = match(v.known, v.scene.tape.values[number])
    return v.matches[number]


def line_of(s: Scene, number: int) -> Line | None:
    """The line of the user's code that made a value."""
    place = s.tape.values[number].node.place
    return None if place is None else Line(place.file, place.line, place.source)


def name_of(s: Scene, number: int) -> str:
    """What the user's code calls a value, or how it is written there; a leaf has its own name."""
    leaf = next((name for name, x in s.leaves.items() if number_of(x) == number), None)
    if leaf is not None:
        return leaf
    place = s.tape.values[number].node.place
    if place is None:
        return ""
    first, last, start, end = place.span
    if first is None or first != last or start is None or end is None:
        return ""
    return _assigned(place.source, s, number) or _written(place, start, end)


def _assigned(source: str, s: Scene, number: int) -> str:
    """The name on the left of the line, where the value is what the line makes last."""
    left, sign, _ = source.partition("=")
    if not sign or not left.strip().replace("_", "a").replace(".", "a").isalnum():
        return ""
    place = s.tape.values[number].node.place
    later = (s.tape.values[n].node.place for n in sorted(s.forward) if n > number)
    again = any(p is not None and p.code is place.code and p.line == place.line and p != place for p in _next(later, 4))
    return "" if again else left.strip()


def _next(places: Iterator[Any], count: int) -> list[Any]:
    return [place for place, _ in zip(places, range(count), strict=False)]


def _written(place: Any, start: int, end: int) -> str:
    text = linecache.getline(place.file, place.line).encode()[start:end].decode(errors="ignore").strip()
    return text if len(text) <= 40 else ""
