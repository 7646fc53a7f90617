"""A scene in which a large number stands for an infinite one, so that lines and causes can be told.

Attention masks scores by -inf, of which exp makes 0. No radius is known of what an infinite number is added to: so it
is infinite there, and explains everything. exp(-2^40) is 0 as well. So where all infinite constants are replaced, and
the loss and the gradients are the same numbers as before, what is found there is found of those. Nothing is judged by
it: which gradients are wrong is known before.
"""

from collections.abc import Sequence

import numpy as np

from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.tape.conventions import as_taken
from torch_mirror.tape.replay import Plan, replay
from torch_mirror.tape.scene import Scene, scene_of

LARGE = 2.0**40


def ended(s: Scene) -> Scene | None:
    """The scene with LARGE numbers for infinite ones; None where there are none, or where something changes by that."""
    if not _infinite(s.tape.values):
        return None
    tape, made = replay(s.tape.values, Plan(endless=LARGE, outcome=as_taken))

    def new(x: Number) -> Number:
        found: Number = x if x.node is None else made[x.node.number]
        return found

    pairs = [(x, new(x)) for x in (s.loss, *s.gradients.values())]
    if not all(np.array_equal(x.value, y.value) for x, y in pairs):
        return None
    gradients, leaves = ({name: new(x) for name, x in some.items()} for some in (s.gradients, s.leaves))
    number = {n: x.node.number for n, x in made.items()}
    side = s.side if isinstance(s.side, str) else {number[n]: side for n, side in s.side.items() if n in number}
    base = {number[n]: d for n, d in s.base.items()}
    return scene_of(tape, new(s.loss), gradients, leaves, side, base)._replace(root=s.root)


def _infinite(values: Sequence[Number | Mask]) -> bool:
    """Whether a constant is."""
    constants = (a for x in values if x.node is not None for a in x.node.operands if a.node is None)
    return any(isinstance(a, Number) and bool(np.isinf(a.value).any()) for a in constants)
