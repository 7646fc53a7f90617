"""The edits that any value allows: a factor, another value in its place, a transposition, rows moved, a cast.

Each function takes the case and a site and yields edits of the value x there. What depends on the operation that made
it is in menu_operations.py, what only updates know in menu_updates.py.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from reference.arrays import Array
from torch_mirror.tape.edits.case import Case
from torch_mirror.tape.edits.edit import By, Change, Edit
from torch_mirror.tape.edits.looped import each
from torch_mirror.tape.edits.operations import looked
from torch_mirror.tape.edits.rounded import FORMATS, TELLS, rounded
from torch_mirror.tape.edits.sites import Site, value_at

Edits = Iterator[Edit]

ARITHMETIC = frozenset({"add", "subtract", "multiply", "divide"})
"""Where an operand in place of the result is what menu_operations.py calls a factor or a term left out."""

MOST_UNITS = 64
"""An axis of more elements is not tried for one dead row or unit at a time, but for its first and last."""


def edit_at(site: Site, words: str, cost: int, by: By, solve: Any = "") -> Edit:
    """An edit of the value at a site."""
    return Edit((Change(site.node, site.operand, by),), words, cost, solve)


def name_of(case: Case, site: Site) -> str:
    """Of the value at a site; with the place where it is used, if it is used elsewhere, too."""
    name = case.names[value_at(case, site)]
    if site.operand is None:
        return name
    return f"{name} in {case.names[site.node]}"


def by_shape(case: Case) -> Mapping[tuple[int, ...], list[int]]:
    """The nodes that may stand in for one of their shape."""
    found: dict[tuple[int, ...], list[int]] = {}
    spare = {*case.others.values(), *case.previous.values()}
    for i, node in enumerate(case.eq.nodes):
        if i not in spare and (node.kind != "adjoint" or i in case.shape.live) and case.arrays[i].dtype != bool:
            found.setdefault(case.arrays[i].shape, []).append(i)
    return found


def factor(case: Case, site: Site) -> Edit:
    """x times a constant, which is solved for."""
    return edit_at(site, f"a factor {{}} at {name_of(case, site)}", 1, lambda h: h.x * h.c, "factor")


def replaced(case: Case, site: Site, same: Mapping[tuple[int, ...], list[int]]) -> Edits:
    """x by another value of its shape that is not made of it."""
    me, node = value_at(case, site), case.eq.nodes[site.node]
    name, shape = name_of(case, site), case.arrays[me].shape
    if not shape and not _element_of_leaf(case, me):
        return
    for other in same.get(shape, ()):
        if not shape and not _element_of_leaf(case, other):
            continue
        itself = other in (me, site.node) or other in case.shape.below.get(site.node, ())
        far = abs(case.turn[other] - case.turn[site.node]) > 1  # of a loop, where people are one off
        if itself or far or (site.operand is None and node.operation in ARITHMETIC and other in node.operands):
            continue
        apart = (case.eq.nodes[other].kind == "adjoint") != (case.eq.nodes[me].kind == "adjoint")
        yield _instead(case, site, me, other, 2 + apart, lambda h, i=other: h.at(i))
    for words, i in case.others.items():
        if case.arrays[i].shape == shape:
            yield edit_at(site, f"{words} for {name}", 2, lambda h, i=i: h.at(i))
    if node.operation == "transpose" and site.operand is None:
        yield from _turned(case, site, same.get(shape[::-1], ()))


def _element_of_leaf(case: Case, i: int) -> bool:
    """b[k] of a variable: of another one it may be taken by mistake, where other numbers may be anything."""
    node = case.eq.nodes[i]
    return node.operation == "look" and case.eq.nodes[node.operands[0]].kind == "leaf"


def _instead(case: Case, site: Site, me: int, other: int, cost: int, by: By) -> Edit:
    """Another value in the place of one; in a loop that of the same turn, or of so many turns away."""
    kind = case.role[site.node], site.operand, "another value"
    away = case.turn[other] - case.turn[site.node]
    other_turn = f"{case.names[other]} of another {each(case.role[other])}"
    what = other_turn if case.names[other] == case.names[me] else case.names[other]
    name = name_of(case, site) if me == value_at(case, site) else case.names[me]
    edit = edit_at(site, f"{what} for {name}", cost + (other in case.nameless), by)
    return edit._replace(kind=kind, by_other=(case.role[other], away))


def _turned(case: Case, site: Site, others: Sequence[int]) -> Edits:
    """At a transpose: of another value of the forward pass, or of those beside the equation."""
    inner = case.eq.nodes[site.node].operands[0]
    shape = case.arrays[inner].shape
    for other in others:
        far = abs(case.turn[other] - case.turn[site.node]) > 1
        if other != inner and not far and case.eq.nodes[other].kind == "forward":
            yield _instead(case, site, inner, other, 2, lambda h, i=other: np.transpose(h.at(i)))
    for words, i in case.others.items():
        if case.arrays[i].shape == shape:
            yield edit_at(site, f"{words} for {case.names[inner]}", 2, lambda h, i=i: np.transpose(h.at(i)))


def transposed(case: Case, site: Site) -> Edits:
    """A square x; and of a column, where the user's row is broadcast against another column."""
    shape = case.arrays[value_at(case, site)].shape
    if len(shape) == 2 and shape[0] > shape[1] == 1 and site.operand is not None:
        words = f"{name_of(case, site)} of shape (N,), not (N, 1), so that it is broadcast to (N, N)"
        yield edit_at(site, words, 1, lambda h: np.transpose(h.x))
    if len(shape) == 2 and shape[0] == shape[1] > 1:
        yield edit_at(site, f"{name_of(case, site)} transposed", 2, lambda h: np.transpose(h.x))


