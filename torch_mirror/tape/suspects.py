"""Which of several lines is the faulty one, where the numbers show it.

    m = abs(ratio - 1) < 0.2          # the mistake
    d = m * ratio * adv / n           # wrong from here on, and only because of m

A product is right with the right factor. So its own line is none to look at, but the factor's, where either

* the product is 0 at elements at which the derivative is not, and the factor is 0 at every one of them: no other
  factors make a number of that; or
* the rest of the product is the derivative by h, and what is due is that by a z of which h is made element by element:
  then the chain rule asks for a product with a factor, dL/dh h'(z), and it is another factor that is there.

A factor that goes into gradients that are right is none to look at: it may be right, and used in the wrong place.

And a step that is missing may be known by what is left over: a value that nothing uses, with which the sum is right.
"""

import re
import traceback
from collections.abc import Iterator

import numpy as np

from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Kind, paused
from torch_mirror.tape import compared
from torch_mirror.tape.guesses import Guess, bits, equal, excused
from torch_mirror.tape.scene import (
    Scene,
    View,
    as_derivative,
    behind,
    called,
    line_of,
    match_of,
    name_of,
    number_of,
    numbers_in,
)

MIXING = ("matmul", "moved", "sum", "cumsum")
"""Operations that make an element of others."""


def factor_at_fault(v: View, value: int, place: int, share: float) -> tuple[int | None, str]:
    """The factor of a wrong value that is the one to look at, with what shows it in words; None where none is known.

    place: of the forward pass, by which the value should be the derivative, times the share.
    """
    s, line, right = v.scene, line_of(v.scene, value), excused(v)
    known = {bits(s, n) for n in s.forward}
    for n in _factors(s, value):
        own = line_of(s, n)
        if own is None or own[:2] == (line or own)[:2] or n in right or bits(s, n) in known or match_of(v, n):
            continue
        if count := _made_zero(v, value, place, n):
            what, size = called(s, n) or name_of(s, n) or "a factor", s.tape.values[value].size
            where = f"{what} ({own.place}) is 0 at {count} of {size} elements, at which the derivative is not"
            return n, f"{where} (proof: a product with it is 0 there)"
        if _is_slope(v, value, place, n, share):
            return n, ""
    return None, ""


def _factors(s: Scene, value: int) -> Iterator[int]:
    """Of a product of products and quotients, and masks through what makes numbers of them."""
    todo = [value]
    while todo:
        n = todo.pop()
        x = s.tape.values[n]
        if n != value:
            yield n
        if x.node.operation in ("multiply", "divide", "negative") or (n != value and len(x.node.operands) == 1):
            divisor = x.node.operands[1:] if x.node.operation == "divide" else ()
            todo += [m for a in x.node.operands if (m := number_of(a)) is not None and m not in s.forward
                     and not any(a is b for b in divisor)]  # fmt: skip


def _made_zero(v: View, value: int, place: int, factor: int) -> int:
    """At how many elements the value is 0 and the derivative is not; 0 if the factor does not explain all of them."""
    x, d, f = v.scene.tape.values[value], v.derivatives.get(place), v.scene.tape.values[factor]
    if d is None or d.size != x.size:
        return 0
    wanted = np.asarray(np.abs(d.value) > d.radius).reshape(-1)
    lost = (x.value.reshape(-1) == 0) & wanted
    if not lost.any():
        return 0
    try:
        zero = np.broadcast_to(np.asarray(f.value) == 0, x.shape).reshape(-1)
    except ValueError:
        return 0
    return int(lost.sum()) if bool(zero[lost].all()) else 0


def _is_slope(v: View, value: int, place: int, factor: int, share: float) -> bool:
    """Whether the value is a right derivative times the factor, and a product with h'(z) is due."""
    s = v.scene
    x = s.tape.values[value]
    operands = [n for a in x.node.operands if (n := number_of(a)) is not None and n != factor]
    if x.node.operation != "multiply" or factor not in behind(s, value) or len(operands) != 1:
        return False
    m = match_of(v, operands[0])
    if m is None or m.partial or not equal(m.factor, share) or m.number == place:
        return False
    return _elementwise(s, place, m.number)


