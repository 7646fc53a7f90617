"""Causes: the smallest edit of the right equation that gives the user's value, proven for every element.

The derivative by a value m of the forward pass is the sum over what m is used for,

    D[m] = sum over j of A_j(D[y_j])          y_j made of m, A_j its adjoint

Where the user's value stands for D[m] and is another number, single edits of that sum are tried: a factor; a term left
out or with another factor; the derivative of an operation left out, taken at its argument or at its result, taken
twice, its mask inverted; another array as a factor, or the same one transposed; a sample dropped; a sum over all axes,
or one row of it; the result turned or shifted. An edit is named only if with it every element is within its radius,
each time that the code made the value, and the right value is not. Several such edits are a tie, and all are told.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np

from torch_mirror.balls.cell import Ball
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Choice, Kind, paused
from torch_mirror.tape import compared, factors, patterns
from torch_mirror.tape.scene import Scene, as_derivative, line_of, name_of, number_of, passed_on, site_of, written

DEEPEST = 3
"""Operations between the value and the last right one that are edited."""

MOST = 200
"""Edits that are tried for one value."""


class Edit(NamedTuple):
    """What is changed, in words in which {} stands for an operation, that operation, and what comes of it."""

    kind: str
    where: str
    value: Number


class Place(NamedTuple):
    """A value of the user's, and what it should be the derivative by."""

    seen: Number
    number: int


def causes(
    s: Scene,
    derivatives: Mapping[int, Number],
    pairs: Sequence[tuple[int, int]],
    share: float,
    right: frozenset[int],
    sizes: factors.Sizes,
    name: str = "",
) -> tuple[str, ...]:
    """The edits that explain all of the values, with their proof.

    derivatives: with all of the user's values in their places; right: forward values by which the user's are right;
    name: what the user calls the value
    """
    told: dict[str, Fit] | None = None
    with paused(), np.errstate(all="ignore"):
        for value, number in pairs:
            at = Place(as_derivative(s.tape.values[value], s.tape.values[number].shape, share), number)
            whole = _sum(_terms(s, derivatives, number).values())
            if whole is None or compared.meets(at.seen, whole):
                continue  # at this time nothing is wrong
            here = {fit.kind: fit for fit in _fitting(s, derivatives, at, right, sizes, whole)}
            told = here if told is None else {k: _both(told[k], here[k]) for k in told if k in here}
    return tuple(_told(fit, name) for fit in (told or {}).values())


class Fit(NamedTuple):
    """An edit that explains values: how many elements, and the worst of their radius."""

    kind: str
    where: str
    elements: int
    worst: float


def _both(one: Fit, other: Fit) -> Fit:
    return one._replace(elements=one.elements + other.elements, worst=max(one.worst, other.worst))


def _told(fit: Fit, name: str) -> str:
    where = fit.where or (f" in {name}" if name else "")
    proof = f"so all {fit.elements:,} elements are within their radius, worst {fit.worst:.1g}"
    return f"{fit.kind.format(where)} (proof: {proof})"


def _fitting(
    s: Scene,
    derivatives: Mapping[int, Number],
    at: Place,
    right: frozenset[int],
    sizes: factors.Sizes,
    whole: Number,
) -> Iterator[Fit]:
    """The edits that fit, and are no other words for the right value."""
    factor = _factor(at.seen, whole, sizes)
    edits = chain(factor, _edits(s, derivatives, at, right, sizes, DEEPEST))
    for edit in islice(edits, MOST):
        fits = edit.value.shape == at.seen.shape and compared.meets(at.seen, edit.value)
        if fits and not compared.meets(whole, edit.value):
            row = compared.row("", at.seen, edit.value)
            yield Fit(edit.kind, edit.where, row.size, row.worst)
            if edit.kind.startswith("a factor") and not edit.where:
                return  # the simplest of all


def _factor(seen: Number, whole: Number, sizes: factors.Sizes) -> Iterator[Edit]:
    """The whole is so many times too large."""
    c = _constant(seen, whole)
    if c is not None:
        yield Edit(f"a factor {factors.in_words(c, sizes)}{{}}", "", _times(whole, c))


def _constant(x: Number, y: Number) -> float | None:
    """The c with x = c y; None if there is none, or it is 0 or 1."""
    pair = compared.both(x, y)
    c = patterns.constant(pair.seen, pair.expected, pair.allowed)
    return None if c is None or abs(c) < 1e-9 or abs(c - 1) < 1e-15 else factors.snapped(c)


# --- the sum and its edits -----------------------------------------------------------------------------------------


