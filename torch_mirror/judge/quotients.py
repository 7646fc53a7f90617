"""A derivative by difference quotients in exact arithmetic, and whether there is one.

    D(h) = (f(h) - f(-h)) / 2h = f'(0) + f'''(0) h^2 / 6 + ...
    S(h) = (f(h) - f(0)) / h - (f(0) - f(-h)) / h

Nothing is rounded, so nothing cancels, and h = 2^-60 leaves an error near 2^-120. It is not chosen but
measured: where the term in h^2 leads, |D(h) - D(h/2)| is three times the error of D(h/2), where that in h^4 does,
fifteen times. That one of them leads at 2^-60 is the assumption here.

f is made of branches. Every comparison that it makes has a sign at 0; h is reduced until those that are
not 0 are the same at h and -h, so that no branch ends between, except at 0 itself. If no comparison is a
tie at 0, f is smooth there. If one is, the two sides may have different derivatives, a kink, or not (z < 0 in
a stable sigmoid): S(h) tends to their difference. Without a kink it is (f''(0+) + f''(0-)) h / 2 + ..., which
halves (or shrinks even faster) with h; at a kink it does not shrink, nor where a function such as a root has one
without any comparison. It is a kink if S(h/2) is nearer to S(h)
than to S(h) / 2. Between two branches D(h), too, may have a term in h, (f''(0+) - f''(0-)) h / 4, which
2 D(h/2) - D(h) is free of; |D(h) - D(h/2)| is then about 2^-62, and a bound still.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

from torch_mirror.balls.exact import Number

STEP = Fraction(1, 2**60)

NEARER = 40
"""How often the step is reduced: to 2^-2400 at least, nearer than floats lie. Where a comparison then still has
another sign beside 0 than at 0, f jumps there."""


class Value(NamedTuple):
    """f at one point, and the signs of the comparisons made on the way."""

    value: Number
    signs: Sequence[int]


class Derivative(NamedTuple):
    """Of f at 0. Where it does not exist, left and right differ and ``value`` is their mean."""

    value: Number
    error: Number  # of value: what the size of the step leaves
    left: Number
    right: Number
    exists: bool


def differentiate(f: Callable[[Fraction], Value], step: Fraction = STEP) -> Derivative:
    """The derivative of f at 0, from values at 0 and at +-h and +-h/2, h = step or smaller."""
    here = f(Fraction(0))
    for _ in range(NEARER):
        ahead, behind = f(step), f(-step)
        settled = _same_branch(here, ahead) and _same_branch(here, behind)
        if settled:
            break
        step *= STEP
    wide = _quotients(here, ahead, behind, step)
    half = step / 2
    narrow = _quotients(here, f(half), f(-half), half)
    coarse, fine = ((left + right) / 2 for left, right in (wide, narrow))
    bends = [(right - left).magnitude() for left, right in (wide, narrow)]
    branches = _ties_end(here, ahead) or _ties_end(here, behind)
    kink = not settled or (4 * bends[1]).certainly_exceeds(3 * bends[0])
    # a one-sided quotient is off by f'' h / 2, which this takes away
    left, right = (2 * n - w for n, w in zip(narrow, wide, strict=True))
    value = (left + right) / 2 if branches else fine
    return Derivative(value, (coarse - fine).magnitude(), left, right, not kink)


def _quotients(here: Value, ahead: Value, behind: Value, step: Fraction) -> tuple[Number, Number]:
    """The one-sided difference quotients, from the left and from the right."""
    return (here.value - behind.value) / step, (ahead.value - here.value) / step


def _same_branch(here: Value, there: Value) -> bool:
    """Whether every comparison that is no tie here has the same sign there."""
    if len(here.signs) != len(there.signs):  # a tie that decides which comparisons are made
        return 0 in here.signs
    return all(a in (0, b) for a, b in zip(here.signs, there.signs, strict=True))


def _ties_end(here: Value, there: Value) -> bool:
    """Whether some tie here is none there."""
    return len(here.signs) != len(there.signs) or any(a == 0 != b for a, b in zip(here.signs, there.signs, strict=True))
