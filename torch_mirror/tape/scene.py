"""What blame looks at: a recording of loss and backward pass together, and what is derived from that by walking it.

The forward pass is what the loss is made of. What a gradient of the user's is made of beyond that is their backward
pass. Both are nodes of one recording, known by their numbers, which ascend in the order of evaluation.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.adjoints import fitted
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Choice, Kind, Node, Recording, paused
from torch_mirror.tape import naming
from torch_mirror.tape.conventions import turned
from torch_mirror.tape.graph import made_of
from torch_mirror.tape.multiples import Index, Match, factor, index, match
from torch_mirror.tape.sweep import Sides, _back, seeded
from torch_mirror.tape.told import Line

Site = tuple[Any, ...]
"""An expression of the user's code."""


class Scene(NamedTuple):
    """Of one run of the user's code."""

    tape: Recording
    loss: Number
    forward: frozenset[int]          # what the loss is made of
    gradients: Mapping[str, Number]  # the user's, by the name of the parameter
    leaves: Mapping[str, Number]     # the parameters
    above: Mapping[str, frozenset[int]]  # what each gradient is made of, itself included, in the backward pass
    side: Sides                      # at the kinks of the forward pass
    base: Mapping[int, Number]       # derivatives that are taken as given, where the radii would grow too large else
    inner: frozenset[int]            # values that one call of a NumPy function made on its way, as np.clip does
    sites: Mapping[Site, list[int]]  # the values that one expression of the code made, each time that it was run
    root: str = "p"                  # what the code calls the parameters, if they are one array or a list
    both: bool = False               # a comparison is turned round that the backward pass takes as it was


def scene_of(
    tape: Recording,
    loss: Number,
    gradients: Mapping[str, Number],
    leaves: Mapping[str, Number],
    side: Sides = "first",
    base: Mapping[int, Number] | None = None,
) -> Scene:
    """The scene of a recording; of another one, where the side turns comparisons of the forward pass round."""
    other = None if base else turned(tape.values, loss, side)
    if other is not None:
        made = other.again.made

        def new(x: Number) -> Number:
            found: Number = x if x.node is None else made[x.node.number]
            return found

        tape, loss, side = other.again.tape, new(loss), other.sides
        gradients = {name: new(x) for name, x in gradients.items()}
        leaves = {name: new(x) for name, x in leaves.items()}
    forward = frozenset(numbers_in(loss))
    above = {name: frozenset(_behind(tape, g, forward)) for name, g in gradients.items()}
    sites: dict[Site, list[int]] = {}
    for n, x in enumerate(tape.values):
        sites.setdefault(_site(x), []).append(n)
    both = other is not None and other.read
    return Scene(tape, loss, forward, gradients, leaves, above, side, base or {}, _inner(tape), sites, both=both)


def _inner(tape: Recording) -> frozenset[int]:
    """Values that are used at the very place that made them alone, and by another operation.

    A loop whose line has one operation uses its own values as well, but by that operation.
    """
    outer: set[int] = set()
    used: set[int] = set()
    for x in tape.values:
        for operand in x.node.operands:
            n = number_of(operand)
            if n is not None:
                used.add(n)
                if operand.node.place != x.node.place or operand.node.operation == x.node.operation:
                    outer.add(n)
    return frozenset(used - outer)


def numbers_in(*values: Number) -> list[int]:
    """What values of the forward pass are made of, themselves included, in the order of evaluation."""
    return [n for y in made_of(*values) if (n := number_of(y)) is not None]


def site_of(s: Scene, number: int) -> Site:
    """The expression that made a value."""
    return _site(s.tape.values[number])


def _site(x: Any) -> Site:
    return (x.node.operation, *(x.node.place or (x.node.number,)))


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
    start = starts(s, given)

    def restart(node: Node, g: Number) -> Number:
        return start.get(node.number, g)

    return seeded(s.loss, s.side, restart).numbers


