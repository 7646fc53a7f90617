"""A product of a value with itself, u @ u, whose derivative is left out: both of its halves, as a penalty has them.

One half with its sign turned gives the same numbers, as it cancels the other one; nobody writes that.
"""

from collections.abc import Iterator

import numpy as np

from torch_mirror.tape.edits.case import Case
from torch_mirror.tape.edits.edit import Change, Edit


def of_products(case: Case) -> Iterator[Edit]:
    """Of every value of the forward pass that is one."""
    nodes = case.eq.nodes
    parts: dict[int, list[int]] = {}
    for i in sorted(case.shape.live):
        f = nodes[i].back
        if f is not None and nodes[i].by is not None:
            parts.setdefault(f, []).append(i)
    for f, several in parts.items():
        inner = {k for i in several for k in nodes[i].operands}
        halves = [i for i in several if i not in inner]
        if len(halves) == len(nodes[f].operands) == 2 and _of_itself(case, f):
            changes = tuple(Change(i, None, lambda h: h.x * 0.0) for i in halves)
            words = f"the term of {case.names[f]} left out"
            yield Edit(changes, words, 1, kind=(case.role[f], "the term left out"))


def _of_itself(case: Case, f: int) -> bool:
    a, b = (case.arrays[k] for k in case.eq.nodes[f].operands)
    return a.size > 1 and np.array_equal(a.reshape(-1), b.reshape(-1))  # as a row and as a column