def _terms(s: Scene, derivatives: Mapping[int, Number], number: int) -> dict[int, Number]:
    """What each use of a forward value contributes to the derivative by it, by the number of the use."""
    terms = {}
    for n in sorted(s.forward):
        y = s.tape.values[n]
        if n in derivatives and any(number_of(x) == number for x in y.node.operands):
            part = passed_on(s, y, derivatives[n]).get(number)
            if part is not None:
                terms[n] = part
    return terms


def _sum(parts: Any) -> Number | None:
    """Of the parts; None of none."""
    total: Any = None
    for part in parts:
        total = Ball(part) if total is None else total + Ball(part)
    return None if total is None else total.settled()


def _edits(
    s: Scene,
    derivatives: Mapping[int, Number],
    at: Place,
    right: frozenset[int],
    sizes: factors.Sizes,
    depth: int,
) -> Iterator[Edit]:
    """Of the sum that is the derivative by a value: its terms, then the operations that these come from."""
    terms = _terms(s, derivatives, at.number)
    for uses in _by_site(s, terms):
        others = _sum(part for m, part in terms.items() if m not in uses)
        term = _sum(terms[n] for n in uses)
        if others is not None and term is not None:
            yield from _of_term(at, _what(s, uses[0]), term, others, sizes)
        if len(uses) == 1:  # a loop's uses would have to be changed together
            for edit in _of_use(s, derivatives, at.number, uses[0], right, depth):
                yield edit._replace(value=_with(others, edit.value))
    whole = _sum(terms.values())
    if whole is not None:
        yield from _turned(whole)


def _by_site(s: Scene, terms: Mapping[int, Number]) -> list[list[int]]:
    """The uses of a value, those by one expression of the code together."""
    sites: dict[Any, list[int]] = {}
    for n in terms:
        sites.setdefault(site_of(s, n), []).append(n)
    return list(sites.values())


def _of_use(
    s: Scene,
    derivatives: Mapping[int, Number],
    number: int,
    n: int,
    right: frozenset[int],
    depth: int,
) -> Iterator[Edit]:
    """What one use of a value contributes, with its own adjoint edited, or what it is given."""
    y, what = s.tape.values[n], _what(s, n)
    for kind, changed in _of_operation(s, derivatives, n, number):
        yield Edit(kind, what, changed)
    if depth > 1 and n not in right:
        for edit in _edits(s, derivatives, Place(derivatives[n], n), right, {}, depth - 1):
            if edit.value.shape == derivatives[n].shape:
                part = passed_on(s, y, edit.value).get(number)
                if part is not None:
                    yield edit._replace(value=part)


def _with(others: Number | None, part: Number) -> Number:
    return part if others is None else (Ball(others) + Ball(part)).settled()


def _of_term(at: Place, what: str, term: Number, others: Number, sizes: factors.Sizes) -> Iterator[Edit]:
    """One of several terms is left out, or has another factor."""
    yield Edit("the term of {} is left out", what, others)
    c = _constant((Ball(at.seen) - Ball(others)).settled(), term)
    if c is not None:
        yield Edit(f"a factor {factors.in_words(c, sizes)} in the term of {{}}", what, _with(others, _times(term, c)))


def _times(x: Number, c: float) -> Number:
    return (Ball(x) * c).settled()


def _safe(text: str) -> str:
    """A name within words that are formatted."""
    return text.replace("{", "{{").replace("}", "}}")


def _what(s: Scene, n: int) -> str:
    line = line_of(s, n)
    text = written(s, n) or name_of(s, n) or str(s.tape.values[n].node.operation)
    return f"{text} ({line.place})" if line else text


def _turned(whole: Number) -> Iterator[Edit]:
    """The right value, but its rows or columns in another order."""
    x: Any = Ball(whole)
    for axis, what in list(enumerate(("rows", "columns")))[: x.ndim]:
        if x.shape[axis] > 1:
            yield Edit(f"the {what} are in reverse order", "", np.flip(x, axis).settled())
            for by, where in ((1, "down" if axis == 0 else "right"), (-1, "up" if axis == 0 else "left")):
                yield Edit(f"the {what} are shifted {where} by one", "", np.roll(x, by, axis).settled())
    if x.ndim == 2 and x.shape[0] == x.shape[1] > 1:
        yield Edit("it is transposed", "", x.T.settled())


# --- edits of one operation's adjoint --------------------------------------------------------------------------------