def _looks(axis: int) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    yield f"reversed along axis {axis}", lambda a: np.flip(a, axis)
    for by in (1, -1):
        yield f"shifted by {by} along axis {axis}", partial(np.roll, shift=by, axis=axis)


def _flipped(a: Any) -> Any:
    return np.flip(a, (-2, -1))


def signs(case: Case, site: Site) -> Edits:
    """A sum for a difference of two arrays, and back."""
    node = case.eq.nodes[value_at(case, site)]
    if node.operation not in ("add", "subtract") or not all(case.arrays[k].ndim for k in node.operands):
        return
    a, b = node.operands
    if node.operation == "add":
        yield edit_at(site, f"- for + in {name_of(case, site)}", 2, lambda h: h.at(a) - h.at(b))
    else:
        yield edit_at(site, f"+ for - in {name_of(case, site)}", 2, lambda h: h.at(a) + h.at(b))


def moved(case: Case, site: Site) -> Edits:
    """Rows or columns in another order."""
    me = value_at(case, site)
    for axis, size in enumerate(case.arrays[me].shape):
        if size > 1:
            for words, look in _looks(axis):
                yield edit_at(site, f"{name_of(case, site)} {words}", 3, lambda h, look=look: looked(h.x, look))
    if case.eq.nodes[me].kind == "leaf" and case.arrays[me].ndim > 1 and min(case.arrays[me].shape[-2:]) > 1:
        words = f"{name_of(case, site)} reversed along its last two axes, a flipped kernel"
        yield edit_at(site, words, 3, lambda h: looked(h.x, _flipped))


def permuted(case: Case, site: Site) -> Edits:
    """The rows or columns of an output in another order, if sorting shows that the user's are the same ones."""
    for name in sorted(case.wrong):
        expected, seen = case.arrays[site.node], case.seen[name].value
        if case.eq.outputs[name] != site.node or site.operand is not None or expected.ndim != 2:
            continue
        for axis, what in ((0, "rows"), (1, "columns")):
            order = _order_of(np.moveaxis(expected, axis, 0), np.moveaxis(seen, axis, 0))
            if order is not None:
                yield edit_at(site, f"the {what} of {name_of(case, site)} in the order {order[:8].tolist()}", 4,
                              lambda h, order=order, axis=axis: np.take(h.x, order, axis))  # fmt: skip


def _order_of(expected: Array, seen: Array) -> Array | None:
    """Which row of the one each row of the other is, by their sums of squares, which have to be that of the other."""
    sizes, wanted = np.square(expected).sum(1), np.square(seen).sum(1)
    by_size, by_wanted = np.argsort(sizes, kind="stable"), np.argsort(wanted, kind="stable")
    if np.abs(sizes[by_size] - wanted[by_wanted]).max() > 1e-6 * sizes.max() or len(sizes) > MOST_UNITS**2:
        return None
    order = np.empty(len(sizes), int)
    order[by_wanted] = by_size
    return order


