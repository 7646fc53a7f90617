"""Whether gradients are those of a forward pass through one value of which no gradient goes, as of a target.

    y = r + 0.9 * q(s2).max(axis=1)     # in semi-gradient methods a constant
    loss = ((q(s)[i, a] - y) ** 2).mean()

Then the user may mean it, and the way out is to declare it, ``y = surrogate(y, 0)``. It is told only if all gradients
are within their radii with it; and as a term that was left out is a mistake more often than it is meant, only of a
value that has a name, as a target has, or if several mistakes become one so.
Source: Sutton & Barto, Reinforcement Learning (2nd ed., 2018), section 9.3.
"""

import time
from collections.abc import Iterator, Sequence

import numpy as np

from torch_mirror.balls.number import Number
from torch_mirror.tape.guesses import ROUGHLY, is_right
from torch_mirror.tape.scene import (
    Scene,
    View,
    anew,
    called,
    dependents,
    is_leaf,
    line_of,
    name_of,
    number_of,
    roughly,
    view_of,
)

SECONDS = 0.5
"""Of the processor, for all values."""


def stopped(s: Scene, wrong: Sequence[str], *, unnamed: bool) -> str:
    """``y (semi.py:6)``: the value at which it is stopped, if there is one; of several the last that has a name.

    wrong: names of parameters; unnamed: whether it may be a value without a name
    """
    if not wrong or s.both:
        return ""
    until, v = time.process_time() + SECONDS, view_of(s, anew(s, {}))
    for n in _candidates(v, wrong):
        if not (unnamed or called(s, n)):
            break
        if time.process_time() > until:
            break
        x = s.tape.values[n]
        given = {n: Number(np.zeros(x.shape, x.value.dtype), 0, x.format)}
        if _about(v, given, wrong):
            derivatives = anew(s, given)
            if all(is_right(s, derivatives, name) for name in s.gradients):
                line = line_of(s, n)
                return f"{name_of(s, n)} ({line.place})" if line else name_of(s, n)
    return ""


def _candidates(v: View, wrong: Sequence[str]) -> Iterator[int]:
    """What all the wrong gradients' parameters lead to, but the loss; from the loss on, and what has a name first."""
    s = v.scene
    every = set(s.forward) - {number_of(s.loss)}
    for name in wrong:
        every &= dependents(v, number_of(s.leaves[name]))
    found = [n for n in sorted(every, reverse=True) if n not in s.inner and not is_leaf(s, n)]
    yield from sorted(found, key=lambda n: not called(s, n))


def _about(v: View, given: dict[int, Number], wrong: Sequence[str]) -> bool:
    """Whether each wrong gradient is about that, and is not 0 throughout: of that nothing is left to be meant."""
    found = roughly(v, given)
    for name in wrong:
        seen, expected = v.scene.gradients[name].value, found.get(name)
        largest = float(np.abs(seen).max(initial=0))
        if expected is None or seen.shape != expected.shape or not 0 < largest < np.inf:
            return False
        if np.abs(seen - expected).max() > ROUGHLY * largest:
            return False
    return True
