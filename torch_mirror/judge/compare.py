"""What a trace holds against the ball of its equation: element by element, the error over the radius."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.errors import InputError
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.rules import sums
from torch_mirror.balls.take import Take
from torch_mirror.judge.findings import Check, Finding, Findings, Row, Side

DEEPEST = 1024
"""Roundings, in units of u, that the evaluation of a radius itself may add up to: 128 rules of 8."""


class Where(NamedTuple):
    """What a comparison is about."""

    tensor: str
    side: Side
    check: Check
    steps: Sequence[int] = (0,)  # of the run, along the first axis
    stacked: bool = True         # whether the first axis counts steps
    members: Sequence[int] = ()  # of an ensemble, along the second axis; none: there is no such axis
    every: bool = False          # whether the resolution is told of every entry, not of the last alone

    @property
    def lead(self) -> int:
        """How many axes stand in front of those of the tensor of one step; what they count are the entries."""
        return (2 if self.members else 1) if self.stacked else 0

    def entries(self, seen: Array) -> int:
        """How many tensors of one step these are."""
        return math.prod(seen.shape[: self.lead])


def compare(seen: Array, equation: Ball, where: Where, *, roomy: bool = False, above: float = 0) -> Findings:
    """Judge every element of ``seen``: it passes if it is within R radii of the equation's centre. One row.

    roomy: nothing in sight can overflow, so that an element equal to the centre passes unbounded.
    above: whose error / radius is at most this need not be looked at closely, nor named.
    Raises InputError when the shapes differ.
    """
    centre = equation.value
    if seen.shape != centre.shape:
        expected = f"shape {centre.shape}{', with the steps in front' if where.stacked else ''}"
        raise InputError(f"tensor {where.tensor} of the trace", expected, f"shape {seen.shape}{_hint(seen, centre)}")
    with np.errstate(all="ignore"):
        return Findings((_judge(seen, equation, where, above, roomy=roomy),))


def _hint(seen: Array, centre: Array) -> str:
    """The way out, as a question, where the transpose would fit: of a square matrix nobody can tell."""
    transposed = seen.ndim > 1 and seen.mT.shape == centre.shape
    return ": is it another program's transpose? Then .T belongs behind its name, W=kernel.T" if transposed else ""


def _judge(seen: Array, equation: Ball, where: Where, above: float, *, roomy: bool) -> Row:
    tensors = where.entries(seen)
    if not seen.size:
        return Row(where.tensor, where.check, where.side, tensors)
    picked, under = (_selected if roomy else _of_a_propagated_sum)(seen, equation, above)
    if picked is not None and not tells(seen, equation, where):
        picked = None  # to know of how many elements the radius is too wide
    if picked is not None and not len(picked):
        resolution, zero = _resolution(seen, equation, where)
        return Row(
            where.tensor, where.check, where.side, tensors, seen.size, under=under, resolution=resolution, zero=zero
        )

    if picked is None and seen.size >= VERY_MANY and (row := _in_blocks(seen, equation, where)):
        return row
    return _closely(seen, equation, where, above, picked, under)


def _closely(seen: Array, equation: Ball, where: Where, above: float, picked: Array | None, under: float) -> Row:
    """The row by the radii of the elements picked, at least one, or of all; the others lie below ``under``."""
    centre, tensors = equation.value, where.entries(seen)

    def take(array: Array) -> Array:
        return array if picked is None else _picked(array, seen.shape, picked)

    error = np.atleast_1d(np.subtract(take(seen), take(centre)))
    np.abs(error, out=error)
    radius = equation.radius if picked is None else _radius_at(equation, seen.shape, picked, take)
    radius = _bound(equation) * np.where(np.isfinite(take(centre)), radius, np.inf)
    ratio = _ratio(error, radius)
    at = int(ratio.argmax())
    first, unbounded = None, None
    largest = float(np.finfo(error.dtype).max)  # a radius may be held in a wider format than the difference
    widest = float(radius.max())
    if float(ratio.flat[at]) <= 1 and widest < largest:
        infinite = 0
    else:
        finite = np.broadcast_to(radius < largest, error.shape)
        infinite = error.size - int(np.count_nonzero(finite))
        ratio[~finite] = 0
        if infinite:
            nowhere = int(np.flatnonzero(~finite)[0])
            unbounded = _finding(seen, equation, where, nowhere if picked is None else int(picked[nowhere]))
        at = int(np.argmax(ratio))
        outside = np.flatnonzero(finite & (ratio > 1))
        if len(outside):
            flat = outside if picked is None else picked[outside]
            first = _first_outside(seen, equation, where, flat, ratio.reshape(-1)[outside])
    worst, highest, vacuous = None, float(ratio.flat[at]), infinite
    if picked is None:
        if highest > 0:
            worst = _named(seen, equation, where, at, radius.flat[at], highest)
        vacuous += _too_wide(centre, radius, ratio, where, widest)
        resolution, zero = _resolution(seen, equation, where, radius)
        told = tells(seen, equation, where, radius)
    else:
        if highest > above and equation.open is None:
            worst = _named(seen, equation, where, int(picked[at]), float(radius.flat[at]), highest)
        elif highest > above:  # a sum's radius there is told by all of its terms, as everywhere else
            worst = _finding(seen, equation, where, int(picked[at]))
        resolution, zero = _resolution(seen, equation, where)
        told = True  # or all would be looked at (_judge)
    return Row(
        where.tensor, where.check, where.side, tensors, seen.size - vacuous, vacuous, infinite,
        worst, max(under, highest) if worst is None else under, first, resolution, zero,
        unbounded=unbounded, open_at=None if told else "",
    )  # fmt: skip


def _in_blocks(seen: Array, equation: Ball, where: Where) -> Row | None:
    """The row of a large tensor whose elements are looked at in blocks that fit a cache; never are all radii held.

    None where one is outside, not finite, or too wide to tell at a glance: then all of them are needed.
    """
    highest, at, widest = 0.0, 0, 0.0
    infinite, nowhere = 0, 0  # how many radii are, and where the first of them is
    for start in range(0, seen.size, BLOCK):
        take = block(seen.shape, slice(start, start + BLOCK))
        centre = take(equation.value)
        radius = np.broadcast_to(allowed_of(equation, take), centre.shape)
        error = np.abs(take(seen) - centre)
        largest = np.finfo(error.dtype).max
        if not np.isfinite(error).all():
            return None
        if not float(radius.max()) < largest:
            finite = radius < largest
            nowhere = nowhere if infinite else start + int(np.argmin(finite))
            infinite += finite.size - int(np.count_nonzero(finite))
            error, radius = np.where(finite, error, 0), np.where(finite, radius, 0)
        ratio = _ratio(error, radius)
        best = int(ratio.argmax())
        if float(ratio[best]) > highest:
            highest, at = float(ratio[best]), start + best
        widest = max(widest, float(radius.max()))
    if highest > 1 or widest > _smallest(equation.value, where, widest):
        return None
    held = allowed(equation) if infinite else None
    resolution, zero = _resolution(seen, equation, where, held)
    worst = _finding(seen, equation, where, at) if highest > 0 else None
    return Row(
        where.tensor, where.check, where.side, where.entries(seen), seen.size - infinite, infinite, infinite,
        worst, highest if worst is None else 0.0, resolution=resolution, zero=zero,
        unbounded=_finding(seen, equation, where, nowhere) if infinite else None,
        open_at=None if tells(seen, equation, where, held) else "",
    )  # fmt: skip


def _smallest(centre: Array, where: Where, widest: float) -> float:
    """The largest |value| of the entry that has the smallest; at most that, where it is known to be ``widest`` then."""
    some = centre.reshape(where.entries(centre), -1)
    least = float(np.abs(some[:, :GLANCE]).max(axis=1).min())
    return least if widest <= least else float(np.maximum(some.max(axis=1), -some.min(axis=1)).min())


def _too_wide(centre: Array, radius: Array, ratio: Array, where: Where, widest: float) -> int:
    """Elements within a finite radius that exceeds the largest |value| of their entry, where that is not 0.

    Where those are most of the entry's elements that are not 0, its zeros are counted with them.

    widest: the largest radius of all.
    """
    entries = where.entries(centre)
    centre = centre.reshape(entries, -1)
    least = np.abs(centre[:, :GLANCE]).max(axis=1)
    if widest <= least.min():  # often, and it spares a look at the others
        return 0
    radius = radius.reshape(entries, -1)
    most = radius.max(axis=1)
    if not (most > least).any():
        return 0
    largest = np.finfo(centre.dtype).max
    size = np.abs(centre).max(axis=1)
    some = np.flatnonzero((most > size) & (size > 0))
    within = (radius[some] < largest) & (ratio.reshape(entries, -1)[some] <= 1)
    wide, zero = (radius[some] > size[some, None]) & within, centre[some] == 0
    found, others = np.count_nonzero(wide, axis=1), np.count_nonzero(~zero & ~wide, axis=1)
    told = np.count_nonzero(zero & ~wide & within, axis=1)  # no factor of a 0 shows: it goes with the others
    return int((found + np.where(found > others, told, 0)).sum())


GLANCE = 16
"""Elements of an entry that as a rule have one larger than every radius."""

PROBES = 1024
"""Elements of an entry among which the largest is sought, for the resolution."""


def _resolution(seen: Array, equation: Ball, where: Where, radius: Array | None = None) -> tuple[float | None, bool]:
    """The largest resolution of the entries looked at, and whether all of those that have none are 0 throughout.

    radius: the admissible distance of every element, where it is known.
    """
    entries = where.entries(seen)
    told = [_resolution_at(i, seen, equation, where, radius) for i in range(0 if where.every else entries - 1, entries)]
    return max((figure for figure, _ in told if figure is not None), default=None), all(zero for _, zero in told)


def _resolution_at(
    entry: int, seen: Array, equation: Ball, where: Where, radius: Array | None
) -> tuple[float | None, bool]:
    """An upper bound on the relative change of the entry that is refuted, and whether there is nothing but 0 to change.

    With the value v of an element, c its equation's centre and R r its admissible distance, the value
    v (1 + d), rounded to the format, is outside if

        |v (1 + d) - c|  >=  |d v| - |v - c| - s  >  R r,    that is    |d|  >  (R r + |v - c| + s) / |v|

    where s = 2 u (|v| + tiny) is what that rounding changes at most for |d| < 1: u times a normal number below
    2 |v|, and u tiny below tiny, where numbers are 2 u tiny apart. The element may be any; a large one is
    chosen, as the quotient is smallest where the value is large.
    """
    own = seen.reshape(where.entries(seen), -1)[entry]
    stride = 1 + own.size // PROBES
    at = stride * int(np.abs(own[::stride]).argmax())
    if own[at] == 0:
        at = int(np.abs(own).argmax())
        if own[at] == 0:
            return None, not (own if where.every else seen).any()
    at += entry * own.size
    v, c, fmt = seen.item(at), equation.value.item(at), equation.format
    if radius is not None:
        allowed = radius.item(at)
    elif math.isfinite(c) and equation.exact:
        allowed = 0.0
    elif math.isfinite(c):
        flat = np.array([at])
        r = _radius_at(equation, seen.shape, flat, lambda array: _picked(array, seen.shape, flat))
        allowed = _bound(equation) * r.item()
    else:
        return math.inf, False
    size = abs(v)
    quotient = (allowed + abs(v - c) + 2 * fmt.u * (size + fmt.tiny)) / size
    return (float(quotient) if quotient < math.inf else math.inf), False


FEW = 64
"""The same, for whether an entry tells, where the radii are not known and each is asked for."""


def tells(seen: Array, equation: Ball, where: Where, radius: Array | None = None) -> bool:
    """Whether some entry tells: most of its elements that are not 0 are judged well, or equal to the last bit.

    With c an equation's centre and R r the admissible distance, half of c, and one and a half of it, are outside if
    |c| / 2 > R r: then torch's number is seen to be neither twice nor half of the reference's. Two is the least factor
    that a program is off by as a whole, and a mask that may be all 0 has R r >= |c| everywhere behind it: c is a sum of
    terms each of which that mask may leave out, and r is a bound on what is left out. A large entry is looked at in
    some places. One of exact operands has no open comparison, and one that is 0 all over has nothing to tell of: True.
    radius: the admissible distance of every element, where it is known.
    """
    if equation.exact or (equation.open and equation.open.at):
        return True
    entries = where.entries(seen)
    size = seen.size // entries
    stride = 1 + size // (FEW if radius is None else PROBES)
    of_zeros = True
    for entry in range(entries):
        flat = np.arange(entry * size, (entry + 1) * size, stride)
        s, c = _picked(seen, seen.shape, flat), _picked(equation.value, seen.shape, flat)
        some, equal = (c != 0) | (s != 0), s == c
        count = int(np.count_nonzero(some))
        if not count:
            continue
        of_zeros = False
        if 2 * int(np.count_nonzero(equal & some)) > count:
            return True
        allowed = _picked(radius, seen.shape, flat) if radius is not None else _allowed_at(equation, seen.shape, flat)
        if 2 * int(np.count_nonzero(some & (equal | (np.abs(c) > 2 * allowed)))) > count:
            return True
    return of_zeros


def _allowed_at(equation: Ball, shape: tuple[int, ...], flat: Array) -> Array:
    """The admissible distance at flat positions."""
    return np.asarray(_bound(equation) * _radius_at(equation, shape, flat, lambda a: _picked(a, shape, flat)))


WORTH_A_LOOK = 0.25
"""From this worst error / radius on, most sums can be told to lie below it by their own size."""

MANY = 4096
"""Elements of a tensor from which that pays."""

VERY_MANY = 1 << 18
"""Elements from which some are looked at first, to know what to seek."""

BLOCK = 1 << 14
"""Elements looked at in one go."""

SMALL = 256
"""Elements of which all radii cost no more than a few: the calls are what takes time."""


def _selected(seen: Array, equation: Ball, above: float) -> tuple[Array | None, float]:
    """Flat positions of the few elements that need a look, None if it is all; and what the others lie below."""
    if above >= WORTH_A_LOOK and seen.size >= MANY and equation.open and equation.open.at:
        share = min(above, 1.0)
        picked = _suspects(seen, equation, share)
        if picked is not None:
            return picked, share
    differs = seen != equation.value
    if 4 * int(np.count_nonzero(differs)) < seen.size:
        return np.flatnonzero(differs), 0.0
    return _by_a_first_look(seen, equation, above) if seen.size >= VERY_MANY else (None, 0.0)


def _of_a_propagated_sum(seen: Array, equation: Ball, above: float) -> tuple[Array | None, float]:
    """The same where operands may have radii: of a sum that bounds its radius below every entry's values.

    So that no element is vacuous, and none of them infinite, is known before the radii are.
    """
    total = equation.open
    if above < WORTH_A_LOOK or seen.size < VERY_MANY or total is None or total.bound_at is None:
        return None, 0.0
    least = float(np.abs(equation.value.reshape(len(seen), -1)[:, :GLANCE]).max(axis=1).min())
    if not _bound(equation) * sums.most(total, equation.format) <= least:
        return None, 0.0
    share = min(above, 1.0)
    picked = _suspects(seen, equation, share)
    return (None, 0.0) if picked is None else (picked, share)


def _by_a_first_look(seen: Array, equation: Ball, above: float) -> tuple[Array | None, float]:
    """The same of a sum of which nothing is known yet: what some of its elements use of their radii says what to seek.

    These are among those looked at, so that the worst of them is named; and every element that may be worse is.
    """
    first = np.arange(0, seen.size, 1 + seen.size // PROBES)
    exact = equation.open and equation.open.at
    radius = _few_of_a_sum(equation, seen.shape, first) if exact else None
    if radius is None:
        return None, 0.0
    error = np.abs(_picked(seen, seen.shape, first) - _picked(equation.value, seen.shape, first))
    highest = float(np.max(_ratio(error, _bound(equation) * radius)))
    share = min(max(above, highest), 1.0)
    picked = _suspects(seen, equation, share) if share > 0 else None
    return (None, 0.0) if picked is None else (np.union1d(first, picked), share)


def _suspects(seen: Array, equation: Ball, above: float) -> Array | None:
    """Flat positions of the elements of a sum that may exceed ``above``; None if they are too many.

    The sum of magnitudes is at least the magnitude of the sum, so that where no sum is proved exact
    gamma |value| is at most the radius: an error below ``above`` times that needs no closer look. Nor does one below
    ``above`` times the magnitudes of a few of the terms, which few errors are not.
    """
    total = equation.open
    if total is None or not (total.at or total.bound_at) or total.grid is None or total.grid() is not None:
        return None
    share = above * equation.slack * equation.format.gamma(total.terms)
    flat, centre = seen.reshape(-1), equation.value.reshape(-1)
    found = [np.empty(0, np.intp)]
    for start in range(0, flat.size, BLOCK):  # small enough to stay in the cache from one operation to the next
        here = centre[start : start + BLOCK]
        error = flat[start : start + BLOCK] - here
        np.abs(error, out=error)
        least = share * here
        np.abs(least, out=least)
        below = error <= least  # which a NaN is not
        if not below.all():
            found.append(np.flatnonzero(~below) + start)
    picked = np.concatenate(found)
    if 16 * len(picked) >= seen.size:
        return None
    if len(picked) and total.some is not None:
        least = share * total.some(np.unravel_index(picked, seen.shape))
        picked = picked[~(np.abs(flat[picked] - centre[picked]) <= least)]
    return picked


def _radius_at(equation: Ball, shape: tuple[int, ...], picked: Array, take: Callable[[Array], Array]) -> Array:
    """The radius at flat positions; of few elements it is asked for once and for all, as it will be asked again."""
    radius = _few_of_a_sum(equation, shape, picked)
    if radius is None:
        radius = take(equation.radius) if math.prod(shape) < SMALL else np.asarray(equation.e(take))
    return radius


def _few_of_a_sum(equation: Ball, shape: tuple[int, ...], picked: Array) -> Array | None:
    """The same of a sum where a few elements are cheaper to have than all: of exact operands, or very many elements."""
    if not equation.open or not (equation.open.at or math.prod(shape) >= VERY_MANY):
        return None
    return sums.radius_at(equation.open, equation.format, np.unravel_index(picked, shape))


def _picked(array: Array, shape: tuple[int, ...], flat: Array) -> Array:
    """The elements at flat positions of the array, broadcast to the shape."""
    array = np.asarray(array)
    if not array.ndim:
        return array
    if array.shape == shape and array.flags.c_contiguous:
        return array.reshape(-1)[flat]
    return np.broadcast_to(array, shape)[np.unravel_index(flat, shape)]


def _bound(equation: Ball) -> float:
    """R, with room for the roundings of the radius's own evaluation."""
    return equation.slack * (1 + DEEPEST * equation.format.u)


