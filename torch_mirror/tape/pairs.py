"""Which value of a backward pass belongs to which of the forward pass, where an order does not tell: of a recursion.

    h = tanh(z)             in the order of a tree's leaves
    dz = dh * (1 - h * h)   from its root on

The order is another one on the way back, and not the reverse. But dz uses an h that no other dz uses, and z is what
that h was made of. So values are paired by what they use, where that pairs all of them, each with one of its own.
"""

from collections import Counter
from collections.abc import Sequence

from torch_mirror.tape.scene import Scene, behind, number_of, site_of

Pairs = tuple[tuple[int, int], ...]


def by_neighbours(s: Scene, values: Sequence[int], places: Sequence[int]) -> Pairs:
    """Pairs of a value and a place, which are as many, each made by one expression; none where that does not tell."""
    used = [_used(s, n) for n in values]
    times = Counter(m for several in used for m in several)
    of = _by_user(s, places)
    pairs = list[tuple[int, int]]()
    for n, several in zip(values, used, strict=True):
        found = {place for m in several if times[m] == 1 for place in of.get(m, ())}
        if len(found) != 1:
            return ()
        pairs.append((n, found.pop()))
    whole = len({place for _, place in pairs}) == len(places)
    alike = all(s.tape.values[n].shape == s.tape.values[m].shape for n, m in pairs)
    return tuple(pairs) if whole and alike else ()


def _used(s: Scene, value: int) -> set[int]:
    """The forward values that one is made with, back to others of the same expression."""
    found: set[int] = set()
    seen: set[int] = set()
    todo, site = [value], site_of(s, value)
    while todo:
        n = todo.pop()
        if n in seen or (n != value and site_of(s, n) == site):
            continue
        seen.add(n)
        operands = (number_of(x) for x in s.tape.values[n].node.operands)
        found |= {m for m in operands if m is not None and m in s.forward}
        todo += behind(s, n)
    return found


def _by_user(s: Scene, places: Sequence[int]) -> dict[int, set[int]]:
    """The places by themselves, and by the forward values that are directly made of them."""
    found = {n: {n} for n in places}
    for m in s.forward:
        for n in (number_of(x) for x in s.tape.values[m].node.operands):
            if n in found and n is not None and n in places:
                found.setdefault(m, set()).add(n)
    return found
