"""An edit: a small change of an equation; and what the outputs are with it.

A change sets in somewhere: at the value of a node, for all that use it, or at one operand of a node, for that one use.
There x becomes by(h): h.x is x, h.at(i) the value of any other node, and h.c a constant, where the edit has one. The
same function serves for arrays and for balls, for the equation at hand and at any other point.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from torch_mirror.tape.edits.equation import Equation, Shape
from torch_mirror.tape.edits.operations import OPERATIONS

By = Callable[..., Any]
"""(h: Here) -> the new value. Further arguments have defaults."""

Values = Sequence[Any]


class Here(NamedTuple):
    """What an edit sees at its place."""

    x: Any
    at: Callable[[int], Any]
    c: Any = None


class Change(NamedTuple):
    """node: its number; operand: which of its operands, or None for its value."""

    node: int
    operand: int | None
    by: By


class Edit(NamedTuple):
    """Changes that belong together, one of them if nothing is said.

    words: what was done, with "{}" for the constant's name
    cost:  how much is done: of two edits that fit, the cheaper one is named
    kind:  the same in each turn of a loop
    by_other: of a value that is replaced, the role of the one in its place, and how many turns lie between them
    solve: how the constant is found: "factor", starting from 1, or "term", starting from 0; "" if there is none
    c:     the constant, once it is found, which "by" then holds itself
    name:  the constant's
    template: the edit before its constant was found
    tells: of a cast: by how many bits each element that it changes tells it from others (rounded.py)
    """

    changes: tuple[Change, ...]
    words: str
    cost: int
    solve: Literal["", "factor", "term"] = ""
    c: float | None = None
    name: str = ""
    kind: Hashable = None
    by_other: Hashable = None
    template: "Edit | None" = None
    tells: int = 0

    @property
    def node(self) -> int:
        """The first node that is another one with it."""
        return min(change.node for change in self.changes)

    @property
    def nodes(self) -> list[int]:
        """All of them, in order."""
        return sorted(change.node for change in self.changes)


class Turns(NamedTuple):
    """together: edits of one kind as one edit, and what is alone of its kind; each: what the former are made of."""

    together: list[Edit]
    each: list[Edit]


def repeated(edits: Iterable[Edit], turns: Callable[[Sequence[int]], str]) -> Turns:
    """By kind: a loop has the same mistake in its turns, and so has a function that each layer calls.

    turns: in words, in which turns some nodes are; "" where that needs no saying
    """
    groups: dict[Any, list[Edit]] = {}
    for number, edit in enumerate(edits):
        key = number if edit.kind is None else (edit.kind, edit.by_other, edit.solve)
        groups.setdefault(key, []).append(edit)
    together, each = list[Edit](), list[Edit]()
    for group in groups.values():
        alone = [edit._replace(words=f"{edit.words}{turns(edit.nodes)}") for edit in group]
        if len({edit.changes[0][:2] for edit in group}) == len(group) > 1:
            words = f"{group[0].words}{turns([node for edit in group for node in edit.nodes])}"
            together.append(group[0]._replace(changes=tuple(c for edit in group for c in edit.changes), words=words))
            each += alone
        else:
            together += alone
    return Turns(together, each)


def at_node(node: int, words: str, cost: int, by: By) -> Edit:
    """An edit of a node's value."""
    return Edit((Change(node, None, by),), words, cost)


def evaluated(
    eq: Equation, shape: Shape, start: Values, edits: Sequence[Edit], wanted: Iterable[str], new: dict[int, Any],
    made: Sequence[Edit] = (),
) -> Mapping[str, Any]:  # fmt: skip
    """The outputs of these names with the edits; only what lies below one of them is computed again.

    start: the value of each node without the edits, arrays or balls
    new:   the values that have been computed again, which are added to
    made:  edits that ``start`` has already
    Raises what the edits' functions raise, above all ValueError for shapes that do not fit.
    """
    fresh, before = _by_node(edits), _by_node(made)

    def at(i: int) -> Any:
        return new[i] if i in new else start[i]

    results = {}
    for name in wanted:
        for i in way_of(shape, fresh, name):
            if i in new:
                continue
            if i in fresh or i in before:
                new[i] = _value(eq, i, start, at, new, before.get(i, ()), fresh.get(i, ()))
            else:  # as most are: below an edit, and thus with an operand that is new
                node = eq.nodes[i]
                operands = [new[k] if k in new else start[k] for k in node.operands]
                new[i] = OPERATIONS[node.operation](*operands, **node.options)
        results[name] = at(eq.outputs[name])
    return results


def way_of(shape: Shape, nodes: Iterable[int], name: str) -> Sequence[int]:
    """What leads from some nodes to an output, in order."""
    ways = [shape.way.get((i, name), ()) for i in nodes]
    return ways[0] if len(ways) == 1 else sorted({i for way in ways for i in way})


Changes = Sequence[tuple[Change, Any]]


def _by_node(edits: Sequence[Edit]) -> dict[int, list[tuple[Change, Any]]]:
    found: dict[int, list[tuple[Change, Any]]] = {}
    for edit in edits:
        for change in edit.changes:
            found.setdefault(change.node, []).append((change, edit.c))
    return found


def _value(
    eq: Equation, i: int, start: Values, at: Callable[[int], Any], new: Mapping[int, Any], before: Changes,
    fresh: Changes,
) -> Any:  # fmt: skip
    """Of a node that something is new for: an operand, or an edit of its own."""
    _, numbers, options, *_ = node = eq.nodes[i]
    inner = fresh and any(change.operand is not None for change, _ in fresh)
    changes: Changes = fresh
    if inner or any(k in new for k in numbers):
        changes = [*before, *fresh] if before else fresh
        operands = [at(k) for k in numbers]
        for change, c in changes:
            if change.operand is not None:
                operands[change.operand] = change.by(Here(operands[change.operand], at, c))
        x = OPERATIONS[node.operation](*operands, **options)
    else:
        x = start[i]
    for change, c in changes:
        if change.operand is None:
            x = change.by(Here(x, at, c))
    return x


def centres(values: Values) -> list[Any]:
    """The centres of balls, as arrays."""
    return [np.asarray(x.value) for x in values]
