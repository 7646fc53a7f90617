"""Which nodes are the same line in another turn of a loop: those have one role, and one name.

A role is a place in the user's code, and what is done there; of an adjoint that of the forward pass's node that it goes
back through. Where one call does several things of a kind, as np.var takes two sums, they are counted while the place
stays the same; an operation that follows upon itself at one place is a loop of that alone.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence

from torch_mirror.tape.edits.equation import Equation
from torch_mirror.tape.edits.looped import TURN, each
from torch_mirror.tape.edits.words import called, given_twice


def roles(eq: Equation) -> tuple[Hashable, ...]:
    """Of every node; its own number where nothing else can have its role."""
    found: list[Hashable] = []
    place: Hashable = None
    last, counts = "", dict[str, int]()
    within: dict[Hashable, int] = {}
    used = _used_as(eq)
    for i, node in enumerate(eq.nodes):
        if node.back is not None:
            key = node.back, node.by, node.operation
            within[key] = within.get(key, -1) + 1
            found.append((found[node.back], node.by, node.operation, within[key]))
            continue
        if not node.operands or node.place is None:
            found.append(i)
            continue
        if node.place != place:
            place, last, counts = node.place, "", {}
        if node.operation != last:
            counts[node.operation] = counts.get(node.operation, -1) + 1
        last = node.operation
        found.append((node.place, node.operation, counts[node.operation], used.get(i)))
    return tuple(found)


def _used_as(eq: Equation) -> dict[int, int]:
    """Of what one call makes on its way, as a row and a column of u @ v: which operand of the next step it is."""
    found: dict[int, int] = {}
    for node in eq.nodes:
        for which, k in enumerate(node.operands):
            if eq.nodes[k].inner and node.place == eq.nodes[k].place:
                found.setdefault(k, which)
    return found


def names_by_role(eq: Equation, of: Sequence[Hashable]) -> tuple[str, ...]:
    """What each node is called: as the one of its role in the last turn, the first that the sweep goes back through.

    Of a sum of derivatives that is of nothing by itself in that turn, as one that a value of the user's stands in front
    of, the name is that of a turn in which it is the derivative by something.
    The derivative by a leaf keeps its own name: in a loop over layers each turn has another parameter.
    """
    names: dict[Hashable, str] = {}
    twice = given_twice(eq)
    forward = [i for i, node in enumerate(eq.nodes) if node.back is None]
    adjoint = [i for i, node in enumerate(eq.nodes) if node.back is not None]
    for i in (*reversed(forward), *sorted(adjoint, key=lambda i: not eq.nodes[i].of)):
        if of[i] not in names:
            names[of[i]] = called(eq, i, twice)
    own = [any(eq.nodes[k].label for k in node.of) for node in eq.nodes]
    return tuple(called(eq, i, twice) if own[i] else names[role] for i, role in enumerate(of))


def turns(eq: Equation, of: Sequence[Hashable]) -> tuple[int, ...]:
    """Of the nodes of one role how many stand before each; of an adjoint that of the node that it goes back through."""
    counts: dict[Hashable, int] = {}
    found: list[int] = []
    for node, role in zip(eq.nodes, of, strict=True):
        found.append(counts.get(role, 0) if node.back is None else found[node.back])
        counts[role] = counts.get(role, 0) + 1
    return tuple(found)


def in_words(
    of: Sequence[Hashable], turn: Sequence[int], names: Sequence[str], live: Iterable[int]
) -> Callable[[Sequence[int]], str]:
    """A function that says in which turns some nodes of one role are, of all of it: ``, in the first 2 of 5 turns``.

    Of a function that was called so often it says ``calls``.

    of, turn, names: of every node; live: the nodes that count. A node alone is told so only where others have its
    name, too. Of nodes of several roles, as of one edit, it is said of the first.
    """
    same: dict[Hashable, dict[int, int]] = {}
    named: dict[tuple[Hashable, str], int] = {}
    for i in sorted(live, key=lambda i: turn[i]):
        every = same.setdefault(of[i], {})
        every[i] = len(every)
        named[of[i], names[i]] = named.get((of[i], names[i]), 0) + 1

    def said(some: Sequence[int]) -> str:
        role = of[some[0]]
        some = [i for i in some if of[i] == role]
        every = same[role]
        if len(every) == 1 or (len(some) == 1 and named[role, names[some[0]]] == 1):
            return ""
        return _said(sorted(every[i] for i in some), len(every), each(role))

    return said


def _said(at: Sequence[int], every: int, turn: str) -> str:
    """turn: what each time is called."""
    if len(at) == every:
        return ", in each turn" if turn == TURN else ", each time"  # of the calls that come to it
    if len(at) == 1 and 0 < at[0] < every - 1:
        return f", in {turn} {at[0] + 1} of {every}"
    without_a_gap = at[-1] - at[0] == len(at) - 1
    which = {0: "the first ", every - len(at): "the last "}.get(at[0], "") if without_a_gap else ""
    return f", in {which}{'' if len(at) == 1 else f'{len(at)} '}of {every} {turn}s"
