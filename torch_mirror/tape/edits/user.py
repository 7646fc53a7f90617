"""The user's own values: what their wrong results are made of, and on which line."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Place


class Value(NamedTuple):
    """One of them, in the order of their evaluation."""

    number: Number
    place: Place | None
    order: int


def behind(results: Iterable[Number], forward: frozenset[int]) -> tuple[Value, ...]:
    """What the results are made of, themselves included, and the forward pass not. Empty if nothing is recorded."""
    found: dict[int, Value] = {}
    todo = list(results)
    while todo:
        x = todo.pop()
        node = x.node
        if node is None or node.number in forward or node.number in found or node.number < 0:
            continue
        found[node.number] = Value(x, node.place, node.number)
        todo += node.operands
    kept = (found[i] for i in sorted(found))
    return tuple(v for v in kept if not isinstance(v.number, Mask) and v.number.size > 1 and _finite(v.number))


def _finite(x: Number) -> bool:
    return bool(np.isfinite(x.value).all())
