"""The ladder: derivatives and a backward pass's own values, in as many bits as it takes to tell them apart.

    float64 (or what was recorded), then longdouble, then Arb with b bits

From end to end radii grow with depth. A pair that is too wide to tell anything is no verdict: the recording is
evaluated again (replay.py, enclosures.py), without the user's code, one rung higher. Radii are proportional to the
unit roundoff, to first order: a relative radius w at p bits takes log2(w) + p bits more than the SPARE = 60 that are
to be left. Where that is not known, as where a radius has overflowed or both sides are rounded to 0, the bits are
doubled from 256 on, or as many as tell 0 from what is none to float64. No further than MOST_BITS: float64 ends at
2^-1074, and what is undefined, as 0 / 0 is, stays so in any number of bits. Nor is anything doubled that did not become
narrower: it was rounded before.

A pair is the derivative D and the user's value B. apart is the distance of their centres, room the sum of their
radii; they are disjoint where apart > room, and then no rounding explains the difference, at any size. Width is the
largest room, by the largest |D|; hidden are elements whose own room is too large for their own size (compared.py), and
these are climbed for as well. Above the working precision a formula is right or wrong, but for what Python has rounded
before (replay.py), which has its radius on every rung.

Nothing is tried that would take longer than the budget by what it costs here: operations of Arb are counted before,
and one takes COST seconds, times b / 256 where b is more. What was not tried says so, with what would do. Seconds are
those of this thread on the processor (time.thread_time), and no clock's on the wall: a busy machine gets the same
verdict, only later, and so does a judge beside a second thread.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.errors import InputError
from torch_mirror.balls.choosing import Side
from torch_mirror.balls.format import format_of
from torch_mirror.balls.number import Number
from torch_mirror.tape import arb, compared
from torch_mirror.tape.conventions import as_taken, renumbered
from torch_mirror.tape.enclosures import derivatives, enclosed, enclosures
from torch_mirror.tape.graph import needed
from torch_mirror.tape.replay import Plan, Replay, replay

SPARE = 60
COST = {"elements": 4e-6, "products": 1.5e-7}
"""Seconds of an element of a recorded value and of a product of a matrix product, forwards and backwards, at 2 GHz."""

ENOUGH = 2.0**-20
SECONDS, OPERATIONS = 10.0, 10**8
LONG = format_of(np.dtype(np.longdouble))


MOST_BITS = 4096


class Pair(NamedTuple):
    """A derivative and a value that is held against it; arrays of the derivative's shape."""

    derivative: Array  # the centre
    apart: Array
    room: Array
    own: Array         # the centre of the value

    @property
    def ratio(self) -> float:
        """The largest apart / room: above 1 they are disjoint."""
        with np.errstate(all="ignore"):
            each = np.where(self.apart == 0, 0, self.apart / self.room)
        return float(np.max(np.nan_to_num(each, nan=0.0, posinf=np.inf), initial=0))

    @property
    def width(self) -> float:
        """The largest room by the largest |derivative|: no difference below it can be told; infinite if none can be."""
        if not self.room.any():
            return 0.0
        largest = float(np.abs(self.derivative).max(initial=0))
        width = float(self.room.max()) / largest if largest else np.inf
        return width if np.isfinite(width) else np.inf

    @property
    def hidden(self) -> Array:
        """The elements that are neither apart nor known to be near each other."""
        return ~(self.apart > self.room) & compared.hidden(self.own, self.derivative, self.room)

    @property
    def hides(self) -> float:
        """The largest room of a hidden element by its own size; 0 if there is none."""
        at = self.hidden
        with np.errstate(all="ignore"):
            each = self.room[at] / np.maximum(np.abs(self.own), np.abs(self.derivative))[at]
        return float(np.max(np.nan_to_num(each, nan=np.inf, posinf=np.inf), initial=0))


class Rung(NamedTuple):
    """What came of a precision. tried: False if it would not have fitted the budget, and then pairs is empty."""

    name: str
    bits: int
    pairs: Mapping[str, Pair]
    seconds: float
    tried: bool = True
    why: str = ""

    @property
    def width(self) -> float:
        return max((pair.width for pair in self.pairs.values()), default=float("inf"))

    def tells(self, enough: float) -> bool:
        """Whether every pair is narrower than that, and none of its elements is hidden."""
        return self.width <= enough and not any(pair.hidden.any() for pair in self.pairs.values())

    @property
    def open(self) -> float:
        """By how much, as a share, what is looked for is covered; infinite if that is not known."""
        return max(self.width, *(pair.hides for pair in self.pairs.values()))