def starts(s: Scene, given: Mapping[int, Number]) -> dict[int, Number]:
    """Where the sweep starts anew: from those given, and from those of the base that do not follow from them."""
    below = set(numbers_in(*(s.tape.values[place] for place in given))) if s.base else set()
    return {**{n: g for n, g in s.base.items() if n not in below}, **given}


class View(NamedTuple):
    """A scene in the light of some derivatives."""

    scene: Scene
    derivatives: Mapping[int, Number]
    known: Index
    matches: dict[int, Match | None]  # what has been asked already
    made_of: dict[Any, set[int]]      # the same, by parameter
    rough: dict[Any, dict[str, Any]]  # the same, by guess


def view_of(s: Scene, derivatives: Mapping[int, Number], parts: Iterable[tuple[int, Number, bool]] = ()) -> View:
    return View(s, derivatives, index(derivatives.items(), parts), {}, {}, {})


def dependents(v: View, leaf: int | None) -> set[int]:
    """What of the forward pass is made of a parameter, itself included."""
    if leaf is not None and leaf not in v.made_of:
        found = {leaf}
        for n in sorted(v.scene.forward):
            if any(number_of(x) in found for x in v.scene.tape.values[n].node.operands):
                found.add(n)
        v.made_of[leaf] = found
    return v.made_of.get(leaf, set())


def roughly(v: View, given: Mapping[int, Number]) -> dict[str, Any]:
    """The derivatives by the parameters in numbers without radii, with those given: arrays, where there is something.

    Only what lies between the given ones and the parameters is evaluated.
    """
    s = v.scene
    leaves = {name: leaf for name, x in s.leaves.items() if (leaf := number_of(x)) is not None}
    below = set(numbers_in(*(s.tape.values[place] for place in given)))
    between = (below & set().union(*(dependents(v, leaf) for leaf in leaves.values()))) - given.keys()
    found: dict[int, Any] = {n: g.value for n, g in given.items()}
    with paused(), np.errstate(all="ignore"):
        for n in sorted(s.forward, reverse=True):
            y = s.tape.values[n]
            wanted = {m for x in y.node.operands if (m := number_of(x)) in between}
            known = n in between or n in given
            g = found.get(n) if known else (d.value if (d := v.derivatives.get(n)) is not None else None)
            if not wanted or g is None:
                continue
            parts = _roughly_passed_on(s, y, g)
            for m in wanted & parts.keys():
                found[m] = parts[m] if m not in found else found[m] + parts[m]
    return {name: found[leaf] for name, leaf in leaves.items() if leaf in found}


def passed_on(s: Scene, y: Number, g: Number) -> dict[int, Number]:
    """What y alone contributes to the derivatives by its operands, g being that by y."""
    own = number_of(y)
    found: dict[int, Any] = {} if own is None else {own: g}
    _back(y, found, [], s.side, None)
    return {n: part if isinstance(part, Number) else part.number() for n, part in found.items() if n != own}


def _roughly_passed_on(s: Scene, y: Any, g: Array) -> dict[int, Array]:
    """The same of centres alone: an adjoint is NumPy code, which needs no radii but for masks."""
    node, side = y.node, s.side
    own, adjoint, named = node.number, node.adjoint, dict(node.named)
    if isinstance(adjoint, Choice):
        named["side"] = side if isinstance(side, str) else side.get(own, "first")
        adjoint = adjoint.by
    if isinstance(adjoint, Kind) or "at" in node.named or any(isinstance(x, Mask) for x in node.operands):
        return {n: part.value for n, part in passed_on(s, y, Number(g, 0, y.format)).items()}
    values, found = [x.value for x in node.operands], dict[int, Array]()
    for i, x in enumerate(node.operands):
        if (n := number_of(x)) is not None and x.node.active:
            part = fitted(np.asarray(adjoint[i](g, y.value, *values, *node.arguments, **named)), x.shape)
            found[n] = part if n not in found else found[n] + part
    return found


