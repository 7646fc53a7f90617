"""Why an update is wrong: the smallest edit of the right step that makes what the user's first wrong step made.

Both start from the same parameters, gradients and state (tape/edits), as before that step both sides were the same.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from reference.claim.tree import Tree
from reference.optimizers.adagrad import Adagrad
from reference.optimizers.adam import Adam
from reference.optimizers.clipping import ClippedByNorm, ClippedByValue
from reference.optimizers.rmsprop import RMSprop
from reference.optimizers.sgd import SGD
from torch_mirror.balls.number import Number
from torch_mirror.doors.check import step_whole
from torch_mirror.doors.check.claimed import spoken
from torch_mirror.tape import causes as of_gradients
from torch_mirror.tape.causes import in_words
from torch_mirror.tape.edits.explain_updates import Later, explain_update
from torch_mirror.tape.told import Fault


class First(NamedTuple):
    """The first wrong step: its number from 0, what both sides had before it, and what the user's update made.

    p, g, state, previous: trees of balls; previous: the gradients of the step before, zeros at the first
    later:                 the steps after it, up to the last one, in all of which a cause has to hold, too
    """

    t: int
    p: Tree
    g: Tree
    state: Tree
    previous: Tree
    seen: Mapping[str, Number]
    later: tuple[Later, ...] = ()


SOUGHT = (SGD, Adam, RMSprop, Adagrad)
"""The optimizers of whose steps edits are tried; AdamW is an Adam."""

UNSOUGHT = (
    "no cause is named: it is sought only against the steps of SGD, Adam, AdamW, RMSprop and Adagrad, torch's or the "
    "reference's own"
)


def unsought(optimizer: Any) -> tuple[str, ...]:
    """A note where no cause is sought of a wrong update, as the right one is by somebody's own optimizer."""
    return () if isinstance(optimizer, (*SOUGHT, ClippedByNorm, ClippedByValue)) else (UNSOUGHT,)


def faults_of(optimizer: Any, first: First, run: step_whole.Run) -> tuple[Fault, ...]:
    """A fault for each mistake, and one for what no edit explains; none where the optimizer is not the reference's.

    run: all steps. Of gradients that are clipped there is no equation of one parameter: only all steps are looked at.
    """
    if isinstance(optimizer, (ClippedByNorm, ClippedByValue)):
        names = _in_order(step_whole.wrong_in(run), first)
        why = f"none of {len(list(step_whole.mistakes(optimizer)))} other ways to clip or to step makes all your steps"
        found = step_whole.causes(optimizer, run)
        return (Fault(names, causes=found, why="" if found else why),)
    if not isinstance(optimizer, SOUGHT):
        return ()
    with np.errstate(all="ignore"):
        t, p, g, state, previous, seen, later = first
        e = explain_update(optimizer, p, g, state, t, seen, previous, of_gradients.BUDGET, later)
    sizes = {name: x.size for name, x in first.seen.items()}
    faults = []
    for finding in e.findings:
        causes = tuple(in_words([cause], sizes, {}) for cause in finding.causes)
        names = _in_order(finding.causes[0].explains, first)
        faults.append(Fault(names, causes=causes, why=finding.why))
    left = _in_order(e.unexplained, first)
    if left and not faults and (whole := step_whole.causes(optimizer, run)):
        return (Fault(left, causes=whole),)
    return (*faults, *([Fault(left, why=of_gradients.unexplained(e, "step"))] if left else []))


def _in_order(names: tuple[str, ...], first: First) -> tuple[str, ...]:
    """As the rows have them. Names of state that is not compared are left out."""
    return tuple(spoken(name) for name in first.seen if name in names)