def dead(case: Case, site: Site) -> Edits:
    """One row, column or unit of x is 0."""
    me = value_at(case, site)
    for axis, size in enumerate(case.arrays[me].shape):
        if size < 2:
            continue
        every = range(size - 1) if size <= MOST_UNITS and _is_named(case, me) else range(1)
        for k in (*every, -1):
            where = "first" if k == 0 else "last" if k == -1 else f"index {k}"
            yield edit_at(site, f"{where} of axis {axis} of {name_of(case, site)} dropped", 3, _without(axis, k))


def _is_named(case: Case, i: int) -> bool:
    return bool(case.eq.nodes[i].of) or case.eq.nodes[i].kind != "adjoint"


def _without(axis: int, k: int) -> By:
    index = (*(slice(None) for _ in range(axis)), k)
    return lambda h: h.x * kept(h.x.shape, index)


def kept(shape: tuple[int, ...], index: Any) -> Array:
    """1, and 0 at the index."""
    a = np.ones(shape)
    a[index] = 0
    return a


def one_element(case: Case, site: Site) -> Edits:
    """A single element of an output is 0, where that is the only one that is wrong."""
    for name in sorted(case.wrong):
        if case.eq.outputs[name] != site.node or site.operand is not None:
            continue
        expected, seen = case.arrays[site.node], case.seen[name].value
        apart = np.argwhere(np.abs(expected - seen) > case.room[name])
        if len(apart) == 1 and expected.size > 1:
            index = tuple(int(i) for i in apart[0])
            words = f"element {list(index)} of {name_of(case, site)} is 0"
            yield edit_at(site, words, 3, lambda h, index=index: h.x * kept(h.x.shape, index))


def narrowed(case: Case, site: Site) -> Edits:
    """x rounded to a narrower format."""
    if case.arrays[value_at(case, site)].size > 1:
        for to in FORMATS:
            cast = edit_at(site, f"{name_of(case, site)} rounded to {to}", 2, lambda h, to=to: rounded(h.x, to))
            yield cast._replace(tells=TELLS[to])


def narrowed_number(case: Case, site: Site) -> Edits:
    """A constant rounded to float32, where that changes it."""
    c = float(case.arrays[value_at(case, site)])
    if float(np.float32(c)) != c:
        yield edit_at(site, f"the constant {c:g} rounded to float32", 2, lambda h: rounded(h.x, "float32"))


def added(case: Case, site: Site) -> Edits:
    """A term too many: a constant times a parameter, at its derivative; the constant is solved for."""
    node = case.eq.nodes[site.node]
    if site.operand is not None:
        return
    for name, output in case.eq.outputs.items():
        leaf = next((i for i in node.of if case.eq.nodes[i].label == name), None)
        if output == site.node and leaf is not None:
            words = f"a term {{}} * {name} too many in {name_of(case, site)}"
            yield edit_at(site, words, 2, lambda h, i=leaf: h.x + h.at(i) * h.c, "term")


def earlier(case: Case, site: Site) -> Edits:
    """What an output or a leaf was a step before: in its place, or added to it."""
    me = value_at(case, site)
    names = [name for name, output in case.eq.outputs.items() if output == me and site.operand is None]
    for name in [*names, *([case.eq.nodes[me].label] if case.eq.nodes[me].kind == "leaf" else [])]:
        before = case.previous.get(name)
        if before is not None and case.arrays[before].shape == case.arrays[me].shape:
            what = name_of(case, site)
            yield edit_at(site, f"that of the step before for {what}", 2, lambda h, i=before: h.at(i))
            yield edit_at(site, f"that of the step before added to {what}", 2, lambda h, i=before: h.x + h.at(i))


def summed(case: Case, site: Site) -> Edits:
    """Every element of x is the sum over an axis, or over all: what broadcasting hides."""
    me = value_at(case, site)
    shape = case.arrays[me].shape
    if len(shape) != 2 or site.operand is not None or not case.eq.nodes[me].of:
        return
    for axis in (0, 1, None):
        what = "all axes" if axis is None else f"axis {axis}"
        yield edit_at(site, f"{name_of(case, site)} summed over {what}", 4,
                      lambda h, a=axis: np.broadcast_to(np.sum(h.x, axis=a, keepdims=True), h.x.shape))  # fmt: skip
