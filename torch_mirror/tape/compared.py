"""A gradient of the user's beside the derivative: two balls, whose numbers are equal only if they meet.

With b the centre of the user's gradient and e_B its radius, d and e_D of the derivative: the exact result B of the
user's formula is within e_B of b, the exact derivative D within e_D of d. If B = D then |b - d| <= e_B + e_D. So an
element with |b - d| > e_B + e_D is wrong whatever was rounded. The sum of the radii is widened by what its own
evaluation may have rounded away (DEEPEST roundings, as in the judge).

Numbers that Python has computed are taken for exact by the radii, and are not: 1 / n is rounded, and 1 - 0.9 is not
0.1. Each may carry four roundings (replay.py says which), and so does its counterpart on the other side. A gradient
all of whose elements are within gamma_8 max(|b|, |d|) beyond the radii is "ok", and said to be equal at working
precision.

A longer computation of such numbers, d *= a in a loop beside a ** k, has rounded more than that, and nobody counts how
often; and a difference, 1 - 0.9999 beside 0.0001, magnifies one rounding. So what is wrong by no more than gamma_1024
max(|b|, |d|) is not called wrong: it is undecided, and said to be. In code of float32 a constant may be rounded to
float32 on one side alone, np.float32(0.1) beside 0.1, which is no difference there: within gamma_8 of float32 it is
undecided as well.

A large element may be known to 15 digits beside a small one of which nothing is known: so each element is judged by
its own size. Where both radii together exceed WIDE max(|b|, |d|) a factor 2 may pass, and the element is not judged:
it is counted, and said. What the radius leaves below TINY is 0 to float64, and known to be.

A gradient is undecided where most of its elements are not judged, or where one of them may hide an error that is WIDE
of the largest element. What is left then is right to within WIDE of the largest element everywhere, or said.
"""

from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.format import Format, format_of
from torch_mirror.balls.number import Number
from torch_mirror.tape import patterns
from torch_mirror.tape.told import Row, Word

WIDE = 2.0**-7
"""Of its own size: an element whose radii are larger is not judged."""

TINY = float(np.finfo(np.float64).tiny) * 2.0**53
"""2^-969: what has underflowed is off by 2^-1022, and what is no larger than this may be a sum of such."""

DEEPEST = 1024
"""Roundings, in units of u, that the evaluation of a radius itself may add up to: 128 rules of 8."""


CANCELLED = WIDE
"""Of an element's own size: up to this it may be off by what is a rounding of a constant to the largest element, where
it is small because two terms cancel in it."""


class Both(NamedTuple):
    """A gradient and the derivative, element by element, in arrays of one shape."""

    seen: Array      # the user's
    expected: Array  # the derivative
    allowed: Array   # |seen - expected| up to which they may be the same number

    @property
    def outside(self) -> Array:
        """Where they cannot be. A NaN of the user's is outside where the derivative is a number, and so is infinity."""
        return self._outside(0.0)

    @property
    def wrong(self) -> Array:
        """The same; nowhere, if what Python may have rounded explains all of it."""
        gamma = format_of(self.seen.dtype).gamma(8)
        with np.errstate(invalid="ignore", over="ignore"):
            beyond = self._outside(gamma * np.maximum(np.abs(self.seen), np.abs(self.expected)))
        return self.outside if beyond.any() else beyond

    @property
    def unjudged(self) -> Array:
        """Where nothing is outside, and the radii hide more than WIDE of the element's own size."""
        return ~self.outside & hidden(self.seen, self.expected, self.allowed)

    def rounded_by_constants(self, narrow: Format | None, off: float) -> str:
        """What is said where constants that were rounded may explain all that is outside; empty where they do not."""
        largest = np.maximum(np.abs(self.seen), np.abs(self.expected))
        with np.errstate(all="ignore"):
            apart = float(np.max(np.where(self.outside, np.abs(self.seen - self.expected) / largest, 0)))
        share, most = max(format_of(self.seen.dtype).gamma(DEEPEST), off), float(np.max(largest, initial=0.0))
        if not self._outside(np.maximum(share * largest, np.minimum(share * most, CANCELLED * largest))).any():
            return (
                f"apart by {apart:.1g} of its size, as constants may be that Python or NumPy computed by themselves, "
                "in many steps or by a difference (1 - 0.9999 beside 0.0001): they are taken for exact; computed alike "
                "on both sides they would tell"
            )
        if narrow is not None and not self._outside(narrow.gamma(8) * largest).any():
            return (
                f"apart by {apart:.1g} of its size, as a constant may be that is rounded to {narrow.dtype} on one "
                "side alone: np.float32(0.1) beside 0.1; written alike on both sides it would tell"
            )
        return ""

    def _outside(self, more: Array | float) -> Array:
        with np.errstate(invalid="ignore"):
            within = np.abs(self.seen - self.expected) <= self.allowed + more
        broken = ~np.isfinite(self.seen) & np.isfinite(self.expected) & np.isfinite(self.allowed)
        return broken | (~within & np.isfinite(self.allowed))


def hidden(seen: Array, expected: Array, allowed: Array) -> Array:
    """Where |seen - expected| may be more than WIDE of both: an infinite or unknown radius hides everything."""
    with np.errstate(invalid="ignore", over="ignore"):
        return ~(allowed <= np.maximum(WIDE * np.maximum(np.abs(seen), np.abs(expected)), TINY))