def allowed(equation: Ball) -> Array:
    """The largest admissible distance of another evaluation from the centre, element by element."""
    distance: Array = _bound(equation) * equation.radius
    return distance


def allowed_of(equation: Ball, take: Take) -> Array:
    """The same of the elements that ``take`` selects."""
    distance: Array = _bound(equation) * equation.e(take)
    return distance


def block(shape: tuple[int, ...], here: slice) -> Take:
    """What takes these elements, counted flat, of an array that broadcasts to the shape; a number is left as it is."""

    def take(a: Any) -> Any:
        a = np.asarray(a)
        return a if not a.ndim else np.broadcast_to(a, shape).reshape(-1)[here]

    return take


def _ratio(error: Array, radius: Array) -> Array:
    """error / radius; 0 where there is no error, infinite where a NaN or a radius of 0 makes it so."""
    ratio: Array = np.divide(error, radius)
    if not float(np.max(ratio, initial=0)) < np.inf:  # NaN wins a maximum
        ratio[error == 0] = 0
        ratio[np.isnan(ratio)] = np.inf
    return ratio


def _first_outside(seen: Array, equation: Ball, where: Where, flat: Array, ratio: Array) -> Finding:
    """The worst element of the first entry that has one outside; flat: where they are, ratio: how far."""
    size = math.prod(seen.shape[where.lead :])
    entries = flat // size
    here = np.flatnonzero(entries == entries[0])  # flat positions ascend
    worst = flat[here[np.argmax(ratio[here])]]
    finding = _finding(seen, equation, where, int(worst))
    return finding._replace(outside=len(here), size=size)