def climb(
    loss: Any, held: Mapping[str, tuple[Any, Any]], side: Side = "first", *,
    enough: float = ENOUGH, seconds: float = SECONDS, most: int = OPERATIONS,
) -> Iterator[Rung]:  # fmt: skip
    """The rungs, until each pair is narrower than ``enough`` and hides nothing, or the budget is spent.

    held: by name a variable and the user's value of the derivative by it, both balls. Raises InputError for a value
    that is none, as nothing is known of how it was rounded.
    """
    start, root = time.thread_time(), loss.settled()
    values = [root, *(b.settled() for _, b in held.values() if _recorded(b))]
    width, bits = float("inf"), 0
    for fmt in (root.format, LONG):
        if fmt.precision > bits:
            begun = time.thread_time()
            rung = Rung(fmt.dtype.name, fmt.precision, _on_balls(values, root, held, side, fmt), 0.0)
            yield rung._replace(seconds=time.thread_time() - begun)
            width, bits = rung.open, fmt.precision
            if rung.tells(enough):
                return
    more = 256 if not np.isfinite(width) else max(128, int(np.log2(width)) + bits + SPARE)
    largest = float("inf")
    while True:
        name, counted = f"arb, {more} bits", operations(values)
        expected = sum(COST[kind] * n for kind, n in counted.items()) * max(1, more / 256)
        if expected > seconds - (time.thread_time() - start) or sum(counted.values()) > most:
            why = (
                f"it would take about {expected:.0f} s and {sum(counted.values()):.1g} operations of {seconds:g} s and "
                f"{most:.1g}: fewer samples would do"
            )
            yield Rung(name, more, {}, 0.0, tried=False, why=why)
            return
        begun = time.thread_time()
        try:
            pairs = _on_arb(values, root, held, side, more)
        except ImportError:
            yield Rung(name, more, {}, 0.0, tried=False, why="python-flint is missing: pip install torch-mirror[exact]")
            return
        rung = Rung(name, more, pairs, time.thread_time() - begun)
        yield rung
        before, largest = largest, _largest(pairs, enough)
        if rung.tells(enough) or more >= MOST_BITS or (np.isfinite(largest) and largest > 2.0**-SPARE * before):
            return
        more = min(_next(more, largest, seconds - (time.thread_time() - start), rung.seconds), MOST_BITS)


def with_exact_constants(
    loss: Any, held: Mapping[str, tuple[Any, Any]], side: Side, rung: Rung
) -> Mapping[str, Pair]:
    """What that rung of Arb says where a constant is the very number that the code has.

    The radius that a constant has for what Python may have rounded is left on every rung, and hides that a gradient is
    0: of a bias before batch norm with eps = 1e-5. At the numbers themselves it is 0 to all bits, or it is not.
    """
    root = loss.settled()
    values = [root, *(b.settled() for _, b in held.values() if _recorded(b))]
    return _on_arb(values, root, held, side, rung.bits, exact=True)


def _next(bits: int, largest: float, left: float, took: float) -> int:
    """Twice the bits; or as many as leave 0 of what may be 0, if there are seconds left by what so many bits took."""
    if not 0 < largest < np.inf:
        return 2 * bits
    nothing = bits + int(np.log2(largest) - np.log2(compared.TINY)) + 8
    return nothing if nothing > 2 * bits and took * nothing / bits < left else 2 * bits


def _largest(pairs: Mapping[str, Pair], enough: float) -> float:
    """The largest room of what is too wide: of a whole pair, or of its hidden elements."""
    rooms = (pair.room if pair.width > enough else pair.room[pair.hidden] for pair in pairs.values())
    return max((float(room.max(initial=0)) for room in rooms), default=0.0)


def operations(values: list[Any]) -> dict[str, int]:
    """What Arb would have to do: elements of recorded values, and products of matrix products."""
    made = needed(values)
    products = [x.value.size * x.node.operands[0].shape[-1] for x in made if x.node.operation == "matmul"]
    return {"elements": sum(x.value.size for x in made), "products": sum(products)}


def _recorded(b: Any) -> bool:
    if not hasattr(b, "settled"):
        raise InputError("climb", "values that are balls", type(b).__name__)
    return b.settled().node is not None


def _on_balls(
    values: list[Any], root: Number, held: Mapping[str, tuple[Any, Any]], side: Side, fmt: Any
) -> dict[str, Pair]:
    again = replay(values, Plan(widest=fmt, outcome=as_taken))
    d = renumbered(again, root, side)
    pairs = {}
    for name, (leaf, own) in held.items():
        by, b = d.numbers.get(leaf.settled().node.number), _own(again, own)
        by = Number(np.zeros(leaf.shape, fmt.dtype), 0, fmt) if by is None else by
        with np.errstate(all="ignore"):
            apart = np.abs(np.asarray(by.value - b.value, np.longdouble))
            pairs[name] = Pair(by.value, apart, np.asarray(by.radius + b.radius) * (1 + 4 * fmt.u), b.value)
    return pairs


def _own(again: Replay, own: Any) -> Number:
    return again.at(own) if _recorded(own) else own.settled()


def _on_arb(
    values: list[Any], root: Number, held: Mapping[str, tuple[Any, Any]], side: Side, bits: int, *, exact: bool = False
) -> dict[str, Pair]:
    found = enclosures(values, bits, exact=exact)
    d = derivatives(root, found, side, bits, exact=exact)
    pairs = {}
    with arb.flint().ctx.workprec(bits):
        for name, (leaf, own) in held.items():
            by = d.get(leaf.settled().node.number)
            by = arb.of_arb(np.zeros(leaf.shape)) if by is None else by
            b = found[own.settled().node.number] if _recorded(own) else enclosed(own.settled(), as_given=False)
            difference = by - b
            apart, room = np.abs(arb.centres(difference)), arb.radii(difference)
            pairs[name] = Pair(arb.centres(by), apart, room, arb.centres(b))
    return pairs
