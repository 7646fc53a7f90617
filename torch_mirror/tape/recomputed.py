"""A value of the forward pass that the backward pass computes once more, from the wrong one.

    s2 = vjp(z0 + dt / 2 * k2, ...)     # the stage was at z + dt / 2 * k1

All that such a call computes is wrong then, the derivatives and what they are multiplied with, so that no single edit
of the right equation explains it. So the user's backward pass is evaluated once more, with another value of the
forward pass in the place of the one that it computes, in each turn of a loop. What brings every gradient within the
radii is proven to be a cause, as an edit is.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import paused
from torch_mirror.tape import compared
from torch_mirror.tape.guesses import ROUGHLY, bits
from torch_mirror.tape.scene import Scene, Site, View, derivative_by, line_of, name_of, number_of, site_of, written
from torch_mirror.tape.told import Fault

SECONDS = 1.0
"""Of the processor, for all pairs of values."""

LEAST = 3
"""Elements that a value needs to be known as one of the forward pass."""


class Swap(NamedTuple):
    """instead: by the number of a value of the backward pass that of the forward pass which is put there."""

    instead: Mapping[int, int]

    @property
    def first(self) -> int:
        return min(self.instead)


def recomputed(v: View, wrong: Sequence[str], spelled: Callable[[str], str], until: float) -> Fault | None:
    """The fault that explains all gradients that are wrong, if there is one; several values that fit are a tie.

    wrong: names of parameters; spelled: the gradient's name for one; until: by time.process_time
    """
    s, until = v.scene, min(until, time.process_time() + SECONDS)
    tried, fits, complete = 0, list[Swap](), True
    with paused(), np.errstate(all="ignore"):
        for swap in _swaps(s):
            if time.process_time() > until:
                complete = False
                break
            tried += 1
            if _explains(v, swap, wrong):
                fits.append(swap)
    if not fits:
        return None
    first, *others = sorted(fits, key=lambda swap: swap.first)
    below = _made_of(s, frozenset(first.instead))  # is no other cause
    same = [first, *(swap for swap in others if not swap.instead.keys() <= below)]
    alone = "it alone fits" if len(same) == 1 else "nothing simpler fits"
    alone = alone if complete else "there was no time to try all"
    count = sum(s.gradients[name].size for name in s.gradients)
    proof = f"(proof: with it all {count:,} elements are within their radius; {alone}, {tried:,} values tried)"
    lines = [line for swap in same if (line := line_of(s, swap.first)) is not None]
    causes = tuple(f"{_told(s, swap)} {proof}" for swap in same)
    why = "each gives the same numbers here" if len(same) > 1 else ""
    names = tuple(map(spelled, wrong))
    return Fault(names, wrong=tuple(dict.fromkeys(lines)), causes=causes, why=why, shown=len(wrong) > 1)


def _told(s: Scene, swap: Swap) -> str:
    own, due = swap.first, swap.instead[swap.first]
    line, turns = line_of(s, due), len(swap.instead)
    at = "" if line is None else f" ({line.place})"
    where = "" if turns == 1 else f", in each of {turns} turns"
    return f"{written(s, own) or name_of(s, own)} where {name_of(s, due)}{at} is due{where}"


def _swaps(s: Scene) -> Iterator[Swap]:
    """By expressions: values that are one of the forward pass once more, and others that the same operation made there.

    Of the turns of a loop the last comes first in a backward pass; only then in the order of the forward pass.
    """
    known = {bits(s, n) for n in s.forward if _is_array(s, n)}
    own = _by_site(s, (n for n in frozenset().union(*s.above.values()) if _is_array(s, n) and bits(s, n) in known))
    places = _by_site(s, (m for m in s.forward if _is_array(s, m)))
    for backwards in (True, False):
        for (site, shape), values in own.items():
            for (other, same), found in places.items():
                if (site[0], shape) == (other[0], same):
                    yield from _paired(s, values, found, backwards=backwards)


def _paired(s: Scene, values: Sequence[int], found: Sequence[int], *, backwards: bool) -> Iterator[Swap]:
    if len(values) == 1:
        pairs = [{values[0]: m} for m in found] if backwards else []
    else:
        turns = found[::-1] if backwards else found
        pairs = [dict(zip(values, turns, strict=True))] if len(turns) == len(values) else []
    yield from (Swap(p) for p in pairs if any(bits(s, n) != bits(s, m) for n, m in p.items()))


def _by_site(s: Scene, numbers: Iterable[int]) -> dict[tuple[Site, tuple[int, ...]], list[int]]:
    """In the order of evaluation, by the expression and the shape."""
    found: dict[tuple[Site, tuple[int, ...]], list[int]] = {}
    for n in sorted(numbers):
        if n not in s.inner:
            found.setdefault((site_of(s, n), s.tape.values[n].shape), []).append(n)
    return found


def _is_array(s: Scene, n: int) -> bool:
    x = s.tape.values[n]
    return isinstance(x, Number) and x.size >= LEAST


def _explains(v: View, swap: Swap, wrong: Sequence[str]) -> bool:
    """Whether every gradient is right with it. The numbers without radii are looked at first."""
    s = v.scene
    made: dict[int, Any] = {n: s.tape.values[m] for n, m in swap.instead.items()}
    for name in (*wrong, *(name for name in s.gradients if name not in wrong)):
        own, expected = s.gradients[name], derivative_by(s, v.derivatives, name)
        if own.shape != expected.shape:
            return False
        if (n := number_of(own)) is None:
            continue
        for k in sorted(s.above[name]):
            if k not in made:
                made[k] = again(s, k, made)
        seen = made.get(n, own)
        error = np.abs(seen.value - expected.value).max(initial=0)
        if not error <= ROUGHLY * np.abs(expected.value).max(initial=0):
            return False
    gradients = {name: made.get(n, g) for name, g in s.gradients.items() if (n := number_of(g)) is not None}
    return all(compared.meets(g, derivative_by(s, v.derivatives, name)) for name, g in gradients.items())


def again(s: Scene, k: int, made: Mapping[int, Any]) -> Any:
    """A value of the backward pass: the same one, where nothing that it is made of is another."""
    x = s.tape.values[k]
    node = x.node
    operands = [x if (n := number_of(x)) is None else made.get(n, x) for x in node.operands]
    if all(new is old for new, old in zip(operands, node.operands, strict=True)):
        return x
    return node.rule(*operands, *node.arguments, **node.named)


def _made_of(s: Scene, numbers: frozenset[int]) -> set[int]:
    """These values, and what the backward pass makes of them."""
    found = set(numbers)
    for n in sorted(frozenset().union(*s.above.values())):
        if any(number_of(x) in found for x in s.tape.values[n].node.operands):
            found.add(n)
    return found