def _finding(seen: Array, equation: Ball, where: Where, flat: int) -> Finding:
    """The element at a flat position."""
    index = np.unravel_index(flat, seen.shape)
    radius = _bound(equation) * np.asarray(equation.e(lambda a: np.asarray(np.broadcast_to(a, seen.shape)[index])))
    error = np.abs(seen[index] - equation.value[index])
    ratio = float(_ratio(np.atleast_1d(error), np.atleast_1d(radius))[0]) if np.isfinite(radius) else 0.0
    return _named(seen, equation, where, flat, float(radius), ratio)


def _named(seen: Array, equation: Ball, where: Where, flat: int, radius: float, ratio: float) -> Finding:
    """The element at a flat position, whose admissible distance and error / radius are known."""
    index = tuple(map(int, np.unravel_index(flat, seen.shape)))
    s, v = seen[index], equation.value[index]
    spacing = float(np.spacing(np.abs(v).astype(equation.format.dtype))) or float("nan")
    step = int(where.steps[index[0] if where.lead else 0])
    member = int(where.members[index[1]]) if where.members else None
    return Finding(
        ratio, step, where.tensor, where.side, where.check, index[where.lead :],
        float(s), float(v), float(radius), float(np.abs(s - v)) / spacing, member=member,
    )  # fmt: skip