def both(b: Number, d: Number) -> Both:
    """The user's gradient and the derivative; of equal shape."""
    with np.errstate(all="ignore"):
        radius = (np.asarray(b.radius) + np.asarray(d.radius)) * (1 + DEEPEST * b.format.u)
        # a centre that is no number has no radius to speak of; the user's own counts as seen, and is outside
        radius = np.where(np.isfinite(d.value), np.where(np.isfinite(b.value), radius, np.asarray(d.radius)), np.inf)
    return Both(np.asarray(b.value), np.asarray(d.value), np.where(np.isnan(radius), np.inf, radius))


def meets(b: Number, d: Number) -> bool:
    """Whether every element of the one may be that of the other."""
    return b.shape == d.shape and not both(b, d).wrong.any()


def unless_constants(row: Row, pair: Both, narrow: Format | None = None, off: float = 0.0) -> Row:
    """A row that is wrong by no more than constants may have rounded is undecided.

    pair:   what the row is about
    narrow: the format of the user's own numbers, if it is less than that of the balls
    off:    what a constant is known to be off, relative to itself, if it is computed in another way
    """
    why = pair.rounded_by_constants(narrow, off) if row.word == "WRONG" and row.index is not None else ""
    return row._replace(word="undecided", outside=0, pattern="", why=why) if why else row


def row(name: str, b: Number | None, d: Number, context: dict[str, Any] | None = None) -> Row:
    """What is found of one gradient. context: arrays by name that a difference may be a multiple of (patterns.py)."""
    size = int(d.value.size)
    if b is None:
        return Row(name, "none", size, why="no gradient of it was returned")
    if b.shape != d.shape:
        return Row(name, "WRONG", size, size, float("inf"), pattern=_shapes(b, d))
    return of(name, both(b, d), context)


def of(name: str, pair: Both, context: dict[str, Any] | None = None) -> Row:
    """What is found of a gradient and a derivative of its shape."""
    outside, size = pair.wrong, int(pair.seen.size)
    ratio = in_radii(pair)
    worst = int(ratio.argmax()) if size else 0
    index = tuple(int(i) for i in np.unravel_index(worst, pair.seen.shape)) if size else ()
    unjudged = pair.unjudged
    figures: dict[str, Any] = {"size": size, "outside": int(outside.sum()), "resolution": resolution(pair)}
    figures["unjudged"] = int(unjudged.sum())
    if size:
        figures |= {"worst": float(ratio.flat[worst]), "index": index}
        figures |= {"seen": float(pair.seen[index]), "expected": float(pair.expected[index])}
    if outside.any():
        return Row(name, "WRONG", pattern=patterns.in_words(pair, outside, context or {}), **figures)
    word, why = _decided(pair, unjudged)
    if word == "ok" and pair.outside.any():
        rounded = "equal at working precision: what Python rounds, as in 1 / n, explains the difference"
        why = f"{rounded}; {why}" if why else rounded
    return Row(name, word, why=why, **figures)


def _shapes(b: Number, d: Number) -> str:
    return f"of shape {b.shape}, where the parameter has {d.shape}"


def in_radii(pair: Both) -> Array:
    """|seen - expected| / allowed: 0 where they are equal, infinite where nothing is allowed or yours is no number."""
    with np.errstate(all="ignore"):
        error = np.abs(pair.seen - pair.expected)
        ratio = np.asarray(np.divide(error, pair.allowed), np.float64)
    ratio = np.where(error == 0, 0.0, ratio)
    return np.where(np.isnan(ratio), np.where(pair.outside, np.inf, 0.0), ratio)


def resolution(pair: Both) -> float | None:
    """The smallest relative change of the whole gradient that would have been seen; None where the gradient is 0.

    Seen: called wrong, or undecided where constants may have rounded as much.

    seen (1 + t) is outside at an element if |seen t| > allowed + |seen - expected| + gamma_8 max(|seen (1 + t)|,
    |expected|), the last of which is at most 2 gamma_8 |seen| for t < 1 where the two are near. One element is enough
    to refute; it is the one for which that is least.
    """
    with np.errstate(all="ignore"):
        change = (pair.allowed + np.abs(pair.seen - pair.expected)) / np.abs(pair.seen)
    change = change[(pair.seen != 0) & ~np.isnan(change)]
    return float(change.min()) + 2 * format_of(pair.seen.dtype).gamma(8) if change.size else None


def _decided(pair: Both, unjudged: Array) -> tuple[Word, str]:
    """ok, or undecided, with what is to be said of elements that are not judged."""
    infinite, size = int((~np.isfinite(pair.allowed)).sum()), pair.seen.size
    if infinite:
        return "undecided", f"{infinite} of {size} elements have no finite radius: something may overflow"
    count = int(unjudged.sum())
    if not count:
        return "ok", ""
    largest = float(np.maximum(np.abs(pair.expected), np.abs(pair.seen)).max(initial=0.0))
    widest = float(pair.allowed[unjudged].max())
    which = "the one element is" if size == 1 else f"{count:,} of {size:,} elements {'is' if count == 1 else 'are'}"
    said = f"{which} not judged: a radius of up to {widest:.1g} is too large for {'it' if count == 1 else 'them'}"
    return "undecided" if 2 * count > size or widest > WIDE * largest else "ok", said