def _of_operation(
    s: Scene, derivatives: Mapping[int, Number], n: int, number: int
) -> Iterator[tuple[str, Number]]:
    """What else an operation might contribute to the derivative by one of its operands."""
    g, node = derivatives[n], s.tape.values[n].node
    for i, x in enumerate(node.operands):
        if number_of(x) != number or isinstance(node.adjoint, Kind):
            continue
        if node.operation == "matmul":
            yield from _of_product(s, n, i, g)
        elif len(node.operands) == 1 and g.shape == x.shape:
            yield from _of_function(s, n, x, g)
        elif isinstance(node.adjoint, Choice) and g.shape == x.shape:
            yield from _of_choice(s, n, i, g)
        elif x.shape != g.shape and node.operation in ("add", "subtract"):
            yield from _of_repeated(x, g)
        elif g.shape == x.shape and node.operation in ("multiply", "divide"):
            yield "the other factor of {} is left out", g


def _adjoint(s: Scene, n: int, i: int, g: Number, result: Any, operands: Sequence[Any]) -> Number | None:
    """The adjoint of the node's rule with another result, or other operands, than it was recorded with."""
    node = s.tape.values[n].node
    named = dict(node.named)
    functions = node.adjoint
    if isinstance(functions, Choice):
        named["side"] = s.side if isinstance(s.side, str) else s.side.get(n, "first")
        functions = functions.by
    balls = [a if isinstance(a, Mask) else Ball(a) for a in operands]
    d = functions[i](Ball(g), Ball(result), *balls, *node.arguments, **named)
    return d.settled() if d.shape == g.shape else None


def _of_function(s: Scene, n: int, x: Number, g: Number) -> Iterator[tuple[str, Number]]:
    """Of a function of one array, element by element."""
    y = s.tape.values[n]
    yield "the derivative of {} is left out", g
    at_argument = _adjoint(s, n, 0, g, x, [x])
    if at_argument is not None:
        yield "the derivative of {} takes its argument for its result", at_argument
    at_result = _adjoint(s, n, 0, g, y, [y])
    if at_result is not None:
        yield "the derivative of {} takes its result for its argument", at_result
    once = _adjoint(s, n, 0, g, y, [x])
    if once is not None:
        twice = _adjoint(s, n, 0, once, y, [x])
        if twice is not None:
            yield "the derivative of {} is taken twice", twice


def _of_choice(s: Scene, n: int, i: int, g: Number) -> Iterator[tuple[str, Number]]:
    """Of a maximum, a clip, a where: the derivative is g where the operand was chosen."""
    y = s.tape.values[n]
    yield "the derivative of {} is left out", g
    right = _adjoint(s, n, i, g, y, y.node.operands)
    if right is not None:
        yield "the mask of {} is inverted", (Ball(g) - Ball(right)).settled()


def _of_product(s: Scene, n: int, i: int, g: Number) -> Iterator[tuple[str, Number]]:
    """Of a matrix product of two axes each: another factor, a transposed one, without a sample."""
    y = s.tape.values[n]
    other = y.node.operands[1 - i]
    if any(o.ndim != 2 for o in (*y.node.operands, g)):
        return

    def product(g: Any, factor: Any) -> Number:
        return (g @ factor.mT if i == 0 else factor.mT @ g).settled()

    name = _factor_name(s, other)
    if other.shape[0] == other.shape[1]:
        yield f"{name} is transposed the wrong way in the derivative of {{}}", product(Ball(g), Ball(other).mT)
    for m in sorted(s.forward):
        x = s.tape.values[m]
        if x.shape == other.shape and m != number_of(other):
            stands = f"{_safe(name_of(s, m)) or 'another array'} stands for {name}"
            yield f"{stands} in the derivative of {{}}", product(Ball(g), Ball(x))
    if i == 1 and g.shape[0] > 1:
        for which, rows in (("last", slice(None, -1)), ("first", slice(1, None))):
            yield f"the {which} row of {name} is left out", product(Ball(g)[rows], Ball(other)[rows])


def _factor_name(s: Scene, x: Number) -> str:
    n = number_of(x)
    return _safe(name_of(s, n) if n is not None else "") or "the other factor"


def _of_repeated(x: Number, g: Number) -> Iterator[tuple[str, Number]]:
    """Of an operand that is repeated along an axis, as a bias is: g is summed over that."""
    b: Any = Ball(g)
    if x.ndim == 0 or g.ndim != 2:
        return
    axis = 1 if x.shape[0] == g.shape[0] and x.ndim == 2 and x.shape[1] == 1 else 0
    everything: Any = np.broadcast_to(np.sum(b), x.shape)
    yield "the sum is over all axes in the derivative of {}", everything.settled()
    for which, at in (("first", 0), ("last", -1)):
        row = b[at] if axis == 0 else b[:, at]
        if row.size == x.size:
            yield f"only the {which} sample is taken in the derivative of {{}}", row.reshape(x.shape).settled()
    rest = b[:-1] if axis == 0 else b[:, :-1]
    without = np.sum(rest, axis=axis).reshape(x.shape)
    yield "the last sample is left out in the derivative of {}", without.settled()
