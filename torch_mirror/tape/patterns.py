"""In which way a gradient differs from the derivative, in words: what somebody sees first who looks for the mistake."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from reference.arrays import Array

SHARP = 1e-3
"""Where more of the largest element is allowed than this share, nothing is told of multiples."""


NOTHING = "the derivative is 0 everywhere, and yours is not"


class Pair(Protocol):
    """A gradient and the derivative (compared.py)."""

    @property
    def seen(self) -> Array: ...
    @property
    def expected(self) -> Array: ...
    @property
    def allowed(self) -> Array: ...


def in_words(pair: Pair, outside: Array, context: dict[str, Any]) -> str:
    """The first description that holds of every element; else where the wrong ones are, and how far off.

    context: arrays by name, of which the difference may be a multiple: the parameter itself, above all.
    """
    return next(text for text in _descriptions(pair, outside, context) if text)


def _descriptions(pair: Pair, outside: Array, context: dict[str, Any]) -> Iterator[str]:
    yield _no_numbers(pair)
    yield _constant(pair)
    yield _signs(pair, outside)
    yield _transposed(pair)
    yield from _multiples(pair, context)
    yield _rows(outside)
    yield _rank_one(pair)
    yield _spread(pair, outside)


def _no_numbers(pair: Pair) -> str:
    broken = ~np.isfinite(pair.seen)
    if not broken.any():
        return ""
    kind = "NaN" if np.isnan(pair.seen).any() else "infinite"
    return f"yours is {kind} in {_share(broken)}"


def _constant(pair: Pair) -> str:
    if (np.abs(pair.seen) <= pair.allowed).all():
        return f"yours is 0 everywhere{' but for rounding' if pair.seen.any() else ''}, and the derivative is not"
    if not pair.expected.any():
        return NOTHING
    c = constant(pair.seen, pair.expected, pair.allowed)
    if c is None:
        return ""
    where = "everywhere" if pair.seen.size > 1 else "in its one element"
    return f"yours / derivative = {number(c)} {where}"


def constant(seen: Array, expected: Array, allowed: Array) -> float | None:
    """The c with seen = c expected, within what is allowed of both; None if there is none.

    c is taken where the derivative is largest, and is uncertain there by what is allowed of that element. What may be 0
    everywhere is no multiple.
    Of balls that meet the allowed distance of seen and c expected is at most max(1, |c|) times that of the
    two, to which the uncertainty of c adds its share.
    """
    if not np.isfinite(seen).all() or not np.isfinite(allowed).all() or (np.abs(seen) <= allowed).all():
        return None
    at = int(np.abs(expected).argmax())
    d, own = expected.flat[at], float(np.asarray(allowed).flat[at])
    if d == 0:
        return None
    c = float(seen.flat[at] / d)
    room = max(1.0, abs(c)) * (allowed + own * np.abs(expected / d))
    if room.max() > SHARP * np.abs(seen).max():
        return None  # it would be a multiple of anything
    return c if c and (np.abs(seen - c * expected) <= room).all() else None


def _signs(pair: Pair, outside: Array) -> str:
    turned = np.abs(pair.seen + pair.expected) <= pair.allowed
    return f"the sign is turned in {_share(outside)}" if (turned | ~outside).all() else ""


def _transposed(pair: Pair) -> str:
    n = pair.seen.shape
    if len(n) != 2 or n[0] != n[1] or n[0] == 1:
        return ""
    same = np.abs(pair.seen - pair.expected.T) <= pair.allowed + pair.allowed.T
    return "yours is the derivative, transposed" if same.all() else ""


def _multiples(pair: Pair, context: dict[str, Any]) -> Iterator[str]:
    """Such as a penalty that one side has and the other has not."""
    difference = pair.seen - pair.expected
    for name, other in context.items():
        array = np.asarray(other)
        if array.shape == difference.shape and array.size > 2:
            c = constant(difference, array, pair.allowed)
            if c is not None:
                yield f"yours - derivative = {number(c)} x {name} everywhere"


def _rows(outside: Array) -> str:
    """Where the wrong elements are, if not everywhere."""
    count = int(outside.sum())
    if count == outside.size:
        return ""
    if count == 1:
        at = tuple(int(i) for i in np.argwhere(outside)[0])
        return f"one element of {outside.size:,} is wrong, at {list(at)}"
    for axis, what in ((0, "row"), (1, "column")):
        if outside.ndim == 2 and outside.shape[axis] > 1:
            hit = outside.any(axis=1 - axis)
            k = int(hit.sum())
            if 2 * k <= hit.size:
                which = f", {what} {int(hit.argmax())}" if k == 1 else ""
                return f"{_counted(k, what)} of {hit.size} {'is' if k == 1 else 'are'} wrong{which}"
    return ""


def _rank_one(pair: Pair) -> str:
    """Whether the difference is an outer product: a term or a sample too few or too many."""
    difference = np.asarray(pair.seen - pair.expected, np.float64)
    if difference.ndim != 2 or min(difference.shape) < 3:
        return ""
    values = np.linalg.svd(difference, compute_uv=False)
    noise = float(np.sqrt((np.asarray(pair.allowed, np.float64) ** 2).sum()))  # moves a singular value no more (Weyl)
    return "yours - derivative has rank 1, as one sample has" if values[1] <= noise < values[0] / 8 else ""


def _spread(pair: Pair, outside: Array) -> str:
    with np.errstate(all="ignore"):
        ratio = (pair.seen / pair.expected)[outside & (pair.expected != 0)]
    ratio = ratio[np.isfinite(ratio)]
    where = "" if outside.all() else f"; {_share(outside)} are wrong"
    if not ratio.size:
        return f"the derivative is 0 where yours is not{where}"
    near = float(np.abs(ratio - 1).max())
    if near < 1e-4:
        return f"yours differs from the derivative by up to {near:.1g} of it{where}"
    if ratio.size == 1:
        return f"yours / derivative = {number(float(ratio[0]))}{where}"
    low, high = f"{float(ratio.min()):.3g}", f"{float(ratio.max()):.3g}"
    return f"yours / derivative {f'about {low}' if low == high else f'from {low} to {high}'}{where}"


def number(c: float) -> str:
    """A factor as somebody would write it: 0.5, 6, 1/3, 1e-05."""
    fraction = Fraction(c).limit_denominator(1000)
    is_inverse = abs(fraction.numerator) == 1 < fraction.denominator
    if is_inverse and abs(abs(c * fraction.denominator) - 1) < 1e-9:  # this is for the eye alone
        short = f"{c:.6g}"
        return short if len(short) <= 5 else f"{fraction.numerator}/{fraction.denominator}"
    return f"{c:.7g}" if abs(c - 1) > 1e-5 or c == 1 else f"1 {'+' if c > 1 else '-'} {abs(c - 1):.3g}"


def _share(which: Array) -> str:
    count = int(which.sum())
    if count == which.size:
        return "every element" if count > 1 else "its one element"
    return f"{count:,} of {which.size:,} elements"


_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def _counted(k: int, what: str) -> str:
    return f"{_WORDS[k] if k < len(_WORDS) else k} {what}{'' if k == 1 else 's'}"
