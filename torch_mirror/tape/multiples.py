"""Which of the user's values is the derivative by which value of the forward pass? Asked of values, not of names.

People keep their intermediate gradients N times too large and divide by N at the end. So a value v matches a
derivative d if v = c d within both radii for one number c. Its axes are those of d, but for axes of length 1. A value
that is d only when it is transposed is not right: the transposition may be the mistake. Where the forward pass itself
has a transposed value, there is a derivative by that one.

That many pairs need no look: each array has an angle, that of its products with two fixed random vectors, which no
factor changes. Only arrays with nearly the same angle are compared, element by element.
"""

import bisect
import functools
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.tape.factors import plausible

NEAR = 1e-5
"""Angles that are further apart belong to arrays that are not multiples of each other, but for very wide radii."""

SHARP = 1e-3
"""A value whose radii exceed this share of it matches nothing: it would match too much."""


class Match(NamedTuple):
    """v = factor x the derivative by the forward value of that number."""

    number: int
    factor: float
    partial: bool = False  # v is a multiple of what some uses of the forward value contribute to it
    far: bool = False      # these are uses of what is made of it


class Entry(NamedTuple):
    """A derivative, or a partial sum of it."""

    angle: float
    number: int
    partial: bool
    d: Number
    far: bool = False


class Index(NamedTuple):
    """Derivatives by shape, each with its angle, in the order of the angles."""

    by_shape: dict[tuple[int, ...], list[Entry]]
    by_value: dict[tuple[int, ...], list[Entry]]  # of few elements, in the order of the first one
    widest: float                                 # radius of the first element of any of these


def index(derivatives: Iterable[tuple[int, Number]], parts: Iterable[tuple[int, Number, bool]] = ()) -> Index:
    """Of derivatives, and of partial sums of them, by the number of the forward value; parts: and whether it is far."""
    by_shape: dict[tuple[int, ...], list[Entry]] = {}
    for partial, known in ((False, ((number, d, False) for number, d in derivatives)), (True, parts)):
        for number, d, far in known:
            by_shape.setdefault(_squeezed(d.shape), []).append(Entry(_angle(d.value), number, partial, d, far))
    for entries in by_shape.values():
        entries.sort(key=lambda entry: entry[:3])
    few = {
        shape: sorted((entry for entry in entries if math.isfinite(_first(entry))), key=_first)
        for shape, entries in by_shape.items() if 0 < math.prod(shape) < SIZES
    }  # fmt: skip
    radii = (float(_radii(entry.d)[0]) for entries in few.values() for entry in entries)
    return Index(by_shape, few, max((r for r in radii if math.isfinite(r)), default=0.0))


SIZES = 3
"""Different sizes that an array has to have to be known as a multiple: one tells the factor, and two more have to agree
with it. Each does so by chance with a probability of about its radii over its size, at most SHARP: 1e-6 for both.
"""


def _first(entry: Entry) -> float:
    return float(entry.d.value.reshape(-1)[0])


def match(known: Index, v: Any) -> Match | None:
    """The best of the derivatives that v is a multiple of.

    None where v is 0 throughout: so is what a sum starts from, and it is not right for that.
    """
    if isinstance(v, Mask) or not np.isfinite(v.value).all() or not v.value.any():
        return None
    found = [Match(e.number, c, e.partial, e.far) for e in _near(known, v) if (c := factor(v, e.d)) is not None]
    return min(found, key=_unlikely, default=None)


def _unlikely(m: Match) -> tuple[Any, ...]:
    """Least for a whole derivative, a near one, a factor near 1, the latest forward value."""
    return m.partial, m.far, m.factor < 0, abs(math.log(abs(m.factor))), -m.number


def factor(v: Number, d: Number) -> float | None:
    """The c with v = c d within both radii, or None. Arrays of the same squeezed shape.

    c is taken at the largest element of d, and has to be plausible. An array of fewer than three different sizes may be
    a multiple of another one by chance, and has to be equal to it. Where both are 0 throughout, c is 1.
    """
    x, y = v.value.reshape(-1), d.value.reshape(-1)
    e, f = _radii(v), _radii(d)
    if not y.any() or not x.any():
        return 1.0 if not y.any() and not x.any() else None
    if (np.abs(x - y) <= e + f).all() and _sharp(e + f, x):
        return 1.0
    at = int(np.abs(y).argmax())
    c = float(x[at] / y[at])
    if c == 0 or not math.isfinite(c) or not _telling(y) or not plausible(c):
        return None
    uncertain = (_at(e, at) + abs(c) * _at(f, at)) / abs(float(y[at]))
    room = e + abs(c) * f + uncertain * np.abs(y) + 4 * v.format.u * np.abs(x)
    return c if _sharp(room, x) and (np.abs(x - c * y) <= room).all() else None


def _near(known: Index, v: Number) -> Iterator[Entry]:
    """The derivatives of about the same angle; of few elements those of about the same value, as no other will do."""
    if v.value.size < SIZES:
        same, x = known.by_value.get(_squeezed(v.shape), []), float(v.value.reshape(-1)[0])
        room = 2 * (float(_radii(v)[0]) + known.widest)
        first, behind = bisect.bisect_left(same, x - room, key=_first), bisect.bisect_right(same, x + room, key=_first)
        yield from same[first:behind]
        return
    entries = known.by_shape.get(_squeezed(v.shape), [])
    angle = _angle(v.value)
    for turn in (0.0, math.pi, -math.pi):  # an angle just below pi is next to 0
        first = bisect.bisect_left(entries, angle + turn - NEAR, key=lambda entry: entry.angle)
        for entry in entries[first:]:
            if not entry.angle <= angle + turn + NEAR:
                break
            yield entry


def _angle(a: Array) -> float:
    """In [0, pi), the same for every multiple; 4 for what is 0 or not finite, which no angle is near to."""
    flat = np.asarray(a, np.float64).reshape(-1)
    if not flat.any():
        return 4.0
    r, s = _directions(flat.size)
    with np.errstate(all="ignore"):
        angle = math.atan2(float(r @ flat), float(s @ flat)) % math.pi
    return 5.0 if math.isnan(angle) else angle


@functools.lru_cache(maxsize=128)
def _directions(size: int) -> Array:
    return np.random.default_rng(size).standard_normal((2, size))


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def _radii(x: Number) -> Array:
    return np.asarray(x.radius).reshape(-1)


def _at(radii: Array, at: int) -> float:
    return float(radii[at])


def _sharp(room: Array, x: Array) -> bool:
    return bool(room.max() <= SHARP * np.abs(x).max())


def _telling(y: Array) -> bool:
    """Whether at least SIZES sizes occur."""
    sizes = np.abs(y[:4096])
    largest = sizes.max()
    return len(np.unique((sizes[sizes > 0] / largest).round(9))) >= SIZES if largest else False
