"""Slices of one value, as a convolution takes them, whose derivatives are taken back in reverse order.

    y += x[:, k:k + n] @ W[k]           forward, for k in range(3)
    dx[:, k:k + n] += dy @ W[2 - k].T   W[k] is due: the kernel is flipped

Each derivative is a right one, by another slice; so no edit of W shows it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from torch_mirror.tape.edits.case import Case
from torch_mirror.tape.edits.edit import By, Change, Edit
from torch_mirror.tape.edits.operations import moved_back


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


def _taken_back(d: int, options: Mapping[str, Any]) -> By:
    return lambda h: moved_back(h.at(d), **options)
