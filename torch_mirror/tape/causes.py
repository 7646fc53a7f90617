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
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import paused
from torch_mirror.tape import compared, factors, patterns
from torch_mirror.tape.adjoints_edited import of_operation, turned
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


class Fit(NamedTuple):
    """An edit that explains values: how many elements, and the worst of their radius."""

    kind: str
    where: str
    elements: int
    worst: float


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
            whole = sum_of(_terms(s, derivatives, number).values())
            if whole is None or compared.meets(at.seen, whole):
                continue  # at this time nothing is wrong
            here = {fit.kind: fit for fit in _fitting(s, derivatives, at, right, sizes, whole)}
            told = here if told is None else {k: _both(told[k], here[k]) for k in told if k in here}
            if not told:
                return ()
    return tuple(_told(fit, name) for fit in (told or {}).values())


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
    """The c with x = c y; None if there is none that tells anything, or it is 1."""
    pair = compared.both(x, y)
    c = patterns.constant(pair.seen, pair.expected, pair.allowed)
    return None if c is None or abs(c - 1) < 1e-15 or not factors.may_be_named(c, pair.expected) else factors.snapped(c)


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


def sum_of(parts: Any) -> Number | None:
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
        others = sum_of(part for m, part in terms.items() if m not in uses)
        term = sum_of(terms[n] for n in uses)
        if others is not None and term is not None:
            yield from _of_term(at, what_of(s, uses[0]), term, others, sizes)
        if len(uses) == 1:  # a loop's uses would have to be changed together
            for edit in _of_use(s, derivatives, at.number, uses[0], right, depth):
                yield edit._replace(value=_with(others, edit.value))
    whole = sum_of(terms.values())
    if whole is not None:
        yield from (Edit(kind, "", changed) for kind, changed in turned(whole))


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
    y, what = s.tape.values[n], what_of(s, n)
    for kind, changed in of_operation(s, derivatives, n, number):
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


def what_of(s: Scene, n: int) -> str:
    line = line_of(s, n)
    text = written(s, n) or name_of(s, n) or str(s.tape.values[n].node.operation)
    return f"{text} ({line.place})" if line else text