def _elementwise(s: Scene, first: int, last: int) -> bool:
    """Whether each element of a forward value is made of the same element of another one, and of constants alone."""
    shape, found = s.tape.values[first].shape, {first}
    for n in numbers_in(s.tape.values[last]):
        x = s.tape.values[n]
        if n in found or not any(number_of(a) in found for a in x.node.operands):
            continue
        if x.shape != shape or x.node.operation in MIXING:
            return False
        found.add(n)
    return last in found


def given_wrongly(v: View, guess: Guess, value: int, operand: int) -> bool:
    """Whether a line is right in other turns, and is given here what is the derivative by a value of another turn.

    As in a recursion, back(left, d[:n]) and back(right, d[:n]): the line is not at fault, but what it is called with.
    """
    s, places = v.scene, dict(guess.pairs)
    m = match_of(v, operand)
    if m is None or m.partial or places[value] in numbers_in(s.tape.values[m.number]):
        return False
    others = ((n, match_of(v, n)) for n in places if n != value)
    return any(o is not None and not o.partial and o.number == places[n] for n, o in others)


def says_what_it_is(v: View, value: int) -> bool:
    """Whether a value that is right is called after what it is the derivative by: dh, and h is there."""
    s, m, name = v.scene, match_of(v, value), called(v.scene, value)
    of = "" if m is None or m.partial else name_of(s, m.number)
    return bool(of) and name.rsplit(".", 1)[-1] in (f"d{of}", f"d_{of}", f"g{of}", f"grad_{of}", f"{of}_grad")


def left_unused(v: View, value: int, place: int, share: float) -> str:
    """What nothing uses, and with which a value is the derivative by a place: in words, or empty where in doubt."""
    s, d = v.scene, v.derivatives.get(place)
    x = s.tape.values[value]
    if d is None or d.shape != x.shape:
        return ""
    for n in _unused(s, x.shape)[-MOST:]:
        line = line_of(s, n)
        if line is not None and n != value and _sum_is(s, (value, n), d, share):
            return f"with {called(s, n)} ({line.place}) added it would be right, and nothing uses that"
    return ""


def _unused(s: Scene, shape: tuple[int, ...]) -> list[int]:
    """Values of that shape to which a line gives a name, and that are an operand of nothing, of whatever kind.

    A part of an array may be used by way of the array, and another value with the same numbers in its place: these are
    none. Nor is what is made in a frame that is running now, which is no code that is judged, but what has called us.
    """
    operands = {number_of(a) for x in s.tape.values for a in x.node.operands}
    used = operands.union(s.forward, *s.above.values())
    running = {frame.f_code for frame, _ in traceback.walk_stack(None)}
    found, known = [], {bits(s, n) for n in used if n is not None and s.tape.values[n].shape == shape}
    for n, x in enumerate(s.tape.values):
        if n in used or not isinstance(x, Number) or x.shape != shape:
            continue
        node = s.tape.values[n].node
        if node.adjoint is Kind.MOVES or node.place is None or node.place.code in running:
            continue
        if _named_once(s, n) and bits(s, n) not in known:
            found.append(n)
    return found


def _named_once(s: Scene, number: int) -> bool:
    """Whether a line reads ``name = `` and the expression: no ``+=``, entry or attribute, which others may hold."""
    name, line = called(s, number), line_of(s, number)
    return line is not None and name.isidentifier() and re.match(rf"\s*{name}\s*=[^=]", line.source) is not None


MOST = 256
"""Values that nothing uses, which are tried."""


def _sum_is(s: Scene, numbers: tuple[int, int], d: Number, share: float) -> bool:
    a, b = (s.tape.values[n] for n in numbers)
    close = np.abs(a.value + b.value - share * d.value)
    if not close.max(initial=0) <= NEAR * np.abs(d.value).max(initial=0) * abs(share):
        return False
    with paused(), np.errstate(all="ignore"):
        total = (Ball(a) + Ball(b)).settled()
    return compared.meets(as_derivative(total, d.shape, share), d)


NEAR = 1e-6
"""Of the largest element: sums that are further off are not looked at with their radii."""
