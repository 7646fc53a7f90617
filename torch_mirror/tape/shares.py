"""What single uses of a value add to the derivative by it: shares, by which values of a backward pass are known.

A loop adds them up one by one; and where a value has few uses, what each adds may go further back by itself.
"""

from collections.abc import Iterator, Mapping
from itertools import accumulate

import numpy as np

from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import paused
from torch_mirror.tape.graph import made_of
from torch_mirror.tape.scene import Scene, number_of, numbers_in, passed_on
from torch_mirror.tape.sweep import swept

SUMMED = 1 << 22
"""Elements of partial sums that are kept."""


def partial_sums(s: Scene, derivatives: Mapping[int, Number]) -> Iterator[tuple[int, Number, bool]]:
    """What single uses of a value contribute to the derivative by it, and sums of the first and of the last few.

    A loop over samples or time adds these up one by one. Of a value with few uses each share is followed further back,
    as where the shares of two losses meet only at the logits; those are far.
    """
    users: dict[int, list[Number]] = {}
    for y in made_of(s.loss):
        for n in {number_of(x) for x in y.node.operands if number_of(x) in derivatives}:  # type: ignore[union-attr]  # what is in there has a node
            users.setdefault(n, []).append(y)  # type: ignore[arg-type]  # so it is no None
    left, further = SUMMED, CARRIED
    for n, several in users.items():
        size = derivatives[n].size
        if len(several) > 1 and 3 * size * len(several) <= left:
            left -= 3 * size * len(several)
            parts = [part for y in several if (part := _contribution(s, y, n, derivatives)) is not None]
            yield from ((n, part, False) for part in parts)
            for order in (parts, parts[::-1]):
                for total in accumulate(order[:-1], lambda a, b: (Ball(a) + Ball(b)).settled()):
                    yield n, total, False
            if len(several) <= FEW:
                way = numbers_in(s.tape.values[n])
                steps, elements = (len(several) * k for k in (len(way), sum(s.tape.values[m].size for m in way)))
                if steps <= further and elements <= left:
                    further, left = further - steps, left - elements
                    for part in parts:
                        yield from ((m, d, True) for m, d in _carried_on(s, n, part))


FEW = 4
"""Uses of a value at most whose single shares are followed further back: not of what a loop uses in each turn."""

CARRIED = 2048
"""Steps back with such shares."""


def _carried_on(s: Scene, n: int, part: Number) -> Iterator[tuple[int, Number]]:
    """What a share of the derivative by a value contributes to those by what the value is made of."""
    further = swept(s.tape.values[n], part, s.side).numbers
    yield from ((m, d) for m, d in further.items() if m != n)


def _contribution(s: Scene, y: Number, n: int, derivatives: Mapping[int, Number]) -> Number | None:
    own = number_of(y)
    if own is None or own not in derivatives:
        return None
    with paused(), np.errstate(all="ignore"):
        return passed_on(s, y, derivatives[own]).get(n)
