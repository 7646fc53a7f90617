"""Slices of one value, as a convolution takes them, whose derivatives are taken back in reverse order.

    y += x[:, k:k + n] @ W[k]           forward, for k in range(3)
    dx[:, k:k + n] += dy @ W[2 - k].T   W[k] is due: the kernel is flipped

Each derivative is a right one, by another slice; so no edit of W shows it. And slices that are s apart are of stride s:

    y[i] = x[s i:s i + n] @ W           forward
    dx[i:i + n] += dy[i] * W            s i is due: the stride is left out, of what is taken back
    dW += x[i:i + n] * dy[i]            likewise, of what is multiplied with dy
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from torch_mirror.tape.edits.case import Case
from torch_mirror.tape.edits.edit import By, Change, Edit
from torch_mirror.tape.edits.operations import looked, moved_back


def of_slices(case: Case) -> Iterator[Edit]:
    """Of every value that one line takes several slices of, all of one shape."""
    nodes = case.eq.nodes
    taken: dict[tuple[int, object], list[int]] = {}  # what takes the derivative by a slice back to where it came from
    for i in sorted(case.shape.live):
        of = nodes[i].back
        if nodes[i].operation == "moved back" and of is not None and nodes[of].operation == "look":
            taken.setdefault((nodes[of].operands[0], case.role[of]), []).append(i)
    for (x, role), several in taken.items():
        if len(several) > 1 and len({case.arrays[nodes[i].operands[0]].shape for i in several}) == 1:
            pairs = zip(several, reversed(several), strict=True)
            changes = tuple(Change(i, None, _taken_back(nodes[i].operands[0], nodes[k].options)) for i, k in pairs)
            words = f"the {len(several)} slices of {case.names[x]} taken back in reverse order, as of a flipped kernel"
            yield Edit(changes, words, 2, kind=(role, "slices reversed"))
            yield from _unstrided(case, x, role, several)


def _taken_back(d: int, options: Mapping[str, Any]) -> By:
    return lambda h: moved_back(h.at(d), **options)


class Elsewhere(NamedTuple):
    """Where a slice is without the stride. at: the places of its elements in what it is a slice of, flat."""

    at: Array
    shape: tuple[int, ...]

    def look(self, a: Any) -> Any:
        return a.reshape(-1)[self.at].reshape(self.shape)


def _unstrided(case: Case, x: int, role: object, several: Sequence[int]) -> Iterator[Edit]:
    """Of what is taken back, and of what is taken once more for the derivative by what it was multiplied with."""
    nodes, shape = case.eq.nodes, case.arrays[x].shape
    stride, instead = _without_stride([nodes[i].options["join"] for i in several], shape)
    if stride < 2:
        return
    name, pairs = case.names[x], list(zip(several, instead, strict=True))
    back = [Change(i, None, _taken_back(nodes[i].operands[0], _options(e.look, shape))) for i, e in pairs]
    yield Edit(tuple(back), f"the stride, {stride}, left out where the slices of {name} are taken back", 2,
               kind=(role, "taken back without the stride"))  # fmt: skip
    again = [
        Change(user, which, lambda h, look=e.look: looked(h.at(x), look))
        for i, e in pairs if (f := nodes[i].back) is not None
        for user, which in case.shape.users.get(f, ()) if nodes[user].kind == "adjoint"
    ]  # fmt: skip
    if again:
        yield Edit(tuple(again), f"the stride, {stride}, left out of the slices of {name} in a derivative", 2,
                   kind=(role, "taken without the stride"))  # fmt: skip


def _options(look: Callable[[Any], Any], shape: tuple[int, ...]) -> Mapping[str, Any]:
    return {"join": lambda parts: look(parts[0]), "shapes": [shape], "which": 0}


def _without_stride(joins: Sequence[Callable[[Any], Any]], shape: tuple[int, ...]) -> tuple[int, list[Elsewhere]]:
    """The largest stride of an axis, and the slices as if all strides were 1."""
    numbers = np.arange(int(np.prod(shape))).reshape(shape)
    slices = [np.asarray(join([numbers])) for join in joins]
    if any(a.size == 0 for a in slices):
        return 1, []
    starts = np.array([np.unravel_index(int(a.reshape(-1)[0]), shape) for a in slices])
    first = starts.min(axis=0)
    strides = np.maximum(np.gcd.reduce(starts - first, axis=0), 1)
    steps = np.array([int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))])
    by = ((starts - first) // strides + first - starts) @ steps
    moved = [Elsewhere(a.reshape(-1) + int(k), a.shape) for a, k in zip(slices, by, strict=True)]
    return int(strides.max(initial=1)), moved
