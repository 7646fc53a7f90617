"""Where an edit may set in: between the wrong outputs and the last values that the user's code has right.

A value of the equation that meets one of the user's is right in their code, and so is all that it is made of. Only what
their wrong outputs are made of counts: a right value that nothing uses says nothing. A right value's own uses may
still be wrong, so it stays a site itself.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from torch_mirror.balls.number import Number
from torch_mirror.tape.edits.case import Case, meets


class Site(NamedTuple):
    """A node's value, or one operand of a node."""

    node: int
    operand: int | None = None


def value_at(case: Case, site: Site) -> int:
    """The number of the node whose value is changed there."""
    return site.node if site.operand is None else case.eq.nodes[site.node].operands[site.operand]


def sites(case: Case) -> list[Site]:
    """In the order of evaluation."""
    right = matched(case)
    segment = _segment(case, right)
    outputs = {case.eq.outputs[name] for name in case.eq.outputs}
    wrong = {case.eq.outputs[name] for name in case.wrong}
    found: list[Site] = []
    for i in segment:
        found.append(Site(i))
        if i in right and i not in wrong:
            continue
        for which, k in enumerate(case.eq.nodes[i].operands):
            given = case.eq.nodes[k].kind != "adjoint" and k not in segment
            if given or len(case.shape.users.get(k, ())) > 1 or k in outputs:
                found.append(Site(i, which))
    return found


def matched(case: Case) -> frozenset[int]:
    """The derivatives, and in an update the steps, that some value of the user's meets; zeros prove nothing."""
    by_shape: dict[tuple[int, ...], list[Number]] = {}
    for value in case.user:
        by_shape.setdefault(value.number.shape, []).append(value.number)
    return frozenset(
        i for i in case.shape.live
        if case.eq.nodes[i].kind == "adjoint" and case.arrays[i].size > 1 and _is_among(by_shape, case.balls[i])
    )  # fmt: skip


def _is_among(by_shape: Mapping[tuple[int, ...], list[Number]], ball: Any) -> bool:
    candidates = by_shape.get(ball.shape, ())
    first = ball.value.flat[0]
    scale = float(np.abs(ball.value).max()) if candidates else 0.0
    near = (x for x in candidates if abs(x.value.flat[0] - first) <= 1e-6 * scale)
    return bool(ball.value.any()) and any(meets(x, ball) for x in near)


def _segment(case: Case, right: frozenset[int]) -> list[int]:
    """The editable nodes behind the wrong outputs, up to the right ones. A leaf is one in an update only."""
    update = not any(node.kind == "forward" for node in case.eq.nodes)
    seen: set[int] = set()
    todo = [case.eq.outputs[name] for name in case.wrong]
    ends = set(todo)
    while todo:
        i = todo.pop()
        kind = case.eq.nodes[i].kind
        if i in seen or not (kind == "adjoint" or (update and kind == "leaf")):
            continue
        seen.add(i)
        if i not in right or i in ends:
            todo += case.eq.nodes[i].operands
    return sorted(seen)