def as_derivative(x: Number, shape: tuple[int, ...], share: float) -> Number:
    """A value in the shape of what it is the derivative by, without its share."""
    v, r = x.value, np.broadcast_to(x.radius, x.shape)
    squeezed = tuple(n for n in x.shape if n != 1)
    if squeezed != tuple(n for n in shape if n != 1):
        v, r = v.reshape(squeezed).T, r.reshape(squeezed).T
    u = x.format.u
    v, r = v.reshape(shape) / share, r.reshape(shape) / abs(share)
    rounded = 0.0 if share == 1 else 2 * u * np.abs(v)  # of the share and of the quotient
    return Number(v, r * (1 + 4 * u) + rounded, x.format)


def derivative_by(s: Scene, derivatives: Mapping[int, Number], name: str) -> Number:
    """By a parameter; 0 where the loss does not depend on it."""
    leaf = s.leaves[name]
    n = number_of(leaf)
    found = None if n is None else derivatives.get(n)
    return Number(np.zeros(leaf.shape, leaf.value.dtype), 0, leaf.format) if found is None else found


def match_of(v: View, number: int) -> Match | None:
    """Of which forward value a value of the backward pass is the derivative."""
    if number in v.scene.inner:
        return None
    if number not in v.matches:
        found = match(v.known, v.scene.tape.values[number])
        v.matches[number] = None if found is None else _nearer(v, found)
    return v.matches[number]


def _nearer(v: View, m: Match) -> Match:
    """The match by x instead of that by -x, 1 - x or 2 x, where these have no name.

    Both hold. But a turned sign gives just the derivative by the -x inside of sigmoid(x), which would pass for right.
    A value inside of one call, as the sum that np.mean divides, is nobody's x.
    """
    place: int | None = m.number
    while not m.partial and place is not None and not is_leaf(v.scene, place) and not called(v.scene, place):
        at, place = place, None
        operands = [n for x in v.scene.tape.values[at].node.operands if (n := number_of(x)) in v.derivatives]
        if len(operands) == 1 and operands[0] is not None and operands[0] not in v.scene.inner:
            c = _times(v.derivatives[operands[0]], v.derivatives[at])
            if c is not None and c != 1:
                place = operands[0]
                m = m._replace(number=place, factor=m.factor / c)
    return m


def _times(d: Number, other: Number) -> float | None:
    """The c with d = c other, as in multiples.py; of few elements, too, where it is -1 to the last bit."""
    if d.shape != other.shape:
        return None
    return -1.0 if d.value.any() and bool((d.value == -other.value).all()) else factor(d, other)


def line_of(s: Scene, number: int) -> Line | None:
    """The line of the user's code that made a value; none made a variable."""
    node = s.tape.values[number].node
    place = None if node.adjoint is Kind.LEAF else node.place
    return None if place is None else Line(place.file, place.line, place.source)


def is_blank(s: Scene, number: int) -> bool:
    """Whether a value is the 0 of np.zeros, which something is added to later: what is wrong there is not that line."""
    x = s.tape.values[number]
    return not x.value.any() and all(number_of(operand) is None for operand in x.node.operands)


def is_leaf(s: Scene, number: int) -> bool:
    return any(number_of(x) == number for x in s.leaves.values())


def name_of(s: Scene, number: int) -> str:
    """What the user's code calls a value, or how it is written there; a leaf has its own name."""
    leaf = next((name for name, x in s.leaves.items() if number_of(x) == number), None)
    if leaf is not None:
        parts = [s.root] if leaf == "p" else leaf.split(".") if not leaf[0].isdigit() else [s.root, *leaf.split(".")]
        return "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in parts).removeprefix(".")
    return called(s, number) or written(s, number)


def written(s: Scene, number: int) -> str:
    """The expression that made the value, where it is short and on one line."""
    return naming.written(s.tape.values[number].node.place)


def called(s: Scene, number: int) -> str:
    """The name that the value is given where it is computed; empty if it is part of a larger expression."""
    return naming.assigned(s.tape.values[number].node.place, number, s.sites[site_of(s, number)])
