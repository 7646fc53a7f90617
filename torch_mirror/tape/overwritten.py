"""``=`` where ``+=`` is due: what was added up before is thrown away, or only the last of several shares is kept.

    for x, t in samples:
        dW[:, k] = x * e          # an array: the column that was there is gone
        db = delta                # a name: the shares of the other samples are gone

No edit of the right equation makes a sum of one of its terms, in the order in which a loop happens to come. So the
user's backward pass is evaluated once more, with what is added in the place of what is put there. What makes wrong
gradients right, and none wrong, is proven to be a cause, as an edit is.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import paused
from torch_mirror.tape import compared
from torch_mirror.tape.recomputed import again
from torch_mirror.tape.scene import Scene, View, derivative_by, line_of, number_of, site_of
from torch_mirror.tape.told import Fault

SECONDS = 1.0
"""Of the processor, for all that may be added."""


class Added(NamedTuple):
    """Values of one expression that are added to what was there: in an array, or to those of the turns before.

    values: by number; kept: the one value that is left of several turns, None of an array
    """

    values: tuple[int, ...]
    kept: int | None = None


def overwritten(v: View, wrong: Sequence[str], until: float) -> tuple[Fault, tuple[str, ...]] | None:
    """The fault that explains most of the gradients that are wrong, and their names; None where there is none.

    wrong: names of parameters, which are the fault's until they are spelled as gradients; until: by time.process_time
    """
    s, until = v.scene, min(until, time.process_time() + SECONDS)
    best: tuple[Added, tuple[str, ...]] | None = None
    tried = 0
    with paused(), np.errstate(all="ignore"):
        for added in _candidates(s, wrong):
            if time.process_time() > until:
                break
            tried += 1
            right = _right_with(v, added, wrong)
            if right and (best is None or len(right) > len(best[1])):
                best = added, right
    if best is None:
        return None
    (values, kept), names = best
    line = line_of(s, values[-1])
    count = sum(s.gradients[name].size for name in names)
    turns = len(values)
    if kept is None:
        where = f", {turns} times" if turns > 1 else ""
        what = f"= where += or -= is due: what was added up there before is thrown away{where}"
    else:
        what = f"= where += or -= is due: of {turns} turns the share of the last one alone is kept"
    lines = f"{tried:,} such line{'' if tried == 1 else 's'} tried"
    proof = f"(proof: added, it gives all {count:,} elements within their radius; {lines})"
    return Fault(names, wrong=() if line is None else (line,), causes=(f"{what} {proof}",), shown=len(names) > 1), names


def _candidates(s: Scene, wrong: Sequence[str]) -> Iterator[Added]:
    """Expressions, the last ones first; those that put something into an array before those that have a name."""
    way = sorted(frozenset().union(*(s.above[name] for name in wrong)), reverse=True)
    sites: dict[Any, list[int]] = {}
    for n in way:
        if _is_lost(s, n):
            sites.setdefault(site_of(s, n), []).append(n)
    yield from (Added(tuple(reversed(numbers))) for numbers in sites.values())
    for n in way:
        every = [m for m in s.sites[site_of(s, n)] if m not in s.forward and _is_like(s, m, n)]
        alone = [name for name in wrong if n in s.above[name] and not s.above[name].intersection(set(every) - {n})]
        if len(every) > 1 and every[-1] == n and alone and n not in s.inner:
            yield Added(tuple(every), n)


def _is_like(s: Scene, m: int, n: int) -> bool:
    x, y = s.tape.values[m], s.tape.values[n]
    return isinstance(x, Number) and isinstance(y, Number) and x.shape == y.shape


def _is_lost(s: Scene, n: int) -> bool:
    """Whether a value is an array into which numbers are put where others stood, and that are not made of these."""
    x = s.tape.values[n]
    node = x.node
    if not isinstance(x, Number) or node.operation != "moved" or len(node.operands) != 2:
        return False
    base, new = node.operands
    if not isinstance(base, Number) or not isinstance(new, Number) or base.shape != x.shape or new.size == x.size:
        return False
    if not base.value.any() or not new.value.any() or _made_of(s, new, number_of(base)):
        return False
    put = node.rule(_filled(base, 0), _filled(new, 1), *node.arguments, **node.named)
    return bool((base.value * put.value).any())


def _filled(x: Number, c: float) -> Number:
    return Number(np.full(x.shape, c, x.value.dtype), 0, x.format)


def _made_of(s: Scene, x: Number, base: int | None) -> bool:
    todo, seen = [x], set[int]()
    while todo:
        n = number_of(todo.pop())
        if n is None or n in seen or (base is not None and n < base):
            continue
        if n == base:
            return True
        seen.add(n)
        todo += [a for a in s.tape.values[n].node.operands if isinstance(a, Number)]
    return False


def _right_with(v: View, added: Added, wrong: Sequence[str]) -> tuple[str, ...]:
    """The wrong gradients that are right with it; none if it makes another one wrong."""
    s = v.scene
    made: dict[int, Any] = {}
    if added.kept is not None:
        made[added.kept] = reduce(lambda a, b: (Ball(a) + Ball(b)).settled(), (s.tape.values[n] for n in added.values))
    right: list[str] = []
    for name in (*wrong, *(name for name in s.gradients if name not in wrong)):
        n, own, expected = number_of(s.gradients[name]), s.gradients[name], derivative_by(s, v.derivatives, name)
        if own.shape != expected.shape or n is None or n in s.forward:
            continue
        for k in sorted(s.above[name]):
            if k not in made:
                made[k] = _plus(s, k, made) if added.kept is None and k in added.values else again(s, k, made)
        meets = compared.meets(made[n], expected)
        if name in wrong:
            right += [name] if meets and _telling(own, made[n], expected) else []
        elif not meets and made[n] is not own:
            return ()
    return tuple(right)


TELLING = 2.0**-20
"""Of the error that is explained: wider radii would explain much else."""


def _telling(own: Number, made: Number, expected: Number) -> bool:
    room = float(np.max(made.radius, initial=0.0)) + float(np.max(expected.radius, initial=0.0))
    return room <= TELLING * float(np.max(np.abs(own.value - expected.value), initial=0.0))


def _plus(s: Scene, k: int, made: Mapping[int, Any]) -> Number:
    """What is put into an array, added to it: base + 0 with the numbers put into it."""
    node = s.tape.values[k].node
    base, new = (x if (n := number_of(x)) is None else made.get(n, x) for x in node.operands)
    put = node.rule(_filled(base, 0), new, *node.arguments, **node.named)
    total: Number = (Ball(base) + Ball(put)).settled()
    return total
