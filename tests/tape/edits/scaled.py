"""What explains wrong gradients, in the user's own scale.

    e = explain_gradients(loss, {"W1": w1, "b1": b1}, seen={"W1": g1, "b1": g2}, constants={"N, the batch": 6.0})

Many people's intermediate gradients are N times the derivatives, and are divided by N at the end. A factor that is left
out in between is then another edit than where 1/N comes first. So the right equation is drawn up in the scale that most
of the user's values have, and if nothing fits in others: the sweep starts from that number in place of 1, and its
results are divided by it.
"""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from torch_mirror.balls.choosing import Side
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import paused
from torch_mirror.tape.edits.equation import Equation
from torch_mirror.tape.edits.explain import Nothing, explain
from torch_mirror.tape.edits.gradients import gradient_equation
from torch_mirror.tape.edits.shown import factor_between
from torch_mirror.tape.edits.told import Explanation
from torch_mirror.tape.edits.user import behind

MOST = 200
"""The user's values that are looked at for their scale."""


def explain_gradients(
    loss: Number,
    leaves: Mapping[str, Number],
    seen: Mapping[str, Number | None],
    constants: Mapping[str, float],
    others: Mapping[str, Number] = Nothing,
    previous: Mapping[str, Number] = Nothing,
    budget: float = 2.0,
    side: Side = "last",
) -> Explanation:
    """The causes of what is wrong among the seen gradients.

    loss, leaves, side: as in gradient_equation; all else as in explain. Each scale that is tried has its share of
    the budget. Raises MissingAdjointError as gradient_equation does.
    """
    eq = gradient_equation(loss, leaves, side)
    told: list[Explanation] = []
    spent = 0.0
    scales = _scales(eq, seen)
    for left, scale in zip(range(len(scales), 0, -1), scales, strict=True):
        scaled = eq if scale == 1 else gradient_equation(loss, leaves, side, scale)
        told.append(explain(scaled, seen, constants, others, previous, (budget - spent) / left))
        spent += told[-1].seconds
        if not told[-1].unexplained or spent >= budget:
            break
    best = min(told, key=lambda e: len(e.unexplained))
    return best._replace(tried=sum(e.tried for e in told), seconds=spent)


def _scales(eq: Equation, seen: Mapping[str, Number | None]) -> list[float]:
    """What to try: the user's scale; 1; and those in which the loss's own factors, such as 1/N, come at the end."""
    single = (eq.values[i].value for i, node in enumerate(eq.nodes) if node.of and eq.values[i].value.size == 1)
    factors = (1 / float(value.item()) for value in single if value.any())
    every = (_whole(c) for c in (scale_of(eq, seen), 1.0, *factors))
    return list(dict.fromkeys(c for c in every if c is not None and c > 0))


def _whole(c: float) -> float | None:
    """A whole number or one over it, which is what people divide by; None for any other."""
    n = float(np.round(c)) if c >= 1 else 1 / float(np.round(1 / c)) if c > 0 else 0.0
    return n if abs(n - c) <= 1e-8 * abs(c) else None


def scale_of(eq: Equation, seen: Mapping[str, Number | None]) -> float:
    """What most of the user's values are times the derivative that they are a multiple of; 1 if there are none."""
    forward = frozenset(n.source for n in eq.nodes if n.source is not None and n.kind in ("forward", "leaf"))
    with paused():
        values = behind([x for x in seen.values() if x is not None], forward)[:MOST]
    ratios: Counter[float] = Counter()
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for i, node in enumerate(eq.nodes):
        if node.of:
            by_shape.setdefault(eq.values[i].shape, []).append(i)
    for value in values:
        v = value.number.value
        found = (factor_between(v, eq.values[i].value) for i in by_shape.get(v.shape, ()))
        ratios.update({float(f"{ratio:.9g}") for ratio in found if ratio is not None and ratio > 0})
    return ratios.most_common(1)[0][0] if ratios else 1.0
