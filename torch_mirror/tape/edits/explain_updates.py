"""What explains a wrong step of a hand-written optimizer.

>>> print(explain_update(SGD(lr=0.1, momentum=0.9), p, g, state, t=3, seen={"W1": w1, "v.W1": v1}))

momentum left out, as if it were 0; explains W1, v.W1; 234 edits tried, this alone fits
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference.claim.tree import named
from torch_mirror.balls.number import Number
from torch_mirror.tape.edits.case import Case, case_of
from torch_mirror.tape.edits.explain import Nothing, explain
from torch_mirror.tape.edits.lasting import Known, Step, lasts
from torch_mirror.tape.edits.told import Explanation, Finding
from torch_mirror.tape.edits.updates import number_of, settings_of, together, together_seen, update_equation

SOON = 2
"""Steps after the wrong one that every edit which explains it is tried in; those that are left, in all."""


class Later(NamedTuple):
    """A step after the wrong one: its gradients, and the user's results."""

    g: Any
    seen: Mapping[str, Number]


def explain_update(
    optimizer: Any,
    p: Any,
    g: Any,
    state: Mapping[str, Any],
    t: int,
    seen: Mapping[str, Number],
    previous: Any = None,
    budget: float = 2.0,
    later: Sequence[Later] = (),
) -> Explanation:
    """The causes of a wrong step.

    optimizer: of reference.optimizers, the right one, whose elements are updated each by itself
    p, g:      trees of arrays of floats, or balls: the parameters before the step, and their gradients
    state:     what the optimizer's own ``init`` gives, at the step; as the user's code had it
    t:         the number of the step, from 0
    seen:      the user's results: parameters by their names, state as ``v.W1``. State that nobody sees is left out
    previous:  the gradients of the step before, as a tree like g, if there are some
    later:     the steps that follow, in which a cause has to hold as well
    """
    started = time.process_time()
    leaves = {name: _wrong(optimizer, p, g, state, t, seen, name) for name in named(p) if name in seen}
    wrong = tuple(name for name, is_wrong in leaves.items() if is_wrong)
    if not wrong:
        return Explanation((), (), (), 0, time.process_time() - started, complete=True)
    first = _of(optimizer, p, g, state, t, seen, previous, wrong, budget, later)
    if not first.unexplained or len(wrong) == 1:
        return first._replace(seconds=time.process_time() - started)
    share = max(0.1, budget - first.seconds) / len(wrong)
    each = [_of(optimizer, p, g, state, t, seen, previous, (name,), share, later) for name in wrong]
    if sum(len(e.unexplained) for e in each) >= len(first.unexplained) and first.findings:
        each = [first]
    return Explanation(
        tuple(f for e in each for f in e.findings), tuple(x for e in each for x in e.unexplained), (),
        first.tried + sum(e.tried for e in each if e is not first), time.process_time() - started,
        all(e.complete for e in each),
    )  # fmt: skip


def update_case(
    optimizer: Any, p: Any, g: Any, state: Mapping[str, Any], t: int, seen: Mapping[str, Number], names: tuple[str, ...]
) -> Case:
    """The case of some leaves together."""
    before = {key: together(tree, names) for key, tree in state.items()}
    eq = update_equation(optimizer, together(p, names), together(g, names), before, t)
    return case_of(eq, _seen(seen, state, names), settings_of(optimizer, t), {}, {})


def _seen(seen: Mapping[str, Number], state: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Number]:
    outputs = {"p": together_seen(seen, names)}
    for key in state:
        if all(f"{key}.{name}" in seen for name in names):
            outputs[key] = together_seen({name: seen[f"{key}.{name}"] for name in names}, names)
    return outputs


def _wrong(
    optimizer: Any, p: Any, g: Any, state: Mapping[str, Any], t: int, seen: Mapping[str, Number], name: str
) -> bool:
    with np.errstate(all="ignore"):
        return bool(update_case(optimizer, p, g, state, t, seen, (name,)).wrong)


def _of(
    optimizer: Any, p: Any, g: Any, state: Mapping[str, Any], t: int, seen: Mapping[str, Number], previous: Any,
    names: tuple[str, ...], budget: float, later: Sequence[Later],
) -> Explanation:  # fmt: skip
    """Of some leaves as one vector, with the outputs' names as the user knows them."""
    before = {key: together(tree, names) for key, tree in state.items()}
    eq = update_equation(optimizer, together(p, names), together(g, names), before, t)
    earlier = Nothing if previous is None else {"g": number_of(together(previous, names))}
    every = [g, *(step.g for step in later)]
    steps = [
        Step(t + i, together(step.g, names), number_of(together(every[i - 1], names)), _seen(step.seen, state, names))
        for i, step in enumerate(later, 1)
    ]
    shared = Known({}, {})

    def lasting(some: Sequence[Step]) -> Callable[..., bool] | None:
        return (lambda case, fit, *until: lasts(optimizer, case, fit, some, shared, *until)) if some else None

    e = explain(
        eq, _seen(seen, state, names), settings_of(optimizer, t), previous=earlier, budget=budget,
        lasts=lasting(steps[:SOON]), endures=lasting(steps if len(steps) > SOON else ()),
    )  # fmt: skip

    def known(outputs: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name if out == "p" else f"{out}.{name}" for out in outputs for name in names)

    return e._replace(
        findings=tuple(
            Finding(tuple(c._replace(explains=known(c.explains)) for c in finding.causes), finding.why)
            for finding in e.findings
        ),
        unexplained=known(e.unexplained),
    )

