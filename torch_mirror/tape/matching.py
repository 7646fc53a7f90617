"""Which value of a backward pass is the derivative by which of the forward pass: a proposal, by the centres alone.

People's values need no names for that. A value s is proposed for the derivative d if s = c d up to the precision's
root, for one plain factor c for all elements: a whole number or the reciprocal of one, of either sign, as N where the
division by N comes last. Whether the two agree within radii is asked afterwards (segments.py): a wrong proposal costs
time, and proves nothing.

Four elements, where |d| is largest, are looked at in all candidates of a shape at once; then all elements of those
left.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.number import Number

LEAST = 3
"""Elements that a value needs to be recognised by."""

LARGEST = 1e6
"""Of a whole factor."""


class Match(NamedTuple):
    """A value of the backward pass, by its number, that is the factor times a derivative."""

    value: int
    factor: float


def matches(derivatives: Mapping[int, Number], own: Iterable[Number]) -> dict[int, Match]:
    """For each derivative, by number, the first value that is proposed for it, one with the factor 1 before others."""
    pools: dict[tuple[int, ...], list[Number]] = {}
    for x in own:
        if x.size >= LEAST and x.node is not None:
            pools.setdefault(x.shape, []).append(x)
    stacks = {shape: np.stack([x.value.reshape(-1) for x in pool]) for shape, pool in pools.items()}
    found = {}
    with np.errstate(all="ignore"):
        for number, d in derivatives.items():
            if d.shape in pools:
                match = _match(d.value.reshape(-1), stacks[d.shape], pools[d.shape], d.format.u**0.5)
                if match is not None:
                    found[number] = match
    return found


def _match(d: Array, stack: Array, pool: list[Number], near: float) -> Match | None:
    if not np.isfinite(d).all():
        return None
    few = np.argsort(np.abs(d))[-4:][::-1]
    top = d[few[0]]
    if top == 0:
        return None
    probes = stack[:, few]
    factors = probes[:, 0] / top
    close = (np.abs(probes - factors[:, None] * d[few]) <= near * np.abs(probes[:, :1])).all(axis=1)
    best: Match | None = None
    for i in np.flatnonzero(close & np.isfinite(factors) & (factors != 0)):
        c = plain_factor(float(factors[i]), near)
        if c is None or not (np.abs(stack[i] - c * d) <= near * np.abs(probes[i, 0])).all():
            continue
        node: Any = pool[i].node
        if c == 1:
            return Match(node.number, 1.0)
        best = best or Match(node.number, c)
    return best


def plain_factor(c: float, near: float) -> float | None:
    """The whole number, or the reciprocal of one, that c is close to; None if there is none."""
    for size, back in ((abs(c), False), (1 / abs(c), True)):
        whole = round(size) if size < LARGEST else 0
        if whole and abs(size - whole) <= near * size:
            return float(np.copysign(1 / whole if back else whole, c))
    return None
