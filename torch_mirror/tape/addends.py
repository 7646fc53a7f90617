"""Which addend of a sum is the wrong one: the others are what some uses of a value add to the derivative by it.

    dW /= 3           # N is due
    dW += 2 * l * W   # the sum is wrong, and its last term is right

What is told is then the addend's own way, not the line that adds it: where its factor changed to one that is not that
of the others; or where a step back is missing behind it, as it is still the derivative by a later value.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch_mirror.balls.number import Number
from torch_mirror.tape.guesses import equal, excused
from torch_mirror.tape.multiples import factor
from torch_mirror.tape.scene import View, match_of, number_of, numbers_in
from torch_mirror.tape.trails import nearest


class Addend(NamedTuple):
    """The wrong one.

    right:   the right values that it is made of, and the right addends beside it
    end:     the value from which on it is wrong; itself, where a step back is missing behind it (lacking). Where other
             right values are made of it, the step is missing where it is added
    """

    right: tuple[int, ...]
    end: int
    lacking: bool = False


def wrong_addend(v: View, value: int, place: int, share: float) -> Addend | None:
    """Of a value that should be the derivative by a place, times the share; None where more than one may be wrong."""
    parts = _addends(v, value)
    factors = {n: _factor(v, n, place) for n in parts}
    right = [n for n in parts if (c := factors[n]) is not None and equal(c, share)]
    bad = [n for n in parts if n not in right]
    if not right or len(bad) != 1 or bad[0] in v.scene.forward:
        return None
    n = bad[0]
    c = factors[n]
    if c is not None:
        return _where_changed(v, n, c, place, right)
    m, values = match_of(v, n), v.scene.tape.values
    if m is not None and not m.partial and equal(m.factor, share) and place in numbers_in(values[m.number]):
        used = any(number_of(a) == n and match_of(v, k) for k in range(n + 1, value) for a in values[k].node.operands)
        used = used or n in excused(v)
        return Addend((n, *right), value if used else n, lacking=not used)
    return Addend(tuple(right), n) if m is None else None


def _where_changed(v: View, n: int, c: float, place: int, right: Sequence[int]) -> Addend | None:
    """The first value of this factor whose operands have another one; None where it has been so from the start."""
    while True:
        before = [(b, f) for b in nearest(v, n) if (f := _factor_of(v, b, place)) is not None]
        if not before:
            return None
        same = [b for b, f in before if equal(f, c)]
        if not same:
            return Addend((*(b for b, _ in before), *right), n)
        n = same[0]


def _factor_of(v: View, n: int, place: int) -> float | None:
    """By the place, or else by what it is the derivative by."""
    c, m = _factor(v, n, place), match_of(v, n)
    return c if c is not None or m is None else m.factor


def _addends(v: View, value: int) -> list[int]:
    """What a value is the sum of, through sums of sums and what is only put into another array."""
    found: list[int] = []
    todo = [value]
    while todo:
        n = todo.pop()
        x = v.scene.tape.values[n]
        operands = [m for a in x.node.operands if (m := number_of(a)) is not None]
        copied = x.node.operation == "moved" and len(x.node.operands) == len(operands) == 1
        copied = copied and v.scene.tape.values[operands[0]].shape == x.shape
        added = x.node.operation == "add" and len(operands) == 2
        if n not in v.scene.forward and (copied or added):
            todo += [m for m in operands if m not in found and m not in todo]
        else:
            found.append(n)
    return found if len(found) > 1 else []


def _factor(v: View, n: int, place: int) -> float | None:
    """How many times a value is what some uses of the place add to the derivative by it, or all of it."""
    x = v.scene.tape.values[n]
    if not isinstance(x, Number) or not x.value.any():
        return None
    shape = tuple(size for size in x.shape if size != 1)
    entries = [entry for entry in v.known.by_shape.get(shape, []) if entry.number == place]
    factors = [c for entry in entries if entry.d.value.any() and (c := factor(x, entry.d)) is not None]
    return min(factors, key=lambda c: (c < 0, abs(abs(c) - 1)), default=None)
